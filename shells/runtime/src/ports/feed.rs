//! The outbox as its readers see it: topics of events.

use super::{Offset, Unavailable};
use async_trait::async_trait;
use doorbuster_core::database::event::{Event, Topic};

/// One event at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Its place in the topic.
    pub offset: Offset,
    /// What happened.
    pub event: Event,
}

/// Topics of outbox events, read by groups.
///
/// Contract: at least once. Events of one subject come in the order of their transactions; events of several subjects
/// may be reordered. After a crash a group begins at its committed offset again, and a commit may be lost: everything
/// since an older one is delivered again. No event is lost; none comes of a transaction that was not committed.
#[async_trait]
pub trait Feed: Send + Sync + 'static {
    /// The offset up to which this group has committed.
    async fn committed(&self, group: &'static str, topic: Topic) -> Result<Offset, Unavailable>;
    /// Waits until there is an event after `after`; at most `limit` of them.
    async fn poll(
        &self,
        group: &'static str,
        topic: Topic,
        after: Offset,
        limit: usize,
    ) -> Result<Vec<Delivered>, Unavailable>;
    /// Everything up to `offset` is dealt with.
    async fn commit(&self, group: &'static str, topic: Topic, offset: Offset) -> Result<(), Unavailable>;
}
