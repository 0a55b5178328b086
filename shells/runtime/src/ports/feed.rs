//! The outbox as its readers see it: topics of events.

use super::{Offset, Unavailable};
use async_trait::async_trait;
use doorbuster_core::database::event::{Event, Topic};

/// Topics of outbox events, read by groups.
///
/// Contract: at least once. Events of one subject come in the order of their transactions; events of several subjects
/// may be reordered. After a crash a group begins at its committed offset again, and a commit may be lost: everything
/// since an older one is delivered again. No event is lost; none comes of a transaction that was not committed.
#[async_trait]
pub trait Feed: Send + Sync + 'static {
    /// The first offset that this group has not committed.
    async fn committed(&self, group: &'static str, topic: Topic) -> Result<Offset, Unavailable>;
    /// Up to `limit` events at or after `from`; waits up to [`super::FETCH_WAIT_MS`] for the first, then answers none.
    async fn fetch(
        &self,
        group: &'static str,
        topic: Topic,
        from: Offset,
        limit: usize,
    ) -> Result<Vec<(Offset, Event)>, Unavailable>;
    /// Everything before `next` is dealt with. Commits may overtake each other: an older place than the kept one changes
    /// nothing.
    async fn commit(&self, group: &'static str, topic: Topic, next: Offset) -> Result<(), Unavailable>;
}
