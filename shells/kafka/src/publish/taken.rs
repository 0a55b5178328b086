//! One taking of a partition's producer: a client of its own, on a thread of its own, that makes one transaction after
//! the other.
//!
//! Its transactional id is the partition's, so the broker ends the transaction of the one before and refuses whatever
//! that one sends afterwards.

use crate::client::{self, is_fenced, log};
use crate::config::KafkaConfig;
use crate::intent;
use crate::thread::start;
use crate::topic::TopicId;
use doorbuster_core::forwarder::ProducerFenced;
use doorbuster_core::inbox::Partition;
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::outcome::Outcome;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, oneshot};

/// Transactions that wait for the one that is under way: the forwarder has one, and asks again when it hears nothing.
const ASKS_MAX: usize = 2;
/// Pause between two looks for reports: a small part of a transaction. The client's own wait is in whole milliseconds, and
/// spends the last one of each wait spinning.
const PAUSE: Duration = Duration::from_micros(200);
/// Events that one look takes from the client: more than a transaction makes.
const EVENTS_MAX: usize = 64;

/// A producer's thread.
pub(super) struct Taken(SyncSender<Ask>);

/// A record's bytes.
#[derive(Clone, Debug)]
pub(crate) struct Bytes {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Option<OwnedHeaders>,
}

impl Bytes {
    pub(super) fn of(intent: &Intent) -> Bytes {
        let key = intent.shard().to_string().into_bytes();
        Bytes { key: Some(key), value: Some(intent::encode(intent)), headers: None }
    }
}

/// One transaction that is asked for.
pub(super) struct Ask {
    pub(super) records: Vec<Bytes>,
    pub(super) answer: oneshot::Sender<Outcome<(), ProducerFenced>>,
}

impl Taken {
    /// Fences every older one. `turn` is held until that is over, also when nobody waits for it any more.
    pub(super) async fn take(
        config: Arc<KafkaConfig>,
        partition: Partition,
        turn: OwnedMutexGuard<()>,
    ) -> Option<Taken> {
        let (asks, asked) = sync_channel(ASKS_MAX);
        let (answer, answered) = oneshot::channel();
        let work = move || {
            let taken = take(&config, partition);
            drop(turn);
            let error = taken.as_ref().err().cloned();
            let is_heard = answer.send(error).is_ok();
            if let (Ok(producer), true) = (taken, is_heard) {
                Transactions { producer, config, partition, standing: Standing::Good }.serve(&asked);
            }
        };
        start("kafka-intents", work).ok()?;
        match answered.await.ok()? {
            None => Some(Taken(asks)),
            Some(error) => {
                tracing::warn!(partition = partition.0, %error, "the producer is not taken");
                None
            }
        }
    }

    /// Where transactions are asked for.
    pub(super) fn asks(&self) -> SyncSender<Ask> {
        self.0.clone()
    }
}

/// What is known of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing of it is open.
    Good,
    /// A transaction ended unknown: only another taking ends it.
    Spent,
    /// Another one was taken.
    Fenced,
}

/// What the client's reports tell.
#[derive(Default)]
struct Reports {
    failure: Mutex<Option<RDKafkaErrorCode>>,
    /// Connections that were lost: an answer may have been lost with one.
    troubles: AtomicU64,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if !is_fenced(error.rdkafka_error_code()) {
            self.troubles.fetch_add(1, Ordering::SeqCst);
        }
        tracing::info!(%error, reason, "a producer of intents");
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
            let mut failure = self.failure.lock().expect("no holder of this lock panics");
            // That it is fenced explains every other failure.
            if failure.is_none() || is_fenced(Some(code)) {
                *failure = Some(code);
            }
        }
    }
}

fn take(config: &KafkaConfig, partition: Partition) -> KafkaResult<BaseProducer<Reports>> {
    let mut client = client::base(config);
    client.set("transactional.id", format!("{}intents-{}", config.prefix, partition.0));
    client.set("transaction.timeout.ms", config.transaction_ms.to_string());
    client.set("message.timeout.ms", config.publish_ms.to_string());
    client.set("acks", "all").set("enable.idempotence", "true");
    client.set("linger.ms", "0").set("compression.type", "none");
    let producer: BaseProducer<Reports> = client.create_with_context(Reports::default())?;
    producer.init_transactions(Duration::from_millis(config.take_ms))?;
    Ok(producer)
}

