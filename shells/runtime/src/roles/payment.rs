//! The payment worker, wired: late money and money that must go back.

use super::Ports;
use super::follower::Reader;
use crate::drive::{Perform, Performed, Stop, drive, inbox, spawn};
use crate::ports::Unavailable;
use crate::ports::admit::{Admission, Admit};
use crate::telemetry::Metric;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::event::Topic;
use doorbuster_core::database::rows::{OrderRow, PaymentRow, PaymentStatus, SaleRow, SaleState};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::{Key, OrderId, PaymentId, ReservationId};
use doorbuster_core::ledger::page::Acceptance;
use doorbuster_core::ledger::reserve::{ReserveItem, ReserveRefusal};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::payment::command::PaymentCommand;
use doorbuster_core::payment::worker::{
    Fate, NotReserved, PaymentEffect, PaymentEvent, PaymentWorker, ProviderRefusal,
};
use doorbuster_core::time::Now;
use std::sync::Arc;

/// The group under which the worker reads.
pub const READER: Reader = Reader { group: "payment", topic: Topic::Payments };

/// Starts the worker of payments.
pub async fn start(ports: &Ports, admit: Arc<dyn Admit>, stop: &Stop) -> Result<(), Unavailable> {
    let (events, received) = inbox();
    let assigned = PaymentEvent::Inbox(READER.assigned(ports).await?);
    events.send(assigned).await.map_err(|_| Unavailable("payments stopped at their start".to_owned()))?;
    let performer = Arc::new(PaymentPerformer { ports: ports.clone(), admit });
    let machine = PaymentWorker::new(ports.env.entropy());
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), (events, received), |_| PaymentEvent::Tick));
    Ok(())
}

struct PaymentPerformer {
    ports: Ports,
    admit: Arc<dyn Admit>,
}

impl Perform<PaymentWorker> for PaymentPerformer {
    fn perform(&self, _: Now, effect: PaymentEffect) -> Option<Performed<PaymentEvent>> {
        let (ports, admit) = (self.ports.clone(), self.admit.clone());
        match effect {
            PaymentEffect::ReserveLate { ticket, payment, order, key } => Some(Box::pin(async move {
                let outcome = reserve_late(&ports, admit.as_ref(), payment, (order, key)).await;
                Some(PaymentEvent::LateReserved { ticket, outcome })
            })),
            PaymentEffect::LookUp { ticket, order, acceptance } => Some(Box::pin(async move {
                Some(PaymentEvent::LookedUp { ticket, fate: fate(&ports, order, acceptance).await })
            })),
            PaymentEffect::Apply(ticket, command) => {
                Some(Box::pin(
                    async move { Some(PaymentEvent::Applied { ticket, outcome: apply(&ports, command).await }) },
                ))
            }
            PaymentEffect::RefundAtProvider { ticket, payment } => Some(Box::pin(async move {
                let outcome = match ports.provider.refund(payment).await {
                    Outcome::Done(()) => Outcome::Done(()),
                    Outcome::Refused(reason) => {
                        tracing::warn!(%payment, %reason, "the provider did not take a refund");
                        Outcome::Refused(ProviderRefusal)
                    }
                    // Refunded or not: the provider knows the payment's id and does it once.
                    Outcome::Unknown => Outcome::Unknown,
                };
                Some(PaymentEvent::RefundedAtProvider { ticket, outcome })
            })),
            PaymentEffect::Alarm { payment, why } => {
                tracing::error!(%payment, why, "money is stuck");
                ports.telemetry.add(Metric::Alarms, 1);
                None
            }
            PaymentEffect::Inbox(effect) => {
                Some(Box::pin(async move { Some(PaymentEvent::Inbox(READER.perform(&ports, effect, Some).await)) }))
            }
        }
    }
}

async fn order_row(ports: &Ports, order: OrderId) -> Result<Option<OrderRow>, Unavailable> {
    let mut reads = Reads::default();
    reads.orders.insert(order);
    Ok(ports.store.read(reads).await?.orders.remove(&order))
}

async fn order_and_sale(ports: &Ports, order: OrderId) -> Option<(OrderRow, SaleRow)> {
    let mut reads = Reads::default();
    reads.orders.insert(order);
    reads.sales.insert(order.shard.sale);
    let mut rows = ports.store.read(reads).await.ok()?;
    Some((rows.orders.remove(&order)?, rows.sales.remove(&order.shard.sale)?))
}

