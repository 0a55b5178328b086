//! Rule 3: intents become orders, entry by entry, one transaction per batch.
//!
//! The cursor is the inbox: an entry at or below it was decided before. Nothing here trusts the shard's counters.

pub mod consumer;

use crate::database::draft::Draft;
use crate::database::event::Event;
use crate::database::rows::{OrderRow, Origin, Phase, SaleRow, SaleState, SealReason, ShardRow};
use crate::database::tables::{Reads, View};
use crate::ids::{Epoch, OrderId, Seq, ShardId, Version};
use crate::ledger::entry::{Entry, EntryKind, Intent, Reserved};
use crate::ledger::page::Acceptance;
use crate::ledger::stock;
use crate::limits::{GRACE_MS, INTAKE_ENTRIES_MAX};
use crate::order::lifecycle::tell_shard;
use crate::order::status::{Rejection, Status};
use std::cmp::Ordering;

/// Consecutive intents of one shard, in the order of their partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IntakeBatch {
    /// Which shard.
    pub shard: ShardId,
    /// At most `INTAKE_ENTRIES_MAX`.
    pub intents: Vec<Intent>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntakeReport {
    /// Orders created.
    pub created: u32,
    /// Entries passed over as decided before or as of an ended epoch.
    pub passed_over: u32,
    /// Reservations that will never be orders.
    pub lost: u32,
    /// Reservations ended at once: refused by policy, or given up before they arrived.
    pub ended: u32,
    /// Things that no sound run can reach; each is worth waking a person.
    pub alarms: Vec<Alarm>,
}

/// What no sound run can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alarm {
    /// An entry is missing before this one.
    Gap(ShardId, Seq),
    /// An entry of a later epoch than the row's.
    EpochFromNowhere(ShardId, Epoch),
    /// An accepted reservation whose order lives already.
    AlreadyAlive(OrderId),
    /// An entry would take what the shard does not have, or break a quota.
    LedgerBroken(ShardId, Seq),
}

/// The rows that `batch` needs: one round.
pub fn reads(batch: &IntakeBatch, _: &View) -> Reads {
    assert!(batch.intents.len() <= INTAKE_ENTRIES_MAX, "one transaction decides a bounded number of entries");
    let (shard, mut reads) = (batch.shard, Reads::default());
    reads.shards.insert(shard);
    reads.sales.insert(shard.sale);
    for intent in &batch.intents {
        assert!(intent.shard() == shard, "one transaction decides one shard's intents");
        let Intent::Entry(_, entry) = intent else { continue };
        match &entry.kind {
            EntryKind::Withdrawn { sku, .. } => {
                reads.stock.insert((shard, *sku));
                reads.skus.insert((shard.sale, *sku));
            }
            EntryKind::Reserved(reservations) => {
                for reservation in reservations {
                    want_reservation(&mut reads, shard, reservation);
                }
            }
        }
    }
    reads
}

fn want_reservation(reads: &mut Reads, shard: ShardId, reservation: &Reserved) {
    reads.orders.insert(OrderId { shard, reservation: reservation.id });
    reads.quotas.insert((shard, reservation.user.clone()));
    for line in reservation.basket.lines() {
        reads.stock.insert((shard, line.sku));
        reads.skus.insert((shard.sale, line.sku));
    }
}

/// Decides `batch`.
pub fn decide(draft: &mut Draft<'_>, batch: &IntakeBatch) -> IntakeReport {
    let mut report = IntakeReport::default();
    let known = draft.sale(&batch.shard.sale).cloned().zip(draft.shard(&batch.shard).cloned());
    // A log that outlived its sale's rows has nothing to decide: no unit exists that it could take.
    let Some((sale, mut shard)) = known else { return report };
    for intent in &batch.intents {
        match intent {
            Intent::Seal(_, epoch) => seal(&mut shard, *epoch),
            Intent::Entry(_, entry) => decide_entry(draft, &sale, &mut shard, entry, &mut report),
        }
    }
    draft.put_shard(shard.id, shard);
    report
}

/// Everything of this epoch is decided, because it stood before the seal in the same partition.
fn seal(shard: &mut ShardRow, epoch: Epoch) {
    if shard.epoch == epoch && shard.phase == Phase::Sealing {
        shard.epoch = epoch.next();
        shard.cursor = Seq(0);
        shard.replay_from = None;
        shard.phase = Phase::Sealed;
    }
}

fn decide_entry(draft: &mut Draft<'_>, sale: &SaleRow, shard: &mut ShardRow, entry: &Entry, report: &mut IntakeReport) {
    match entry.epoch.cmp(&shard.epoch) {
        Ordering::Less => return pass_over_stale(draft, shard.id, entry, report),
        Ordering::Greater => {
            report.alarms.push(Alarm::EpochFromNowhere(shard.id, entry.epoch));
            return shard.begin_sealing(SealReason::EpochFromNowhere);
        }
        Ordering::Equal => {}
    }
    if entry.seq <= shard.cursor {
        report.passed_over += 1;
        return;
    }
    if entry.seq > shard.cursor.next() {
        report.alarms.push(Alarm::Gap(shard.id, shard.cursor.next()));
        shard.replay_from = Some(shard.cursor.next());
        return;
    }
    shard.cursor = entry.seq;
    shard.replay_from = None;
    match &entry.kind {
        EntryKind::Withdrawn { sku, quantity } => {
            if stock::return_to_pool(draft, shard.id, *sku, *quantity).is_err() {
                break_ledger(shard, entry.seq, report);
            }
        }
        EntryKind::Reserved(reservations) => {
            for reservation in reservations {
                decide_reservation(draft, sale, shard, reservation, report);
            }
        }
    }
}

