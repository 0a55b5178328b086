//! The platform's ports over Redis: the shards' servers, their logs, the delay queue, the shared cache, rate limits.
//!
//! What a call means is the shipped scripts' (crate `doorbuster-lua`); what is known after it is this crate's business.
//! Every byte goes through [`dial::Dial`], so that the simulator runs the same code over its own network.
//!
//! What a server must be like, and what its settings do to a sale:
//! - `maxmemory-policy noeviction`; a connection to a server with any other policy is refused. A server whose memory is
//!   full takes no reservation, and no settlement and no mark either: pages stay until a sale is closed, so `maxmemory` has
//!   room for all buyers of all open sales.
//! - A server draws another replication id when its first replica attaches, and after `repl-backlog-ttl` without any.
//!   Its shards are then fenced: their keepers end the epochs and open them anew, within seconds and without a loss. Attach
//!   replicas before a sale, and set `repl-backlog-ttl 0`.
//! - Redis 7 or newer: older ones report the errors of a script's commands under another code, and such a call is `Unknown`
//!   instead of certainly not applied.

pub mod cache;
pub mod config;
mod connection;
pub mod delay;
pub mod dial;
pub mod directory;
pub mod discover;
pub mod ledger;
mod link;
pub mod log;
pub mod rate;
mod route;
mod script;
pub mod servers;
mod subscription;
pub mod trouble;
mod value;

pub use route::tag_of;
