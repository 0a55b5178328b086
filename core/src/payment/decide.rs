//! Payment's decisions. The conditional row decides every race: money against expiry, and money against money.

use super::command::{PaymentCommand, Verdict};
use crate::database::command::{Refusal, Reply};
use crate::database::draft::Draft;
use crate::database::event::Event;
use crate::database::rows::{PaymentRow, PaymentStatus};
use crate::database::tables::{Reads, View};
use crate::ids::{OrderId, PaymentId, UserId, Version};
use crate::order::lifecycle::{move_order, owned, want_ending};
use crate::order::status::{ForbiddenEdge, Status};

/// The rows that `command` needs.
pub fn reads(command: &PaymentCommand, view: &View) -> Reads {
    let mut reads = Reads::default();
    let payment = match command {
        PaymentCommand::Start { payment, order, .. } | PaymentCommand::PayLate { payment, order } => {
            want_ending(&mut reads, view, *order);
            payment
        }
        PaymentCommand::Settle { payment, .. }
        | PaymentCommand::GiveUpLate { payment }
        | PaymentCommand::Refunded { payment } => payment,
    };
    reads.payments.insert(*payment);
    if let Some(row) = view.rows.payments.get(payment) {
        want_ending(&mut reads, view, row.order);
    }
    reads
}

/// Decides `command`.
pub fn decide(draft: &mut Draft<'_>, command: &PaymentCommand) -> Result<Reply, Refusal> {
    let row = match command {
        PaymentCommand::Start { payment, order, user } => start(draft, *payment, *order, user),
        PaymentCommand::Settle { payment, verdict } => settle(draft, *payment, *verdict),
        PaymentCommand::PayLate { payment, order } => pay_late(draft, *payment, *order),
        PaymentCommand::GiveUpLate { payment } => give_up_late(draft, *payment),
        PaymentCommand::Refunded { payment } => refunded(draft, *payment),
    }?;
    Ok(Reply::Payment(row))
}

fn known(draft: &Draft<'_>, payment: PaymentId) -> Result<PaymentRow, Refusal> {
    draft.payment(&payment).cloned().ok_or(Refusal::NoPayment)
}

fn write(draft: &mut Draft<'_>, mut row: PaymentRow, status: PaymentStatus) -> PaymentRow {
    row.status = status;
    row.version = row.version.next();
    draft.put_payment(row.id, row.clone());
    row
}

fn start(draft: &mut Draft<'_>, id: PaymentId, order: OrderId, user: &UserId) -> Result<PaymentRow, Refusal> {
    if let Some(row) = draft.payment(&id) {
        let same = row.order == order && row.user == *user;
        return if same { Ok(row.clone()) } else { Err(Refusal::PaymentConflict) };
    }
    let payable = owned(draft, order, Some(user))?;
    if payable.status != Status::PendingPayment {
        return Err(Refusal::Forbidden(ForbiddenEdge { from: payable.status, to: Status::Paid }));
    }
    let row = PaymentRow {
        id,
        order,
        user: user.clone(),
        amount_minor: payable.amount_minor,
        status: PaymentStatus::Started,
        started_at: draft.at,
        version: Version(1),
    };
    draft.put_payment(id, row.clone());
    Ok(row)
}

fn settle(draft: &mut Draft<'_>, id: PaymentId, verdict: Verdict) -> Result<PaymentRow, Refusal> {
    let row = known(draft, id)?;
    match (row.status, verdict) {
        (PaymentStatus::Started, Verdict::Declined) => Ok(write(draft, row, PaymentStatus::Declined)),
        // A success may overtake the refusal of an earlier attempt: money that was taken counts.
        (PaymentStatus::Started | PaymentStatus::Declined, Verdict::Succeeded) => take_money(draft, row),
        (
            PaymentStatus::Declined
            | PaymentStatus::Paid
            | PaymentStatus::Late
            | PaymentStatus::RefundDue
            | PaymentStatus::Refunded,
            Verdict::Succeeded | Verdict::Declined,
        ) => Ok(row),
    }
}

fn take_money(draft: &mut Draft<'_>, row: PaymentRow) -> Result<PaymentRow, Refusal> {
    let status = draft.order(&row.order).ok_or(Refusal::NotYet)?.status;
    match status {
        Status::PendingPayment => pay(draft, row),
        Status::Cancelled(_) => {
            draft.emit(Event::PaymentLate { payment: row.id, order: row.order });
            Ok(write(draft, row, PaymentStatus::Late))
        }
        // Paid twice, or paid what was never for sale: nothing to try again, the money goes back.
        Status::Paid | Status::Refunding(_) | Status::Refunded(_) | Status::Rejected(_) => Ok(owe(draft, row)),
    }
}

fn pay(draft: &mut Draft<'_>, row: PaymentRow) -> Result<PaymentRow, Refusal> {
    let mut order = draft.order(&row.order).ok_or(Refusal::NotYet)?.clone();
    order.payment = Some(row.id);
    draft.put_order(row.order, order);
    move_order(draft, row.order, Status::Paid)?;
    Ok(write(draft, row, PaymentStatus::Paid))
}

fn owe(draft: &mut Draft<'_>, row: PaymentRow) -> PaymentRow {
    draft.emit(Event::RefundDue { payment: row.id, order: row.order });
    write(draft, row, PaymentStatus::RefundDue)
}

/// Conditional on `Late`: of two workers, and of paying and giving up, exactly one wins.
fn late(draft: &Draft<'_>, id: PaymentId) -> Result<PaymentRow, Refusal> {
    let row = known(draft, id)?;
    if row.status == PaymentStatus::Late { Ok(row) } else { Err(Refusal::PaymentState(row.status)) }
}

fn pay_late(draft: &mut Draft<'_>, id: PaymentId, order: OrderId) -> Result<PaymentRow, Refusal> {
    let mut row = late(draft, id)?;
    let target = owned(draft, order, Some(&row.user))?;
    if target.status != Status::PendingPayment {
        return Ok(owe(draft, row));
    }
    assert!(target.amount_minor == row.amount_minor, "a late reservation repeats the basket at the prices of the sale");
    row.order = order;
    pay(draft, row)
}

fn give_up_late(draft: &mut Draft<'_>, id: PaymentId) -> Result<PaymentRow, Refusal> {
    let row = late(draft, id)?;
    Ok(owe(draft, row))
}

fn refunded(draft: &mut Draft<'_>, id: PaymentId) -> Result<PaymentRow, Refusal> {
    let row = known(draft, id)?;
    let order = draft.order(&row.order).ok_or(Refusal::NotYet)?;
    match (row.status, order.status) {
        (PaymentStatus::Paid, Status::Refunding(restock)) => {
            move_order(draft, row.order, Status::Refunded(restock))?;
            Ok(write(draft, row, PaymentStatus::Refunded))
        }
        (PaymentStatus::RefundDue, _) => Ok(write(draft, row, PaymentStatus::Refunded)),
        (PaymentStatus::Refunded, _) => Ok(row),
        (
            PaymentStatus::Started | PaymentStatus::Declined | PaymentStatus::Paid | PaymentStatus::Late,
            Status::PendingPayment
            | Status::Paid
            | Status::Cancelled(_)
            | Status::Refunding(_)
            | Status::Refunded(_)
            | Status::Rejected(_),
        ) => Err(Refusal::PaymentState(row.status)),
    }
}
