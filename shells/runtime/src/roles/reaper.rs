//! The reaper, wired: ends of pay windows, through the delay queue, into the database.

use super::Ports;
use super::member::{Member, Reader};
use crate::drive::{Perform, Performed, Stop, drive, inbox, spawn};
use crate::ports::Unavailable;
use crate::telemetry::Metric;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::event::{Event as Outgoing, Topic};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::delay::claims::Standing;
use doorbuster_core::delay::queue::Task;
use doorbuster_core::delay::reaper::{Effect, Event, QueueAway, Reaper};
use doorbuster_core::ids::OrderId;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Now;
use std::convert::Infallible;
use std::sync::Arc;

/// The group under which the reaper reads.
pub const READER: Reader = Reader { group: "reaper", topic: Topic::Timeouts };

/// Starts a reaper over the timeouts topic.
pub fn start(ports: &Ports, stop: &Stop) {
    let (events, received) = inbox();
    let member = READER.join(ports);
    spawn(member.clone().attend(stop.clone(), events.clone(), Event::Inbox));
    let performer = Arc::new(ReaperPerformer { ports: ports.clone(), member });
    let machine = Reaper::new(ports.env.now().mono, ports.env.entropy());
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), (events, received), |_| Event::Woken));
}

struct ReaperPerformer {
    ports: Ports,
    member: Member<Outgoing>,
}

impl Perform<Reaper> for ReaperPerformer {
    fn perform(&self, _: Now, effect: Effect) -> Option<Performed<Event>> {
        let (ports, member) = (self.ports.clone(), self.member.clone());
        Some(Box::pin(async move { Some(answer(&ports, &member, effect).await) }))
    }
}

async fn answer(ports: &Ports, member: &Member<Outgoing>, effect: Effect) -> Event {
    match effect {
        Effect::Inbox(effect) => Event::Inbox(member.perform(effect, task).await),
        Effect::Schedule(ticket, _, tasks) => Event::Scheduled(ticket, away(ports.delay.schedule(tasks).await)),
        Effect::Claim { ticket, token, limit, lease_ms } => {
            Event::Claimed(ticket, token, away(ports.delay.claim(token, limit, lease_ms).await))
        }
        Effect::Recover(ticket, limit) => Event::Recovered(ticket, away(ports.delay.recover(limit).await)),
        Effect::Apply(ticket, command) => Event::Applied(ticket, expire(ports, command).await),
        Effect::Look(ticket, _, orders) => Event::Looked(ticket, standings(ports, orders).await),
        Effect::Complete(ticket, _, completions) => {
            Event::Completed(ticket, away(ports.delay.complete(completions).await.map(|_| ())))
        }
    }
}

fn away<T>(outcome: Outcome<T, Unavailable>) -> Outcome<T, QueueAway> {
    match outcome {
        Outcome::Done(value) => Outcome::Done(value),
        Outcome::Refused(_) => Outcome::Refused(QueueAway),
        Outcome::Unknown => Outcome::Unknown,
    }
}

fn task(event: Outgoing) -> Option<Task> {
    match event {
        Outgoing::TimeoutDue { order, version, expires_at } => Some(Task { order, version, due: expires_at }),
        Outgoing::OrderChanged(_)
        | Outgoing::Settled { .. }
        | Outgoing::Granted { .. }
        | Outgoing::ReservationLost { .. }
        | Outgoing::PaymentLate { .. }
        | Outgoing::RefundDue { .. }
        | Outgoing::SaleChanged { .. }
        | Outgoing::CatalogChanged { .. }
        | Outgoing::SalesMoved(_)
        | Outgoing::SalesAdvanced { .. } => None,
    }
}

async fn expire(ports: &Ports, command: Command) -> Outcome<Reply, Refusal> {
    let outcome = ports.store.apply(command).await;
    if let Outcome::Done(Reply::Count(ended)) = &outcome {
        ports.telemetry.add(Metric::Expired, *ended as u64);
    }
    outcome
}

async fn standings(ports: &Ports, orders: Vec<OrderId>) -> Outcome<Vec<Standing>, Infallible> {
    // Not read, nothing known: the reaper asks again.
    let Ok(snapshot) = ports.store.snapshot().await else { return Outcome::Unknown };
    let mut reads = Reads::default();
    reads.orders.extend(&orders);
    let Ok(rows) = snapshot.read(reads).await else { return Outcome::Unknown };
    Outcome::Done(orders.iter().map(|order| Standing::of(rows.orders.get(order), snapshot.taken_at())).collect())
}
