//! The ports over a real cluster, held to their contracts.

mod support;

use doorbuster_runtime::contract::clock::SteppedEnv;
use doorbuster_runtime::contract::{
    LedgerAndIntents, PublishAndReads, Start, StoreAndFeed, Subject, feed_contract, intents_contract, publish_contract,
};
use doorbuster_runtime::ports::Offset;
use doorbuster_runtime::ports::intents::Intents;
use std::cell::RefCell;
use std::sync::Arc;
use support::Cluster;
use support::sources::{Forwarded, Relayed, Source};
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
            Start::Fresh => source.log.assigned().await.expect("the log can be read")[0].1,
            Start::Again => Offset(u64::MAX),
        };
        let (ledger, log) = (Arc::new(source.ledger), source.log);
        let intents = Arc::new(Forwarded::new(kafka.intents(), kafka.publish(), log, from, PARTITIONS));
        Subject { port: LedgerAndIntents { ledger, intents }, clock: SteppedEnv::shared(1), keep: Box::new(own) }
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
        let (feed, publish, outbox) = (kafka.feed(), kafka.publish(), source.feed);
        // What is relayed again stands twice.
        let feed = Arc::new(Relayed { feed, publish, outbox, places: tokio::sync::Mutex::default() });
        let port = StoreAndFeed { store: Arc::new(source.rows), feed };
        Subject { port, clock: SteppedEnv::shared(1), keep: Box::new(own) }
    };
    feed_contract(make).await;
}
