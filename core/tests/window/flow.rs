//! Nine days and more of orders, faults and takeovers, then peace: what is told is what the orders say.

use super::world::{HOUR_MS, SKUS, World, line, order, partition, product, sku};
use doorbuster_core::database::rows::{OrderRow, Origin};
use doorbuster_core::ids::{Epoch, ProductId, Seq, SkuId, UserId, Version};
use doorbuster_core::inbox::Partition;
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::page::Acceptance;
use doorbuster_core::limits::{SALES_BATCH_MS, SALES_EMIT_DELAY_MS};
use doorbuster_core::machine::Machine;
use doorbuster_core::oracle::window_watch::recount;
use doorbuster_core::order::status::{Restock, Status};
use doorbuster_core::time::Wall;
use doorbuster_core::window::hour::Hour;
use doorbuster_core::window::movement::{Movement, movements};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

const START: Wall = Wall(480_000 * HOUR_MS + 55 * 60_000);

#[derive(Clone, Debug)]
enum Step {
    /// An order of one or two SKUs is paid.
    Pay { first: usize, both: bool, quantity: u32 },
    /// The money of the n-th paid order is back.
    Refund { which: usize },
    /// So many outbox rows reach the topic; the others wait.
    Publish { count: usize },
    /// The newest outbox row overtakes the others: a refund may come before its payment.
    Overtake,
    /// The last records of a partition are delivered again.
    Replay { partition: u32, count: usize },
    /// Time passes.
    Pass { millis: u64 },
    /// The database's clock is set back, by less than an hour.
    SetBack { millis: u64 },
    /// The clock of a worker's host is set.
    Skew { worker: usize, millis: i64 },
    /// Another process takes the partitions; the old ones go on.
    Start,
    /// A process is told that a partition is not its own any more.
    Revoke { worker: usize, partition: u32 },
    /// A process dies.
    Crash { worker: usize },
    /// Marks that have expired leave the database.
    Expire,
    /// Events take place.
    Work { steps: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let hour = HOUR_MS as i64;
    prop_oneof![
        8 => (0..SKUS, any::<bool>(), 1_u32..5).prop_map(|(first, both, quantity)| Step::Pay { first, both, quantity }),
        2 => (0_usize..32).prop_map(|which| Step::Refund { which }),
        6 => (1_usize..6).prop_map(|count| Step::Publish { count }),
        1 => Just(Step::Overtake),
        2 => (0_u32..2, 1_usize..12).prop_map(|(partition, count)| Step::Replay { partition, count }),
        8 => prop::sample::select(vec![
            1_000, 10_001, 130_000, HOUR_MS / 3, HOUR_MS, HOUR_MS + 1, 7 * HOUR_MS, 24 * HOUR_MS, 61 * HOUR_MS,
            168 * HOUR_MS, 171 * HOUR_MS, 400 * HOUR_MS,
        ]).prop_map(|millis| Step::Pass { millis }),
        1 => (1..HOUR_MS).prop_map(|millis| Step::SetBack { millis }),
        1 => (0_usize..3, -2 * hour..2 * hour).prop_map(|(worker, millis)| Step::Skew { worker, millis }),
        1 => Just(Step::Start),
        1 => (0_usize..3, 0_u32..2).prop_map(|(worker, partition)| Step::Revoke { worker, partition }),
        1 => (0_usize..3).prop_map(|worker| Step::Crash { worker }),
        1 => Just(Step::Expire),
        12 => (1_usize..40).prop_map(|steps| Step::Work { steps }),
    ]
}

/// The shop in front of the topic.
struct Shop {
    world: World,
    orders: Vec<OrderRow>,
    outbox: VecDeque<Movement>,
    latest: Wall,
}

impl Shop {
    fn open(seed: u64) -> Shop {
        let mut world = World::new(seed, START);
        world.start_worker(0);
        Shop { world, orders: Vec::new(), outbox: VecDeque::new(), latest: START }
    }

    fn pay(&mut self, first: usize, both: bool, quantity: u32) {
        let second = both.then(|| Line { sku: sku((first + 1) % SKUS), quantity: 1 });
        let lines: Vec<Line> = [Line { sku: sku(first), quantity }].into_iter().chain(second).collect();
        let (basket, at) = (Basket::parse(&lines).unwrap(), self.world.database.at);
        let acceptance = Acceptance { epoch: Epoch(1), seq: Seq(1), reserved_at: at };
        let row = OrderRow {
            id: order(self.orders.len()),
            user: UserId::parse("buyer").unwrap(),
            origin: Some(Origin { body: basket.body_hash(), basket, acceptance }),
            amount_minor: 100,
            status: Status::Paid,
            version: Version(2),
            expires_at: at,
            created_at: at,
            payment: None,
            paid_at: Some(at),
        };
        self.orders.push(row);
        self.tell(self.orders.len() - 1);
    }

    fn refund(&mut self, which: usize) {
        let paid = |row: &OrderRow| row.status == Status::Paid;
        let Some(index) = (0..self.orders.len()).cycle().skip(which).take(64).find(|at| paid(&self.orders[*at])) else {
            return;
        };
        self.orders[index].status = Status::Refunded(Restock::No);
        self.tell(index);
    }

    fn tell(&mut self, index: usize) {
        let row = &self.orders[index];
        self.world.database.watch.order_moved(row);
        self.outbox.extend(movements(row, product_of));
    }

    fn publish(&mut self, count: usize) {
        for movement in self.outbox.drain(..count.min(self.outbox.len())) {
            self.world.publish(partition(number_of(movement.sku)), movement);
        }
    }