/// Whether this late money has found its place already: an order, or the way back.
async fn is_settled(ports: &Ports, payment: PaymentId) -> Result<bool, Unavailable> {
    let mut reads = Reads::default();
    reads.payments.insert(payment);
    let rows = ports.store.read(reads).await?;
    Ok(rows.payments.get(&payment).is_some_and(|row| row.status != PaymentStatus::Late))
}

async fn reserve_late(
    ports: &Ports,
    admit: &dyn Admit,
    payment: PaymentId,
    (order, key): (OrderId, Key),
) -> Outcome<(OrderId, Acceptance), NotReserved> {
    // An event may be delivered again long after its money went back: a unit would be held that nobody has paid for.
    match is_settled(ports, payment).await {
        Ok(false) => {}
        Ok(true) => return Outcome::Refused(NotReserved::Never),
        Err(_) => return Outcome::Refused(NotReserved::NotReady),
    }
    let Some((row, sale)) = order_and_sale(ports, order).await else { return Outcome::Refused(NotReserved::NotReady) };
    let Some(origin) = row.origin else { return Outcome::Refused(NotReserved::Never) };
    let id = ReservationId::derive(order.shard.sale, &row.user, &key);
    let late = OrderId { shard: order.shard, reservation: id };
    // Decided already, by an attempt whose answer was lost: the row is the answer.
    // A read that fails says nothing of the row: giving up on it would send money back that has an order.
    let Ok(decided) = order_row(ports, late).await else { return Outcome::Refused(NotReserved::NotReady) };
    if let Some(acceptance) = decided.and_then(|row| row.origin).map(|origin| origin.acceptance) {
        return Outcome::Done((late, acceptance));
    }
    // No shard will open again for it: waiting for one would only keep the buyer's money.
    if sale.state == SaleState::Closed || ports.env.now().wall >= sale.window.ends_at {
        return Outcome::Refused(NotReserved::Never);
    }
    let item = ReserveItem { id, user: row.user, body: origin.body, basket: origin.basket };
    match admit.reserve(order.shard, item).await {
        Admission::Accepted(acceptance) | Admission::Replayed(acceptance) => Outcome::Done((late, acceptance)),
        Admission::Refused(ReserveRefusal::NotReady | ReserveRefusal::Stopped | ReserveRefusal::NotStarted) => {
            Outcome::Refused(NotReserved::NotReady)
        }
        Admission::Refused(
            ReserveRefusal::KeyReused
            | ReserveRefusal::Ended
            | ReserveRefusal::KeysExhausted
            | ReserveRefusal::LimitReached
            | ReserveRefusal::UnknownSku(_)
            | ReserveRefusal::SoldOut(_),
        ) => Outcome::Refused(NotReserved::Never),
        Admission::Overloaded | Admission::NotReady => Outcome::Refused(NotReserved::NotReady),
        // Taken or not: the derived key asks again.
        Admission::Unknown => Outcome::Unknown,
    }
}

/// The rule of what became of an acceptance: both rows in one snapshot.
async fn fate(ports: &Ports, order: OrderId, acceptance: Acceptance) -> Option<Fate> {
    let mut reads = Reads::default();
    reads.orders.insert(order);
    reads.shards.insert(order.shard);
    let rows = ports.store.read(reads).await.ok()?;
    let shard = rows.shards.get(&order.shard)?;
    Some(if rows.orders.contains_key(&order) {
        Fate::Decided
    } else if shard.epoch == acceptance.epoch && shard.cursor < acceptance.seq {
        Fate::OnItsWay
    } else {
        Fate::Lost
    })
}

async fn apply(ports: &Ports, command: PaymentCommand) -> Outcome<PaymentRow, Refusal> {
    match ports.store.apply(Command::Payment(command)).await {
        Outcome::Done(Reply::Payment(row)) => Outcome::Done(row),
        Outcome::Done(_) => unreachable!("a payment's command is answered with its row"),
        Outcome::Refused(refusal) => Outcome::Refused(refusal),
        Outcome::Unknown => Outcome::Unknown,
    }
}
