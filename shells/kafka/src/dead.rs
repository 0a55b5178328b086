//! Dead letters: records that could not be read, kept with their bytes, listed with the reason, and sent again.
//!
//! A letter stands in the topic of its origin with `.dead` behind, in the partition of the same number, with its key,
//! value and headers; behind these stand headers that name its place. A letter may stand twice: its place tells.

mod reading;

use crate::config::KafkaConfig;
use crate::letter::{Letter, headers};
use crate::publish::events::{EventProducer, Sent};
use crate::publish::taken::{self, Bytes};
use crate::thread::on_thread;
use crate::topic::{DEAD, TopicId};
use doorbuster_core::inbox::{NotAssigned, Partition};
use doorbuster_core::outcome::Outcome;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;
use reading::{Begin, Reading, consumer, offset};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The headers that are added, in their order.
const ADDED: [&str; 5] = ["dead_topic", "dead_partition", "dead_offset", "dead_group", "dead_reason"];
/// The group that keeps how far letters were sent again; it has no members.
const GROUP: &str = "dead-replay";
/// Letters of one call: an operator looks at pages, and each is held in memory.
pub const LETTERS_MAX: usize = 10_000;
/// The dead letters of every topic.
#[derive(Clone)]
pub struct DeadLetters {
    config: Arc<KafkaConfig>,
    events: Arc<EventProducer>,
}

/// One dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The record as it stood at its origin; its place is the one there.
    pub letter: Letter,
    /// The group that could not read it.
    pub group: String,
    /// Why.
    pub reason: String,
    /// Its place in the topic of dead letters; the partition is that of the origin.
    pub kept_at: u64,
    /// It was sent again.
    pub is_replayed: bool,
}

/// Why dead letters cannot be listed or sent again.
#[derive(Debug, thiserror::Error)]
pub enum DeadError {
    /// The cluster does not answer, or refuses.
    #[error("kafka: {0}")]
    Cluster(#[from] KafkaError),
    /// The cluster has letters that it does not give.
    #[error("the broker does not give what stands in {0}: ask again")]
    Silent(String),
    /// Letters were sent again or not: a second time is harmless.
    #[error("{0} letters were sent again; of the next nobody knows: ask again")]
    Unknown(usize),
    /// The operating system gave no thread.
    #[error("no thread for reading dead letters")]
    NoThread,
}

impl DeadLetters {
    pub(crate) fn new(config: Arc<KafkaConfig>, events: Arc<EventProducer>) -> DeadLetters {
        DeadLetters { config, events }
    }

    /// Keeps a record that this group cannot read.
    pub(crate) async fn keep(&self, group: &str, letter: &Letter, reason: &str) -> Outcome<(), NotAssigned> {
        let (partition, offset) = (letter.partition.to_string(), letter.offset.to_string());
        let added = [letter.topic.as_str(), &partition, &offset, group, reason];
        let added = ADDED.into_iter().zip(added.map(|value| Some(value.as_bytes())));
        let own = letter.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        let sent = Sent {
            topic: format!("{}{DEAD}", letter.topic),
            partition: letter.partition as i32,
            headers: headers(own.chain(added)),
            key: letter.key.clone(),
            value: letter.value.clone(),
        };
        match self.events.send(vec![sent]).await {
            Outcome::Done(()) => Outcome::Done(()),
            // Not kept, or nobody knows: the record stays open and is set aside again.
            Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
        }
    }

    /// Up to `limit` dead letters of a topic, partition by partition in their order; each place of the origin once.
    ///
    /// # Errors
    /// [`DeadError`]; nothing is changed.
    pub async fn list(&self, topic: TopicId, limit: usize) -> Result<Vec<DeadLetter>, DeadError> {
        self.read(topic, limit, Begin::Oldest).await
    }

    /// Sends the next `count` letters that were not sent again yet to the partitions that they came from, with their
    /// bytes; answers how many.
    ///
    /// # Errors
    /// [`DeadError`]; letters may have been sent twice, as their readers expect.
    pub async fn replay(&self, topic: TopicId, count: usize) -> Result<usize, DeadError> {
        let letters = self.read(topic, count, Begin::NotReplayed).await?;
        let mut by_partition: BTreeMap<u32, Vec<DeadLetter>> = BTreeMap::new();
        for letter in letters {
            by_partition.entry(letter.letter.partition).or_default().push(letter);
        }
        let mut replayed = 0;
        for (partition, letters) in by_partition {
            let next = letters.iter().map(|letter| letter.kept_at + 1).max().expect("a partition has letters");
            if !self.send_again(topic, Partition(partition), &letters).await? {
                return Err(DeadError::Unknown(replayed));
            }
            replayed += letters.len();
            self.note(topic, partition, next).await?;
        }
        Ok(replayed)
    }

    async fn send_again(
        &self,
        topic: TopicId,
        partition: Partition,
        letters: &[DeadLetter],
    ) -> Result<bool, DeadError> {
        let own =
            |letter: &Letter| headers(letter.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())));
        let sent = match topic {
            // Whatever is written there is written in transactions of the partition's producer.
            TopicId::Intents => {
                let bytes = |dead: &DeadLetter| Bytes {
                    key: dead.letter.key.clone(),
                    value: dead.letter.value.clone(),
                    headers: Some(own(&dead.letter)),
                };
                let (config, records) = (self.config.clone(), letters.iter().map(bytes).collect::<Vec<_>>());
                let appended = on_thread("kafka-replay", move || taken::append(config, partition, &records)).await;
                appended.ok_or(DeadError::NoThread)?? == Outcome::Done(())
            }
            TopicId::Outbox(_) => {
                let sent = |dead: &DeadLetter| Sent {
                    topic: topic.full_name(&self.config.prefix),
                    partition: partition.0 as i32,
                    headers: own(&dead.letter),
                    key: dead.letter.key.clone(),
                    value: dead.letter.value.clone(),
                };
                self.events.send(letters.iter().map(sent).collect()).await == Outcome::Done(())
            }
        };
        Ok(sent)
    }

    async fn read(&self, topic: TopicId, limit: usize, begin: Begin) -> Result<Vec<DeadLetter>, DeadError> {
        let (config, limit) = (self.config.clone(), limit.min(LETTERS_MAX));
        let read = on_thread("kafka-dead", move || Reading::begin(&config, topic, begin)?.read(limit));
        read.await.ok_or(DeadError::NoThread)?
    }

    /// Keeps how far a partition was sent again.
    async fn note(&self, topic: TopicId, partition: u32, next: u64) -> Result<(), DeadError> {
        let config = self.config.clone();
        let noted = on_thread("kafka-dead", move || {
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&topic.dead_name(&config.prefix), partition as i32, offset(next))?;
            consumer(&config, topic)?.commit(&list, CommitMode::Sync)
        });
        Ok(noted.await.ok_or(DeadError::NoThread)??)
    }
}
