//! The section `[kafka]` of the configuration.

use doorbuster_core::limits::{ANSWER_MS_MAX, LEASE_MS};
use doorbuster_runtime::config::ConfigError;
use doorbuster_runtime::ports::FETCH_WAIT_MS;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// Partitions of every topic where nothing else is said: more than a group has members, and few enough to be cheap.
pub const PARTITIONS: u32 = 12;
/// Most partitions of a topic: a forwarder, a producer and a thread go with each.
const PARTITIONS_MAX: u32 = 256;
/// Characters of a prefix: a topic's name may have 249, and the names of this platform are short.
const PREFIX_MAX: usize = 100;
/// Properties of the client that say what the platform's promises rest on; a configuration must not change them.
const OWN_PROPERTIES: [&str; 12] = [
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "group.id",
    "isolation.level",
    "partition.assignment.strategy",
    "transactional.id",
];

/// Where the brokers are, what topics are like, and how long anything may take. All times in milliseconds.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaConfig {
    /// `host:port` of some brokers; they tell of the others.
    pub bootstrap: Vec<String>,
    /// What the names of topics, groups and producers begin with: several platforms can share a cluster.
    pub prefix: String,
    /// Partitions of every topic. Fixed with the first start: a subject's partition follows from the count.
    pub partitions: u32,
    /// Copies of each partition, for topics that are created.
    pub replication: u16,
    /// Copies that must have a record before it counts as kept, for topics that are created.
    pub min_in_sync: u16,
    /// How long topics keep records, for topics that are created: longer than the longest outage of a reader.
    pub retention_ms: u64,
    /// How long dead letters are kept, for topics that are created: longer than a person may take to look.
    pub dead_retention_ms: u64,
    /// Topics and places of groups that cannot be read within this are unavailable.
    pub connect_ms: u64,
    /// Records that are not acknowledged within this are `Unknown`.
    pub publish_ms: u64,
    /// A transaction that is not committed within this, once its records are acknowledged, is `Unknown`.
    pub commit_ms: u64,
    /// A producer that is not taken within this is `Unknown`. Taking takes 5 ms, and up to a second when an older
    /// transaction must be ended first.
    pub take_ms: u64,
    /// The broker ends a transaction of a dead forwarder after this; until then readers do not see what stands behind it.
    pub transaction_ms: u64,
    /// A member of a group that is silent for so long loses its partitions.
    pub session_ms: u64,
    /// How long the broker waits for the first record of a fetch.
    pub fetch_ms: u64,
    /// Further properties of the client library by their names there, such as `security.protocol`.
    pub properties: BTreeMap<String, String>,
}

impl Default for KafkaConfig {
    fn default() -> KafkaConfig {
        KafkaConfig {
            bootstrap: vec!["127.0.0.1:9092".to_owned()],
            prefix: String::new(),
            partitions: PARTITIONS,
            replication: 3,
            min_in_sync: 2,
            retention_ms: 7 * 24 * 3_600_000,
            dead_retention_ms: 90 * 24 * 3_600_000,
            connect_ms: 10_000,
            publish_ms: 4_000,
            commit_ms: 4_000,
            take_ms: 8_000,
            transaction_ms: 9_000,
            session_ms: 10_000,
            fetch_ms: 100,
            properties: BTreeMap::new(),
        }
    }
}

/// Values of properties stay out of logs: passwords are among them.
impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("bootstrap", &self.bootstrap)
            .field("prefix", &self.prefix)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

impl KafkaConfig {
    /// Whether the section can be used.
    ///
    /// # Errors
    /// Everything that is wrong with it, not only the first thing.
    pub fn validate(&self) -> Result<(), Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut wrong = |field, problem: String| errors.push(ConfigError { section: "kafka", field, problem });
        if self.bootstrap.is_empty() {
            wrong("bootstrap", "is empty: name at least one broker".to_owned());
        }
        for address in self.bootstrap.iter().filter(|address| !is_address(address)) {
            wrong("bootstrap", format!("{address:?} is not host:port"));
        }
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if self.prefix.len() > PREFIX_MAX || !self.prefix.bytes().all(is_legal) {
            wrong("prefix", format!("must be at most {PREFIX_MAX} of the characters a-z A-Z 0-9 . _ -"));
        }
        if self.min_in_sync > self.replication {
            let problem = format!("is {}, but only {} copies are made", self.min_in_sync, self.replication);
            wrong("min_in_sync", problem);
        }
        if self.publish_ms + self.commit_ms >= self.transaction_ms {
            let problem = "must be longer than publish_ms + commit_ms: the broker must not end a living transaction";
            wrong("transaction_ms", problem.to_owned());
        }
        for name in self.properties.keys().filter(|name| OWN_PROPERTIES.contains(&name.as_str())) {
            wrong("properties", format!("{name:?} belongs to the platform: its promises rest on it"));
        }
        for (field, value, most, why) in self.bounds() {
            if value == 0 || value > most {
                wrong(field, format!("is {value}, but must be 1 to {most}: {why}"));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Each number with the most it may be, and why.
    fn bounds(&self) -> [(&'static str, u64, u64, &'static str); 11] {
        let machine = "a machine counts a question without an answer as lost after 15 s";
        let lease = "a dead forwarder's lease ends then, and its successor ends the transaction";
        let year = "a disk is bounded too";
        [
            ("partitions", self.partitions.into(), PARTITIONS_MAX.into(), "each costs a producer and a thread"),
            ("replication", self.replication.into(), 7, "a cluster has few copies"),
            ("min_in_sync", self.min_in_sync.into(), 7, "a cluster has few copies"),
            ("retention_ms", self.retention_ms, 366 * 24 * 3_600_000, year),
            ("dead_retention_ms", self.dead_retention_ms, 366 * 24 * 3_600_000, year),
            ("connect_ms", self.connect_ms, ANSWER_MS_MAX - 1, machine),
            ("publish_ms", self.publish_ms, ANSWER_MS_MAX / 2, machine),
            ("take_ms", self.take_ms, ANSWER_MS_MAX - 1, machine),
            ("transaction_ms", self.transaction_ms, LEASE_MS, lease),
            ("session_ms", self.session_ms, ANSWER_MS_MAX * 4, "partitions of a dead member wait for so long"),
            ("fetch_ms", self.fetch_ms, FETCH_WAIT_MS, "a fetch of the port waits no longer"),
        ]
    }
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<&'static str> {
        let config: KafkaConfig = toml::from_str(text).unwrap();
        config.validate().err().unwrap_or_default().into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(KafkaConfig::default().validate(), Ok(()));
    }

    #[test]
    fn every_error_is_told_at_once() {
        let text =
            "bootstrap = ['here', 'host:1']\nprefix = 'a b'\nmin_in_sync = 4\ntransaction_ms = 8000\nfetch_ms = 0";
        assert_eq!(fields(text), ["bootstrap", "prefix", "min_in_sync", "transaction_ms", "fetch_ms"]);
        assert_eq!(fields("bootstrap = []\npartitions = 0"), ["bootstrap", "partitions"]);
    }

    #[test]
    fn what_the_promises_rest_on_cannot_be_changed() {
        assert_eq!(
            fields("[properties]\n'isolation.level' = 'read_uncommitted'\n'security.protocol' = 'ssl'"),
            ["properties"]
        );
        assert!(toml::from_str::<KafkaConfig>("nobody = 1").is_err());
        let config: KafkaConfig = toml::from_str("[properties]\n'sasl.password' = 'hidden'").unwrap();
        assert!(!format!("{config:?}").contains("hidden"));
    }
}
