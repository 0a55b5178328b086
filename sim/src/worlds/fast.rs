//! The fast world: the product's machines and the services' machines on one event heap.
//!
//! Single-threaded, without a clock and without hash order: a plan and its seed are the whole run.

mod brief;
mod buyer;
mod buyer_answers;
mod calls;
mod catalog;
pub(crate) mod clock;
mod days;
mod edge;
mod embedded;
mod failover;
mod host;
mod lost;
mod meeting;
mod message;
pub(crate) mod network;
mod rest;
pub(crate) mod roles;
mod serving;
mod sold;
mod strikes;
mod unit;
mod watch;
mod world;

use crate::fault::FaultKind;
use crate::plan::Plan;
use crate::report::Report;
use crate::seed::Seed;
use crate::services::broker::PARTITIONS;
use crate::services::broker::group::Group;
use crate::trace::Trace;
use doorbuster_core::database::command::Command;
use doorbuster_core::database::rows::{AckLevel, Currency, SaleState};
use doorbuster_core::ids::ProductId;
use doorbuster_core::ledger::shard::Window;
use doorbuster_core::oracle::headline;
use doorbuster_core::oracle::verdict::Check;
use doorbuster_core::sale::command::{NewSale, NewSku, SaleCommand};
use host::Host;
pub use meeting::is_of_processes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use world::World;

/// The sale opens so many milliseconds after the run begins: its shards are loaded by then, where nothing hinders it.
pub const OPENS_MS: u64 = 2_000;
/// Products are changed and looked at within this time.
const CATALOG_MS: u64 = 30_000;

/// When somebody is awake in a run of days: from and for how long, in milliseconds.
pub fn awake(seed: Seed) -> Vec<(u64, u64)> {
    days::phases(seed)
}

/// Whether lines are kept for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The hash alone.
    Hash,
    /// Lines and stocks too.
    Lines,
}

/// Bugs planted into the adapters of this world, to see whether they are found. The product has none of these switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plants {
    /// A forwarder takes its entries for published before the broker says so (zoo 1).
    pub acknowledge_before_publishing: bool,
    /// A forwarder takes an unknown publication for done (zoo 2).
    pub unknown_publish_is_done: bool,
    /// Intake takes a batch for decided before its transaction (zoo 11).
    pub commit_before_deciding: bool,
    /// A relay takes its events for published before the broker says so (zoo 28).
    pub watermark_before_publishing: bool,
    /// The sweep of overdue orders finds nothing (zoo 53).
    pub no_sweep: bool,
    /// A look-up at the level `log` tells of an acceptance that the durable log has not.
    pub tell_what_is_not_durable: bool,
    /// An invalidator tells of changes without writing their floors (zoo 36).
    pub no_floor: bool,
    /// Nobody is told of changes, and no floor is written.
    pub no_invalidation: bool,
    /// The index takes documents of any version (zoo 40).
    pub any_version: bool,
    /// The embedded log does not look whether a sync failed (zoo 57).
    pub ignore_failed_sync: bool,
    /// Late money that went back long ago reserves once more when its event is delivered again.
    pub reserve_for_settled_money: bool,
}

/// Runs a plan to its end: safety all the way, then everything is healed and must drain.
pub fn run(plan: &Plan, keep: Keep) -> Report {
    run_with(plan, keep, Plants::default())
}

/// The same with planted bugs.
pub fn run_with(plan: &Plan, keep: Keep, plants: Plants) -> Report {
    let trace = match keep {
        Keep::Hash => Trace::default(),
        Keep::Lines => Trace::kept(),
    };
    let mut world = World::new(plan, trace, plants);
    if plan.setup.embedded && !cfg!(feature = "disk") {
        world.count("left out: no disk in this build");
        return report(world);
    }
    world.search.takes_any_version = plants.any_version;
    // An assertion of the product is a finding like any other.
    let ran = catch_unwind(AssertUnwindSafe(|| drive(&mut world)));
    if let Err(panic) = ran {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let text = text.unwrap_or_else(|| "a panic without a text".to_owned());
        world.violate(headline::named_in(&text).map_or("panic", Check::id), text);
    }
    report(world)
}

fn report(mut world: World) -> Report {
    let trace = std::mem::take(&mut world.trace);
    Report {
        plan: world.plan.as_ref().clone(),
        trace,
        ended_at_us: world.now_us,
        violation: world.violation.take(),
        faults: std::mem::take(&mut world.faults),
        counts: std::mem::take(&mut world.counts),
    }
}

fn drive(world: &mut World) {
    prepare_sale(world);
    if days::is_long(&world.setup) {
        return days::drive(world);
    }
    world.hosts.push(Host::new("buyers", 0));
    world.hosts[0].is_up = true;
    for role in roles::ROLES.into_iter().chain(roles::FURTHER) {
        for instance in 0..roles::instances(&world.setup, role) {
            world.hosts.push(Host::new(role, instance));
        }
    }
    match world.setup.embedded {
        true => embedded::start(world),
        false => (1..world.hosts.len()).for_each(|host| world.start_host(host)),
    }
    note_surplus(world);
    strikes::plan(world);
    buyer::arrive(world);
    if world.has_role("invalidator") || world.has_role("indexer") {
        catalog::plan(world, CATALOG_MS);
    }
    let last_ms = world.plan.strikes.iter().map(|strike| strike.at_ms + strike.for_ms).max().unwrap_or(0);
    let (horizon_us, last_us) = (world.setup.horizon_ms * 1000, last_ms * 1000);
    while world.now_us < horizon_us && world.violation.is_none() {
        // When nobody wants anything any more and nothing is to go wrong, the rest of the time shows nothing new.
        if world.now_us > last_us.max(OPENS_MS * 1000) && !world.buyers.are_busy() {
            break;
        }
        world.run_until(world.now_us + 1_000_000);
    }
    if world.violation.is_none() {
        rest::conclude(world);
    }
}

/// A group with more members than partitions leaves some of them without any (P9).
fn note_surplus(world: &mut World) {
    for group in Group::ALL {
        let members = roles::instances(&world.setup, group.role());
        if members > PARTITIONS {
            world.faults.inject(FaultKind::P9);
            world.faults.take_effect(FaultKind::P9, "an attendance");
        }
    }
}

fn prepare_sale(world: &mut World) {
    let sale = world.sale;
    let starts_at = clock::BEGIN.after_ms(OPENS_MS - 500);
    let new = NewSale {
        id: sale,
        title: "Demo".to_owned(),
        window: Window { starts_at, ends_at: starts_at.after_ms(world.setup.sale_ms) },
        limit: world.setup.limit,
        hold_ms: world.setup.hold_ms,
        shards: world.setup.shards,
        ack: AckLevel::Redis,
        currency: Currency::parse("EUR").expect("three letters"),
    };
    let sku = |(number, stock): (usize, &u64)| NewSku {
        sku: world.skus[number],
        product: ProductId::parse(&format!("product-{number}")).expect("a short name"),
        name: "one".to_owned(),
        price_minor: 100 + number as u64,
        stock: *stock,
    };
    let skus = world.setup.stock.iter().enumerate().map(sku).collect();
    for command in [
        SaleCommand::Create(new),
        SaleCommand::AddSkus { sale, skus },
        SaleCommand::Enter { sale, state: SaleState::Open },
    ] {
        let done = strikes::command_now(world, &Command::Sale(command));
        assert!(done, "the plan's sale can be made");
    }
}
