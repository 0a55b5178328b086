//! The oracle as things happen: after every transaction the rows that it touched, after every command the memory.

use super::world::{Address, World};
use crate::services::database::Commit;
use crate::trace::{Kind, Stock};
use doorbuster_core::database::event::Event;
use doorbuster_core::database::rows::{OrderRow, Phase};
use doorbuster_core::ids::{Epoch, Seq, ShardId, SkuId, UserId};
use doorbuster_core::ledger::shard::ShardState;
use doorbuster_core::oracle::probe::Probe;
use std::collections::{BTreeMap, BTreeSet};

/// What is kept beside the rows, so that a check costs only what was touched.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Everything that was reported, in the order of the effects.
    pub probes: Vec<Probe>,
    /// Units that orders hold, by shard and SKU, counted apart from the rows' own sums.
    held: BTreeMap<(ShardId, SkuId), i64>,
    /// Units that users hold.
    live: BTreeMap<UserId, i64>,
    published: BTreeSet<(ShardId, Epoch, Seq)>,
    decided: BTreeSet<(ShardId, Epoch, Seq)>,
    /// Memories that were rolled back: what they end once more is not ended twice.
    pub rolled_back: BTreeSet<(ShardId, Epoch)>,
}

/// Something was reported.
pub fn probe(world: &mut World, from: Address, probe: Probe) {
    let stale = matches!(from, Address::Node(n) if n != world.primary);
    match &probe {
        Probe::Published { shard, epoch, seq } => drop(world.watch.published.insert((*shard, *epoch, *seq))),
        Probe::EntryDecided { shard, epoch, seq, .. } => drop(world.watch.decided.insert((*shard, *epoch, *seq))),
        Probe::EntryAcked { shard, epoch, seq } if !world.watch.published.contains(&(*shard, *epoch, *seq)) => {
            world.violate(
                "S10",
                format!("entry {}-{} of {shard} was acknowledged before it was durable", epoch.0, seq.0),
            );
        }
        Probe::OffsetCommitted { shard, epoch, seq } if !world.watch.decided.contains(&(*shard, *epoch, *seq)) => {
            let what = format!("the offset behind entry {}-{} of {shard} was kept before its effects", epoch.0, seq.0);
            world.violate("S10", what);
        }
        // The old primary's queue and pages are not the platform's any more.
        Probe::TaskScheduled { .. } | Probe::Claimed { .. } | Probe::Recovered { .. } | Probe::Completed { .. }
            if stale =>
        {
            return;
        }
        Probe::UnitsReleased { shard, epoch, .. } if stale || world.watch.rolled_back.contains(&(*shard, *epoch)) => {
            return;
        }
        Probe::EntryAcked { .. }
        | Probe::OffsetCommitted { .. }
        | Probe::OrderMoved { .. }
        | Probe::OutboxInserted { .. }
        | Probe::EventPublished { .. }
        | Probe::EventApplied { .. }
        | Probe::UnitsReleased { .. }
        | Probe::TaskScheduled { .. }
        | Probe::Claimed { .. }
        | Probe::Recovered { .. }
        | Probe::Completed { .. }
        | Probe::EpochOpened { .. } => {}
    }
    world.watch.probes.push(probe);
}

