//! Moments that an ensemble must have reached.

use super::AtRest;
use doorbuster_core::database::rows::{PaymentRow, PaymentStatus, Phase};
use doorbuster_core::ids::{Epoch, Key, OrderId};
use doorbuster_core::oracle::audit::Audit;
use doorbuster_core::order::status::{Ending, Status};

/// Those that this run has reached.
pub fn reached(rest: &AtRest<'_>, lost: bool) -> Vec<&'static str> {
    let audit = rest.audit;
    let shards = |is: fn(Epoch, Phase) -> bool| audit.shards.values().any(|shard| is(shard.epoch, shard.phase));
    let orders =
        |is: fn(Status, bool) -> bool| audit.orders.values().any(|order| is(order.status(), order.place().is_some()));
    let payments = |is: fn(&Audit, &PaymentRow) -> bool| audit.payments.values().any(|payment| is(audit, payment));
    let moments = [
        (shards(|epoch, _| epoch > Epoch(1)), "an epoch ended"),
        (shards(|epoch, _| epoch > Epoch(3)), "three epochs ended"),
        (shards(|_, phase| phase == Phase::Closed), "a shard was closed"),
        (orders(|status, _| status == Status::Cancelled(Ending::Expired)), "a pay window ran out"),
        (orders(|_, is_placed| !is_placed), "a key was given up before its intent arrived"),
        (payments(went_back), "money that came late or twice went back"),
        (payments(found_another_unit), "a late payment found another unit"),
        (!rest.broker.aside.is_empty(), "a record was set aside"),
        (lost, "an acceptance was lost and its place says so"),
    ];
    moments.into_iter().filter(|(reached, _)| *reached).map(|(_, moment)| moment).collect()
}

fn went_back(audit: &Audit, payment: &PaymentRow) -> bool {
    let counts = audit.orders.get(&payment.order).and_then(|order| order.payment) == Some(payment.id);
    payment.status == PaymentStatus::Refunded && !counts
}

/// Its order is one that was reserved for late money.
fn found_another_unit(audit: &Audit, payment: &PaymentRow) -> bool {
    let key = Key::of_late_payment(payment.id);
    payment.status == PaymentStatus::Paid
        && payment.order == OrderId::derive(audit.sale.id, audit.sale.shards, &payment.user, &key)
}
