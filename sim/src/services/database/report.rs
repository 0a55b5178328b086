//! What a transaction touched, and what the oracle is told of it.

use super::Effects;
use crate::services::{ServiceEffect, record_of};
use doorbuster_core::database::command::Command;
use doorbuster_core::database::decide::Decision;
use doorbuster_core::database::event::Event;
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::Epoch;
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::oracle::probe::Probe;
use doorbuster_core::relay::partitions::{CommitTime, PartitionChange, PartitionRefusal, PartitionRow, StreamToken};
use doorbuster_core::time::Wall;
use std::collections::BTreeSet;

/// The keys of everything that is written.
pub(super) fn touched(decision: &Decision) -> Reads {
    let rows = &decision.change.rows;
    Reads {
        shards: rows.shards.keys().copied().collect(),
        stock: rows.stock.keys().copied().collect(),
        skus: rows.skus.keys().copied().collect(),
        orders: rows.orders.keys().copied().collect(),
        quotas: rows.quotas.keys().cloned().collect(),
        payments: rows.payments.keys().copied().collect(),
        products: rows.products.keys().copied().collect(),
        sales_rings: rows.sales_rings.keys().chain(&decision.change.removed.sales_rings).copied().collect(),
        counted: rows.counted.keys().copied().collect(),
        ..Reads::default()
    }
}

/// What the oracle is told of a transaction.
pub(super) fn report(at: Wall, command: &Command, before: &Rows, decision: &Decision, out: &mut Effects) {
    for order in decision.change.rows.orders.values() {
        let earlier = before.orders.get(&order.id);
        out.push(ServiceEffect::Probed(Probe::OrderMoved {
            order: order.id,
            from: earlier.map(|order| order.status),
            to: order.status,
            version: order.version,
            expires_at: earlier.map_or(order.expires_at, |order| order.expires_at),
            at,
        }));
    }
    for event in &decision.change.events {
        if let Event::OrderChanged(order) = event {
            let probe = Probe::OutboxInserted { order: order.id, version: order.version };
            out.push(ServiceEffect::Probed(probe));
        }
    }
    if let Command::Intake(batch) = command {
        let row_epoch = |rows: &Rows| rows.shards.get(&batch.shard).map_or(Epoch(0), |row| row.epoch);
        report_entries(batch, row_epoch(before), before, decision, out);
    }
}

/// Where the change stream has the rows of the outbox.
pub(super) fn report_appended(places: &[(StreamToken, CommitTime)], events: &[Event], out: &mut Effects) {
    for ((partition, at), event) in places.iter().zip(events) {
        let (partition, at, record) = (*partition, *at, record_of(event));
        out.push(ServiceEffect::Probed(Probe::RecordAppended { partition, at, record }));
    }
}

/// A checkpoint of the change stream.
pub(super) fn report_change(
    partition: StreamToken,
    change: &PartitionChange,
    changed: &Result<PartitionRow, PartitionRefusal>,
    out: &mut Effects,
) {
    let Ok(row) = changed else { return };
    let probe = match change {
        PartitionChange::Begin => return,
        PartitionChange::Advance(_) => Probe::PartitionMarked { partition, watermark: row.watermark },
        PartitionChange::Finish(_) => Probe::PartitionFinished { partition },
    };
    out.push(ServiceEffect::Probed(probe));
}

/// Entry by entry what a batch decided, up to a missing one: what stands behind a gap is not decided.
fn report_entries(
    batch: &doorbuster_core::intake::IntakeBatch,
    mut row_epoch: Epoch,
    before: &Rows,
    decision: &Decision,
    out: &mut Effects,
) {
    let mut cursor = before.shards.get(&batch.shard).map_or(0, |row| row.cursor.0);
    // An entry that stands in one batch twice, the second time behind its seal, makes its orders once.
    let mut told = BTreeSet::new();
    for intent in &batch.intents {
        match intent {
            Intent::Seal(_, epoch) => {
                let after = decision.change.rows.shards.get(&batch.shard).map_or(row_epoch, |row| row.epoch);
                if *epoch == row_epoch && after > row_epoch {
                    (row_epoch, cursor) = (after, 0);
                }
            }
            Intent::Entry(shard, entry) => {
                if entry.epoch > row_epoch || (entry.epoch == row_epoch && entry.seq.0 > cursor + 1) {
                    continue;
                }
                if entry.epoch == row_epoch {
                    cursor = cursor.max(entry.seq.0);
                }
                let stems = |acceptance: doorbuster_core::ledger::page::Acceptance| {
                    (acceptance.epoch, acceptance.seq) == (entry.epoch, entry.seq)
                };
                let is_first = told.insert((entry.epoch, entry.seq));
                let orders = decision.change.rows.orders.values().filter(|_| is_first);
                let created = orders
                    .filter(|order| !before.orders.contains_key(&order.id))
                    .filter(|order| order.origin.as_ref().is_some_and(|origin| stems(origin.acceptance)))
                    .count();
                out.push(ServiceEffect::Probed(Probe::EntryDecided {
                    shard: *shard,
                    epoch: entry.epoch,
                    seq: entry.seq,
                    row_epoch,
                    created: created as u32,
                }));
            }
        }
    }
}
