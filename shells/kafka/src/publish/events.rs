//! One idempotent producer for everything that needs no transaction: events and dead letters.
//!
//! A record that fails must take what stands behind it along, or a subject's order would be torn: so records have no
//! time-out of their own, a call has; and a producer of which a call failed is given up with all that it holds.

use crate::client::{self, Logged};
use crate::config::KafkaConfig;
use crate::thread::{Ended, on_thread};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::relay::TopicAway;
use rdkafka::error::KafkaResult;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer, PurgeConfig};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Records that are sent and not acknowledged: a page of each partition that a relay reads at once, twice.
const QUEUE_RECORDS_MAX: usize = 32_768;
/// The same in kilobytes.
const QUEUE_KBYTES_MAX: usize = 65_536;

/// A record to be kept.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) headers: OwnedHeaders,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
}

type Producing = Ended<FutureProducer<Logged>>;

/// The producer of one process, made when it is first needed and again after a failure.
pub struct EventProducer {
    config: Arc<KafkaConfig>,
    current: Mutex<Option<Arc<Producing>>>,
}

impl EventProducer {
    pub(crate) fn new(config: Arc<KafkaConfig>) -> EventProducer {
        EventProducer { config, current: Mutex::default() }
    }

    /// `Done` when all of them are kept. `Refused`: none of them was sent.
    pub(crate) async fn send(&self, records: Vec<Sent>) -> Outcome<(), TopicAway> {
        let Some(producer) = self.producer().await else { return Outcome::Refused(TopicAway) };
        let deliveries = match enqueue(&producer, &records) {
            Ok(deliveries) => deliveries,
            Err(0) => return Outcome::Refused(TopicAway),
            // Some are on their way: they are kept or not.
            Err(_) => return self.give_up(&producer),
        };
        let kept = async {
            for delivery in deliveries {
                // Without an answer the producer is gone, and the record with it or not.
                let report = delivery.await.ok()?;
                if let Err((error, _)) = report {
                    tracing::warn!(%error, "a record is not kept");
                    return None;
                }
            }
            Some(())
        };
        match tokio::time::timeout(Duration::from_millis(self.config.publish_ms), kept).await {
            Ok(Some(())) => Outcome::Done(()),
            Ok(None) | Err(_) => self.give_up(&producer),
        }
    }

    async fn producer(&self) -> Option<Arc<Producing>> {
        if let Some(current) = self.current.lock().expect("no holder of this lock panics").clone() {
            return Some(current);
        }
        let config = self.config.clone();
        let made = on_thread("kafka-producer", move || make(&config)).await?;
        let made = made.map_err(|error| tracing::error!(%error, "no producer")).ok()?;
        let mut current = self.current.lock().expect("no holder of this lock panics");
        // Two callers may have made one each: the first is everybody's.
        Some(current.get_or_insert_with(|| Arc::new(Ended::new(made))).clone())
    }

    /// What it holds is not sent any more; other calls that wait for it hear that nobody knows.
    fn give_up(&self, producer: &Arc<Producing>) -> Outcome<(), TopicAway> {
        let mut current = self.current.lock().expect("no holder of this lock panics");
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, producer)) {
            *current = None;
        }
        producer.purge(PurgeConfig::default().queue().inflight().non_blocking());
        Outcome::Unknown
    }
}

fn make(config: &KafkaConfig) -> KafkaResult<FutureProducer<Logged>> {
    let mut client = client::base(config);
    client.set("enable.idempotence", "true").set("acks", "all");
    client.set("message.timeout.ms", "0");
    client.set("enable.gapless.guarantee", "true");
    client.set("linger.ms", "1").set("compression.type", "none");
    client.set("request.timeout.ms", config.publish_ms.to_string());
    client.set("queue.buffering.max.messages", QUEUE_RECORDS_MAX.to_string());
    client.set("queue.buffering.max.kbytes", QUEUE_KBYTES_MAX.to_string());
    client.create_with_context(Logged)
}

/// Hands all of them to the client; `Err` says how many it took before it refused one.
fn enqueue(producer: &FutureProducer<Logged>, records: &[Sent]) -> Result<Vec<DeliveryFuture>, usize> {
    let mut deliveries = Vec::with_capacity(records.len());
    for sent in records {
        let record = FutureRecord {
            topic: &sent.topic,
            partition: Some(sent.partition),
            payload: sent.value.as_ref(),
            key: sent.key.as_ref(),
            timestamp: None,
            headers: Some(sent.headers.clone()),
        };
        match producer.send_result(record) {
            Ok(delivery) => deliveries.push(delivery),
            Err((error, _)) => {
                tracing::warn!(%error, topic = sent.topic, "a record is not taken");
                return Err(deliveries.len());
            }
        }
    }
    Ok(deliveries)
}
