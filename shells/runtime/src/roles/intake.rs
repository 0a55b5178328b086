//! Intake, wired: the partitions of intents, decided by the database.

use super::Ports;
use super::member::Member;
use crate::drive::{Perform, Performed, Stop, drive, inbox, spawn};
use crate::telemetry::Metric;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::intake::consumer::{Consumer, Effect, Event};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Now;
use std::sync::Arc;

/// Starts the consumer of whichever partitions are this process's.
pub fn start(ports: &Ports, stop: &Stop) {
    let (events, received) = inbox();
    let member = Member::new("intake", ports.intents.clone());
    spawn(member.clone().attend(stop.clone(), events.clone(), Event::Inbox));
    let performer = Arc::new(IntakePerformer { ports: ports.clone(), member });
    let machine = Consumer::new(ports.env.entropy());
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), (events, received), |_| Event::Woken));
}

struct IntakePerformer {
    ports: Ports,
    member: Member<Intent>,
}

impl Perform<Consumer> for IntakePerformer {
    fn perform(&self, _: Now, effect: Effect) -> Option<Performed<Event>> {
        let (ports, member) = (self.ports.clone(), self.member.clone());
        match effect {
            Effect::Inbox(effect) => {
                Some(Box::pin(async move { Some(Event::Inbox(member.perform(effect, Some).await)) }))
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

async fn apply(ports: &Ports, command: Command) -> Outcome<Reply, Refusal> {
    let outcome = ports.store.apply(command).await;
    if let Outcome::Done(Reply::Intake(report)) = &outcome {
        ports.telemetry.add(Metric::Persisted, u64::from(report.created));
        ports.telemetry.add(Metric::Lost, u64::from(report.lost));
    }
    outcome
}
