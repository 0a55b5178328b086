//! Nine days of sales: processes sleep most of the time, and are awake around the ends of hours.
//!
//! Only the way of sales runs here: what happens to orders before they are paid shows within minutes, and the rest of
//! the platform would only cost events. Orders are made, paid and refunded by the same transactions as elsewhere.

use super::clock::BEGIN;
use super::host::Host;
use super::strikes::{self, command_now};
use super::world::World;
use super::{catalog, sold};
use crate::plan::Setup;
use crate::seed::Seed;
use doorbuster_core::database::command::Command;
use doorbuster_core::ids::{Key, Nonce, OrderId, PaymentId, ServerId, ShardId, UserId};
use doorbuster_core::intake::IntakeBatch;
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::entry::{Entry, EntryKind, Intent, Reserved};
use doorbuster_core::ledger::epoch::{LadderCommand, LadderStep};
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::Restock;
use doorbuster_core::payment::command::{PaymentCommand, Verdict};
use doorbuster_core::rng::Rng;
use doorbuster_core::time::Wall;
use doorbuster_core::window::hour::{HOUR_MS, Hour};

/// A run of at least so many milliseconds is one of days.
pub const LONG_MS: u64 = 24 * HOUR_MS;
/// Hours of the longest runs: nine days, so that every hour of the first one leaves every window.
pub const HOURS: u64 = 9 * 24;

/// When processes are awake: from and for how long, in milliseconds of the run.
pub fn phases(seed: Seed) -> Vec<(u64, u64)> {
    let mut rng = seed.stream("days/phases");
    let first = Hour::of(BEGIN).next();
    let phase = |rng: &mut Rng| {
        let boundary_ms = first.start().0 - BEGIN.0 + rng.below(HOURS - 1) * HOUR_MS;
        let from_ms = match rng.below(4) {
            0 => rng.below(HOURS * HOUR_MS),
            1 => boundary_ms.saturating_sub(rng.below(20_000)),
            // Windows are told two minutes after the hour.
            _ => boundary_ms + 120_000 - rng.below(15_000),
        };
        (from_ms, 15_000 + rng.below(30_000))
    };
    let mut phases: Vec<(u64, u64)> = (0..12 + rng.below(12)).map(|_| phase(&mut rng)).collect();
    phases.sort_unstable();
    phases
}

/// The time of the run at this time of the wall clock.
pub fn at_us(at: Wall) -> u64 {
    at.0.saturating_sub(BEGIN.0) * 1000
}

/// Whether this plan is one of days.
pub fn is_long(setup: &Setup) -> bool {
    setup.horizon_ms >= LONG_MS
}

/// Every process ends.
pub fn sleep(world: &mut World) {
    (1..world.hosts.len()).for_each(|host| world.crash_host(host));
}

/// Processes of these roles begin, or go on.
pub fn wake(world: &mut World, roles: &[&str]) {
    world.is_night = false;
    for host in 1..world.hosts.len() {
        if !roles.contains(&world.hosts[host].role) || world.hosts[host].is_gone {
            continue;
        }
        if !world.hosts[host].is_up {
            world.start_host(host);
        }
        if world.hosts[host].paused {
            world.hosts[host].paused = false;
            world.release(host);
        }
    }
}

/// Runs the plan up to its end.
pub fn drive(world: &mut World) {
    world.hosts.push(Host::new("buyers", 0));
    world.hosts[0].is_up = true;
    for role in sold::ROLES {
        for instance in 0..super::roles::instances(&world.setup, role) {
            world.hosts.push(Host::new(role, instance));
        }
    }
    open(world);
    strikes::plan(world);
    catalog::plan(world, HOURS * HOUR_MS);
    let mut rng = world.seed.stream("days/orders");
    let base = rng.below(40);
    for n in 0..30 + rng.below(50) as u32 {
        plan_order(world, &mut rng, base, n);
    }
    let mut dice = world.seed.stream("days/sleep");
    for (from_ms, for_ms) in phases(world.seed) {
        world.run_until(from_ms * 1000);
        wake(world, &sold::ROLES);
        world.run_until((from_ms + for_ms) * 1000);
        if world.violation.is_some() {
            return;
        }
        world.count("nights");
        world.is_night = true;
        // Some end, others stand still and go on hours later with what they believed.
        for host in 1..world.hosts.len() {
            match dice.below(2) {
                0 => world.crash_host(host),
                _ => world.hosts[host].paused = world.hosts[host].is_up,
            }
        }
        let now = world.clock().wall;
        world.database.expire(now);
    }
    world.run_until(world.setup.horizon_ms * 1000);
    world.is_night = false;
    strikes::heal_all(world);
    if world.violation.is_none() {
        sold::converge(world);
    }
}

