//! Counting and telling, each in one transaction.
//!
//! Every movement is delivered at least once, and those of one order in their order, but for deliveries again from
//! earlier on. So a refund finds its payment counted, except when the payment was unreadable or is yet to come by
//! another way. Then neither changes a slot: the refund is marked as seen, and the payment, should it come, finds
//! the mark. Either way the order adds nothing to the window, which is what it is worth once it is refunded.

use super::command::{SalesBatch, SalesCommand, SalesReport};
use super::hour::Hour;
use super::movement::{Movement, Sign};
use super::ring::Placement;
use super::rows::{CountedRow, SalesRingRow};
use crate::database::command::{Refusal, Reply};
use crate::database::draft::Draft;
use crate::database::event::Event;
use crate::database::tables::Reads;
use crate::ids::{ProductId, SkuId};
use crate::inbox::Partition;
use crate::limits::{COUNTED_TTL_MS, SALES_BATCH_MAX, SALES_EMIT_DELAY_MS, SALES_EMIT_MAX};
use std::collections::BTreeSet;

/// The rows that `command` needs.
pub fn reads(command: &SalesCommand) -> Reads {
    let mut reads = Reads::default();
    match command {
        SalesCommand::Count(batch) => {
            reads.sales_cursors.insert(batch.partition);
            for movement in &batch.movements {
                reads.sales_rings.insert(movement.sku);
                let mark = |sign| (movement.sku, movement.order, sign);
                reads.counted.extend([mark(Sign::Paid), mark(Sign::Refunded)]);
            }
        }
        SalesCommand::Emit { skus, .. } => reads.sales_rings.extend(skus.iter().copied()),
    }
    reads
}

/// Decides `command`.
pub fn decide(draft: &mut Draft<'_>, command: &SalesCommand) -> Result<Reply, Refusal> {
    match command {
        SalesCommand::Count(batch) => Ok(Reply::Sales(count(draft, batch)?)),
        SalesCommand::Emit { hour, skus } => Ok(Reply::Count(emit(draft, *hour, skus)?)),
    }
}

fn count(draft: &mut Draft<'_>, batch: &SalesBatch) -> Result<SalesReport, Refusal> {
    assert!(batch.movements.len() <= SALES_BATCH_MAX, "one transaction counts a bounded number of movements");
    assert!(batch.expected < batch.next, "a batch goes forward");
    let mut cursor = draft.sales_cursor(&batch.partition).copied().unwrap_or_default();
    if cursor.next != batch.expected {
        return Err(Refusal::StaleOffset);
    }
    let mut report = SalesReport::default();
    for movement in &batch.movements {
        if draft.counted(&movement.id()).is_some() {
            report.repeated += 1;
            continue;
        }
        let placement = place(draft, batch.partition, movement);
        let expires_at = draft.at.after_ms(COUNTED_TTL_MS);
        draft.put_counted(movement.id(), CountedRow { placement, expires_at });
        match placement {
            Placement::Counted => report.counted += 1,
            Placement::TooLate => report.too_late += 1,
            Placement::Unpaired => report.unpaired += 1,
        }
    }
    cursor.next = batch.next;
    cursor.too_late += report.too_late as u64;
    cursor.unpaired += report.unpaired as u64;
    draft.put_sales_cursor(batch.partition, cursor);
    Ok(report)
}

/// Changes the slot of the hour in which the order was paid, whatever hour it is now.
fn place(draft: &mut Draft<'_>, partition: Partition, movement: &Movement) -> Placement {
    let counted = |sign| draft.counted(&(movement.sku, movement.order, sign)).map(|row| row.placement);
    let applies = match movement.sign {
        Sign::Paid => counted(Sign::Refunded).is_none(),
        Sign::Refunded => counted(Sign::Paid) == Some(Placement::Counted),
    };
    if !applies {
        return Placement::Unpaired;
    }
    let row = draft.sales_ring(&movement.sku).cloned();
    let mut row = row.unwrap_or_else(|| SalesRingRow::new(partition, movement.product));
    let (hour, units) = (Hour::of(movement.paid_at), u64::from(movement.quantity));
    let placement = match movement.sign {
        Sign::Paid => row.ring.add(hour, units),
        Sign::Refunded => row.ring.subtract(hour, units),
    };
    if placement == Placement::Counted {
        row.dirty = true;
        row.product = movement.product;
        draft.put_sales_ring(movement.sku, row);
    }
    placement
}

fn emit(draft: &mut Draft<'_>, hour: Hour, skus: &[SkuId]) -> Result<usize, Refusal> {
    assert!(skus.len() <= SALES_EMIT_MAX, "one transaction tells of a bounded number of windows");
    // The database's clock names the window: a walk that was delayed tells of now, because the ring has overwritten
    // part of what its own hour would have counted.
    let current = Hour::of(draft.at.before_ms(SALES_EMIT_DELAY_MS));
    if hour > current {
        return Err(Refusal::WindowOpen);
    }
    let hour = current;
    let mut products: BTreeSet<ProductId> = BTreeSet::new();
    let mut told = 0;
    for sku in skus {
        let Some(row) = draft.sales_ring(sku) else { continue };
        // Once per hour; and a window that the ring does not hold whole any more, because the clock was set back after
        // a sale, waits for the next hour. An hour that was told before such a step is told anew.
        if row.emitted_hour == Some(hour) || !row.ring.holds(hour) {
            continue;
        }
        let mut row = row.clone();
        let sum = row.ring.advance(hour);
        // The sum also changes without a movement: when its oldest hour leaves, and when the open one closes.
        let due = row.dirty || sum != row.emitted;
        if due {
            told += 1;
            products.insert(row.product);
            (row.dirty, row.emitted, row.emitted_hour) = (false, sum, Some(hour));
        }
        if row.emitted == 0 && row.ring.is_spent(hour) {
            draft.remove_sales_ring(*sku);
        } else if due {
            draft.put_sales_ring(*sku, row);
        }
    }
    for product in products {
        draft.emit(Event::SalesAdvanced { product, hour });
    }
    Ok(told)
}
