//! The oracle as things happen on the event heap: what was committed, reported, and done to a memory.

use super::world::{Address, World};
use crate::services::database::Commit;
use crate::trace::{Kind, Stock};
use crate::worlds::watch;
use doorbuster_core::database::rows::Phase;
use doorbuster_core::ids::{ShardId, UserId};
use doorbuster_core::oracle::history::Exchange;
use doorbuster_core::oracle::probe::Probe;
use std::collections::BTreeMap;

/// Something was reported.
pub fn probe(world: &mut World, from: Address, probe: Probe) {
    // Behind a gap an entry is passed over, because the row asks for all that follows to be sent again.
    if world.durable_lost && matches!(probe, Probe::OffsetCommitted { .. }) {
        return;
    }
    let stale = matches!(from, Address::Node(n) if n != world.primary);
    if let Some((id, what)) = world.watch.report(probe, stale) {
        world.violate(id, what);
    }
}

/// A client was told something.
pub fn told(world: &mut World, user: &UserId, exchange: &Exchange) {
    if let Some((id, what)) = world.watch.told(user, exchange) {
        world.violate(id, what);
    }
}

/// A transaction was committed.
pub fn committed(world: &mut World, commit: &Commit) {
    if let Some((id, what)) = world.watch.committed(commit, world.database.rows()) {
        world.violate(id, what);
    }
    for row in commit.decision.change.rows.products.values() {
        super::catalog::written(world, row);
    }
    if world.has_role("sales") {
        super::sold::committed(world, commit);
    }
    if world.trace.keeps_lines() {
        let name = world.names.database.clone();
        let change = &commit.decision.change;
        let (rows, events) = (change.rows.len(), change.events.len());
        world.tell(&name, Kind::Committed, None, || {
            format!("{rows} rows, {events} events: {}", super::brief::brief(&commit.decision.reply))
        });
        stocks(world);
    }
}

/// Search shows a document.
pub fn shown(world: &mut World, document: &doorbuster_core::search::document::Document) {
    super::sold::shown(world, document);
}

/// A server ran a command on the memory of this shard.
pub fn memory(world: &mut World, node: usize, shard: Option<ShardId>) {
    let Some(found) = shard.and_then(|shard| world.platform.memory(&world.nodes[node], shard)) else { return };
    let (Some(shard), Some(meta)) = (shard, found.meta()) else { return };
    let counted = watch::memory(shard, meta.state, found.counters());
    // A memory that begins to sell was just filled: its pages must hold what its counters say.
    let broken = match world.watch.is_new(meta.state, (shard, meta.epoch, meta.nonce)) {
        true => counted.or_else(|| Some(("I4", format!("{shard}: {}", found.scan().err()?)))),
        false => counted,
    };
    if let Some((id, what)) = broken {
        world.violate(id, what);
    }
}

/// Another server is in charge now: claims that it does not know have ended, and those that it knows go on.
pub fn queue_changed(world: &mut World, before: &doorbuster_core::delay::queue::Queue) {
    let claims = |queue: &doorbuster_core::delay::queue::Queue| {
        let claimed = queue.tasks().filter_map(|(order, _, token)| Some((order, token?.0)));
        claimed.collect::<BTreeMap<_, _>>()
    };
    let (old, new) = (claims(before), claims(&world.nodes[world.primary].store.queue));
    world.watch.probes.extend(old.keys().map(|task| Probe::Recovered { task: *task }));
    world.watch.probes.extend(new.into_iter().map(|(task, token)| Probe::Claimed { task, token }));
}

fn stocks(world: &mut World) {
    let at_us = world.now_us;
    for (number, sku) in world.skus.clone().into_iter().enumerate() {
        let (mut available, mut held, mut sold) = (0, 0, 0);
        for row in world.database.rows().orders.values() {
            let units: u64 =
                row.held_lines().iter().filter(|line| line.sku == sku).map(|line| u64::from(line.quantity)).sum();
            let unpaid = row.status == doorbuster_core::order::status::Status::PendingPayment;
            *(if unpaid { &mut held } else { &mut sold }) += units;
        }
        for shard in world.shards() {
            let open = world.database.rows().shards.get(&shard).is_some_and(|row| row.phase == Phase::Open);
            let found = world.platform.memory(&world.nodes[world.primary], shard).filter(|_| open);
            let counter = found.and_then(|shard| shard.counters().find(|(of, _)| *of == sku));
            available += counter.map_or(0, |(_, counter)| counter.available);
        }
        world.trace.stocks.push(Stock { at_us, sku: number, available, held, sold });
    }
}
