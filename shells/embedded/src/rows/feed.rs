//! The outbox as a feed: the store's own order is the order of the topics, so no relay stands between.

use super::key;
use super::outbox::{Batch, TopicCode};
use super::read;
use super::store::{RowsStore, unavailable};
use super::writer::Visible;
use crate::wait::{Waited, until};
use async_trait::async_trait;
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::inbox::{NotAssigned, Record};
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::ports::feed::Feed;
use doorbuster_runtime::ports::group::{Assignment, Group};
use doorbuster_runtime::ports::{Offset, Partition, Unavailable};
use fjall::Readable;
use std::sync::Arc;

/// Events of a topic without readers that are kept for whoever looks: a few minutes of a burst.
const UNREAD_KEPT: u64 = 100_000;

/// Topics of the embedded outbox.
#[derive(Clone)]
pub struct RowsFeed {
    store: RowsStore,
}

impl RowsFeed {
    /// The feed of this store's outbox.
    pub fn new(store: RowsStore) -> RowsFeed {
        RowsFeed { store }
    }

    /// Events of this topic that this group has not dealt with.
    pub fn unsent(&self, group: &'static str, topic: Topic) -> Result<u64, Unavailable> {
        let next = self.store.number(&key::offset(group, topic))?.max(1);
        Ok(self.store.visible.borrow().ends.of(topic).saturating_sub(next))
    }

    /// Gives up a portion of what nobody will ask for again: what all these groups have dealt with, and of a topic that
    /// none of them reads, everything but the last [`UNREAD_KEPT`] events.
    pub async fn trim(&self, readers: &[(&'static str, Topic)]) -> Result<(), Unavailable> {
        let ends = self.store.visible.borrow().ends;
        for topic in Topic::ALL {
            let mut before = ends.of(topic);
            let own = readers.iter().filter(|(_, read)| *read == topic);
            if own.clone().next().is_none() {
                before = before.saturating_sub(UNREAD_KEPT);
            }
            for (group, _) in own {
                before = before.min(self.store.number(&key::offset(group, topic))?);
            }
            self.store.trim(topic, before).await?;
        }
        Ok(())
    }

    /// Up to `limit` events of a topic at or behind a place.
    ///
    /// # Errors
    /// The rows are damaged, or their disk fails: nothing is known of the events then.
    pub fn read(&self, topic: Topic, from: Offset, limit: usize) -> Result<Vec<(Offset, Event)>, Unavailable> {
        self.scan(topic, from, limit).map_err(unavailable)
    }

    fn scan(&self, topic: Topic, from: Offset, limit: usize) -> Result<Vec<(Offset, Event)>, read::ReadError> {
        let Visible { ends, snapshot } = self.store.visible.borrow().clone();
        let end = ends.of(topic);
        let outbox = &self.store.shelf.outbox;
        let wanted = key::outbox(topic, from.0);
        // The batch in which the wanted event stands may begin before it.
        let start = match snapshot.range(outbox, key::outbox(topic, 0)..=wanted.clone()).next_back() {
            Some(guard) => guard.key()?.to_vec(),
            None => wanted,
        };
        let mut found = Vec::new();
        for guard in snapshot.range(outbox, start..) {
            let (key, value) = guard.into_inner()?;
            let number = key.strip_prefix(&[topic.code()]).and_then(|tail| tail.try_into().ok());
            let Some(first) = number.map(u64::from_be_bytes).filter(|first| *first < end) else { break };
            let batch: Batch = postcard::from_bytes(&value)?;
            let numbered = (first..).map(Offset).zip(batch.events);
            found.extend(numbered.filter(|(offset, _)| *offset >= from));
            if found.len() >= limit {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }
}

impl Feed for RowsFeed {
    fn join(&self, group: &'static str, topic: Topic) -> Arc<dyn Group<Event>> {
        Arc::new(RowsGroup { feed: self.clone(), group, topic })
    }
}

/// The one member of a group, in the one process that there is; a topic is one partition.
struct RowsGroup {
    feed: RowsFeed,
    group: &'static str,
    topic: Topic,
}

#[async_trait]
impl Group<Event> for RowsGroup {
    async fn assigned(&self, generation: u64) -> Result<Assignment, Unavailable> {
        let from = self.feed.store.number(&key::offset(self.group, self.topic))?.max(1);
        Ok(Assignment::alone(generation, Offset(from)).await)
    }

    async fn fetch(&self, _: Partition, from: Offset, limit: usize) -> Outcome<Vec<Record<Event>>, NotAssigned> {
        let mut visible = self.feed.store.visible.clone();
        let waited = until(visible.wait_for(|visible| visible.ends.of(self.topic) > from.0)).await;
        match waited {
            Waited::Ready => match self.feed.read(self.topic, from, limit) {
                Ok(found) => Outcome::Done(found.into_iter().map(|(at, event)| Record::Delivered(at, event)).collect()),
                Err(unavailable) => {
                    tracing::error!(topic = self.topic.name(), %unavailable, "the outbox cannot be read");
                    Outcome::Unknown
                }
            },
            Waited::TimedOut => Outcome::Done(Vec::new()),
            // The rows' writer has stopped.
            Waited::Ended => Outcome::Unknown,
        }
    }

    async fn commit(&self, _: Partition, next: Offset) -> Outcome<(), NotAssigned> {
        let advanced = self.feed.store.advance(key::offset(self.group, self.topic), next.0).await;
        advanced.map_or(Outcome::Unknown, Outcome::Done)
    }

    async fn set_aside(&self, _: Partition, _: Offset) -> Outcome<(), NotAssigned> {
        // It is an event, of a topic that is not its own: it stays in the outbox, and the log tells where.
        Outcome::Done(())
    }
}
