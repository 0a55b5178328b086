//! The outbox as a feed: the store's own order is the order of the topics, so no relay stands between.

use super::key;
use super::outbox::{Batch, TopicCode};
use super::read;
use super::store::{RowsStore, unavailable};
use super::writer::Visible;
use crate::wait::{Waited, until};
use async_trait::async_trait;
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_runtime::ports::feed::Feed;
use doorbuster_runtime::ports::{Offset, Unavailable};
use fjall::Readable;

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

    fn read(&self, topic: Topic, from: Offset, limit: usize) -> Result<Vec<(Offset, Event)>, read::ReadError> {
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

#[async_trait]
impl Feed for RowsFeed {
    async fn committed(&self, group: &'static str, topic: Topic) -> Result<Offset, Unavailable> {
        Ok(Offset(self.store.number(&key::offset(group, topic))?.max(1)))
    }

    async fn fetch(
        &self,
        _group: &'static str,
        topic: Topic,
        from: Offset,
        limit: usize,
    ) -> Result<Vec<(Offset, Event)>, Unavailable> {
        let mut visible = self.store.visible.clone();
        let waited = until(visible.wait_for(|visible| visible.ends.of(topic) > from.0)).await;
        match waited {
            Waited::Ready => self.read(topic, from, limit).map_err(unavailable),
            Waited::TimedOut => Ok(Vec::new()),
            Waited::Ended => Err(unavailable("the rows' writer has stopped")),
        }
    }

    async fn commit(&self, group: &'static str, topic: Topic, next: Offset) -> Result<(), Unavailable> {
        self.store.advance(key::offset(group, topic), next.0).await
    }
}
