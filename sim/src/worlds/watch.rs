//! The oracle as things happen, for every world: after every transaction the rows that it touched, after every report
//! the order of effects, after every command a shard's memory.

use crate::services::database::Commit;
use doorbuster_core::database::event::Event;
use doorbuster_core::database::rows::OrderRow;
use doorbuster_core::database::tables::Rows;
use doorbuster_core::ids::{Epoch, Key, Nonce, OrderId, ReservationId, SaleId, Seq, ServerId, ShardId, SkuId, UserId};
use doorbuster_core::intake::Alarm;
use doorbuster_core::ledger::shard::{Counter, ShardState};
use doorbuster_core::oracle::headline;
use doorbuster_core::oracle::history::Exchange;
use doorbuster_core::oracle::probe::Probe;
use doorbuster_core::oracle::safety::partitions::StreamOrder;
use doorbuster_core::oracle::verdict::Check;
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
    /// Pages that were ended, each in one server's memory: a promoted copy may end once more what it has not seen end.
    released: BTreeSet<(ShardId, ServerId, Epoch, ReservationId)>,
    /// Where the durable log has each reservation of each epoch.
    logged: BTreeMap<(ShardId, Epoch, ReservationId), Seq>,
    /// Entries of the durable log whose reservations are known.
    told_entries: BTreeSet<(ShardId, Epoch, Seq)>,
    /// Where each key was accepted in each epoch, as its buyer was told.
    accepted: BTreeMap<(UserId, Key, Epoch), Seq>,
    /// Acceptances that an event has told of as lost.
    told_lost: BTreeSet<(OrderId, (Epoch, Seq))>,
    /// How the outbox's change stream is read.
    stream: StreamOrder,
    opened: BTreeSet<(ShardId, Epoch, Nonce)>,
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
            released: BTreeSet::new(),
            logged: BTreeMap::new(),
            told_entries: BTreeSet::new(),
            accepted: BTreeMap::new(),
            told_lost: BTreeSet::new(),
            stream: StreamOrder::default(),
            opened: BTreeSet::new(),
        }
    }

    /// Something was reported; `stale` by a server that is not in charge.
    pub fn report(&mut self, probe: Probe, stale: bool) -> Option<Broken> {
        let mut broken = Vec::new();
        match &probe {
            Probe::Published { shard, epoch, seq } => drop(self.published.insert((*shard, *epoch, *seq))),
            Probe::ReservationPublished { shard, epoch, seq, id } => {
                self.told_entries.insert((*shard, *epoch, *seq));
                let first = *self.logged.entry((*shard, *epoch, *id)).or_insert(*seq);
                if first != *seq {
                    let what = format!("{shard}.{id} was accepted at {first:?} and at {seq:?} of epoch {}", epoch.0);
                    broken.push((Check::S15, what));
                }
            }
            Probe::EntryDecided { shard, epoch, seq, .. } => drop(self.decided.insert((*shard, *epoch, *seq))),
            Probe::EntryAcked { shard, epoch, seq } if !self.published.contains(&(*shard, *epoch, *seq)) => {
                let what = format!("entry {}-{} of {shard} was acknowledged before it was durable", epoch.0, seq.0);
                broken.push((Check::S10, what));
            }
            Probe::OffsetCommitted { shard, epoch, seq } if !self.decided.contains(&(*shard, *epoch, *seq)) => {
                let what =
                    format!("the offset behind entry {}-{} of {shard} was kept before its effects", epoch.0, seq.0);
                broken.push((Check::S10, what));
            }
            // The old primary's queue and pages are not the platform's any more.
            Probe::TaskScheduled { .. } | Probe::Claimed { .. } | Probe::Recovered { .. } | Probe::Completed { .. }
                if stale =>
            {
                return None;
            }
            Probe::UnitsReleased { shard, server, epoch, id } => {
                if !self.released.insert((*shard, *server, *epoch, *id)) {
                    broken.push((Check::S7, format!("{shard}.{id} was given back twice in epoch {}", epoch.0)));
                }
            }
            Probe::RecordAppended { .. }
            | Probe::RecordSent { .. }
            | Probe::PartitionRead { .. }
            | Probe::PartitionMarked { .. }
            | Probe::PartitionFinished { .. } => {
                let misread = self.stream.absorb(&probe);
                broken.extend(misread.map(|(token, what)| (Check::S19, format!("partition {} {what}", token.0))));
            }
            Probe::EntryAcked { .. }
            | Probe::OffsetCommitted { .. }
            | Probe::OrderMoved { .. }
            | Probe::OutboxInserted { .. }
            | Probe::EventPublished { .. }
            | Probe::EventApplied { .. }
            | Probe::TaskScheduled { .. }
            | Probe::Claimed { .. }
            | Probe::Recovered { .. }
            | Probe::Completed { .. }
            | Probe::EpochOpened { .. } => {}
        }
        self.probes.push(probe);
        named(broken)
    }

    /// A client was told something: S15 of one epoch, in which no key is free again once it was accepted.
    pub fn told(&mut self, user: &UserId, exchange: &Exchange) -> Option<Broken> {
        let Exchange::Reserve { key, answer, .. } = exchange else { return None };
        let (epoch, seq) = answer.accepted()?.place()?;
        let first = *self.accepted.entry((user.clone(), *key, epoch)).or_insert(seq);
        let what = || format!("{user}, key {key}: accepted at {}-{}, and at {}-{}", epoch.0, first.0, epoch.0, seq.0);
        (first != seq).then(|| ("S15", what()))
    }

    /// A transaction was committed, and these are all rows after it: I1, I2, I3, S1, S3, S4, S6, S9, S25 on what it touched.
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
                broken.push((Check::S3, format!("{} holds {live} units, the limit is {}", order.user, self.limit)));
            }
        }
        broken.extend(self.phantom(commit));
        self.follow_losses(commit, rows, &mut broken);
        broken.extend(self.unaccounted(commit, rows));
        for ((shard, sku), row) in &change.rows.stock {
            let held = self.held.get(&(*shard, *sku)).copied().unwrap_or(0);
            if row.consumed > row.granted {
                broken.push((Check::I1, format!("{shard}, {sku}: {row:?}")));
            }
            if held != row.consumed as i64 {
                broken.push((Check::I3, format!("{shard}, {sku}: consumed {}, orders hold {held}", row.consumed)));
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
                broken.push((Check::S26, format!("{shard} goes back from {before:?} to {row:?}")));
            }
        }
        named(broken)
    }

    /// S25 of what events tell: an acceptance that is told as lost is no order at its place, neither now nor later.
    fn follow_losses(&mut self, commit: &Commit, rows: &Rows, broken: &mut Vec<headline::Broken>) {
        let change = &commit.decision.change;
        for event in &change.events {
            let Event::ReservationLost { order, epoch, seq, .. } = event else { continue };
            self.told_lost.insert((*order, (*epoch, *seq)));
            if rows.orders.get(order).and_then(place_of) == Some((*epoch, *seq)) {
                let what = format!("{order} is told as lost at {}-{}, and is the order of that entry", epoch.0, seq.0);
                broken.push((Check::S25, what));
            }
        }
        for order in change.rows.orders.values().filter(|order| !commit.before.orders.contains_key(&order.id)) {
            let Some((epoch, seq)) = place_of(order) else { continue };
            if self.told_lost.contains(&(order.id, (epoch, seq))) {
                let what = format!("{} was told as lost at {}-{}, and becomes that order", order.id, epoch.0, seq.0);
                broken.push((Check::S25, what));
            }
        }
    }

    /// Whether nobody has looked at this memory since it began to sell: then its pages are worth a scan.
    pub fn is_new(&mut self, state: ShardState, memory: (ShardId, Epoch, Nonce)) -> bool {
        matches!(state, ShardState::Open | ShardState::Stopped) && self.opened.insert(memory)
    }

    /// S4 as orders are made: each stems from a reservation in the entry that it names. Of an entry whose
    /// reservations are not known nothing can be said.
    fn phantom(&self, commit: &Commit) -> Option<headline::Broken> {
        let orders = commit.decision.change.rows.orders.values();
        let mut fresh = orders.filter(|order| !commit.before.orders.contains_key(&order.id));
        fresh.find_map(|order| {
            let (shard, (epoch, seq)) = (order.id.shard, place_of(order)?);
            let is_told = self.told_entries.contains(&(shard, epoch, seq));
            let stems = self.logged.get(&(shard, epoch, order.id.reservation)) == Some(&seq);
            let what = || format!("{} is no reservation of entry {}-{}", order.id, epoch.0, seq.0);
            (is_told && !stems).then(|| (Check::S4, what()))
        })
    }

    /// I3 where an order was written and its stock row was not: the units that it holds stand in no sum.
    fn unaccounted(&self, commit: &Commit, rows: &Rows) -> Option<headline::Broken> {
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
            (held != consumed).then(|| (Check::I3, what()))
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
    fn total(&self, rows: &Rows, sku: SkuId) -> Option<headline::Broken> {
        let row = rows.skus.get(&(self.sale, sku))?;
        let (mut granted, mut held) = (0, 0);
        for k in 0..self.shards {
            let shard = ShardId { sale: self.sale, k };
            granted += rows.stock.get(&(shard, sku)).map_or(0, |row| row.granted);
            held += self.held.get(&(shard, sku)).copied().unwrap_or(0);
        }
        if granted + row.pool != row.total {
            let what = format!("{sku}: granted {granted} + pool {} is not total {}", row.pool, row.total);
            return Some((Check::I2, what));
        }
        let oversold = held > row.total as i64;
        oversold.then(|| (Check::S1, format!("orders hold {held} of {} units of {sku}", row.total)))
    }
}