fn shard(world: &World) -> ShardId {
    ShardId { sale: world.sale, k: 0 }
}

/// The shard is open, for whoever looks at rows: no server is behind it.
fn open(world: &mut World) {
    let shard = shard(world);
    let rung = |world: &World| world.database.rows().shards[&shard].rung();
    let mut climb = |step: fn(doorbuster_core::ledger::epoch::Rung) -> LadderStep| {
        let step = step(rung(world));
        let done = command_now(world, &Command::Ladder(LadderCommand { shard, owner: None, step }));
        assert!(done, "an operator may open a shard");
    };
    climb(|rung| LadderStep::BeginOpening(rung, ServerId(1), Nonce(1)));
    climb(LadderStep::FinishOpening);
}

/// Orders gather in few hours, whose slots and windows meet again days later.
fn plan_order(world: &mut World, rng: &mut Rng, base: u64, n: u32) {
    let hour = match rng.below(3) {
        0 => rng.below(HOURS - 2),
        _ => base + [0, 1, 2, 166, 167, 168, 169, 170, 171][rng.below(9) as usize],
    };
    let within_ms = match rng.below(4) {
        0 => 0,
        1 => HOUR_MS - 1,
        _ => rng.below(HOUR_MS),
    };
    let paid_ms = Hour::of(BEGIN).next().start().0 - BEGIN.0 + hour.min(HOURS - 2) * HOUR_MS + within_ms;
    let sku = world.skus[rng.below(world.skus.len() as u64) as usize];
    let line = Line { sku, quantity: 1 + rng.below(3) as u32 };
    let back_ms = (rng.below(4) == 0).then(|| paid_ms + 1 + rng.below(4 * 24 * HOUR_MS));
    world.after_ms(paid_ms, move |world| buy(world, n, line));
    if let Some(back_ms) = back_ms.filter(|back_ms| *back_ms < HOURS * HOUR_MS) {
        world.after_ms(back_ms, move |world| give_back(world, n));
    }
}

fn names(world: &World, n: u32) -> (UserId, OrderId, PaymentId) {
    let user = UserId::parse(&format!("buyer-{n}")).expect("a short name");
    let key = Key::parse("click").expect("a short key");
    let order = OrderId::derive(world.sale, world.setup.shards, &user, &key);
    (user, order, PaymentId::parse(&format!("pay-{n}")).expect("a short name"))
}

fn buy(world: &mut World, n: u32, line: Line) {
    let (shard, (user, order, payment)) = (shard(world), names(world, n));
    let row = &world.database.rows().shards[&shard];
    let basket = Basket::parse(&[line]).expect("few units");
    let reserved_at = world.clock().wall;
    let body = basket.body_hash();
    let reserved = Reserved { id: order.reservation, user: user.clone(), body, basket, reserved_at };
    let kind = EntryKind::Reserved(vec![reserved]);
    let intent = Intent::Entry(shard, Entry { epoch: row.epoch, seq: row.cursor.next(), kind });
    for command in [
        Command::Intake(IntakeBatch { shard, intents: vec![intent] }),
        Command::Payment(PaymentCommand::Start { payment, order, user }),
        Command::Payment(PaymentCommand::Settle { payment, verdict: Verdict::Succeeded }),
    ] {
        let done = command_now(world, &command);
        assert!(done, "nothing hinders a buyer here");
    }
    world.count("orders paid");
}

fn give_back(world: &mut World, n: u32) {
    let (_, order, payment) = names(world, n);
    let restock = if n.is_multiple_of(2) { Restock::Yes } else { Restock::No };
    for command in [
        Command::Order(OrderCommand::Refund { order, restock }),
        Command::Payment(PaymentCommand::Refunded { payment }),
    ] {
        let done = command_now(world, &command);
        assert!(done, "a paid order can be given back");
    }
    world.count("orders given back");
}
