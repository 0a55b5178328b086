//! The durable log of intents: what goes from the shards' servers to the database.

use super::{Offset, Partition, Unavailable};
use async_trait::async_trait;
use doorbuster_core::ids::{Epoch, Seq, ShardId};
use doorbuster_core::inbox::{NotAssigned, Record};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::outcome::Outcome;

/// Partitions of intents, each a shard's entries in their order.
///
/// Contract: at least once; the order within a partition is kept, and a record may stand in it twice. A commit may be
/// lost. `drain` is done when Seal(epoch) stands in the shard's partition and nothing of that epoch can be appended
/// behind it; `Unknown` may have appended it, and appending it twice is harmless.
#[async_trait]
pub trait Intents: Send + Sync + 'static {
    /// The partitions that are this consumer's, each with the first offset that is not committed.
    async fn assigned(&self) -> Result<Vec<(Partition, Offset)>, Unavailable>;
    /// Up to `limit` records at or after `from`; waits up to [`super::FETCH_WAIT_MS`] for the first, then answers none.
    async fn fetch(
        &self,
        partition: Partition,
        from: Offset,
        limit: usize,
    ) -> Outcome<Vec<Record<Intent>>, NotAssigned>;
    /// Everything before `next` is decided.
    async fn commit(&self, partition: Partition, next: Offset) -> Outcome<(), NotAssigned>;
    /// Keeps a record that cannot be read where a person will look.
    async fn set_aside(&self, partition: Partition, offset: Offset) -> Outcome<(), NotAssigned>;
    /// Puts Seal(epoch) behind everything of that epoch, up to `last` where it is known.
    async fn drain(&self, shard: ShardId, epoch: Epoch, last: Option<Seq>) -> Outcome<(), Unavailable>;
}