/// Appends records in one transaction of a producer that is taken for it; whoever had it before is fenced, and takes it
/// again. Blocks.
///
/// # Errors
/// Those of the taking; nothing was appended then.
pub(crate) fn append(
    config: Arc<KafkaConfig>,
    partition: Partition,
    records: &[Bytes],
) -> KafkaResult<Outcome<(), ProducerFenced>> {
    let producer = take(&config, partition)?;
    Ok(Transactions { producer, config, partition, standing: Standing::Good }.publish(records))
}

struct Transactions {
    producer: BaseProducer<Reports>,
    config: Arc<KafkaConfig>,
    partition: Partition,
    standing: Standing,
}

impl Transactions {
    fn serve(mut self, asked: &Receiver<Ask>) {
        while let Ok(Ask { records, answer }) = asked.recv() {
            let outcome = match self.standing {
                Standing::Fenced => Outcome::Refused(ProducerFenced),
                // Nothing is sent, but what was before may still come.
                Standing::Spent => Outcome::Unknown,
                Standing::Good => self.publish(&records),
            };
            // Nobody waits any more: the asker counts it as `Unknown` already.
            let _ = answer.send(outcome);
        }
    }

    fn publish(&mut self, records: &[Bytes]) -> Outcome<(), ProducerFenced> {
        let outcome = match self.send(records).and_then(|()| self.settle_reports()) {
            Ok(()) => self.commit(),
            // Before its end is asked for, a transaction can only be aborted.
            Err(code) if is_fenced(code) || self.is_fenced() => Outcome::Refused(ProducerFenced),
            Err(code) => {
                tracing::warn!(partition = self.partition.0, ?code, "a transaction came to nothing");
                Outcome::Unknown
            }
        };
        self.standing = match outcome {
            Outcome::Done(()) => Standing::Good,
            Outcome::Refused(ProducerFenced) => Standing::Fenced,
            Outcome::Unknown if self.is_fenced() => Standing::Fenced,
            Outcome::Unknown => Standing::Spent,
        };
        outcome
    }

    /// Whether the client knows that another producer was taken.
    fn is_fenced(&self) -> bool {
        self.producer.client().fatal_error().is_some_and(|(code, _)| is_fenced(Some(code)))
    }

    fn send(&self, records: &[Bytes]) -> Result<(), Option<RDKafkaErrorCode>> {
        self.producer.begin_transaction().map_err(|error| error.rdkafka_error_code())?;
        let topic = TopicId::Intents.full_name(&self.config.prefix);
        for bytes in records {
            let mut record: BaseRecord<'_, Vec<u8>, Vec<u8>> =
                BaseRecord::to(&topic).partition(self.partition.0 as i32);
            (record.key, record.payload, record.headers) =
                (bytes.key.as_ref(), bytes.value.as_ref(), bytes.headers.clone());
            self.producer.send(record).map_err(|(error, _)| error.rdkafka_error_code())?;
        }
        Ok(())
    }

    /// Waits until nothing is outstanding: the client's own wait before a commit looks only every 100 ms.
    fn settle_reports(&self) -> Result<(), Option<RDKafkaErrorCode>> {
        // The client reports every record in the end, at the latest when its time is over.
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(Duration::ZERO);
            if self.producer.in_flight_count() > 0 {
                std::thread::park_timeout(PAUSE);
            }
        }
        match *self.producer.context().failure.lock().expect("no holder of this lock panics") {
            None => Ok(()),
            Some(code) => Err(Some(code)),
        }
    }

    fn commit(&self) -> Outcome<(), ProducerFenced> {
        let troubles = || self.producer.context().troubles.load(Ordering::SeqCst);
        let before = troubles();
        match self.producer.commit_transaction(Duration::from_millis(self.config.commit_ms)) {
            Ok(()) => Outcome::Done(()),
            Err(error) => {
                tracing::warn!(partition = self.partition.0, %error, "a transaction is not committed");
                // Events of lost connections wait to be polled.
                (0..EVENTS_MAX).for_each(|_| self.producer.poll(Duration::ZERO));
                // After a lost connection the client may have asked twice: committed at first, fenced at the second time.
                match is_fenced(error.rdkafka_error_code()) && troubles() == before {
                    true => Outcome::Refused(ProducerFenced),
                    false => Outcome::Unknown,
                }
            }
        }
    }
}
