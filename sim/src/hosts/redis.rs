//! A Redis server: synchronous, deterministic, and as rude as the real one.
//!
//! It runs the shipped Lua scripts over its own data set and speaks the real protocol, so that the product's own
//! client cannot tell it from Redis 7.0.15, whose behaviour it was compared with command by command. Time and
//! randomness come in as arguments; it has neither clock nor thread.

pub mod command;
mod context;
mod facts;
mod host;
mod persistence;
mod replica;
mod reply;
pub mod resp;
pub mod script;
mod serve;
pub mod store;
mod trouble;

pub use context::Context;
pub use facts::{Facts, Identity, Role, forty_digits};
pub use host::{ConnectionId, Output, Ran, RedisHost};
pub use persistence::{Crash, Disk, Record, Recovered, SYNC_EVERY_MS, SyncPolicy};
pub use replica::{Offer, replicate};
pub use reply::{Reply, texts};
pub use serve::{Mounted, serve};
pub use trouble::Trouble;

/// A string of the server: any bytes.
pub type Bytes = Vec<u8>;
