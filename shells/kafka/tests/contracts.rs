//! The ports over a real cluster, held to their contracts.

mod support;

use async_trait::async_trait;
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::inbox::Partition;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use doorbuster_kafka::publish::KafkaPublish;
use doorbuster_runtime::contract::clock::SteppedEnv;
use doorbuster_runtime::contract::{
    Clock, LedgerAndIntents, MembersAndSpoil, PublishAndReads, Spoil, Start, StoreAndFeed, Subject, feed_contract,
    intents_contract, members_contract, publish_contract,
};
use doorbuster_runtime::env::SystemEnv;
use doorbuster_runtime::ports::Offset;
use doorbuster_runtime::ports::feed::Feed;
use doorbuster_runtime::ports::group::Group;
use doorbuster_runtime::ports::publish::Publish;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use support::sources::{Forwarded, Relayed, Source};
use support::{Cluster, plain};
use tempfile::TempDir;

/// Few partitions: the suites wait for the end of each.
const PARTITIONS: u32 = 2;

#[tokio::test]
async fn the_topics_keep_the_contract_of_those_who_write_them() {
    if Cluster::of("publish", PARTITIONS).is_none() {
        return;
    }
    let make = async || {
        let cluster = Cluster::of("publish", PARTITIONS).expect("there was one");
        let kafka = cluster.connect().await;
        let port = PublishAndReads {
            publish: Arc::new(kafka.publish()),
            intents: Arc::new(kafka.intents()),
            feed: Arc::new(kafka.feed()),
        };
        Subject { port, clock: SteppedEnv::shared(1), keep: Box::new(cluster) }
    };
    publish_contract(make).await;
}

/// The topics of a suite, and the source in front of them: both stay when the process is another.
type Kept = RefCell<Option<Arc<(Cluster, TempDir)>>>;

fn kept(kept: &Kept, start: Start) -> Arc<(Cluster, TempDir)> {
    if start == Start::Fresh {
        let cluster = Cluster::of("contract", PARTITIONS).expect("there was one");
        *kept.borrow_mut() = Some(Arc::new((cluster, tempfile::tempdir().expect("a directory can be made"))));
    }
    kept.borrow().clone().expect("there is one to open again")
}

#[tokio::test]
async fn the_topic_keeps_the_contract_of_intents() {
    if Cluster::of("intents", PARTITIONS).is_none() {
        return;
    }
    let stage = Kept::default();
    let make = async |start| {
        let own = kept(&stage, start);
        let (kafka, source) = (own.0.connect().await, Source::open(own.1.path()).await);
        // What an earlier process has forwarded is not forwarded again.
        let from = match start {
            Start::Fresh => source.log.assigned(0).await.expect("the log can be read").partitions[0].1,
            Start::Again => Offset(u64::MAX),
        };
        let (ledger, log) = (Arc::new(source.ledger), source.log);
        let intents = Arc::new(Forwarded::new(kafka.intents(), kafka.publish(), log, from, PARTITIONS));
        let port = LedgerAndIntents { ledger, intents: intents.clone(), drain: intents };
        Subject { port, clock: SteppedEnv::shared(1), keep: Box::new(own) }
    };
    intents_contract(make).await;
}

#[tokio::test]
async fn the_topics_keep_the_contract_of_a_feed() {
    if Cluster::of("feed", PARTITIONS).is_none() {
        return;
    }
    let stage = Kept::default();
    let make = async |start| {
        let own = kept(&stage, start);
        let (kafka, source) = (own.0.connect().await, Source::open(own.1.path()).await);
        let (feed, publish, outbox) = (Arc::new(kafka.feed()), Arc::new(kafka.publish()), source.feed);
        // What is relayed again stands twice.
        let feed = Arc::new(Relayed { feed, publish, outbox, places: Arc::default() });
        let port = StoreAndFeed { store: Arc::new(source.rows), feed };
        Subject { port, clock: SteppedEnv::shared(1), keep: Box::new(own) }
    };
    feed_contract(make).await;
}

/// Writes garbage under an event's own key, and then the event.
struct Spoiled {
    cluster: Arc<Cluster>,
    publish: Arc<KafkaPublish>,
}

#[async_trait]
impl Spoil for Spoiled {
    async fn spoil(&self, event: Event) {
        let partition = Partition::of_subject(&event.subject(), PARTITIONS).0 as i32;
        plain::write(&self.cluster, event.topic().name(), partition, b"garbage", &[]).await;
        while self.publish.publish_events(vec![event.clone()]).await != Outcome::Done(()) {}
    }
}

/// Time as it passes.
struct Passing;

#[async_trait]
impl Clock for Passing {
    async fn now(&self) -> Wall {
        SystemEnv::shared().now().wall
    }

    async fn pass_ms(&self, millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

#[tokio::test]
async fn the_members_of_a_group_keep_their_contract() {
    if Cluster::of("members", PARTITIONS).is_none() {
        return;
    }
    let make = async || {
        let mut cluster = Cluster::of("members", PARTITIONS).expect("there was one");
        // The suite reads a topic to its end without asking for its partitions.
        cluster.config.session_ms = 15_000;
        let cluster = Arc::new(cluster);
        let (kafka, other) = (cluster.connect().await, cluster.connect().await);
        let publish = Arc::new(kafka.publish());
        let port = MembersAndSpoil {
            publish: publish.clone(),
            spoil: Arc::new(Spoiled { cluster: cluster.clone(), publish }),
            first: kafka.feed().join("sales", Topic::Sales),
            second: other.feed().join("sales", Topic::Sales),
        };
        Subject { port, clock: Arc::new(Passing), keep: Box::new(cluster) }
    };
    members_contract(make).await;
}
