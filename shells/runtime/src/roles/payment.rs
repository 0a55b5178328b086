//! The payment worker, wired: late money and money that must go back.

use super::Ports;
use super::member::{Member, Reader};
use crate::drive::{Perform, Performed, Stop, drive, inbox, spawn};
use crate::ports::admit::{Admission, Admit};
use crate::telemetry::Metric;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::database::rows::PaymentRow;
use doorbuster_core::ids::{Key, OrderId, PaymentId};
use doorbuster_core::ledger::page::Acceptance;
use doorbuster_core::order::fate::Fate;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::payment::command::PaymentCommand;
use doorbuster_core::payment::late::{self, LateReservation, NotReserved};
use doorbuster_core::payment::worker::{PaymentEffect, PaymentEvent, PaymentWorker, ProviderRefusal};
use doorbuster_core::time::Now;
use std::sync::Arc;

/// The group under which the worker reads.
pub const READER: Reader = Reader { group: "payment", topic: Topic::Payments };

/// Starts the worker of payments.
pub fn start(ports: &Ports, admit: Arc<dyn Admit>, stop: &Stop) {
    let (events, received) = inbox();
    let member = READER.join(ports);
    spawn(member.clone().attend(stop.clone(), events.clone(), PaymentEvent::Inbox));
    let performer = Arc::new(PaymentPerformer { ports: ports.clone(), member, admit });
    let machine = PaymentWorker::new(ports.env.entropy());
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), (events, received), |_| PaymentEvent::Tick));
}

struct PaymentPerformer {
    ports: Ports,
    member: Member<Event>,
    admit: Arc<dyn Admit>,
}

impl Perform<PaymentWorker> for PaymentPerformer {
    fn perform(&self, _: Now, effect: PaymentEffect) -> Option<Performed<PaymentEvent>> {
        let (ports, member, admit) = (self.ports.clone(), self.member.clone(), self.admit.clone());
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
                Some(Box::pin(async move { Some(PaymentEvent::Inbox(member.perform(effect, Some).await)) }))
            }
        }
    }
}

async fn reserve_late(
    ports: &Ports,
    admit: &dyn Admit,
    payment: PaymentId,
    (order, key): (OrderId, Key),
) -> Outcome<(OrderId, Acceptance), NotReserved> {
    let Ok(rows) = ports.store.read(late::reads(payment, order)).await else {
        return Outcome::Refused(NotReserved::NotReady);
    };
    let late = match LateReservation::of(&rows, payment, order, &key) {
        Ok(late) => late,
        Err(refusal) => return Outcome::Refused(refusal),
    };
    // A read that fails says nothing of the row: giving up on it would send money back that has an order.
    let Ok(own) = ports.store.read(late.own_reads()).await else { return Outcome::Refused(NotReserved::NotReady) };
    match late.known(&own, ports.env.now().wall) {
        Some(Ok(acceptance)) => return Outcome::Done((late.order, acceptance)),
        Some(Err(refusal)) => return Outcome::Refused(refusal),
        None => {}
    }
    match admit.reserve(order.shard, late.item).await {
        Admission::Accepted(acceptance) | Admission::Replayed(acceptance) => Outcome::Done((late.order, acceptance)),
        Admission::Refused(refusal) => Outcome::Refused(refusal.into()),
        Admission::Overloaded | Admission::NotReady => Outcome::Refused(NotReserved::NotReady),
        // Taken or not: the derived key asks again.
        Admission::Unknown => Outcome::Unknown,
    }
}

async fn fate(ports: &Ports, order: OrderId, acceptance: Acceptance) -> Option<Fate> {
    let rows = ports.store.read(Fate::reads(order)).await.ok()?;
    let shard = rows.shards.get(&order.shard)?;
    Some(Fate::of(rows.orders.get(&order), shard, acceptance.epoch, acceptance.seq))
}

async fn apply(ports: &Ports, command: PaymentCommand) -> Outcome<PaymentRow, Refusal> {
    match ports.store.apply(Command::Payment(command)).await {
        Outcome::Done(Reply::Payment(row)) => Outcome::Done(row),
        Outcome::Done(_) => unreachable!("a payment's command is answered with its row"),
        Outcome::Refused(refusal) => Outcome::Refused(refusal),
        Outcome::Unknown => Outcome::Unknown,
    }
}
