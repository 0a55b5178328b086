//! The reaper, wired: ends of pay windows, through the delay queue, into the database.

use super::Ports;
use super::follower::Reader;
use crate::drive::{Perform, Performed, Stop, drive, inbox, spawn};
use crate::ports::{Partition, Unavailable};
use crate::telemetry::Metric;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::event::{Event as Outgoing, Topic};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::delay::claims::Standing;
use doorbuster_core::delay::queue::Task;
use doorbuster_core::delay::reaper::{Effect, Event, QueueAway, Reaper};
use doorbuster_core::ids::OrderId;
use doorbuster_core::inbox::{self, Record};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Now;
use std::convert::Infallible;
use std::sync::Arc;

/// The group under which the reaper reads.
pub const READER: Reader = Reader { group: "reaper", topic: Topic::Timeouts };
/// The topic has one partition in one process.
const ONLY: Partition = Partition(0);

/// Starts a reaper over the timeouts topic.
pub async fn start(ports: &Ports, stop: &Stop) -> Result<(), Unavailable> {
    let (events, received) = inbox();
    let from = ports.feed.committed(READER.group, READER.topic).await?;
    let assigned = Event::Inbox(inbox::Event::Assigned { partition: ONLY, from });
    events.send(assigned).await.map_err(|_| Unavailable("the reaper stopped at its start".to_owned()))?;
    let performer = Arc::new(ReaperPerformer { ports: ports.clone() });
    let machine = Reaper::new(ports.env.now().mono, ports.env.entropy());
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), (events, received), |_| Event::Woken));
    Ok(())
}

struct ReaperPerformer {
    ports: Ports,
}

impl Perform<Reaper> for ReaperPerformer {
    fn perform(&self, _: Now, effect: Effect) -> Option<Performed<Event>> {
        let ports = self.ports.clone();
        Some(Box::pin(async move { Some(answer(&ports, effect).await) }))
    }
}

async fn answer(ports: &Ports, effect: Effect) -> Event {
    match effect {
        Effect::Inbox(effect) => Event::Inbox(timeouts(ports, effect).await),
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

async fn timeouts(ports: &Ports, effect: inbox::Effect) -> inbox::Event<Task> {
    match effect {
        inbox::Effect::Fetch { ticket, partition, from, limit } => {
            let found = ports.feed.fetch(READER.group, READER.topic, from, limit).await;
            let record = |(offset, event)| match event {
                Outgoing::TimeoutDue { order, version, expires_at } => {
                    Record::Delivered(offset, Task { order, version, due: expires_at })
                }
                _ => Record::Undecodable(offset),
            };
            let outcome =
                found.map_or(Outcome::Unknown, |found| Outcome::Done(found.into_iter().map(record).collect()));
            inbox::Event::Fetched { ticket, partition, outcome }
        }
        inbox::Effect::Commit { ticket, partition, next } => {
            let outcome =
                ports.feed.commit(READER.group, READER.topic, next).await.map_or(Outcome::Unknown, Outcome::Done);
            inbox::Event::Committed { ticket, partition, outcome }
        }
        inbox::Effect::SetAside { ticket, partition, offset } => {
            tracing::error!(offset = offset.0, "an event of the timeouts topic is none");
            inbox::Event::SetAside { ticket, partition, offset, outcome: Outcome::Done(()) }
        }
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
