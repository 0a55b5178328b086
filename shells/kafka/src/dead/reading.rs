//! Dead letters of one topic that are being read, on a thread that may wait.

use super::{ADDED, DeadError, DeadLetter, GROUP};
use crate::client;
use crate::config::KafkaConfig;
use crate::letter::{Letter, place};
use crate::topic::TopicId;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Looks in a row that found nothing although something stands there: a broker is away.
const EMPTY_MAX: u32 = 50;
/// The wait of one of them.
const LOOK: Duration = Duration::from_millis(100);

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// At the first that is kept.
    Oldest,
    /// At the first that was not sent again.
    NotReplayed,
}

/// Dead letters of one topic that are being read, on a thread that may wait.
pub(super) struct Reading {
    consumer: BaseConsumer<client::Logged>,
    topic: String,
    /// Of each partition, where it ended when reading began.
    ends: BTreeMap<u32, u64>,
    replayed: BTreeMap<u32, u64>,
}

impl Reading {
    /// Looks where the topic begins and ends. Blocks.
    pub(super) fn begin(config: &KafkaConfig, topic: TopicId, begin: Begin) -> Result<Reading, DeadError> {
        let (consumer, name) = (consumer(config, topic)?, topic.dead_name(&config.prefix));
        let wait = Duration::from_millis(config.connect_ms);
        let mut all = TopicPartitionList::new();
        all.add_partition_range(&name, 0, config.partitions as i32 - 1);
        let mut replayed = BTreeMap::new();
        for element in consumer.committed_offsets(all, wait)?.elements() {
            if let Offset::Offset(next) = element.offset() {
                replayed.insert(place(element.partition().into()) as u32, place(next));
            }
        }
        let (mut assignment, mut ends) = (TopicPartitionList::new(), BTreeMap::new());
        for partition in 0..config.partitions {
            let (low, high) = consumer.fetch_watermarks(&name, partition as i32, wait)?;
            let noted = replayed.get(&partition).copied().filter(|_| begin == Begin::NotReplayed).unwrap_or(0);
            let from = noted.max(place(low));
            if from < place(high) {
                assignment.add_partition_offset(&name, partition as i32, offset(from))?;
                ends.insert(partition, place(high));
            }
        }
        consumer.assign(&assignment)?;
        Ok(Reading { consumer, topic: name, ends, replayed })
    }

    /// Up to `limit` letters, each place of the origin once. Blocks.
    pub(super) fn read(mut self, limit: usize) -> Result<Vec<DeadLetter>, DeadError> {
        let (mut found, mut seen, mut empty): (Vec<DeadLetter>, _, _) = (Vec::new(), BTreeSet::new(), 0);
        while !self.ends.is_empty() && found.len() < limit {
            let Some(polled) = self.consumer.poll(LOOK) else {
                empty += 1;
                if empty >= EMPTY_MAX {
                    return Err(DeadError::Silent(self.topic));
                }
                continue;
            };
            let kept = Letter::copied(&polled?);
            empty = 0;
            if self.ends.get(&kept.partition).is_some_and(|end| kept.offset + 1 >= *end) {
                self.ends.remove(&kept.partition);
            }
            let is_replayed = self.replayed.get(&kept.partition).is_some_and(|next| kept.offset < *next);
            let Some(dead) = opened(kept, is_replayed) else { continue };
            if seen.insert((dead.letter.partition, dead.letter.offset)) {
                found.push(dead);
            }
        }
        found.sort_by_key(|dead| (dead.letter.partition, dead.kept_at));
        Ok(found)
    }
}

pub(super) fn offset(place: u64) -> Offset {
    Offset::Offset(place as i64)
}

/// A client of the group that keeps how far letters were sent again.
pub(super) fn consumer(config: &KafkaConfig, topic: TopicId) -> KafkaResult<BaseConsumer<client::Logged>> {
    let mut client = client::base(config);
    client.set("group.id", format!("{}{GROUP}.{}", config.prefix, topic.name()));
    client.set("enable.auto.commit", "false").set("isolation.level", "read_committed");
    client.set("auto.offset.reset", "earliest").set("allow.auto.create.topics", "false");
    client.create_with_context(client::Logged)
}

/// The letter inside; `None` where somebody else has written something else into the topic.
fn opened(mut kept: Letter, is_replayed: bool) -> Option<DeadLetter> {
    let told: Vec<String> = ADDED.iter().map(|name| kept.header(name).map(str::to_owned)).collect::<Option<_>>()?;
    let [topic, partition, offset, group, reason] = <[String; 5]>::try_from(told).ok()?;
    let kept_at = kept.offset;
    let (partition, offset) = (partition.parse().ok()?, offset.parse().ok()?);
    kept.headers.truncate(kept.headers.len() - ADDED.len());
    Some(DeadLetter { letter: Letter { topic, partition, offset, ..kept }, group, reason, kept_at, is_replayed })
}