    fn take(&mut self, step: Step) {
        let workers = self.world.workers.len();
        match step {
            Step::Pay { first, both, quantity } => self.pay(first, both, quantity),
            Step::Refund { which } if !self.orders.is_empty() => self.refund(which),
            Step::Refund { .. } => {}
            Step::Publish { count } => self.publish(count),
            Step::Overtake => self.outbox.rotate_right(self.outbox.len().min(1)),
            Step::Replay { partition, count } => self.world.replay(Partition(partition), count),
            Step::Pass { millis } => self.world.pass(millis),
            // Below the highest time by less than an hour: the ring has one slot for that.
            Step::SetBack { millis } => self.world.database.at = Wall(self.latest.0 - millis),
            Step::Skew { worker, millis } if worker < workers => self.world.workers[worker].skew_ms = millis,
            Step::Skew { .. } => {}
            Step::Start if workers < 3 => self.world.start_worker(0),
            Step::Start => {}
            Step::Revoke { worker, partition } if worker < workers => self.world.revoke(worker, Partition(partition)),
            Step::Revoke { .. } => {}
            Step::Crash { worker } if worker < workers => self.world.crash(worker),
            Step::Crash { .. } => {}
            Step::Expire => {
                let at = self.world.database.at;
                self.world.database.rows.counted.retain(|_, mark| mark.expires_at > at);
            }
            Step::Work { steps } => self.world.work(steps),
        }
        self.latest = self.latest.max(self.world.database.at);
    }

    /// Everything is published, one fresh worker has everything, and nothing fails any more.
    fn make_peace(&mut self) {
        self.publish(usize::MAX);
        self.world.peace = true;
        while !self.world.workers.is_empty() {
            self.world.crash(0);
        }
        self.world.start_worker(0);
        self.rest();
    }

    /// Lets time pass until the worker owes nothing.
    fn rest(&mut self) {
        for _ in 0..200 {
            self.world.settle();
            if self.world.workers[0].machine.pending().is_none() {
                return;
            }
            self.world.pass(SALES_BATCH_MS);
        }
        panic!("L11: the worker never rests: {:?}", self.world.workers[0].machine.pending());
    }

    /// Goes to where the next hour is told, and past it.
    fn next_hour(&mut self) -> Hour {
        let at = self.world.database.at.max(self.latest);
        let told_at = Hour::of(at).next().start().after_ms(SALES_EMIT_DELAY_MS);
        self.world.pass(told_at.0 - self.world.database.at.0);
        self.rest();
        Hour::of(self.world.database.at)
    }

    fn judge(&self, hour: Hour) {
        let database = &self.world.database;
        let told: BTreeMap<SkuId, u64> = (0..SKUS).map(|number| (sku(number), database.emitted(number))).collect();
        let mut expected = recount(&self.orders, hour.0);
        expected.extend(told.keys().map(|sku| (*sku, expected.get(sku).copied().unwrap_or(0))).collect::<Vec<_>>());
        assert_eq!(told, expected, "told at hour {}, and sold", hour.0);
        let converged = database.watch.judge_converged(hour.0, &told).unwrap();
        assert!(converged.is_green(), "{converged:?}");
        match database.watch.judge() {
            Ok(judged) => assert!(judged.is_green(), "{judged:?}"),
            // Nothing was ever told: then no SKU may have anything to tell.
            Err(missing) => assert!(told.values().all(|units| *units == 0), "{missing:?}, but {told:?}"),
        }
        for (product, units) in &database.shown {
            assert_eq!(*units, database.told_of(*product), "search shows what the rows tell of {product}");
        }
    }
}

fn number_of(of: SkuId) -> usize {
    (0..SKUS).find(|number| sku(*number) == of).unwrap()
}

fn product_of(sku: SkuId) -> ProductId {
    product(number_of(sku))
}

fn run(seed: u64, steps: Vec<Step>) {
    let mut shop = Shop::open(seed);
    for step in steps {
        shop.take(step);
    }
    shop.make_peace();
    for _ in 0..2 {
        let hour = shop.next_hour();
        shop.judge(hour);
    }
    shop.world.pass(175 * HOUR_MS);
    let hour = shop.next_hour();
    shop.judge(hour);
    assert!(shop.world.database.rows.sales_rings.is_empty(), "after a week without sales no ring is left");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn what_is_told_is_what_the_orders_say(seed: u64, steps in prop::collection::vec(step(), 1..160)) {
        run(seed, steps);
    }
}

/// A refund overtakes the only payment before a worker hears of either: nobody ever tells of it.
#[test]
fn an_order_that_comes_to_nothing_before_it_is_counted_is_never_told() {
    run(0, vec![Step::Pay { first: 0, both: false, quantity: 1 }, Step::Refund { which: 0 }, Step::Overtake]);
}

/// Two processes on one partition: each counts what the other has not, and every order counts once.
#[test]
fn two_workers_on_one_partition_count_every_order_once() {
    let mut world = World::new(7, START);
    world.peace = true;
    world.start_worker(0);
    world.settle();
    world.start_worker(0);
    for n in 0..40 {
        world.publish(Partition(0), line(0, n, 1, world.database.at));
        world.settle();
        world.pass(SALES_BATCH_MS);
    }
    for _ in 0..5 {
        world.settle();
        world.pass(SALES_BATCH_MS);
    }
    assert!(world.stale > 0, "the two were in each other's way");
    assert_eq!(world.database.sum(0, Hour::of(world.database.at).next()), 40);
    assert!(world.workers.iter().all(|worker| worker.machine.pending().is_none()));
}