/// A transaction was committed: I1, I2, I3, S1, S3, S6, S9 on what it touched.
pub fn committed(world: &mut World, commit: &Commit) {
    let change = &commit.decision.change;
    for order in change.rows.orders.values() {
        let before = commit.before.orders.get(&order.id);
        if let Some(what) = moved(before, order, &change.events) {
            world.violate(what.0, what.1);
        }
        let watch = &mut world.watch;
        count(watch, before, -1);
        count(watch, Some(order), 1);
        let live = watch.live.get(&order.user).copied().unwrap_or(0);
        let limit = i64::from(world.setup.limit);
        if live > limit {
            world.violate("S3", format!("{} holds {live} units, the limit is {limit}", order.user));
        }
    }
    for ((shard, sku), row) in &change.rows.stock {
        let held = world.watch.held.get(&(*shard, *sku)).copied().unwrap_or(0);
        if row.consumed > row.granted {
            world.violate("I1", format!("{shard}, {sku}: {row:?}"));
        }
        if held != row.consumed as i64 {
            world.violate("I3", format!("{shard}, {sku}: consumed {}, orders hold {held}", row.consumed));
        }
        total(world, *sku);
    }
    for (_, sku) in change.rows.skus.keys() {
        total(world, *sku);
    }
    for (shard, row) in &change.rows.shards {
        let before = commit.before.shards.get(shard);
        let back = before.is_some_and(|before| (before.epoch, before.cursor) > (row.epoch, row.cursor));
        if back {
            world.violate("S26", format!("{shard} goes back from {before:?} to {row:?}"));
        }
    }
    if world.trace.keeps_lines() {
        let name = world.names.database.clone();
        let (rows, events) = (change.rows.len(), change.events.len());
        world.tell(&name, Kind::Committed, None, || {
            format!("{rows} rows, {events} events: {:?}", commit.decision.reply)
        });
        stocks(world);
    }
}

fn count(watch: &mut Watch, order: Option<&OrderRow>, sign: i64) {
    let Some(order) = order else { return };
    for line in order.held_lines() {
        *watch.held.entry((order.id.shard, line.sku)).or_default() += sign * i64::from(line.quantity);
        *watch.live.entry(order.user.clone()).or_default() += sign * i64::from(line.quantity);
    }
}

fn moved(before: Option<&OrderRow>, order: &OrderRow, events: &[Event]) -> Option<(&'static str, String)> {
    let told = events.iter().any(|event| matches!(event, Event::OrderChanged(row) if row == order));
    if !told {
        return Some(("S9", format!("{} changed without an event", order.id)));
    }
    let before = before?;
    if before.status != order.status && before.status.step(order.status).is_err() {
        return Some(("S6", format!("{} went from {:?} to {:?}", order.id, before.status, order.status)));
    }
    (order.version <= before.version).then(|| ("S11", format!("{} changed under one version", order.id)))
}

/// I2 and S1 of one SKU over all shards.
fn total(world: &mut World, sku: SkuId) {
    let sale = world.sale;
    let Some(row) = world.database.rows().skus.get(&(sale, sku)).cloned() else { return };
    let (mut granted, mut held) = (0, 0);
    for shard in world.shards() {
        granted += world.database.rows().stock.get(&(shard, sku)).map_or(0, |row| row.granted);
        held += world.watch.held.get(&(shard, sku)).copied().unwrap_or(0);
    }
    if granted + row.pool != row.total {
        world.violate("I2", format!("{sku}: granted {granted} + pool {} is not total {}", row.pool, row.total));
    }
    if held > row.total as i64 {
        world.violate("S1", format!("orders hold {held} of {} units of {sku}", row.total));
    }
}

/// A server ran a command: I4 and S2 of the memory that it was about.
pub fn memory(world: &mut World, node: usize, shard: Option<ShardId>) {
    let Some(found) = shard.and_then(|shard| world.nodes[node].store.shard(shard)) else { return };
    let Some(meta) = found.meta() else { return };
    if matches!(meta.state, ShardState::Loading) {
        return;
    }
    let broken = found.counters().find_map(|(sku, counter)| {
        let sound = counter.available <= counter.granted && counter.live <= counter.granted;
        let whole = counter.available.checked_add(counter.live) == Some(counter.granted);
        match (sound, whole) {
            (false, _) => Some(("S2", format!("{shard:?}, {sku}: {counter:?}"))),
            (true, false) if meta.state != ShardState::Sealed => Some(("I4", format!("{shard:?}, {sku}: {counter:?}"))),
            (true, _) => None,
        }
    });
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
    for shard in world.shards() {
        let row = world.database.rows().shards.get(&shard);
        world.watch.rolled_back.extend(row.map(|row| (shard, row.epoch)));
    }
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
            let found = world.nodes[world.primary].store.shard(shard).filter(|_| open);
            let counter = found.and_then(|shard| shard.counters().find(|(of, _)| *of == sku));
            available += counter.map_or(0, |(_, counter)| counter.available);
        }
        world.trace.stocks.push(Stock { at_us, sku: number, available, held, sold });
    }
}
