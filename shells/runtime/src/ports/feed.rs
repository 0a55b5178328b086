//! The outbox as its readers see it: topics of events.

use super::group::Group;
use doorbuster_core::database::event::{Event, Topic};
use std::sync::Arc;

/// Topics of outbox events, read by groups.
///
/// Contract: that of [`Group`], with an event's subject as its own. Groups do not know of each other.
pub trait Feed: Send + Sync + 'static {
    /// A membership of this process; it begins with the first question for its partitions. Ask once for each group: a
    /// second membership of one process is a second member.
    fn join(&self, group: &'static str, topic: Topic) -> Arc<dyn Group<Event>>;
}
