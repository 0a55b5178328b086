//! What stands on the other side of the topics in a platform: a ledger whose log is forwarded, rows whose outbox is
//! relayed. Both are carried over whenever somebody reads, so no test waits for a task of its own.

use async_trait::async_trait;
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::forwarder::Producer;
use doorbuster_core::ids::{Epoch, Seq, ShardId};
use doorbuster_core::inbox::{NotAssigned, Record};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::outcome::Outcome;
use doorbuster_embedded::data::{DataDirectory, OpenDataError};
use doorbuster_embedded::rows::{RowsFeed, RowsStore};
use doorbuster_embedded::server::{LogIntents, ShardServer};
use doorbuster_kafka::intents::KafkaIntents;
use doorbuster_kafka::partition::of_shard;
use doorbuster_kafka::publish::KafkaPublish;
use doorbuster_runtime::env::SystemEnv;
use doorbuster_runtime::ports::feed::Feed;
use doorbuster_runtime::ports::intents::Intents;
use doorbuster_runtime::ports::publish::Publish;
use doorbuster_runtime::ports::{Offset, Partition, Unavailable};
use doorbuster_runtime::telemetry::Telemetry;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a source is asked for what it has: it has it at once, or not at all.
const LOOK: Duration = Duration::from_millis(50);
const PAGE: usize = 64;
/// Tries to open a directory whose last owner is just ending its threads.
const OPENS_MAX: u32 = 500;

/// One process's worth of embedded ports.
pub struct Source {
    pub rows: RowsStore,
    pub feed: RowsFeed,
    pub ledger: ShardServer,
    pub log: LogIntents,
}

impl Source {
    pub async fn open(path: &Path) -> Source {
        let (env, telemetry) = (SystemEnv::shared(), Telemetry::shared());
        for _ in 0..OPENS_MAX {
            match DataDirectory::open(path, &env) {
                Ok(data) => {
                    let (ledger, log, _) = ShardServer::start(data.log, data.rows.clone(), env, telemetry);
                    return Source { feed: RowsFeed::new(data.rows.clone()), rows: data.rows, ledger, log };
                }
                Err(OpenDataError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(error) => panic!("{error}"),
            }
        }
        panic!("{} stays in use", path.display());
    }
}

/// The topic's intents, with a forwarder in front.
pub struct Forwarded {
    pub intents: KafkaIntents,
    pub publish: KafkaPublish,
    pub log: LogIntents,
    pub partitions: u32,
    pub place: Mutex<(Offset, BTreeMap<Partition, Producer>)>,
}

impl Forwarded {
    pub fn new(
        intents: KafkaIntents,
        publish: KafkaPublish,
        log: LogIntents,
        from: Offset,
        partitions: u32,
    ) -> Forwarded {
        Forwarded { intents, publish, log, partitions, place: Mutex::new((from, BTreeMap::new())) }
    }

    /// Carries over what the log has.
    async fn forward(&self) {
        let mut place = self.place.lock().await;
        loop {
            let fetching = tokio::time::timeout(LOOK, self.log.fetch(Partition(0), place.0, PAGE)).await;
            let Ok(Outcome::Done(records)) = fetching else { return };
            let Some(next) = records.last().map(|record| record.offset().next()) else { return };
            let mut pages: BTreeMap<Partition, Vec<Intent>> = BTreeMap::new();
            for record in records {
                let Record::Delivered(_, intent) = record else { panic!("the log holds intents") };
                pages.entry(of_shard(intent.shard(), self.partitions)).or_default().push(intent);
            }
            for (partition, intents) in pages {
                self.append(&mut place.1, partition, intents).await;
            }
            place.0 = next;
        }
    }

    async fn append(&self, producers: &mut BTreeMap<Partition, Producer>, partition: Partition, intents: Vec<Intent>) {
        loop {
            if let Some(producer) = producers.get(&partition)
                && self.publish.publish_intents(*producer, partition, intents.clone()).await == Outcome::Done(())
            {
                return;
            }
            if let Outcome::Done(producer) = self.publish.take_producer(partition).await {
                producers.insert(partition, producer);
            }
        }
    }
}

#[async_trait]
impl Intents for Forwarded {
    async fn assigned(&self) -> Result<Vec<(Partition, Offset)>, Unavailable> {
        self.intents.assigned().await
    }

    async fn fetch(
        &self,
        partition: Partition,
        from: Offset,
        limit: usize,
    ) -> Outcome<Vec<Record<Intent>>, NotAssigned> {
        self.forward().await;
        self.intents.fetch(partition, from, limit).await
    }

    async fn commit(&self, partition: Partition, next: Offset) -> Outcome<(), NotAssigned> {
        self.intents.commit(partition, next).await
    }

    async fn set_aside(&self, partition: Partition, offset: Offset) -> Outcome<(), NotAssigned> {
        self.intents.set_aside(partition, offset).await
    }

    async fn drain(&self, shard: ShardId, epoch: Epoch, last: Option<Seq>) -> Outcome<(), Unavailable> {
        let drained = self.log.drain(shard, epoch, last).await;
        self.forward().await;
        drained
    }
}

/// The topics of events, with a relay in front.
pub struct Relayed<F> {
    pub feed: F,
    pub publish: KafkaPublish,
    pub outbox: RowsFeed,
    pub places: Mutex<BTreeMap<Topic, Offset>>,
}

impl<F: Feed> Relayed<F> {
    async fn relay(&self, topic: Topic) {
        let mut places = self.places.lock().await;
        let place = places.entry(topic).or_insert(Offset(1));
        loop {
            let fetching = tokio::time::timeout(LOOK, self.outbox.fetch("relay", topic, *place, PAGE)).await;
            let Ok(Ok(events)) = fetching else { return };
            let Some(next) = events.last().map(|(offset, _)| offset.next()) else { return };
            let events: Vec<Event> = events.into_iter().map(|(_, event)| event).collect();
            while self.publish.publish_events(events.clone()).await != Outcome::Done(()) {}
            *place = next;
        }
    }
}

#[async_trait]
impl<F: Feed> Feed for Relayed<F> {
    async fn committed(&self, group: &'static str, topic: Topic) -> Result<Offset, Unavailable> {
        self.feed.committed(group, topic).await
    }

    async fn fetch(
        &self,
        group: &'static str,
        topic: Topic,
        from: Offset,
        limit: usize,
    ) -> Result<Vec<(Offset, Event)>, Unavailable> {
        self.relay(topic).await;
        self.feed.fetch(group, topic, from, limit).await
    }

    async fn commit(&self, group: &'static str, topic: Topic, next: Offset) -> Result<(), Unavailable> {
        self.feed.commit(group, topic, next).await
    }
}
