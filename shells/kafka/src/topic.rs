//! The topics by name, and what each is made with.

use crate::config::KafkaConfig;
use doorbuster_core::database::event::Topic;

/// What a topic of dead letters is called beside its origin.
pub const DEAD: &str = ".dead";

/// A topic of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicId {
    /// What the shards' logs carry.
    Intents,
    /// One of the outbox.
    Outbox(Topic),
}

impl TopicId {
    /// Every topic, without the dead letters.
    pub fn all() -> impl Iterator<Item = TopicId> {
        [TopicId::Intents].into_iter().chain(Topic::ALL.map(TopicId::Outbox))
    }

    /// Its name without the prefix.
    pub fn name(self) -> &'static str {
        match self {
            TopicId::Intents => "intents",
            TopicId::Outbox(topic) => topic.name(),
        }
    }

    /// Its name in the cluster.
    pub fn full_name(self, prefix: &str) -> String {
        format!("{prefix}{}", self.name())
    }

    /// The name of its dead letters in the cluster.
    pub fn dead_name(self, prefix: &str) -> String {
        format!("{prefix}{}{DEAD}", self.name())
    }

    /// The topic of this name in the cluster.
    pub fn find(prefix: &str, full_name: &str) -> Option<TopicId> {
        TopicId::all().find(|topic| topic.full_name(prefix) == full_name)
    }
}

/// A topic as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name in the cluster.
    pub name: String,
    /// Its settings by Kafka's names; where it exists with others, somebody meant them.
    pub settings: Vec<(&'static str, String)>,
}

/// Every topic with its dead letters.
pub fn wanted(config: &KafkaConfig) -> Vec<Wanted> {
    let settings = |retention_ms: u64| {
        vec![
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", retention_ms.to_string()),
            ("retention.bytes", "-1".to_owned()),
            ("min.insync.replicas", config.min_in_sync.to_string()),
            // A copy that lags must not be elected: what was acknowledged would be lost.
            ("unclean.leader.election.enable", "false".to_owned()),
            ("compression.type", "producer".to_owned()),
        ]
    };
    let both = |topic: TopicId| {
        let origin = Wanted { name: topic.full_name(&config.prefix), settings: settings(config.retention_ms) };
        let dead = Wanted { name: topic.dead_name(&config.prefix), settings: settings(config.dead_retention_ms) };
        [origin, dead]
    };
    TopicId::all().flat_map(both).collect()
}
