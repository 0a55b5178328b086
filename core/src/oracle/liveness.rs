//! What must happen in the end: judged at rest, after every fault is healed.

use super::audit::ShardLine;
use super::judge::Case;
use super::safety::memory::agrees_with_rows_at_rest;
use super::verdict::{Checked, Findings, Judgement, Missing};
use crate::database::rows::{PaymentStatus, Phase, SaleState};
use crate::ids::{Epoch, Seq};
use crate::limits::{GRACE_MS, LEASE_MS, OVERDUE_MS, SWEEP_PERIOD_MS};
use crate::order::status::Status;

/// How long after the end of its pay window an unpaid order may still be found: grace, one lost lease, the sweep that
/// finds it overdue, and two minutes for the recovery of a store.
pub const HELD_BEYOND_MS_MAX: u64 = GRACE_MS + LEASE_MS + OVERDUE_MS + SWEEP_PERIOD_MS + 120_000;

/// L1: whatever a shard's server wrote is in the durable log.
pub fn logs_are_drained(case: &Case<'_>) -> Checked {
    case.rest()?;
    let (memories, mut findings) = (case.memories()?, Findings::default());
    for memory in memories.values() {
        let row = case.audit().shards.get(&memory.k);
        // The memory of an ended epoch owes nothing: its entries are decided or lost.
        if row.is_none_or(|row| row.epoch != memory.epoch) {
            continue;
        }
        let log = case.audit().logs.as_ref().and_then(|logs| logs.get(&memory.k));
        let durable = log.filter(|log| log.epoch == memory.epoch).map_or(memory.acked, |log| log.seq.max(memory.acked));
        findings.expect(durable == memory.seq, format_args!("shard {}", memory.k), || {
            format!("the durable log ends at {}, the shard has written {}", durable.0, memory.seq.0)
        });
    }
    findings.judge()
}

/// L2: every entry of the durable log is decided, and no shard waits for a missing one.
pub fn entries_are_decided(case: &Case<'_>) -> Checked {
    case.rest()?;
    let (audit, mut findings) = (case.audit(), Findings::default());
    for shard in audit.shards.values() {
        let end = end_of_log(case, shard).ok_or_else(|| Missing(format!("the end of the log of shard {}", shard.k)))?;
        let behind = end.0 == shard.epoch && end.1 > shard.cursor;
        findings.expect(!behind, format_args!("shard {}", shard.k), || {
            format!("entry {} is durable, the cursor is {}", end.1.0, shard.cursor.0)
        });
        findings.expect(shard.replay_from.is_none(), format_args!("shard {}", shard.k), || {
            format!("still waits for entry {:?}", shard.replay_from)
        });
    }
    findings.judge()
}

fn end_of_log(case: &Case<'_>, shard: &ShardLine) -> Option<(Epoch, Seq)> {
    let log = case.audit().logs.as_ref().and_then(|logs| logs.get(&shard.k)).map(|log| (log.epoch, log.seq));
    let memories = case.audit().memories.as_ref();
    let memory = memories.and_then(|memories| memories.get(&shard.k)).map(|memory| (memory.epoch, memory.seq));
    // A closed or sealed shard may have no memory left; with memories given, its log has no undecided entry of its own.
    log.or(memory).or_else(|| memories.filter(|_| shard.phase != Phase::Open).map(|_| (shard.epoch, shard.cursor)))
}

/// L3: no reservation holds units much longer than its pay window.
pub fn nothing_is_held_too_long(case: &Case<'_>) -> Checked {
    case.rest()?;
    let (at, mut findings) = (case.audit().meta.at, Findings::default());
    for order in case.audit().orders.values().filter(|order| order.status() == Status::PendingPayment) {
        let latest = order.expires_at.after_ms(HELD_BEYOND_MS_MAX);
        findings.expect(at <= latest, order.id, || {
            format!("is still unpaid at {at:?}, its pay window ended at {:?}", order.expires_at)
        });
    }
    findings.judge()
}

/// L4: every unpaid order has ended, every payment that counts is on a paid order, and no late payment is left over.
pub fn unpaid_end_and_paid_are_paid(case: &Case<'_>) -> Checked {
    case.rest()?;
    let (audit, mut findings, mut open) = (case.audit(), Findings::default(), 0);
    for order in audit.orders.values().filter(|order| order.status() == Status::PendingPayment) {
        open += 1;
        findings.expect(order.expires_at > audit.meta.at, order.id, || {
            format!("is unpaid at rest, its pay window ended at {:?}", order.expires_at)
        });
    }
    for payment in audit.payments.values() {
        let paid = audit.orders.get(&payment.order).is_some_and(|order| order.payment == Some(payment.id));
        let settled = match payment.status {
            PaymentStatus::Paid => paid,
            PaymentStatus::Late => false,
            PaymentStatus::Started | PaymentStatus::Declined | PaymentStatus::RefundDue | PaymentStatus::Refunded => {
                true
            }
        };
        findings.expect(settled, payment.id, || format!("is {:?} at rest for {}", payment.status, payment.order));
    }
    if open > 0 {
        return findings.judge_in_part(&format!("the end of {open} pay windows"));
    }
    findings.judge()
}

/// L5: what orders do not hold is available in an open shard, or back in the pool after the close.
pub fn given_back_can_be_sold(case: &Case<'_>) -> Checked {
    case.rest()?;
    let (audit, mut findings) = (case.audit(), Findings::default());
    if case.options().sale_closed {
        findings.expect(audit.sale.state == SaleState::Closed, audit.sale.id, || {
            format!("should be closed and is {:?}", audit.sale.state)
        });
        for shard in audit.shards.values() {
            findings.expect(shard.phase == Phase::Closed, format_args!("shard {}", shard.k), || {
                format!("of a closed sale is {:?}", shard.phase)
            });
        }
        return findings.judge();
    }
    if let Judgement::Red { findings: found, count } = agrees_with_rows_at_rest(case)? {
        findings.absorb(found, count);
    }
    for shard in audit.shards.values().filter(|shard| audit.sale.state == SaleState::Open && shard.phase != Phase::Open)
    {
        findings.add(format_args!("shard {}", shard.k), format!("of an open sale is {:?} at rest", shard.phase));
    }
    findings.judge()
}

/// L6: no task of the delay queue is due.
pub fn no_task_is_overdue(case: &Case<'_>) -> Checked {
    case.rest()?;
    let delay = case.audit().delay.as_ref().ok_or_else(|| Missing("the delay queue".to_owned()))?;
    let (at, mut findings) = (case.audit().meta.at, Findings::default());
    for task in delay {
        findings.expect(task.due_at > at, task.order, || format!("was due at {:?}, it is {at:?}", task.due_at));
    }
    findings.judge()
}

/// L7: everything in the outbox is delivered.
pub fn outbox_is_delivered(case: &Case<'_>) -> Checked {
    case.rest()?;
    let unsent = case.audit().meta.outbox_unsent.ok_or_else(|| Missing("the state of the outbox".to_owned()))?;
    let mut findings = Findings::default();
    findings.expect(unsent == 0, "outbox", || format!("{unsent} rows are not delivered at rest"));
    findings.judge()
}
