//! Reservations per second through the port, on one connection: `cargo bench -p doorbuster-redis`.

#[path = "../tests/support/mod.rs"]
mod support;

use doorbuster_core::database::rows::AckLevel;
use doorbuster_core::ids::{Key, ReservationId, SkuId, UserId};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem};
use doorbuster_core::ledger::shard::Fence;
use doorbuster_core::outcome::Outcome;
use doorbuster_redis::ledger::RedisLedger;
use doorbuster_runtime::contract::{Memory, World};
use doorbuster_runtime::ports::ledger::Ledger;
use support::{Server, config, ledger, servers};
use tokio::time::Instant;

const BATCH: usize = 64;
const BATCHES: usize = 2_000;
const ROUNDS: usize = 5;

fn main() {
    // The test runner calls benches with `--test`: nothing is to be measured then.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let Some(server) = Server::start("benchmark") else { return };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    println!("| answer | batches in flight | reservations/s, best of {ROUNDS} |\n|---|---|---|");
    for (answer, stock) in [("accepted", 1_000_000_000), ("sold out", 0)] {
        for flights in [1, 2, 4] {
            let best = (0..ROUNDS).map(|round| {
                let name = format!("bench-{}-{flights}-{round}", answer.replace(' ', "-"));
                runtime.block_on(measure(&server, &name, stock, flights))
            });
            println!("| {answer} | {flights} | {:.0} |", best.fold(0.0, f64::max));
        }
    }
    let micros = server.info();
    println!("server: {}", micros.lines().find(|line| line.starts_with("cmdstat_evalsha")).unwrap_or_default());
}

async fn measure(server: &Server, name: &str, stock: u64, flights: usize) -> f64 {
    let (world, ledger) = (World::named(name), ledger(&servers(config(server)), AckLevel::Redis));
    let fence = Memory::of(stock).open(&ledger, world.shard(0), 1).await;
    let batches: Vec<Vec<ReserveItem>> = (0..BATCHES).map(|number| batch(world, number)).collect();
    let begun = now();
    let lanes = batches.chunks(BATCHES / flights).map(|own| send(&ledger, world, fence, own));
    join_all(lanes.collect()).await;
    (BATCH * BATCHES) as f64 / now().duration_since(begun).as_secs_f64()
}

async fn send(ledger: &RedisLedger, world: World, fence: Fence, batches: &[Vec<ReserveItem>]) {
    for items in batches {
        let Outcome::Done(replies) = ledger.reserve(world.shard(0), fence, items.clone()).await else {
            panic!("a quiet server answers");
        };
        assert!(replies.iter().all(|reply| !matches!(reply, ItemReply::Replayed(_))), "every buyer is new");
    }
}

/// All of them side by side, in one task.
async fn join_all<F: Future<Output = ()>>(futures: Vec<F>) {
    let mut running: Vec<_> = futures.into_iter().map(Box::pin).map(Some).collect();
    std::future::poll_fn(|context| {
        for slot in &mut running {
            if slot.as_mut().is_some_and(|future| future.as_mut().poll(context).is_ready()) {
                *slot = None;
            }
        }
        if running.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

fn batch(world: World, number: usize) -> Vec<ReserveItem> {
    let key = Key::parse("key").expect("a key");
    let basket = Basket::parse(&[Line { sku: SkuId::parse("sku-0").expect("a SKU"), quantity: 1 }]).expect("a basket");
    let item = |index: usize| {
        let user = UserId::parse(&format!("buyer-{}", number * BATCH + index)).expect("a user");
        let id = ReservationId::derive(world.sale, &user, &key);
        ReserveItem { id, user, body: basket.body_hash(), basket: basket.clone() }
    };
    (0..BATCH).map(item).collect()
}
