//! S6 and S8: how orders move, judged by what was seen of them at each version.

use crate::database::rows::PaymentStatus;
use crate::ids::{OrderId, Version};
use crate::oracle::audit::OrderLine;
use crate::oracle::history::Accepted;
use crate::oracle::judge::Case;
use crate::oracle::probe::Probe;
use crate::oracle::verdict::{Checked, Findings};
use crate::order::status::{Ending, Status};
use std::collections::BTreeMap;

/// Changes that lead from one state to another; `None` when no way does. Written out here once more, apart from the
/// code that it judges.
fn distance(from: Status, to: Status) -> Option<u64> {
    match (from, to) {
        (Status::PendingPayment, Status::PendingPayment) => Some(0),
        (Status::PendingPayment, Status::Paid | Status::Cancelled(_)) => Some(1),
        (Status::PendingPayment, Status::Refunding(_)) => Some(2),
        (Status::PendingPayment, Status::Refunded(_)) => Some(3),
        (Status::PendingPayment, Status::Rejected(_)) => None,
        (Status::Paid, Status::Paid) => Some(0),
        (Status::Paid, Status::Refunding(_)) => Some(1),
        (Status::Paid, Status::Refunded(_)) => Some(2),
        (Status::Paid, Status::PendingPayment | Status::Cancelled(_) | Status::Rejected(_)) => None,
        (Status::Refunding(asked), Status::Refunding(now)) => (asked == now).then_some(0),
        (Status::Refunding(asked), Status::Refunded(done)) => (asked == done).then_some(1),
        (Status::Refunding(_), Status::PendingPayment | Status::Paid | Status::Cancelled(_) | Status::Rejected(_)) => {
            None
        }
        (Status::Cancelled(_) | Status::Refunded(_) | Status::Rejected(_), _) => (from == to).then_some(0),
    }
}

/// Whether so many changes can lead there. Only an unpaid order changes without moving: its pay window is extended.
fn reachable(from: Status, to: Status, changes: u64) -> bool {
    match distance(from, to) {
        None => false,
        Some(edges) if from == Status::PendingPayment => edges <= changes,
        Some(edges) => edges == changes,
    }
}

/// S6: whatever was seen of an order can be one story of allowed moves, and its payment fits its state.
pub fn only_allowed_ones(case: &Case<'_>) -> Checked {
    let mut findings = Findings::default();
    for order in case.audit().orders.values() {
        begins_well(order, &mut findings);
    }
    payments_fit(case, &mut findings);
    moves_by_probes(case, &mut findings);
    let Some(history) = case.inputs.history else { return findings.judge_in_part("the history of clients") };
    let mut stories: BTreeMap<OrderId, BTreeMap<Version, Status>> = BTreeMap::new();
    for seen in history.calls.iter().filter_map(|call| call.exchange.seen()) {
        let Some(status) = seen.status else { continue };
        let last = case.audit().orders.get(&seen.id);
        let possible = last.is_some_and(|last| distance(status.0, last.status()).is_some());
        findings.expect(possible, seen.id, || {
            format!("was seen {} and ends as {:?}", status.0.name(), last.map(OrderLine::status))
        });
        if let Some(version) = seen.version {
            let story = stories.entry(seen.id).or_default();
            let before = *story.entry(version).or_insert(status.0);
            findings.expect(before == status.0, seen.id, || format!("is {before:?} and {status:?} at {version:?}"));
        }
    }
    for (id, story) in stories {
        let last = case.audit().orders.get(&id).map(|order| (order.version, order.status()));
        follow(id, story, last, &mut findings);
    }
    findings.judge()
}

fn begins_well(order: &OrderLine, findings: &mut Findings) {
    let status = order.status();
    let changes = order.version.0.checked_sub(1);
    let sound = match (status, changes) {
        (Status::Rejected(_), changes) => changes == Some(0),
        (_, Some(changes)) => reachable(Status::PendingPayment, status, changes),
        (_, None) => false,
    };
    findings.expect(sound, order.id, || format!("cannot be {} at version {}", status.name(), order.version.0));
    let needs_payment = match status {
        Status::Paid | Status::Refunding(_) | Status::Refunded(_) => true,
        Status::PendingPayment | Status::Cancelled(_) | Status::Rejected(_) => false,
    };
    findings.expect(order.payment.is_some() == needs_payment, order.id, || {
        format!("is {} with payment {:?}", status.name(), order.payment)
    });
}

