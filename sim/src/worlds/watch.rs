//! The oracle as things happen, for every world: after every transaction the rows that it touched, after every report
//! the order of effects, after every command a shard's memory.

use crate::services::database::Commit;
use doorbuster_core::database::event::Event;
use doorbuster_core::database::rows::OrderRow;
use doorbuster_core::database::tables::Rows;
use doorbuster_core::ids::{Epoch, SaleId, Seq, ShardId, SkuId, UserId};
use doorbuster_core::ledger::shard::{Counter, ShardState};
use doorbuster_core::oracle::probe::Probe;
use std::collections::{BTreeMap, BTreeSet};

/// An invariant's id, and what was found.
pub type Broken = (&'static str, String);

/// What is kept beside the rows, so that a check costs only what was touched.
#[derive(Clone, Debug)]
pub struct Watch {
    sale: SaleId,
    shards: u16,
    limit: u32,
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

impl Watch {
    /// Over a sale with so many shards, in which a user may hold so many units.
    pub fn new(sale: SaleId, shards: u16, limit: u32) -> Watch {
        Watch {
            sale,
            shards,
            limit,
            probes: Vec::new(),
            held: BTreeMap::new(),
            live: BTreeMap::new(),
            published: BTreeSet::new(),
            decided: BTreeSet::new(),
            rolled_back: BTreeSet::new(),
        }
    }

    /// Something was reported; `stale` by a server that is not in charge.
    pub fn report(&mut self, probe: Probe, stale: bool) -> Option<Broken> {
        let mut broken = None;
        match &probe {
            Probe::Published { shard, epoch, seq } => drop(self.published.insert((*shard, *epoch, *seq))),
            Probe::EntryDecided { shard, epoch, seq, .. } => drop(self.decided.insert((*shard, *epoch, *seq))),
            Probe::EntryAcked { shard, epoch, seq } if !self.published.contains(&(*shard, *epoch, *seq)) => {
                let what = format!("entry {}-{} of {shard} was acknowledged before it was durable", epoch.0, seq.0);
                broken = Some(("S10", what));
            }
            Probe::OffsetCommitted { shard, epoch, seq } if !self.decided.contains(&(*shard, *epoch, *seq)) => {
                let what =
                    format!("the offset behind entry {}-{} of {shard} was kept before its effects", epoch.0, seq.0);
                broken = Some(("S10", what));
            }
            // The old primary's queue and pages are not the platform's any more.
            Probe::TaskScheduled { .. } | Probe::Claimed { .. } | Probe::Recovered { .. } | Probe::Completed { .. }
                if stale =>
            {
                return None;
            }
            Probe::UnitsReleased { shard, epoch, .. } if stale || self.rolled_back.contains(&(*shard, *epoch)) => {
                return None;
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
        self.probes.push(probe);
        broken
    }

    /// A transaction was committed, and these are all rows after it: I1, I2, I3, S1, S3, S6, S9 on what it touched.
    pub fn committed(&mut self, commit: &Commit, rows: &Rows) -> Option<Broken> {
        let mut broken = Vec::new();
        let change = &commit.decision.change;
        for order in change.rows.orders.values() {
            let before = commit.before.orders.get(&order.id);
            broken.extend(moved(before, order, &change.events));
            self.count(before, -1);
            self.count(Some(order), 1);
            let live = self.live.get(&order.user).copied().unwrap_or(0);
            if live > i64::from(self.limit) {
                broken.push(("S3", format!("{} holds {live} units, the limit is {}", order.user, self.limit)));
            }
        }
        broken.extend(self.unaccounted(commit, rows));
        for ((shard, sku), row) in &change.rows.stock {
            let held = self.held.get(&(*shard, *sku)).copied().unwrap_or(0);
            if row.consumed > row.granted {
                broken.push(("I1", format!("{shard}, {sku}: {row:?}")));
            }
            if held != row.consumed as i64 {
                broken.push(("I3", format!("{shard}, {sku}: consumed {}, orders hold {held}", row.consumed)));
            }
            broken.extend(self.total(rows, *sku));
        }
        for (_, sku) in change.rows.skus.keys() {
            broken.extend(self.total(rows, *sku));
        }
        for (shard, row) in &change.rows.shards {
            let before = commit.before.shards.get(shard);
            let back = before.is_some_and(|before| (before.epoch, before.cursor) > (row.epoch, row.cursor));
            if back {
                broken.push(("S26", format!("{shard} goes back from {before:?} to {row:?}")));
            }
        }
        broken.into_iter().next()
    }

    /// I3 where an order was written and its stock row was not: the units that it holds stand in no sum.
    fn unaccounted(&self, commit: &Commit, rows: &Rows) -> Option<Broken> {
        let change = &commit.decision.change;
        let lines = |order: &OrderRow| {
            let shard = order.id.shard;
            order.held_lines().iter().map(|line| (shard, line.sku)).collect::<Vec<_>>()
        };
        let after = change.rows.orders.values().flat_map(lines);
        let before = commit.before.orders.values().flat_map(lines);
        let touched: BTreeSet<(ShardId, SkuId)> = after.chain(before).collect();
        touched.into_iter().filter(|place| !change.rows.stock.contains_key(place)).find_map(|place| {
            let held = self.held.get(&place).copied().unwrap_or(0);
            let consumed = rows.stock.get(&place).map_or(0, |row| row.consumed as i64);
            let what = || format!("{}, {}: consumed {consumed}, orders hold {held}", place.0, place.1);
            (held != consumed).then(|| ("I3", what()))
        })
    }

    fn count(&mut self, order: Option<&OrderRow>, sign: i64) {
        let Some(order) = order else { return };
        for line in order.held_lines() {
            *self.held.entry((order.id.shard, line.sku)).or_default() += sign * i64::from(line.quantity);
            *self.live.entry(order.user.clone()).or_default() += sign * i64::from(line.quantity);
        }
    }

    /// I2 and S1 of one SKU over all shards.
    fn total(&self, rows: &Rows, sku: SkuId) -> Option<Broken> {
        let row = rows.skus.get(&(self.sale, sku))?;
        let (mut granted, mut held) = (0, 0);
        for k in 0..self.shards {
            let shard = ShardId { sale: self.sale, k };
            granted += rows.stock.get(&(shard, sku)).map_or(0, |row| row.granted);
            held += self.held.get(&(shard, sku)).copied().unwrap_or(0);
        }
        if granted + row.pool != row.total {
            let what = format!("{sku}: granted {granted} + pool {} is not total {}", row.pool, row.total);
            return Some(("I2", what));
        }
        let oversold = held > row.total as i64;
        oversold.then(|| ("S1", format!("orders hold {held} of {} units of {sku}", row.total)))
    }
}

fn moved(before: Option<&OrderRow>, order: &OrderRow, events: &[Event]) -> Option<Broken> {
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

/// I4 and S2 of one memory.
pub fn memory(
    shard: ShardId,
    state: ShardState,
    counters: impl IntoIterator<Item = (SkuId, Counter)>,
) -> Option<Broken> {
    if matches!(state, ShardState::Loading) {
        return None;
    }
    counters.into_iter().find_map(|(sku, counter)| {
        let sound = counter.available <= counter.granted && counter.live <= counter.granted;
        let whole = counter.available.checked_add(counter.live) == Some(counter.granted);
        match (sound, whole) {
            (false, _) => Some(("S2", format!("{shard}, {sku}: {counter:?}"))),
            (true, false) if state != ShardState::Sealed => Some(("I4", format!("{shard}, {sku}: {counter:?}"))),
            (true, _) => None,
        }
    })
}
