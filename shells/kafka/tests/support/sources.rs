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
use doorbuster_kafka::feed::KafkaFeed;
use doorbuster_kafka::group::KafkaGroup;
use doorbuster_kafka::publish::KafkaPublish;
use doorbuster_runtime::env::SystemEnv;
use doorbuster_runtime::ports::drain::Drain;
use doorbuster_runtime::ports::feed::Feed;
use doorbuster_runtime::ports::group::{Assignment, Group};
use doorbuster_runtime::ports::publish::Publish;
use doorbuster_runtime::ports::{Offset, Partition, Unavailable};
use doorbuster_runtime::telemetry::Telemetry;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
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
    pub intents: KafkaGroup<Intent>,
    pub publish: KafkaPublish,
    pub log: LogIntents,
    pub partitions: u32,
    pub place: Mutex<(Offset, BTreeMap<Partition, Producer>)>,
}

impl Forwarded {
    pub fn new(
        intents: KafkaGroup<Intent>,
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
                pages.entry(Partition::of_shard(intent.shard(), self.partitions)).or_default().push(intent);
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
impl Group<Intent> for Forwarded {
    async fn assigned(&self, generation: u64) -> Result<Assignment, Unavailable> {
        self.intents.assigned(generation).await
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
}

#[async_trait]
impl Drain for Forwarded {
    async fn drain(&self, shard: ShardId, epoch: Epoch, last: Option<Seq>) -> Outcome<(), Unavailable> {
        let drained = self.log.drain(shard, epoch, last).await;
        self.forward().await;
        drained
    }
}

/// The topics of events, with a relay in front.
#[derive(Clone)]
pub struct Relayed {
    pub feed: Arc<KafkaFeed>,
    pub publish: Arc<KafkaPublish>,
    pub outbox: RowsFeed,
    pub places: Arc<Mutex<BTreeMap<Topic, Offset>>>,
}

impl Relayed {
    async fn relay(&self, topic: Topic) {
        let mut places = self.places.lock().await;
        let place = places.entry(topic).or_insert(Offset(1));
        loop {
            let events = self.outbox.read(topic, *place, PAGE).expect("the outbox can be read");
            let Some(next) = events.last().map(|(offset, _)| offset.next()) else { return };
            let events: Vec<Event> = events.into_iter().map(|(_, event)| event).collect();
            while self.publish.publish_events(events.clone()).await != Outcome::Done(()) {}
            *place = next;
        }
    }
}

impl Feed for Relayed {
    fn join(&self, group: &'static str, topic: Topic) -> Arc<dyn Group<Event>> {
        Arc::new(Joined { relayed: self.clone(), topic, group: self.feed.join(group, topic) })
    }
}

/// A member before whose fetches everything is relayed.
struct Joined {
    relayed: Relayed,
    topic: Topic,
    group: Arc<dyn Group<Event>>,
}

#[async_trait]
impl Group<Event> for Joined {
    async fn assigned(&self, generation: u64) -> Result<Assignment, Unavailable> {
        self.group.assigned(generation).await
    }

    async fn fetch(
        &self,
        partition: Partition,
        from: Offset,
        limit: usize,
    ) -> Outcome<Vec<Record<Event>>, NotAssigned> {
        self.relayed.relay(self.topic).await;
        self.group.fetch(partition, from, limit).await
    }

    async fn commit(&self, partition: Partition, next: Offset) -> Outcome<(), NotAssigned> {
        self.group.commit(partition, next).await
    }

    async fn set_aside(&self, partition: Partition, offset: Offset) -> Outcome<(), NotAssigned> {
        self.group.set_aside(partition, offset).await
    }
}