/// A payment that counts has made exactly its own order PAID; one order takes one payment.
fn payments_fit(case: &Case<'_>, findings: &mut Findings) {
    for payment in case.audit().payments.values() {
        let order = case.audit().orders.get(&payment.order);
        let names_it = order.is_some_and(|order| order.payment == Some(payment.id));
        let fits = match payment.status {
            PaymentStatus::Paid => names_it,
            // Returned because it was refunded after PAID, or because it never counted.
            PaymentStatus::Refunded => true,
            PaymentStatus::Started | PaymentStatus::Declined | PaymentStatus::Late | PaymentStatus::RefundDue => {
                !names_it
            }
        };
        findings.expect(fits, payment.id, || format!("is {:?} for {order:?}", payment.status));
    }
    for order in case.audit().orders.values() {
        let Some(payment) = order.payment else { continue };
        let known = case.audit().payments.get(&payment).is_some_and(|row| row.order == order.id);
        findings.expect(known, order.id, || format!("names payment {payment}, which is of another order or missing"));
    }
}

fn moves_by_probes(case: &Case<'_>, findings: &mut Findings) {
    for probe in case.inputs.probes.unwrap_or_default() {
        let Probe::OrderMoved { order, from, to, version, .. } = probe else { continue };
        let allowed = match from {
            None => version.0 == 1 && matches!(to, Status::PendingPayment | Status::Rejected(_)),
            Some(from) => reachable(*from, *to, 1),
        };
        findings.expect(allowed, order, || format!("moved from {from:?} to {to:?} at version {}", version.0));
    }
}

fn follow(id: OrderId, story: BTreeMap<Version, Status>, last: Option<(Version, Status)>, findings: &mut Findings) {
    let mut before: Option<(Version, Status)> = None;
    for (version, status) in story.into_iter().chain(last) {
        if let Some((earlier, from)) = before {
            let changes = version.0.checked_sub(earlier.0);
            let possible = changes.is_some_and(|changes| reachable(from, status, changes));
            findings.expect(possible, id, || {
                format!("was {from:?} at version {} and is {status:?} at version {}", earlier.0, version.0)
            });
        }
        before = Some((version, status));
    }
}

/// S8: no order expires before its time by the database's clock, and its time is never earlier than promised.
pub fn no_window_cut_short(case: &Case<'_>) -> Checked {
    let (audit, skew, mut findings) = (case.audit(), case.options().clock_skew_ms, Findings::default());
    for order in audit.orders.values() {
        let expired = order.status() == Status::Cancelled(Ending::Expired);
        findings.expect(!expired || order.expires_at <= audit.meta.at, order.id, || {
            format!("has expired before {:?}; the snapshot is of {:?}", order.expires_at, audit.meta.at)
        });
        let earliest = order.reserved_at.map(|at| at.after_ms(audit.sale.hold_ms));
        findings.expect(earliest.is_none_or(|earliest| order.expires_at >= earliest), order.id, || {
            format!("expires at {:?}, its pay window ends at {earliest:?}", order.expires_at)
        });
    }
    for probe in case.inputs.probes.unwrap_or_default() {
        if let Probe::OrderMoved { order, to: Status::Cancelled(Ending::Expired), expires_at, at, .. } = probe {
            findings.expect(at >= expires_at, order, || format!("expired at {at:?}, before {expires_at:?}"));
        }
    }
    let Some(history) = case.inputs.history else { return findings.judge_in_part("the history of clients") };
    for call in &history.calls {
        let Some(seen) = call.exchange.seen() else { continue };
        let expired = seen.status.is_some_and(|status| status.0 == Status::Cancelled(Ending::Expired));
        let Some(order) = audit.orders.get(&seen.id).filter(|_| expired) else { continue };
        findings.expect(call.answered_at.after_ms(skew) >= order.expires_at, seen.id, || {
            format!("was seen expired at {:?}, before {:?}", call.answered_at, order.expires_at)
        });
    }
    for (_, _, _, accepted) in history.acceptances() {
        let Some(order) = audit.orders.get(&accepted.id).filter(|order| arose_from(order, accepted)) else {
            continue;
        };
        let kept = accepted.expires_at.is_none_or(|promised| order.expires_at >= promised);
        findings
            .expect(kept, order.id, || format!("was promised {:?}, has {:?}", accepted.expires_at, order.expires_at));
    }
    findings.judge()
}

/// Whether the order stems from this very acceptance, as far as its place was told.
fn arose_from(order: &OrderLine, accepted: &Accepted) -> bool {
    order.place().is_some_and(|own| accepted.place().is_none_or(|told| told == own))
}
