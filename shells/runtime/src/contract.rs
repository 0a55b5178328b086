//! The suites that hold every implementation of a port to the contract in the port's doc comment.
//!
//! Each suite is given a way to make its subject and panics with the sentence that was broken. A suite uses no clock of
//! its own: where time must pass, it asks the subject's clock, which a test may move and a real server needs to wait for.
//! `Unknown` is an allowed answer everywhere: the suites ask again, as every caller must be able to.

mod cache;
mod changes;
pub mod clock;
mod delay;
mod feed;
mod group;
mod intents;
mod leases;
mod ledger;
mod members;
mod publish;
mod search;
mod shard_log;
mod store;
mod windows;
mod world;

pub use cache::shared_cache_contract;
pub use changes::{StoreAndChanges, changes_contract};
pub use delay::delay_contract;
pub use feed::{StoreAndFeed, feed_contract};
pub use intents::{LedgerAndIntents, intents_contract};
pub use leases::leases_contract;
pub use ledger::ledger_contract;
pub use members::{MembersAndSpoil, Spoil, members_contract};
pub use publish::{PublishAndReads, publish_contract};
pub use search::{SearchAndShown, Shown, search_contract};
pub use shard_log::{LedgerAndLogs, shard_log_contract};
pub use store::store_contract;
pub use windows::{StoreAndWindows, windows_contract};
pub use world::{Memory, NewWorld, World};

use async_trait::async_trait;
use doorbuster_core::time::Wall;
use std::any::Any;
use std::sync::Arc;

/// What a suite runs against.
pub struct Subject<P> {
    /// The port, or the ports that only make sense together.
    pub port: P,
    /// The clock by which the implementation decides.
    pub clock: Arc<dyn Clock>,
    /// What must live as long as the port: a directory, a connection, a process.
    pub keep: Box<dyn Any + Send>,
}

/// Which subject is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// An empty one.
    Fresh,
    /// A new process over what the last one left behind; the last one has been dropped.
    Again,
}

/// The implementation's clock.
#[async_trait]
pub trait Clock: Send + Sync {
    /// What it shows.
    async fn now(&self) -> Wall;
    /// Returns when so many milliseconds have gone by on it.
    async fn pass_ms(&self, millis: u64);
}
