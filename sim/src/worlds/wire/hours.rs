//! Hours that pass after a sale: every wall clock at once goes on to shortly before the next windows are told, and nobody
//! lives through the time between. Buyers come in each of these hours, and the plan's later strikes are theirs.
//!
//! A clock goes on only while nobody waits for anything: what is under way then would find its patience, its lease and its
//! pay window at their end, and that shows elsewhere.

use super::buyer::Buyer;
use super::scene::Scene;
use super::strikes;
use super::world::World;
use crate::plan::HOURS_MS;
use crate::services::broker::group::Group;
use crate::services::database::Commit;
use crate::trace::Kind;
use crate::worlds::fast::roles::instances;
use crate::worlds::sold::{self, CONVERGED_S, Ending};
use crate::worlds::watch::Broken;
use doorbuster_core::database::rows::OrderRow;
use doorbuster_core::limits::SALES_EMIT_DELAY_MS;
use doorbuster_core::order::status::Status;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::Now;
use doorbuster_core::window::hour::{HOUR_MS, Hour};

/// Most times that the clocks go on, the last one aside.
const LEAPS_MAX: u64 = 4;
/// By how many hours: into the next one, or to where a window loses what it counted.
const LEAPS: [u64; 12] = [1, 1, 1, 1, 2, 24, 166, 167, 168, 168, 169, 170];
/// The clocks stop so many milliseconds before windows are told, at most.
const BEFORE_MS: u64 = 6_000;
/// From one leap to the next: a batch of sales, with its answer.
const TURN_MS: u64 = 13_000;
/// How long a leap waits for those who wait; then there is none any more.
const QUIET_S: u64 = 30;
/// Between two looks.
const LOOK_MS: u64 = 500;

/// Whether what was sold is counted in this run.
pub fn are_counted(world: &World) -> bool {
    instances(&world.plan.setup, Group::Sales.role()) > 0
}

/// Lets hours pass, with their buyers and their strikes.
pub fn pass(world: &mut World) {
    if !are_counted(world) || !comes_to_quiet(world) {
        return;
    }
    strikes::plan_hours(world);
    let last_ms = world.plan.strikes.iter().filter(|strike| strike.at_ms >= HOURS_MS);
    let last_ms = last_ms.map(|strike| strike.at_ms - HOURS_MS + strike.for_ms).max().unwrap_or(0);
    let began_us = world.now_us();
    let mut rng = world.seed.stream("hours");
    for turn in 0..1 + rng.below(LEAPS_MAX) {
        let hours = LEAPS[rng.below(LEAPS.len() as u64) as usize];
        leap(world, hours, rng.below(BEFORE_MS));
        world.scene.count("hours that passed");
        trade(world, turn, &mut rng);
        world.run_for(TURN_MS);
        if world.is_broken() || !comes_to_quiet(world) {
            return;
        }
    }
    world.run_for(last_ms.saturating_sub((world.now_us() - began_us) / 1000));
}

/// L9: everything is counted, the hour ends, its windows are told, and search shows them.
pub fn converge(world: &mut World) {
    if !are_counted(world) || world.is_broken() || !comes_to(world, |ending| ending.undone()) {
        return;
    }
    leap(world, 1, 0);
    world.run_for(1_000);
    comes_to(world, |ending| ending.owes());
}

/// S18 of what a transaction counted and told.
pub fn counted(scene: &Scene, commit: &Commit) -> Option<Broken> {
    let mut state = scene.state();
    if !sold::committed(&mut state.windows, commit) {
        return None;
    }
    *state.counts.entry("windows told").or_default() += 1;
    sold::broken(&state.windows)
}

/// S18 of what search has come to show.
pub fn look_at_search(world: &World, now: Now) {
    if world.search.look(|search| search.news.is_empty()) {
        return;
    }
    let news = world.search.act(now, |search, _| std::mem::take(&mut search.news));
    let broken = {
        let mut state = world.scene.state();
        news.iter().for_each(|document| sold::shown(&mut state.windows, document));
        *state.counts.entry("documents shown").or_default() += news.len() as u64;
        sold::broken(&state.windows)
    };
    if let Some((id, what)) = broken {
        world.scene.violate(id, what);
    }
}

/// The clocks go on to this time before the windows of the hour that is so many hours ahead are told.
fn leap(world: &World, hours: u64, before_ms: u64) {
    let now = world.clock().wall;
    let told_at = Hour(Hour::of(now).0 + hours).start().after_ms(SALES_EMIT_DELAY_MS);
    let leap_ms = told_at.before_ms(before_ms).0 - now.0;
    assert!(leap_ms <= (hours + 1) * HOUR_MS, "a leap ends where it should");
    world.scene.leap(leap_ms);
    world.scene.tell(&"world".into(), Kind::Step, || format!("clocks go on by {leap_ms} ms"));
}

/// Some buyers come, in a sale that may have nothing left.
fn trade(world: &World, turn: u64, rng: &mut Rng) {
    let names: Vec<String> = (0..rng.below(4)).map(|number| format!("later-{turn}-{number}")).collect();
    let buyers: Vec<_> = names
        .into_iter()
        .map(|name| Buyer::new(&world.crowd, &name, world.seed.stream(&format!("hours/{name}"))))
        .collect();
    world.crowd.send_probes(buyers.into_iter().map(|buyer| async move { buyer.come() }));
}

/// Waits until no clock's step would end what somebody waits for; whether that came.
fn comes_to_quiet(world: &mut World) -> bool {
    for _ in 0..QUIET_S * 1_000 / LOOK_MS {
        if is_quiet(world) {
            return !world.is_broken();
        }
        world.run_for(LOOK_MS);
    }
    false
}

fn is_quiet(world: &World) -> bool {
    let unpaid = |order: &OrderRow| order.status == Status::PendingPayment;
    world.crowd.is_quiet()
        && world.provider.look(|provider| provider.pending()) == 0
        && world.database.look(|database| !database.rows().orders.values().any(unpaid))
}

/// Runs until nothing is owed; says what is when that takes too long.
fn comes_to(world: &mut World, owes: fn(&Ending<'_>) -> Option<Broken>) -> bool {
    let mut owed = None;
    for _ in 0..CONVERGED_S * 1_000 / LOOK_MS {
        world.run_for(LOOK_MS);
        if world.is_broken() {
            return false;
        }
        owed = look(world, owes);
        if owed.is_none() {
            return true;
        }
    }
    let (id, what) = owed.unwrap_or(("L9", String::new()));
    world.scene.violate(id, format!("after {CONVERGED_S} s: {what}"));
    false
}

fn look(world: &World, owes: fn(&Ending<'_>) -> Option<Broken>) -> Option<Broken> {
    let groups: Vec<Group> = world.groups().filter(|group| sold::ROLES.contains(&group.role())).collect();
    let (at, windows) = (world.clock().wall, world.scene.state().windows.clone());
    world.database.look(|database| {
        world.broker.look(|broker| {
            world.search.look(|search| {
                let products = &world.catalog.products;
                owes(&Ending { windows: &windows, database, broker, search, groups: &groups, products, at })
            })
        })
    })
}
