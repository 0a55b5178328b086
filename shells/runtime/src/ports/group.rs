//! A topic as the members of one group read it: partitions that come and go.

use super::{FETCH_WAIT_MS, Offset, Partition, Unavailable};
use async_trait::async_trait;
use doorbuster_core::inbox::{NotAssigned, Record};
use doorbuster_core::outcome::Outcome;
use std::time::Duration;

/// Which partitions are a member's, until there is another assignment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// Grows with every assignment of the group; 0 before the first.
    pub generation: u64,
    /// The partitions, each with the first offset that the group has not committed.
    pub partitions: Vec<(Partition, Offset)>,
}

impl Assignment {
    /// The assignment of a group that has one partition and one member: it never changes, so whoever has it waits.
    pub async fn alone(generation: u64, from: Offset) -> Assignment {
        let own = Assignment { generation: 1, partitions: vec![(Partition(0), from)] };
        if generation == own.generation {
            tokio::time::sleep(Duration::from_millis(FETCH_WAIT_MS)).await;
        }
        own
    }
}

/// One process's membership in a group that reads a topic.
///
/// Contract: at least once. The order within a partition is kept, and a record may stand in it twice; records of one
/// subject stand in one partition. No record is lost, and none comes of a transaction that was not committed. Offsets
/// are those of the partition itself, the same for every member; they grow and need not be contiguous. A commit may be
/// lost, and after an assignment reading may go on before a place that was committed. A partition has one member at a
/// time, except that one who has not heard of its loss goes on for a while: he may be given records, and what he commits
/// is refused or changes nothing.
#[async_trait]
pub trait Group<T>: Send + Sync + 'static {
    /// The group's assignment; waits a bounded time for another one than that of this generation, then answers the same.
    /// Whoever asks is in the group, and out of it when it has not asked for a session's time.
    async fn assigned(&self, generation: u64) -> Result<Assignment, Unavailable>;
    /// Up to `limit` records at or after `from`; waits up to [`super::FETCH_WAIT_MS`] for the first, then answers none.
    async fn fetch(&self, partition: Partition, from: Offset, limit: usize) -> Outcome<Vec<Record<T>>, NotAssigned>;
    /// Everything before `next` is dealt with. Commits may overtake each other: an older place than the kept one changes
    /// nothing.
    async fn commit(&self, partition: Partition, next: Offset) -> Outcome<(), NotAssigned>;
    /// Keeps a record that cannot be read, or is none of this topic, where a person will look.
    async fn set_aside(&self, partition: Partition, offset: Offset) -> Outcome<(), NotAssigned>;
}
