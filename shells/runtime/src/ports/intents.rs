//! The durable log of intents: what goes from the shards' servers to the database.

use super::{Offset, Unavailable};
use async_trait::async_trait;
use doorbuster_core::ids::{Epoch, ShardId};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::outcome::Outcome;

/// One record at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its place in the partition.
    pub offset: Offset,
    /// The record, or the bytes that are none.
    pub intent: Result<Intent, Vec<u8>>,
}

/// Partitions of intents, each a shard's entries in their order.
///
/// Contract: at least once; the order within a partition is kept, and a record may stand in it twice. A commit may be
/// lost. `seal` is done when Seal(epoch) stands in the shard's partition and nothing of that epoch can be appended
/// behind it; `Unknown` may have appended it, and appending it twice is harmless.
#[async_trait]
pub trait Intents: Send + Sync + 'static {
    /// Partitions, numbered from 0.
    fn partitions(&self) -> u32;
    /// The offset up to which intake has committed.
    async fn committed(&self, partition: u32) -> Result<Offset, Unavailable>;
    /// Waits until there is a record after `after`; at most `limit` of them.
    async fn poll(&self, partition: u32, after: Offset, limit: usize) -> Result<Vec<Delivery>, Unavailable>;
    /// Everything up to `offset` is decided.
    async fn commit(&self, partition: u32, offset: Offset) -> Result<(), Unavailable>;
    /// Puts Seal(epoch) behind everything of that epoch, where this process is the shard's forwarder.
    async fn seal(&self, shard: ShardId, epoch: Epoch) -> Outcome<(), Unavailable>;
}
