//! The outbox as a feed: the store's own order is the order of the topics, so no relay stands between.

use super::key;
use super::outbox::{Batch, Ends as TopicEnds, TopicCode};
use super::read;
use super::store::{RowsStore, unavailable};
use async_trait::async_trait;
use doorbuster_core::database::event::Topic;
use doorbuster_runtime::ports::feed::{Delivered, Feed};
use doorbuster_runtime::ports::{Offset, Unavailable};
use fjall::Readable;

/// Where the topics end for readers: behind the last event whose transaction is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends(pub(super) TopicEnds);

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

    fn read(&self, topic: Topic, after: Offset, end: u64, limit: usize) -> Result<Vec<Delivered>, read::ReadError> {
        let snapshot = self.store.shelf.database.snapshot();
        let outbox = &self.store.shelf.outbox;
        let wanted = key::outbox(topic, after.0 + 1);
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
            found.extend(
                numbered.filter(|(offset, _)| *offset > after).map(|(offset, event)| Delivered { offset, event }),
            );
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
        self.store.number(&key::offset(group, topic)).map(Offset)
    }

    async fn poll(
        &self,
        _group: &'static str,
        topic: Topic,
        after: Offset,
        limit: usize,
    ) -> Result<Vec<Delivered>, Unavailable> {
        let mut ends = self.store.ends.clone();
        let end = ends
            .wait_for(|ends| ends.0.of(topic) > after.0 + 1)
            .await
            .map_err(|_| unavailable("the rows' writer has stopped"))?
            .0
            .of(topic);
        self.read(topic, after, end, limit).map_err(unavailable)
    }

    async fn commit(&self, group: &'static str, topic: Topic, offset: Offset) -> Result<(), Unavailable> {
        self.store.put(key::offset(group, topic), offset.0).await
    }
}
