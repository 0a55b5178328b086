//! Relays: the outbox's change stream to its topics.

use crate::services::{broker, database};
use crate::worlds::fast::host::{Told, step};
use crate::worlds::fast::world::{At, World};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::relay::{Effect, Event};

/// Performs what a relay asks for.
pub fn perform(world: &mut World, at: At, cell: usize, effect: Effect) {
    match effect {
        Effect::ListReady { ticket, owner, limit } => {
            world.ask_database(at, database::Request::ListReady { owner, limit }, move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(database::Reply::Ready(rows)) => Outcome::Done(rows),
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
                };
                step(world, at, cell, Told::Relay(Event::Listed(ticket, outcome)));
            });
        }
        Effect::Change { ticket, owner, token, change } => {
            let request = database::Request::Change { owner, token, change };
            world.ask_database(at, request, move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(database::Reply::Changed(Ok(row))) => Outcome::Done(row),
                    Outcome::Done(database::Reply::Changed(Err(refusal))) => Outcome::Refused(refusal),
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
                };
                step(world, at, cell, Told::Relay(Event::Changed(ticket, token, outcome)));
            });
        }
        Effect::Read { ticket, token, from, limit } => {
            let request = database::Request::ReadStream { token, from, limit };
            world.ask_database(at, request, move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(database::Reply::Page(page)) => Outcome::Done(page),
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
                };
                step(world, at, cell, Told::Relay(Event::Read(ticket, token, outcome)));
            });
        }
        Effect::Publish { ticket, token, events } => {
            let early = world.plants.watermark_before_publishing;
            if early {
                // The planted bug: published is said before the broker has said so.
                world.notify_cell(at, cell, Told::Relay(Event::Published(ticket, token, Outcome::Done(()))));
            }
            world.ask_broker(at, broker::Request::PublishEvents(events), move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(broker::Reply::Kept) => Outcome::Done(()),
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
                };
                if !early {
                    step(world, at, cell, Told::Relay(Event::Published(ticket, token, outcome)));
                }
            });
        }
    }
}
