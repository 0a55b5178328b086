//! Intake, wired: the partitions of intents, decided by the database.

use super::Ports;
use crate::drive::{Perform, Performed, Stop, drive, inbox, spawn};
use crate::ports::Unavailable;
use crate::telemetry::Metric;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::inbox;
use doorbuster_core::intake::consumer::{Consumer, Effect, Event};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Now;
use std::sync::Arc;

/// Starts the consumer over all partitions that are this process's.
pub async fn start(ports: &Ports, stop: &Stop) -> Result<(), Unavailable> {
    let (events, received) = inbox();
    for (partition, from) in ports.intents.assigned().await? {
        let assigned = Event::Inbox(inbox::Event::Assigned { partition, from });
        events.send(assigned).await.map_err(|_| Unavailable("intake stopped at its start".to_owned()))?;
    }
    let performer = Arc::new(IntakePerformer { ports: ports.clone() });
    let machine = Consumer::new(ports.env.entropy());
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), (events, received), |_| Event::Woken));
    Ok(())
}

struct IntakePerformer {
    ports: Ports,
}

impl Perform<Consumer> for IntakePerformer {
    fn perform(&self, _: Now, effect: Effect) -> Option<Performed<Event>> {
        let ports = self.ports.clone();
        match effect {
            Effect::Inbox(effect) => {
                Some(Box::pin(async move { Some(Event::Inbox(partitions(&ports, effect).await)) }))
            }
            Effect::Apply { ticket, command } => {
                Some(Box::pin(async move { Some(Event::Applied { ticket, outcome: apply(&ports, command).await }) }))
            }
            Effect::RaiseAlarm(alarm) => {
                tracing::error!(?alarm, "intake met what no sound run can reach");
                ports.telemetry.add(Metric::Alarms, 1);
                None
            }
            Effect::ReportRefusal { .. } => {
                tracing::error!("the database refused to decide a batch of intents");
                None
            }
        }
    }
}

async fn partitions(ports: &Ports, effect: inbox::Effect) -> inbox::Event<doorbuster_core::ledger::entry::Intent> {
    match effect {
        inbox::Effect::Fetch { ticket, partition, from, limit } => {
            let outcome = ports.intents.fetch(partition, from, limit).await;
            inbox::Event::Fetched { ticket, partition, outcome }
        }
        inbox::Effect::Commit { ticket, partition, next } => {
            let outcome = ports.intents.commit(partition, next).await;
            inbox::Event::Committed { ticket, partition, outcome }
        }
        inbox::Effect::SetAside { ticket, partition, offset } => {
            let outcome = ports.intents.set_aside(partition, offset).await;
            inbox::Event::SetAside { ticket, partition, offset, outcome }
        }
    }
}

async fn apply(ports: &Ports, command: Command) -> Outcome<Reply, Refusal> {
    let outcome = ports.store.apply(command).await;
    if let Outcome::Done(Reply::Intake(report)) = &outcome {
        ports.telemetry.add(Metric::Persisted, u64::from(report.created));
        ports.telemetry.add(Metric::Lost, u64::from(report.lost));
    }
    outcome
}
