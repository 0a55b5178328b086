//! How callers come back after a server was lost, over simulated servers whose network is cut.

#[path = "support/stage.rs"]
mod stage;
mod support;

use doorbuster_core::database::rows::AckLevel;
use doorbuster_core::ids::{Seq, ServerId};
use doorbuster_core::ledger::shard::{Fence, Fenced};
use doorbuster_core::outcome::Outcome;
use doorbuster_redis::log::RedisShardLog;
use doorbuster_redis::servers::Servers;
use doorbuster_runtime::contract::{Memory, World};
use doorbuster_runtime::ports::ledger::Ledger;
use doorbuster_runtime::ports::shard_log::ShardLog;
use stage::{Guide, Stage};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

/// Calls in a row after which somebody who should have learnt something counts as not learning it.
const CALLS_MAX: usize = 50;
/// Between two of them, as a role's pause.
const PAUSE: Duration = Duration::from_millis(100);

#[allow(clippy::disallowed_methods, reason = "callers beside the test, on its very thread")]
fn beside(call: impl Future<Output = ()> + 'static) {
    tokio::task::spawn_local(call);
}

/// A call of a busy process.
async fn call(servers: Arc<Servers>, answered: Arc<AtomicUsize>) {
    if servers.check("any").await.is_ok() {
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// A caller each millisecond, none of whom waits for the others; returns how many were answered.
async fn call_for(servers: &Arc<Servers>, millis: usize) -> usize {
    let answered = Arc::new(AtomicUsize::new(0));
    for _ in 0..millis {
        beside(call(servers.clone(), answered.clone()));
        sleep(Duration::from_millis(1)).await;
    }
    answered.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn a_busy_link_comes_back_after_an_outage() {
    let outages = async {
        let stage = Stage::new(1);
        let servers = stage.seen_through(&Guide::to(stage.address(0)));
        *stage.network.handshake.lock().expect("no holder panics") = Duration::from_millis(6);
        for outage in 1..=3 {
            servers.check("any").await.expect("the server is up");
            stage.network.cut(stage.address(0));
            sleep(PAUSE).await;
            assert_eq!(call_for(&servers, 20_000).await, 0, "nobody listens");
            stage.network.mend();
            // The longest pause between two tries is 5 s.
            call_for(&servers, 6_000).await;
            assert!(call_for(&servers, 1_000).await > 900, "outage {outage} never ended for its callers");
        }
    };
    LocalSet::new().run_until(outages).await;
}

#[tokio::test]
async fn a_connection_outlives_the_runtime_of_whoever_asked_first() {
    let asking = async {
        let stage = Stage::new(1);
        let servers = stage.seen_through(&Guide::to(stage.address(0)));
        let (own, (ended, end)) = (servers.clone(), tokio::sync::oneshot::channel());
        #[allow(clippy::disallowed_methods, reason = "an edge's thread with a runtime of its own")]
        let edge = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let checked = runtime.block_on(own.check("any"));
            drop(runtime);
            ended.send(checked).expect("the test waits");
        });
        end.await.expect("it asks").expect("the server is up");
        edge.join().expect("it has ended");
        // What would have ended with the edge has ended after this.
        sleep(Duration::from_millis(1)).await;
        servers.check("any").await.expect("the server is up");
        assert_eq!(stage.network.dialled(), 1, "it is the same connection");
    };
    LocalSet::new().run_until(asking).await;
}

#[tokio::test(start_paused = true)]
async fn one_caller_waits_for_a_silent_guide_and_the_others_go_on() {
    let waiting = async {
        let stage = Stage::new(1);
        let guide = Guide::to(stage.address(0));
        let servers = stage.seen_through(&guide);
        let shard = World::named("guided").shard(0);
        let ledger = support::ledger(&servers, AckLevel::Redis);
        assert!(matches!(ledger.inspect(shard).await, Outcome::Done(_)));
        stage.network.cut(stage.address(0));
        sleep(PAUSE).await;
        assert!(!matches!(ledger.inspect(shard).await, Outcome::Done(_)), "it is cut off, and doubted");
        stage.network.mend();
        *guide.is_slow.lock().expect("no holder panics") = true;
        // Old enough for the guide to be asked again.
        sleep(Duration::from_secs(6)).await;
        let asked = guide.asked();
        beside(call(servers.clone(), Arc::default()));
        sleep(Duration::from_millis(1)).await;
        assert_eq!(guide.asked(), asked + 1, "somebody asks, and is not answered");
        for _ in 0..3 {
            let checked = timeout(Duration::from_secs(60), servers.check("any")).await;
            checked.expect("nobody else waits for the guide").expect("the server is up");
        }
        assert_eq!(guide.asked(), asked + 1);
    };
    LocalSet::new().run_until(waiting).await;
}

#[tokio::test(start_paused = true)]
async fn looks_at_a_server_in_health_do_not_ask_the_guides_each_time() {
    let looking = async {
        let stage = Stage::new(1);
        let guide = Guide::to(stage.address(0));
        let ledger = support::ledger(&stage.seen_through(&guide), AckLevel::Redis);
        for _ in 0..10 {
            assert!(matches!(ledger.inspect(World::named("looked-at").shard(0)).await, Outcome::Done(_)));
            sleep(Duration::from_millis(300)).await;
        }
        assert!(guide.asked() <= 1, "{} questions to the guides", guide.asked());
    };
    LocalSet::new().run_until(looking).await;
}

/// A log that its forwarder reads on server 0, and nobody else who calls in its process.
struct Reading {
    stage: Stage,
    guide: Arc<Guide>,
    world: World,
    fence: Fence,
    log: RedisShardLog,
}

impl Reading {
    async fn begin(name: &str) -> Reading {
        let (stage, world) = (Stage::new(2), World::named(name));
        let elsewhere = stage.seen_through(&Guide::to(stage.address(0)));
        let ledger = support::ledger(&elsewhere, AckLevel::Redis);
        let fence = Memory::of(1).open(&ledger, world.shard(0), 1).await;
        let guide = Guide::to(stage.address(0));
        let log = RedisShardLog::new(stage.seen_through(&guide), 1);
        let page = log.read(world.shard(0), fence, None, 10).await;
        assert!(matches!(page, Outcome::Done(page) if page.entries.is_empty()));
        Reading { stage, guide, world, fence, log }
    }

    /// From now on the guide, when it is asked, tells of server 1.
    fn promote(&self) {
        *self.guide.truth.lock().expect("no holder panics") = self.stage.address(1).clone();
    }

    /// Whether a reader learns in time that its memory is no longer the shard's.
    async fn learns(&self) -> bool {
        for _ in 0..CALLS_MAX {
            let page = self.log.read(self.world.shard(0), self.fence, Some(Seq(0)), 10).await;
            if page == Outcome::Refused(Fenced) {
                return true;
            }
            sleep(PAUSE).await;
        }
        false
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_only_reads_logs_finds_the_new_master() {
    let reading = async {
        let reading = Reading::begin("lost").await;
        reading.stage.network.cut(reading.stage.address(0));
        reading.promote();
        assert!(reading.learns().await, "it dials the dead one for ever");
    };
    LocalSet::new().run_until(reading).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_leaves_a_server_that_was_demoted() {
    let reading = async {
        let reading = Reading::begin("demoted").await;
        let server = &reading.stage.servers[0].1;
        let outputs = server.borrow_mut().host().follow("server-1");
        server.borrow_mut().route(outputs);
        reading.promote();
        assert!(reading.learns().await, "it reads the replica for ever");
    };
    LocalSet::new().run_until(reading).await;
}

#[tokio::test(start_paused = true)]
async fn a_look_that_failed_is_no_look() {
    let looking = async {
        let reading = Reading::begin("looked").await;
        let (shard, foreign) = (reading.world.shard(0), Fence { server: ServerId(1), ..reading.fence });
        sleep(PAUSE * 10).await;
        reading.stage.network.refuse(reading.stage.address(0));
        for _ in 0..3 {
            let page = reading.log.read(shard, foreign, None, 10).await;
            assert_eq!(page, Outcome::Unknown, "the server could not be asked who it is");
        }
        reading.stage.network.mend();
        sleep(Duration::from_millis(1)).await;
        let dialled = reading.stage.network.dialled();
        assert_eq!(reading.log.read(shard, foreign, None, 10).await, Outcome::Refused(Fenced));
        sleep(Duration::from_millis(1)).await;
        assert_eq!(reading.log.read(shard, foreign, None, 10).await, Outcome::Refused(Fenced));
        assert_eq!(reading.stage.network.dialled(), dialled + 2, "each was told what the server said when it asked");
    };
    LocalSet::new().run_until(looking).await;
}
