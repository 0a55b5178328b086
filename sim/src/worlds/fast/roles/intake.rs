//! Intake: partitions of intents, decided by the database.

use super::inbox;
use crate::services::broker::group::Group;
use crate::services::broker::log::Payload;
use crate::services::database;
pub use crate::services::heard::applied;
use crate::worlds::fast::embedded;
use crate::worlds::fast::host::{Told, step};
use crate::worlds::fast::world::{At, World};
use crate::worlds::watch;
use doorbuster_core::database::command::Reply;
use doorbuster_core::inbox::Event as InboxEvent;
use doorbuster_core::intake::Alarm;
use doorbuster_core::intake::consumer::{Effect, Event};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::outcome::Outcome;

/// An event of the inbox, in the consumer's words.
pub fn wrap(event: InboxEvent<Intent>) -> Told {
    Told::Intake(Event::Inbox(event))
}

fn decode(payload: Payload) -> Option<Intent> {
    match payload {
        Payload::Intent(intent) => Some(intent),
        Payload::Event(_) | Payload::Poison => None,
    }
}

/// Performs what intake asks for.
pub fn perform(world: &mut World, at: At, cell: usize, effect: Effect) {
    match effect {
        Effect::Inbox(effect) if world.setup.embedded => embedded::perform_inbox(world, at, cell, effect),
        Effect::Inbox(effect) => inbox::perform(world, at, cell, Group::Intake, effect, (decode, wrap)),
        Effect::Apply { ticket, command } => {
            if world.plants.commit_before_deciding {
                // The planted bug: the batch counts as done before its transaction.
                let reply = Reply::Intake(Default::default());
                world.notify_cell(at, cell, Told::Intake(Event::Applied { ticket, outcome: Outcome::Done(reply) }));
                return world.after_ms(1_500, move |world| {
                    if world.lives(at) {
                        world.ask_database(at, database::Request::Apply(command), |_, _, _| {});
                    }
                });
            }
            world.ask_database(at, database::Request::Apply(command), move |world, at, outcome| {
                step(world, at, cell, Told::Intake(Event::Applied { ticket, outcome: applied(outcome) }));
            });
        }
        // Only a durable log that lost records has a gap.
        Effect::RaiseAlarm(Alarm::Gap(..)) if world.durable_lost => world.count("gaps"),
        Effect::RaiseAlarm(alarm) => {
            world.violate(watch::shown_by(&alarm), format!("intake met what no sound run reaches: {alarm:?}"));
        }
        Effect::ReportRefusal { .. } => world.violate("alarm", "the database refused to decide a batch".to_owned()),
    }
}
