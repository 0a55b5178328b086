//! Topics made and compared at the start. Nothing else makes one: a broker that makes topics by itself would give them
//! its own count of partitions, and subjects would go elsewhere from then on.

use crate::client;
use crate::config::KafkaConfig;
use crate::thread::on_thread;
use crate::topic::{Wanted, wanted};
use doorbuster_runtime::config::ConfigError;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Looks at whether new topics have all their leaders, and the pause between two of them: together `connect_ms`.
const LOOKS: u64 = 50;

/// Why the topics cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// The configuration is wrong.
    #[error("{}", .0.iter().map(ConfigError::to_string).collect::<Vec<_>>().join("; "))]
    Config(Vec<ConfigError>),
    /// The cluster does not answer, or refuses.
    #[error("kafka at {bootstrap}: {error}")]
    Cluster {
        /// The addresses that were asked.
        bootstrap: String,
        /// What the client says.
        error: KafkaError,
    },
    /// A topic could not be made.
    #[error("the topic {topic} cannot be made: {error}")]
    NotMade {
        /// Which.
        topic: String,
        /// What the broker says.
        error: RDKafkaErrorCode,
    },
    /// A topic has another count of partitions than the configuration says.
    #[error(
        "the topic {topic} has {found} partitions, but [kafka] partitions is {wanted}. A subject's partition follows from \
         the count, so it must stay what it was: set partitions = {found}, or, to change it, drain the topic, remove it, \
         and start again; or give this platform another prefix"
    )]
    OtherCount {
        /// Which.
        topic: String,
        /// Partitions that it has.
        found: usize,
        /// Partitions that it should have.
        wanted: u32,
    },
    /// New topics have no leader yet.
    #[error("the topic {topic} has no leader for some partition; ask again")]
    NoLeader {
        /// Which.
        topic: String,
    },
    /// The operating system gave no thread.
    #[error("no thread for the first look at the cluster")]
    NoThread,
}

/// Makes the topics that are missing, and compares the others.
///
/// # Errors
/// [`TopicsError`]; nothing has been written to any topic then.
pub async fn ensure(config: &KafkaConfig) -> Result<(), TopicsError> {
    config.validate().map_err(TopicsError::Config)?;
    let own = config.clone();
    let admin = on_thread("kafka-admin", move || client::base(&own).create::<AdminClient<_>>());
    let admin = Arc::new(admin.await.ok_or(TopicsError::NoThread)?.map_err(|error| cluster(config, error))?);
    let wanted = wanted(config);
    let there = partitions(config, &admin).await?;
    check_counts(config, &wanted, &there)?;
    let missing: Vec<&Wanted> = wanted.iter().filter(|topic| !there.contains_key(&topic.name)).collect();
    make(config, &admin, &missing).await?;
    let mut without_leader = String::new();
    for _ in 0..LOOKS {
        let there = partitions(config, &admin).await?;
        check_counts(config, &wanted, &there)?;
        let is_led = |topic: &&Wanted| there.get(&topic.name).is_some_and(|there| there.has_leaders);
        match wanted.iter().find(|topic| !is_led(topic)) {
            Some(topic) => without_leader.clone_from(&topic.name),
            None => {
                compare_settings(config, &admin, &wanted).await;
                return end(admin).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(config.connect_ms / LOOKS)).await;
    }
    Err(TopicsError::NoLeader { topic: without_leader })
}

/// What the cluster says of a topic.
struct There {
    partitions: usize,
    has_leaders: bool,
}

type Admin = AdminClient<rdkafka::client::DefaultClientContext>;

/// All topics of the cluster: to ask for one by its name makes it, where the broker makes topics by itself.
async fn partitions(config: &KafkaConfig, admin: &Arc<Admin>) -> Result<BTreeMap<String, There>, TopicsError> {
    let (asked, wait) = (admin.clone(), Duration::from_millis(config.connect_ms));
    let found = on_thread("kafka-metadata", move || {
        let metadata = asked.inner().fetch_metadata(None, wait)?;
        let there = |topic: &rdkafka::metadata::MetadataTopic| {
            let has_leaders = topic.partitions().iter().all(|partition| partition.leader() >= 0);
            let there = There { partitions: topic.partitions().len(), has_leaders };
            (topic.name().to_owned(), there)
        };
        Ok(metadata.topics().iter().map(there).collect())
    });
    found.await.ok_or(TopicsError::NoThread)?.map_err(|error| cluster(config, error))
}

fn check_counts(config: &KafkaConfig, wanted: &[Wanted], there: &BTreeMap<String, There>) -> Result<(), TopicsError> {
    for topic in wanted {
        // A topic that is just being made may show none.
        match there.get(&topic.name).map_or(0, |there| there.partitions) {
            0 => {}
            found if found == config.partitions as usize => {}
            found => {
                return Err(TopicsError::OtherCount { topic: topic.name.clone(), found, wanted: config.partitions });
            }
        }
    }
    Ok(())
}

async fn make(config: &KafkaConfig, admin: &Admin, missing: &[&Wanted]) -> Result<(), TopicsError> {
    if missing.is_empty() {
        return Ok(());
    }
    let replication = || TopicReplication::Fixed(config.replication.into());
    let new = |topic: &&Wanted| -> Vec<(&'static str, String)> { topic.settings.clone() };
    let settings: Vec<_> = missing.iter().map(new).collect();
    let topics: Vec<NewTopic<'_>> = missing
        .iter()
        .zip(&settings)
        .map(|(topic, settings)| {
            let new = NewTopic::new(&topic.name, config.partitions as i32, replication());
            settings.iter().fold(new, |new, (name, value)| new.set(name, value))
        })
        .collect();
    let wait = Duration::from_millis(config.connect_ms);
    let options = AdminOptions::new().request_timeout(Some(wait)).operation_timeout(Some(wait));
    let made = admin.create_topics(&topics, &options).await.map_err(|error| cluster(config, error))?;
    for result in made {
        match result {
            // Another process started at the same time.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, error)) => return Err(TopicsError::NotMade { topic, error }),
        }
    }
    Ok(())
}

/// Settings that differ were changed by somebody, who is to be told, not overruled.
async fn compare_settings(config: &KafkaConfig, admin: &Admin, wanted: &[Wanted]) {
    let options = AdminOptions::new().request_timeout(Some(Duration::from_millis(config.connect_ms)));
    let resources: Vec<_> = wanted.iter().map(|topic| ResourceSpecifier::Topic(&topic.name)).collect();
    let Ok(described) = admin.describe_configs(&resources, &options).await else { return };
    for (topic, resource) in wanted.iter().zip(described) {
        for (name, wanted, found) in differences(topic, resource.ok().as_ref()) {
            tracing::warn!(
                topic = topic.name,
                name,
                wanted,
                found,
                "a topic has another setting than it was made with"
            );
        }
    }
}

fn differences(topic: &Wanted, resource: Option<&ConfigResource>) -> Vec<(&'static str, String, String)> {
    let found = |name: &str| resource?.get(name)?.value.clone();
    let differs = |(name, wanted): &(&'static str, String)| {
        let found = found(name)?;
        (found != *wanted).then(|| (*name, wanted.clone(), found))
    };
    topic.settings.iter().filter_map(differs).collect()
}

async fn end(admin: Arc<Admin>) -> Result<(), TopicsError> {
    on_thread("kafka-end", move || drop(admin)).await.ok_or(TopicsError::NoThread)
}

fn cluster(config: &KafkaConfig, error: KafkaError) -> TopicsError {
    TopicsError::Cluster { bootstrap: config.bootstrap.join(","), error }
}
