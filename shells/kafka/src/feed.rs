//! The outbox's topics as their groups read them.

use crate::event;
use crate::group::{KafkaGroup, Shelf};
use crate::topic::TopicId;
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_runtime::ports::feed::Feed;
use doorbuster_runtime::ports::group::Group;
use std::sync::Arc;

/// The topics of the outbox.
pub struct KafkaFeed(pub(crate) Shelf);

impl Feed for KafkaFeed {
    fn join(&self, group: &'static str, topic: Topic) -> Arc<dyn Group<Event>> {
        Arc::new(KafkaGroup::new(self.0.clone(), group, TopicId::Outbox(topic), event::decode))
    }
}
