//! One cluster and the ports over it.

use crate::config::KafkaConfig;
use crate::dead::DeadLetters;
use crate::feed::KafkaFeed;
use crate::group::{KafkaGroup, Shelf};
use crate::intent;
use crate::publish::KafkaPublish;
use crate::publish::events::EventProducer;
use crate::topic::TopicId;
use crate::topics::{self, TopicsError};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_runtime::env::SharedEnv;
use std::sync::Arc;

/// A cluster whose topics are as they should be.
pub struct Kafka {
    config: Arc<KafkaConfig>,
    env: SharedEnv,
    events: Arc<EventProducer>,
}

impl Kafka {
    /// Makes the topics that are missing and compares the others.
    ///
    /// # Errors
    /// [`TopicsError`], which says what to do.
    pub async fn connect(config: KafkaConfig, env: SharedEnv) -> Result<Kafka, TopicsError> {
        topics::ensure(&config).await?;
        let config = Arc::new(config);
        let events = Arc::new(EventProducer::new(config.clone()));
        Ok(Kafka { config, env, events })
    }

    /// What forwarders and relays write with.
    pub fn publish(&self) -> KafkaPublish {
        KafkaPublish::new(self.config.clone(), self.events.clone())
    }

    /// What intake reads.
    pub fn intents(&self) -> KafkaGroup<Intent> {
        KafkaGroup::new(self.shelf(), "intake", TopicId::Intents, |letter| intent::decode(letter.value.as_deref()))
    }

    /// What the roles behind the outbox read.
    pub fn feed(&self) -> KafkaFeed {
        KafkaFeed(self.shelf())
    }

    /// What could not be read.
    pub fn dead(&self) -> DeadLetters {
        DeadLetters::new(self.config.clone(), self.events.clone())
    }

    fn shelf(&self) -> Shelf {
        Shelf { config: self.config.clone(), env: self.env.clone(), dead: self.dead() }
    }
}
