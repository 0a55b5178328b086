//! All interleavings of a small world: the ledger's two sides, the flows between them, and the epoch ladder.
//!
//! Everything that decides is the product's own code: the shard's calls and the database's `reads` and `decide`.
//! Only what carries (partition, forwarder, settler, keeper) is modelled here, at its weakest.

pub mod action;
pub mod cast;
pub mod check;
pub mod enabled;
pub mod engine;
pub mod fingerprint;
mod ladder_steps;
mod log_steps;
pub mod model;
mod order_steps;
pub mod plant;
pub mod quiet;
pub mod scope;
mod shard_steps;
pub mod shared;
mod start;
pub mod state;
pub mod store;
pub mod story;
pub mod violation;
pub mod visited;
