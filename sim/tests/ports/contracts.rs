//! The ports over the wire, held to their contracts, while answers are lost as well.

use super::pipes::Pipes;
use doorbuster_core::time::Wall;
use doorbuster_runtime::contract::{
    Clock, PublishAndReads, StoreAndChanges, Subject, changes_contract, leases_contract, publish_contract,
    store_contract,
};
use doorbuster_runtime::env::SharedEnv;
use doorbuster_sim::fault::FaultKind;
use doorbuster_sim::seed::Seed;
use doorbuster_sim::worlds::wire::ports::Wired;
use std::sync::Arc;
use std::time::Duration;

struct PassedClock(SharedEnv);

#[async_trait::async_trait]
impl Clock for PassedClock {
    async fn now(&self) -> Wall {
        self.0.now().wall
    }

    async fn pass_ms(&self, millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

fn subject<P>(seed: u64, ports: impl FnOnce(Wired) -> P) -> Subject<P> {
    let pipes = Pipes::new(Seed(seed));
    // So many that some are lost, and so few that a suite that asks again comes through.
    pipes.mounts.database.trouble(FaultKind::N9, 10);
    pipes.mounts.broker.trouble(FaultKind::N5, 30);
    let clock = Arc::new(PassedClock(pipes.env.clone()));
    Subject { port: ports(pipes.connect()), clock, keep: Box::new(pipes) }
}

#[tokio::test(start_paused = true)]
async fn the_database_keeps_its_contract() {
    let quiet = async || {
        let pipes = Pipes::new(Seed(41));
        let clock = Arc::new(PassedClock(pipes.env.clone()));
        Subject { port: pipes.connect().store, clock, keep: Box::new(pipes) }
    };
    store_contract(quiet).await;
}

#[tokio::test(start_paused = true)]
async fn the_topics_keep_their_contract() {
    publish_contract(async || {
        subject(42, |wired| PublishAndReads { publish: wired.publish, intents: wired.intents, feed: wired.feed })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn leases_keep_their_contract() {
    leases_contract(async || subject(43, |wired| wired.leases)).await;
}

#[tokio::test(start_paused = true)]
async fn the_change_stream_keeps_its_contract() {
    changes_contract(async || subject(44, |wired| StoreAndChanges { store: wired.store, changes: wired.changes }))
        .await;
}
