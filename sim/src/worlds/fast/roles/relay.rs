//! Relays: the outbox's change stream to its topics.

use crate::services::{broker, database, heard};
use crate::worlds::fast::host::{Told, step};
use crate::worlds::fast::world::{At, World};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::relay::{Effect, Event};

/// Performs what a relay asks for.
pub fn perform(world: &mut World, at: At, cell: usize, effect: Effect) {
    match effect {
        Effect::ListReady { ticket, owner, limit } => {
            world.ask_database(at, database::Request::ListReady { owner, limit }, move |world, at, outcome| {
                step(world, at, cell, Told::Relay(Event::Listed(ticket, heard::ready(outcome))));
            });
        }
        Effect::Change { ticket, owner, token, change } => {
            let request = database::Request::Change { owner, token, change };
            world.ask_database(at, request, move |world, at, outcome| {
                step(world, at, cell, Told::Relay(Event::Changed(ticket, token, heard::changed(outcome))));
            });
        }
        Effect::Read { ticket, token, from, limit } => {
            let request = database::Request::ReadStream { token, from, limit };
            world.ask_database(at, request, move |world, at, outcome| {
                step(world, at, cell, Told::Relay(Event::Read(ticket, token, heard::page(outcome))));
            });
        }
        Effect::Publish { ticket, token, events } => {
            let early = world.plants.watermark_before_publishing;
            if early {
                // The planted bug: published is said before the broker has said so.
                world.notify_cell(at, cell, Told::Relay(Event::Published(ticket, token, Outcome::Done(()))));
            }
            world.ask_broker(at, broker::Request::PublishEvents(events), move |world, at, outcome| {
                if !early {
                    step(world, at, cell, Told::Relay(Event::Published(ticket, token, heard::kept(outcome))));
                }
            });
        }
    }
}
