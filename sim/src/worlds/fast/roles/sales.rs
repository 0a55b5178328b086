//! Workers of the sales windows.

use super::inbox;
use super::intake::applied;
use crate::services::broker::group::Group;
use crate::services::broker::log::Payload;
use crate::services::{database, heard};
use crate::worlds::fast::host::{Told, step};
use crate::worlds::fast::world::{At, World};
use doorbuster_core::database::event::Event as Outgoing;
use doorbuster_core::database::tables::Reads;
use doorbuster_core::inbox::Event as InboxEvent;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::window::movement::Movement;
use doorbuster_core::window::worker::{Effect, Event};

/// An event of the inbox, in the worker's words.
pub fn wrap(event: InboxEvent<Movement>) -> Told {
    Told::Sales(Event::Inbox(event))
}

fn decode(payload: Payload) -> Option<Movement> {
    match payload {
        Payload::Event(Outgoing::SalesMoved(movement)) => Some(movement),
        Payload::Event(_) | Payload::Intent(_) | Payload::Poison => None,
    }
}

/// Performs what a worker asks for.
pub fn perform(world: &mut World, at: At, cell: usize, effect: Effect) {
    match effect {
        Effect::Inbox(effect) => inbox::perform(world, at, cell, Group::Sales, effect, (decode, wrap)),
        Effect::ReadCursor { ticket, partition } => {
            let reads = Reads { sales_cursors: [partition].into(), ..Reads::default() };
            world.ask_database(at, database::Request::Read(reads), move |world, at, outcome| {
                let next = match outcome {
                    Outcome::Done(database::Reply::Rows(_, rows)) => {
                        Some(rows.sales_cursors.get(&partition).copied().unwrap_or_default().next)
                    }
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => None,
                };
                step(world, at, cell, Told::Sales(Event::CursorRead { ticket, partition, next }));
            });
        }
        Effect::Apply { ticket, partition, command } => {
            world.ask_database(at, database::Request::Apply(command), move |world, at, outcome| {
                let outcome = applied(outcome);
                step(world, at, cell, Told::Sales(Event::Applied { ticket, partition, outcome }));
            });
        }
        Effect::ListRings { ticket, partition, after, limit } => {
            let request = database::Request::ListRings { partition, after, limit };
            world.ask_database(at, request, move |world, at, outcome| {
                let skus = heard::rings(outcome);
                step(world, at, cell, Told::Sales(Event::RingsListed { ticket, partition, skus }));
            });
        }
        Effect::ReportCounted(report) => {
            *world.counts.entry("sales counted").or_default() += report.counted as u64;
            *world.counts.entry("sales delivered again").or_default() += report.repeated as u64;
            *world.counts.entry("sales too late").or_default() += report.too_late as u64;
        }
        Effect::ReportRefusal { partition, refusal } => {
            world.violate("alarm", format!("sales of partition {} are refused: {refusal:?}", partition.0));
        }
    }
}
