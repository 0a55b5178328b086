//! What was sold, as the workers of the sales windows read it.

use super::{Offset, Partition, Unavailable};
use async_trait::async_trait;
use doorbuster_core::inbox::{NotAssigned, Record};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::window::movement::Movement;

/// Which partitions are a worker's, until there is another assignment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// Grows with every assignment of the group; 0 before the first.
    pub generation: u64,
    /// The partitions, each with the first offset that the group has not committed.
    pub partitions: Vec<(Partition, Offset)>,
}

/// The partitions of `sales`, each with the movements of its SKUs in their order.
///
/// Contract: at least once; the order within a partition is kept, a record may stand in it twice, and a commit may be lost.
/// Offsets are those of the partition itself, the same for every worker: the database keeps the place that is counted up
/// to. A partition has one worker at a time, except that one who has not heard of its loss goes on for a while.
#[async_trait]
pub trait Movements: Send + Sync + 'static {
    /// The group's assignment; waits a bounded time for another one than that of this generation, then answers the same.
    /// Whoever asks is in the group, and out of it when it has not asked for a session's time.
    async fn assigned(&self, generation: u64) -> Result<Assignment, Unavailable>;
    /// Up to `limit` records at or after `from`; waits up to [`super::FETCH_WAIT_MS`] for the first, then answers none.
    async fn fetch(
        &self,
        partition: Partition,
        from: Offset,
        limit: usize,
    ) -> Outcome<Vec<Record<Movement>>, NotAssigned>;
    /// Everything before `next` is counted.
    async fn commit(&self, partition: Partition, next: Offset) -> Outcome<(), NotAssigned>;
    /// Keeps a record that is no movement where a person will look.
    async fn set_aside(&self, partition: Partition, offset: Offset) -> Outcome<(), NotAssigned>;
}
