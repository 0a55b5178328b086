//! The wire world: the shells of the product over a simulated network.
//!
//! Every role is a process on a host of its own, with the shipped driver, the real Redis client, the real web server and
//! the shipped scripts; between hosts there are only bytes. The outside services are the same machines as on the event
//! heap, each behind a connection. One thread, no clock, no hash order: a plan and its seed are the whole run.

mod answer;
mod buyer;
mod carriers;
mod catalog;
mod crowd;
mod failover;
mod hours;
mod http;
mod link;
mod memory;
pub mod ports;
mod process;
mod queue;
mod redis;
mod rest;
mod roles;
pub mod rpc;
mod scene;
mod service;
mod shopping;
mod stage;
mod stream;
mod strikes;
mod world;

use crate::fault::FaultKind;
use crate::plan::{Acknowledge, HOURS_MS, Plan};
use crate::report::Report;
use crate::services::broker::PARTITIONS;
use crate::trace::Trace;
use crate::worlds::fast::Keep;
use crate::worlds::fast::clock::BEGIN;
use crate::worlds::fast::roles::instances;
use doorbuster_core::database::command::Command;
use doorbuster_core::database::rows::{AckLevel, Currency, SaleState};
use doorbuster_core::ids::ProductId;
use doorbuster_core::ledger::shard::Window;
use doorbuster_core::sale::command::{NewSale, NewSku, SaleCommand};
use world::World;

/// The sale opens so many milliseconds after the run begins: its shards are loaded by then, where nothing hinders it.
pub const OPENS_MS: u64 = 3_000;

/// Runs a plan to its end: safety all the way, then everything is healed and must drain. A panic of the product is the
/// caller's to catch: it ends the host that it happened on, and the world with it.
pub fn run(plan: &Plan, keep: Keep) -> Report {
    let trace = match keep {
        Keep::Hash => Trace::default(),
        Keep::Lines => Trace::kept(),
    };
    let mut world = World::new(plan, trace);
    prepare_sale(&mut world);
    note_surplus(&world);
    strikes::plan(&mut world);
    shopping::plan(&mut world);
    drive(&mut world);
    let ended_at_us = world.now_us();
    let mut state = world.scene.state();
    Report {
        plan: plan.clone(),
        trace: std::mem::take(&mut state.trace),
        ended_at_us,
        violation: state.violation.take(),
        faults: std::mem::take(&mut state.faults),
        counts: std::mem::take(&mut state.counts),
    }
}

fn drive(world: &mut World) {
    let strikes = world.plan.strikes.iter().filter(|strike| strike.at_ms < HOURS_MS);
    let last_ms = strikes.map(|strike| strike.at_ms + strike.for_ms).max().unwrap_or(0);
    let catalog_ms = if shopping::is_on(world) { shopping::CATALOG_MS } else { 0 };
    let (horizon_us, last_us) = (world.plan.setup.horizon_ms * 1000, last_ms.max(OPENS_MS).max(catalog_ms) * 1000);
    while world.now_us() < horizon_us && !world.is_broken() {
        // When nobody wants anything any more and nothing is to go wrong, the rest of the time shows nothing new.
        if world.now_us() > last_us && world.crowd.is_quiet() {
            break;
        }
        world.run_for(500);
    }
    hours::pass(world);
    if !world.is_broken() {
        rest::conclude(world);
    }
}

/// A group with more members than partitions leaves some of them without any (P9).
fn note_surplus(world: &World) {
    for group in world.groups() {
        let members = instances(&world.plan.setup, group.role());
        if members > PARTITIONS {
            let mut state = world.scene.state();
            state.faults.inject(FaultKind::P9);
            state.faults.take_effect(FaultKind::P9, "an attendance");
        }
    }
}

fn prepare_sale(world: &mut World) {
    let (sale, setup) = (world.sale, world.plan.setup.clone());
    let starts_at = BEGIN.after_ms(OPENS_MS - 500);
    let ack = match setup.acknowledge {
        Acknowledge::Redis => AckLevel::Redis,
        Acknowledge::Replica => AckLevel::Replica,
        Acknowledge::Log => AckLevel::Log,
    };
    let new = NewSale {
        id: sale,
        title: "Demo".to_owned(),
        window: Window { starts_at, ends_at: starts_at.after_ms(setup.sale_ms) },
        limit: setup.limit,
        hold_ms: setup.hold_ms,
        shards: setup.shards,
        ack,
        currency: Currency::parse("EUR").expect("three letters"),
    };
    let sku = |(number, stock): (usize, &u64)| NewSku {
        sku: world.crowd.skus[number],
        product: ProductId::parse(&format!("product-{number}")).expect("a short name"),
        name: "one".to_owned(),
        price_minor: 100 + number as u64,
        stock: *stock,
    };
    let skus = setup.stock.iter().enumerate().map(sku).collect();
    for command in [
        SaleCommand::Create(new),
        SaleCommand::AddSkus { sale, skus },
        SaleCommand::Enter { sale, state: SaleState::Open },
    ] {
        let done = world.command_now(&Command::Sale(command));
        assert!(done, "the plan's sale can be made");
    }
}
