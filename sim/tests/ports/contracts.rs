//! The ports over the wire, held to their contracts, while answers are lost as well.

use super::pipes::Pipes;
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::ids::{ProductId, SkuId};
use doorbuster_core::inbox::{NotAssigned, Offset, Partition, Record};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::search::document::Document;
use doorbuster_core::time::Wall;
use doorbuster_runtime::contract::{
    Clock, MembersAndSpoil, PublishAndReads, SearchAndShown, Shown, Spoil, StoreAndChanges, StoreAndWindows, Subject,
    changes_contract, leases_contract, members_contract, publish_contract, search_contract, store_contract,
    windows_contract,
};
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::group::{Assignment, Group};
use doorbuster_runtime::ports::publish::Publish;
use doorbuster_runtime::ports::windows::Windows;
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

#[tokio::test(start_paused = true)]
async fn the_reads_of_windows_keep_their_contract() {
    windows_contract(async || subject(49, |wired| StoreAndWindows { store: wired.store, windows: wired.windows }))
        .await;
}

/// Reads each document in a snapshot of its own.
struct Torn(Arc<dyn Windows>);

#[async_trait::async_trait]
impl Windows for Torn {
    async fn rings(&self, partition: Partition, after: Option<SkuId>, limit: usize) -> Result<Vec<SkuId>, Unavailable> {
        self.0.rings(partition, after, limit).await
    }

    async fn documents(&self, products: Vec<ProductId>) -> Result<Vec<Document>, Unavailable> {
        let mut documents = Vec::new();
        for product in products {
            documents.extend(self.0.documents(vec![product]).await?);
        }
        let version = documents.first().map(|document| document.version);
        documents.iter_mut().for_each(|document| document.version = version.expect("there is one"));
        Ok(documents)
    }
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "both were changed in one transaction")]
async fn documents_of_several_snapshots_are_found_out() {
    let torn = |wired: Wired| StoreAndWindows { store: wired.store, windows: Arc::new(Torn(wired.windows)) };
    windows_contract(async || subject(49, torn)).await;
}

/// A broker that puts bytes that are no record before a movement.
struct Spoiled {
    pipes: Arc<Pipes>,
    publish: Arc<dyn Publish>,
}

impl Spoiled {
    fn strike(&self, permille: u64) {
        let now = self.pipes.env.now();
        self.pipes.mounts.broker.act(now, |broker, _| broker.conditions.strike(FaultKind::K11, permille));
    }
}

#[async_trait::async_trait]
impl Spoil for Spoiled {
    async fn spoil(&self, event: Event) {
        self.strike(1_000);
        while self.publish.publish_events(vec![event.clone()]).await != Outcome::Done(()) {}
        self.strike(0);
    }
}

/// Two workers of the simulated broker, which does what the strikes say, and loses answers.
fn workers(seed: u64, strikes: &[(FaultKind, u64)]) -> Subject<MembersAndSpoil> {
    let pipes = Pipes::new(Seed(seed));
    for (kind, permille) in strikes {
        pipes.mounts.broker.act(pipes.env.now(), |broker, _| broker.conditions.strike(*kind, *permille));
    }
    pipes.mounts.broker.trouble(FaultKind::N5, 30);
    let (wired, clock) = (pipes.connect(), Arc::new(PassedClock(pipes.env.clone())));
    let worker = || pipes.connect().feed.join("sales", Topic::Sales);
    let spoil = Arc::new(Spoiled { pipes: pipes.clone(), publish: wired.publish.clone() });
    let port = MembersAndSpoil { publish: wired.publish, spoil, first: worker(), second: worker() };
    Subject { port, clock, keep: Box::new(pipes) }
}

#[tokio::test(start_paused = true)]
async fn the_partitions_of_sales_keep_their_contract() {
    members_contract(async || workers(50, &[])).await;
}

/// Passes over what it cannot read, and keeps a place wherever it is told to.
struct Careless(Arc<dyn Group<Event>>);

#[async_trait::async_trait]
impl Group<Event> for Careless {
    async fn assigned(&self, generation: u64) -> Result<Assignment, Unavailable> {
        self.0.assigned(generation).await
    }

    async fn fetch(&self, of: Partition, from: Offset, limit: usize) -> Outcome<Vec<Record<Event>>, NotAssigned> {
        let read = |record: &Record<Event>| matches!(record, Record::Delivered(..));
        self.0.fetch(of, from, limit).await.map(|records| records.into_iter().filter(read).collect())
    }

    async fn commit(&self, partition: Partition, next: Offset) -> Outcome<(), NotAssigned> {
        match self.0.commit(partition, next).await {
            Outcome::Done(()) | Outcome::Refused(NotAssigned) => Outcome::Done(()),
            Outcome::Unknown => Outcome::Unknown,
        }
    }

    async fn set_aside(&self, partition: Partition, offset: Offset) -> Outcome<(), NotAssigned> {
        self.0.set_aside(partition, offset).await
    }
}

fn careless(first: bool) -> Subject<MembersAndSpoil> {
    let mut subject = workers(50, &[]);
    let worker = if first { &mut subject.port.first } else { &mut subject.port.second };
    *worker = Arc::new(Careless(worker.clone()));
    subject
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "what is no movement is told as such")]
async fn a_worker_that_passes_over_what_it_cannot_read_is_found_out() {
    members_contract(async || careless(true)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "keeps no place in it")]
async fn a_worker_that_keeps_places_in_anothers_partition_is_found_out() {
    members_contract(async || careless(false)).await;
}

#[tokio::test(start_paused = true)]
async fn partitions_of_sales_in_trouble_keep_their_contract() {
    use FaultKind::{K1, K2, K5};
    for kind in [K1, K2, K5] {
        members_contract(async || workers(51, &[(kind, 200)])).await;
    }
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
