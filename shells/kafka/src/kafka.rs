//! One cluster and the ports over it.

use crate::config::KafkaConfig;
use crate::dead::DeadLetters;
use crate::feed::KafkaFeed;
use crate::intents::KafkaIntents;
use crate::movements::KafkaMovements;
use crate::publish::KafkaPublish;
use crate::publish::events::EventProducer;
use crate::topics::{self, TopicsError};
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

    /// What intake reads; the process joins the group when it first asks for its partitions.
    pub fn intents(&self) -> KafkaIntents {
        KafkaIntents::new(self.config.clone(), self.env.clone(), self.dead())
    }

    /// What the roles behind the outbox read; the process joins a group when it first reads for it.
    pub fn feed(&self) -> KafkaFeed {
        KafkaFeed::new(self.config.clone(), self.env.clone(), self.dead())
    }

    /// What the workers of the sales windows read.
    pub fn movements(&self) -> KafkaMovements {
        KafkaMovements::new(self.config.clone(), self.env.clone(), self.dead())
    }

    /// What could not be read.
    pub fn dead(&self) -> DeadLetters {
        DeadLetters::new(self.config.clone(), self.events.clone())
    }
}