/// Where an order's acceptance stands in the log; nowhere when its key was given up.
fn place_of(order: &OrderRow) -> Option<(Epoch, Seq)> {
    order.origin.as_ref().map(|origin| (origin.acceptance.epoch, origin.acceptance.seq))
}

fn named(broken: Vec<headline::Broken>) -> Option<Broken> {
    headline::name(broken).map(|(check, what)| (check.id(), what))
}

fn moved(before: Option<&OrderRow>, order: &OrderRow, events: &[Event]) -> Option<headline::Broken> {
    let told = events.iter().any(|event| matches!(event, Event::OrderChanged(row) if row == order));
    if !told {
        return Some((Check::S9, format!("{} changed without an event", order.id)));
    }
    let before = before?;
    if before.status != order.status && before.status.step(order.status).is_err() {
        return Some((Check::S6, format!("{} went from {:?} to {:?}", order.id, before.status, order.status)));
    }
    (order.version <= before.version).then(|| (Check::S11, format!("{} changed under one version", order.id)))
}

/// The promise that is broken when intake meets this; where the alarm says no more, it is called by its name.
pub fn shown_by(alarm: &Alarm) -> &'static str {
    match alarm {
        // The same key was accepted at a second place, though its first acceptance is an order.
        Alarm::AlreadyAlive(_) => "S15",
        Alarm::EpochFromNowhere(..) => "S26",
        // A later entry is in the durable log and this one is not: the shard's log was carried over with a hole in it.
        Alarm::Gap(..) => "L1",
        Alarm::LedgerBroken(..) => "alarm",
    }
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
        let whole = counter.available.checked_add(counter.live) == Some(counter.granted);
        let sound = counter.available <= counter.granted && counter.live <= counter.granted;
        // Below zero, or more live than there is: more units were taken than given. A free one too many was given twice.
        let overdrawn = i64::try_from(counter.available).is_err() || counter.live > counter.granted;
        let what = format!("{shard}, {sku}: {counter:?}");
        match (sound, whole) {
            (true, true) => None,
            (false, _) if overdrawn => Some(("S2", what)),
            (false, false) => Some(("I4", format!("{what} (also broken: S2)"))),
            (false, true) => Some(("S2", what)),
            (true, false) => Some(("I4", what)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn released(server: u128, epoch: u64) -> Probe {
        let (sale, user) = (SaleId::parse("demo").expect("a name"), UserId::parse("buyer").expect("a name"));
        let order = OrderId::derive(sale, 1, &user, &Key::parse("click").expect("a short key"));
        let (server, epoch) = (ServerId(server), Epoch(epoch));
        Probe::UnitsReleased { shard: order.shard, server, epoch, id: order.reservation }
    }

    /// What is found at each of these, one after the other.
    fn found(reports: &[(Probe, bool)]) -> Vec<Option<&'static str>> {
        let mut watch = Watch::new(SaleId::parse("demo").expect("a name"), 1, 1);
        reports.iter().map(|(probe, stale)| Some(watch.report(probe.clone(), *stale)?.0)).collect()
    }

    #[test]
    fn s7_one_memory_gives_a_unit_back_once_whether_its_server_is_in_charge_or_not() {
        assert_eq!(found(&[(released(1, 1), false), (released(1, 1), false)]), [None, Some("S7")]);
        assert_eq!(found(&[(released(1, 1), false), (released(1, 1), true)]), [None, Some("S7")]);
        let promoted = [(released(1, 1), false), (released(2, 1), false), (released(2, 1), false)];
        assert_eq!(found(&promoted), [None, None, Some("S7")]);
    }

    #[test]
    fn s7_a_copy_ends_once_more_what_it_has_not_seen_end_and_so_does_the_next_epoch() {
        // The copy may be of an epoch that the row has left: a closed shard's memory is never loaded again.
        assert_eq!(found(&[(released(1, 1), false), (released(2, 1), false), (released(2, 2), false)]), [None; 3]);
    }
}