/// An entry of an ended epoch takes no unit. Where its order exists it was decided in time; else its buyer is told.
fn pass_over_stale(draft: &mut Draft<'_>, shard: ShardId, entry: &Entry, report: &mut IntakeReport) {
    report.passed_over += 1;
    let EntryKind::Reserved(reservations) = &entry.kind else { return };
    for reservation in reservations {
        let order = OrderId { shard, reservation: reservation.id };
        if draft.order(&order).is_none() {
            lose(draft, order, reservation, entry.epoch, entry.seq, report);
        }
    }
}

fn lose(
    draft: &mut Draft<'_>,
    order: OrderId,
    reservation: &Reserved,
    epoch: Epoch,
    seq: Seq,
    report: &mut IntakeReport,
) {
    report.lost += 1;
    draft.emit(Event::ReservationLost { order, user: reservation.user.clone(), epoch, seq });
}

fn break_ledger(shard: &mut ShardRow, seq: Seq, report: &mut IntakeReport) {
    report.alarms.push(Alarm::LedgerBroken(shard.id, seq));
    shard.begin_sealing(SealReason::LedgerBroken);
}

fn decide_reservation(
    draft: &mut Draft<'_>,
    sale: &SaleRow,
    shard: &mut ShardRow,
    reservation: &Reserved,
    report: &mut IntakeReport,
) {
    let id = OrderId { shard: shard.id, reservation: reservation.id };
    if let Some(row) = draft.order(&id).cloned() {
        if row.status.holds_units() {
            report.alarms.push(Alarm::AlreadyAlive(id));
        } else {
            // Given up before it arrived: the shard took units for it that must come back.
            report.ended += 1;
            tell_shard(draft, shard, &row);
        }
        return;
    }
    let quota = draft.quota(&(shard.id, reservation.user.clone())).copied().unwrap_or_default();
    let within = quota.live + reservation.basket.units() <= sale.limit;
    if !within || !stock::covers(draft, shard.id, reservation.basket.lines()) {
        break_ledger(shard, shard.cursor, report);
        return lose(draft, id, reservation, shard.epoch, shard.cursor, report);
    }
    let row = new_order(draft, sale, shard, reservation);
    match row.status.holds_units() {
        true => {
            report.created += 1;
            create(draft, row, reservation);
        }
        false => {
            report.ended += 1;
            tell_shard(draft, shard, &row);
            write(draft, row);
        }
    }
}

fn new_order(draft: &Draft<'_>, sale: &SaleRow, shard: &ShardRow, reservation: &Reserved) -> OrderRow {
    let price = |line: &crate::ledger::basket::Line| {
        let sku = draft.sku(&(sale.id, line.sku)).expect("stock without a SKU row cannot be");
        sku.price_minor.saturating_mul(u64::from(line.quantity))
    };
    let acceptance = Acceptance { epoch: shard.epoch, seq: shard.cursor, reserved_at: reservation.reserved_at };
    let status = match sale.state {
        SaleState::Closed => Status::Rejected(Rejection::SaleClosed),
        SaleState::Draft | SaleState::Open | SaleState::Stopped => Status::PendingPayment,
    };
    OrderRow {
        id: OrderId { shard: shard.id, reservation: reservation.id },
        user: reservation.user.clone(),
        origin: Some(Origin { basket: reservation.basket.clone(), body: reservation.body, acceptance }),
        amount_minor: reservation.basket.lines().iter().map(price).sum(),
        status,
        version: Version(1),
        // A late drain must not eat the buyer's time to pay.
        expires_at: reservation.reserved_at.after_ms(sale.hold_ms).max(draft.at.after_ms(GRACE_MS.min(sale.hold_ms))),
        created_at: draft.at,
        payment: None,
        paid_at: None,
    }
}

fn create(draft: &mut Draft<'_>, row: OrderRow, reservation: &Reserved) {
    let shard = row.id.shard;
    stock::consume(draft, shard, reservation.basket.lines()).expect("covers was asked before");
    let key = (shard, reservation.user.clone());
    let mut quota = draft.quota(&key).copied().unwrap_or_default();
    quota.live += reservation.basket.units();
    draft.put_quota(key, quota);
    draft.emit(Event::TimeoutDue { order: row.id, version: row.version, expires_at: row.expires_at });
    write(draft, row);
}

fn write(draft: &mut Draft<'_>, row: OrderRow) {
    draft.emit(Event::OrderChanged(row.clone()));
    draft.put_order(row.id, row);
}
