//! Core's forwarder over a real log, while its connections are cut and it is replaced by another.

mod support;

use doorbuster_core::database::rows::{AckLevel, Phase, ShardRow};
use doorbuster_core::forwarder::{Effect, Event, Forwarder, Producer};
use doorbuster_core::ids::{Seq, ShardId};
use doorbuster_core::inbox::Partition;
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::ledger::shard::{Fence, Fenced};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Now;
use doorbuster_redis::log::{GROUP, RedisShardLog};
use doorbuster_runtime::contract::{Memory, World};
use doorbuster_runtime::drive::{Perform, Performed, drive, inbox, spawn};
use doorbuster_runtime::env::{Env, SystemEnv};
use doorbuster_runtime::ports::ledger::Ledger;
use doorbuster_runtime::ports::shard_log::ShardLog;
use doorbuster_runtime::roles::shard_log::perform;
use std::sync::{Arc, Mutex};
use support::{Server, config, ledger, servers};
use tokio::sync::watch;

const BUYERS: usize = 600;

/// A partition that takes everything, and the row of a shard that is open.
struct Partitioned {
    log: Arc<dyn ShardLog>,
    fence: Fence,
    published: Arc<Mutex<Vec<Seq>>>,
}

impl Partitioned {
    fn row(&self, shard: ShardId) -> ShardRow {
        let Fence { server, epoch, nonce } = self.fence;
        let (phase, cursor) = (Phase::Open, Seq(0));
        ShardRow { id: shard, epoch, phase, server, nonce, cursor, replay_from: None, reason: None, lease: None }
    }

    fn publish(&self, intents: &[Intent]) {
        let mut published = self.published.lock().expect("no holder panics");
        for intent in intents {
            match intent {
                Intent::Entry(_, entry) => published.push(entry.seq),
                Intent::Seal(..) => panic!("a log without a hole is not sealed"),
            }
        }
    }
}

impl Perform<Forwarder> for Partitioned {
    fn perform(&self, _: Now, effect: Effect) -> Option<Performed<Event>> {
        let other = match perform(&self.log, effect) {
            Ok(performed) => return Some(performed),
            Err(other) => other,
        };
        let answer = match other {
            Effect::KeepLease(ticket, _) => Event::LeaseKept(ticket, Outcome::Done(())),
            Effect::TakeProducer(ticket, _) => Event::ProducerTaken(ticket, Outcome::Done(Producer(1))),
            Effect::ReadRow(ticket, shard) => Event::RowRead(ticket, shard, Outcome::Done(self.row(shard))),
            Effect::Publish { ticket, intents, .. } => {
                self.publish(&intents);
                Event::Published(ticket, Outcome::Done(()))
            }
            Effect::Apply(..) => panic!("a log without a hole ends no epoch"),
            Effect::ReadLog { .. } | Effect::Ack { .. } | Effect::Trim { .. } => unreachable!("the log has these"),
        };
        Some(Box::pin(async move { Some(answer) }))
    }
}

/// Runs a forwarder until it is told to stop; what it knew dies with it.
fn forward(performer: Arc<Partitioned>, shard: ShardId) -> (watch::Sender<bool>, tokio::task::JoinHandle<()>) {
    let (stop, stopped) = watch::channel(false);
    let env = SystemEnv::shared();
    let task = spawn(async move {
        let (events, received) = inbox();
        events.send(Event::ShardFound(shard)).await.expect("there is room");
        let machine = Forwarder::new(Env::now(env.as_ref()).mono, Partition(0), env.entropy());
        drive(machine, performer, env, stopped, (events, received), |_| Event::Woken).await;
    });
    (stop, task)
}

#[tokio::test]
async fn every_entry_is_published_in_order_whatever_is_cut() {
    let Some(server) = Server::start("forwarding") else { return };
    let world = World::named("forwarded");
    let shard = world.shard(0);
    let selling = servers(config(&server));
    let ledger = ledger(&selling, AckLevel::Redis);
    let fence = Memory::of(10_000).open(&ledger, shard, 1).await;
    let published = Arc::default();
    let reader = |owner| {
        let log: Arc<dyn ShardLog> = Arc::new(RedisShardLog::new(servers(config(&server)), owner));
        Arc::new(Partitioned { log, fence, published: Arc::clone(&published) })
    };

    let mut forwarder = forward(reader(1), shard);
    for buyer in 0..BUYERS {
        sell(&ledger, world, fence, buyer).await;
        if buyer % 50 == 25 {
            server.tell(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        }
        if buyer % 200 == 199 {
            forwarder.0.send_replace(true);
            forwarder.1.await.expect("it stops");
            forwarder = forward(reader(buyer as u64), shard);
        }
    }
    let log = reader(0).log.clone();
    let mut acked = Seq(0);
    for _ in 0..support::LOOKS_MAX {
        // The last entry, read by place, so that the forwarder is not disturbed.
        if let Outcome::Done(page) = log.read(shard, fence, Some(Seq(BUYERS as u64 - 1)), 1).await {
            acked = page.acked;
        }
        if acked == Seq(BUYERS as u64) {
            break;
        }
        tokio::time::sleep(support::LOOK_PAUSE).await;
    }
    assert_eq!(acked, Seq(BUYERS as u64), "all is marked");
    forwarder.0.send_replace(true);
    forwarder.1.await.expect("it stops");
    assert!(matches!(log.read(shard, fence, None, 1).await, Outcome::Done(page) if page.entries.is_empty()));
    let pending = server.tell(&["XPENDING", "{forwarded:0:0}:x", GROUP]);
    assert!(
        matches!(pending, redis::Value::Array(summary) if summary[0] == redis::Value::Int(0)),
        "nobody owes an entry"
    );
    let published: Vec<Seq> = published.lock().expect("no holder panics").clone();
    let mut next = Seq(1);
    for seq in published {
        assert!(seq <= next, "{next:?} is missing before {seq:?}");
        next = next.max(seq.next());
    }
    assert_eq!(next, Seq(BUYERS as u64 + 1), "none is missing at the end");
}

async fn sell(ledger: &dyn Ledger, world: World, fence: Fence, buyer: usize) {
    for _ in 0..support::LOOKS_MAX {
        match ledger.reserve(world.shard(0), fence, vec![world.item(buyer, 1, &[(0, 1)])]).await {
            Outcome::Done(_) => return,
            Outcome::Refused(Fenced) | Outcome::Unknown => tokio::time::sleep(support::LOOK_PAUSE).await,
        }
    }
    panic!("buyer {buyer} was never answered");
}
