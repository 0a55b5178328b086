//! The shards' server of one process: core's models on one thread, made durable by one log.
//!
//! It stands where Redis stands in production: every call is one atomic step on one thread. A reply leaves only after
//! the sync of the group in which its entry stands, so whoever knows of an acceptance knows of a durable one.

mod cache;
mod call;
mod delay;
mod intents;
mod known;
mod port;
mod shards;
mod thread;

pub use cache::MemorySharedCache;
pub use call::{Answer, Call};
pub use delay::MemoryDelayQueue;
pub use intents::{LogIntents, read_intents};
pub use port::ShardServer;
pub use shards::{GROUP_CALLS_MAX, Ran, Shards};
pub use thread::PARTITION;
