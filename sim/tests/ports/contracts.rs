//! The ports over the wire, held to their contracts, while answers are lost as well.

use super::pipes::Pipes;
use doorbuster_core::ids::ProductId;
use doorbuster_core::search::document::Document;
use doorbuster_core::time::Wall;
use doorbuster_runtime::contract::{
    Clock, PublishAndReads, SearchAndShown, Shown, StoreAndChanges, Subject, changes_contract, leases_contract,
    publish_contract, search_contract, store_contract,
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

/// What the simulated index shows.
struct Looked(Arc<Pipes>);

#[async_trait::async_trait]
impl Shown for Looked {
    async fn shown(&self, product: ProductId) -> Option<Document> {
        self.0.mounts.search.look(|search| search.shown(product).cloned())
    }
}

/// An index that does what the strikes say, and loses answers.
fn index(seed: u64, strikes: &[(FaultKind, u64)]) -> Subject<SearchAndShown> {
    let pipes = Pipes::new(Seed(seed));
    let now = pipes.env.now();
    for (kind, permille) in strikes {
        pipes.mounts.search.act(now, |search, _| search.conditions.strike(*kind, *permille));
    }
    pipes.mounts.search.trouble(FaultKind::N9, 10);
    let search = pipes.connect().indexing(&pipes.env, pipes.clone(), &pipes.mounts.services()).search;
    let clock = Arc::new(PassedClock(pipes.env.clone()));
    let port = SearchAndShown { search, shown: Arc::new(Looked(pipes.clone())) };
    Subject { port, clock, keep: Box::new(pipes) }
}

#[tokio::test(start_paused = true)]
async fn the_search_index_keeps_its_contract() {
    search_contract(async || index(45, &[])).await;
}

#[tokio::test(start_paused = true)]
async fn an_index_in_trouble_keeps_its_contract() {
    use FaultKind::{E1, E2, E3, E4, E5};
    for kind in [E1, E2, E3, E4, E5] {
        search_contract(async || index(46, &[(kind, 300)])).await;
    }
    search_contract(async || index(47, &[(E1, 150), (E2, 150), (E3, 150), (E4, 150), (E5, 500)])).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "an older one comes late")]
async fn an_index_that_looks_at_no_version_is_found_out() {
    search_contract(async || {
        let subject = index(48, &[]);
        let pipes = subject.keep.downcast_ref::<Arc<Pipes>>().expect("it was just put there").clone();
        pipes.mounts.search.act(pipes.env.now(), |search, _| search.takes_any_version = true);
        subject
    })
    .await;
}
