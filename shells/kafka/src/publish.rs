//! The topics as they are written.

pub mod events;
pub(crate) mod taken;

use crate::config::KafkaConfig;
use crate::event::CloudEvent;
use crate::letter::headers;
use crate::topic::TopicId;
use async_trait::async_trait;
use doorbuster_core::database::event::Event;
use doorbuster_core::forwarder::{Producer, ProducerFenced};
use doorbuster_core::inbox::Partition;
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::relay::TopicAway;
use doorbuster_runtime::ports::publish::Publish;
use events::{EventProducer, Sent};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use taken::{Ask, Bytes, Taken};

/// The topics of one cluster.
pub struct KafkaPublish {
    config: Arc<KafkaConfig>,
    events: Arc<EventProducer>,
    /// The producers of this process, by partition: at most as many as the topic has partitions.
    producers: Mutex<BTreeMap<Partition, Slot>>,
}

/// One partition's producer in this process.
struct Slot {
    /// Counts the takings; an older number is fenced as soon as the next taking begins.
    number: u64,
    taken: Option<Taken>,
    /// Held while a producer is being taken: two takings at once would fence each other in any order.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl KafkaPublish {
    pub(crate) fn new(config: Arc<KafkaConfig>, events: Arc<EventProducer>) -> KafkaPublish {
        KafkaPublish { config, events, producers: Mutex::default() }
    }

    fn with_slot<T>(&self, partition: Partition, act: impl FnOnce(&mut Slot) -> T) -> T {
        let mut producers = self.producers.lock().expect("no holder of this lock panics");
        act(producers.entry(partition).or_insert_with(|| Slot { number: 0, taken: None, turn: Arc::default() }))
    }

    /// What a value and its headers are sent as.
    fn record(&self, event: &Event) -> Sent {
        let told = CloudEvent::of(event);
        Sent {
            topic: TopicId::Outbox(event.topic()).full_name(&self.config.prefix),
            partition: Partition::of_subject(&told.subject, self.config.partitions).0 as i32,
            headers: headers(told.headers().into_iter().map(|(name, value)| (name, Some(value.as_bytes())))),
            key: Some(told.subject.into_bytes()),
            value: Some(told.data),
        }
    }
}

#[async_trait]
impl Publish for KafkaPublish {
    async fn take_producer(&self, partition: Partition) -> Outcome<Producer, Infallible> {
        let (number, turn) = self.with_slot(partition, |slot| {
            slot.number += 1;
            // Its thread finishes what it has begun, or hears that it is fenced.
            slot.taken = None;
            (slot.number, slot.turn.clone())
        });
        let turn = turn.lock_owned().await;
        let Some(taken) = Taken::take(self.config.clone(), partition, turn).await else { return Outcome::Unknown };
        let is_latest = self.with_slot(partition, |slot| {
            let is_latest = slot.number == number;
            if is_latest {
                slot.taken = Some(taken);
            }
            is_latest
        });
        // Another taking of this process came in between, and will fence or has fenced this one.
        if is_latest { Outcome::Done(Producer(number)) } else { Outcome::Unknown }
    }

    async fn publish_intents(
        &self,
        producer: Producer,
        partition: Partition,
        intents: Vec<Intent>,
    ) -> Outcome<(), ProducerFenced> {
        let asks = self.with_slot(partition, |slot| match &slot.taken {
            Some(taken) if slot.number == producer.0 => Some(taken.asks()),
            _ => None,
        });
        // Nothing was sent: a later taking has begun.
        let Some(asks) = asks else { return Outcome::Refused(ProducerFenced) };
        let (answer, answered) = tokio::sync::oneshot::channel();
        let records = intents.iter().map(Bytes::of).collect();
        // No room: an earlier transaction of this producer is still under way, and nothing is known of it.
        if asks.try_send(Ask { records, answer }).is_err() {
            return Outcome::Unknown;
        }
        // The thread is gone with its answer: sent or not.
        answered.await.unwrap_or(Outcome::Unknown)
    }

    async fn publish_events(&self, events: Vec<Event>) -> Outcome<(), TopicAway> {
        self.events.send(events.iter().map(|event| self.record(event)).collect()).await
    }
}
