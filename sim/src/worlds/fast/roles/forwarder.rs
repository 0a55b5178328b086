//! Forwarders: one machine per partition of intents, on every instance; the lease lets one of them work.

use crate::services::{broker, database, heard, node};
use crate::worlds::fast::host::{Told, step};
use crate::worlds::fast::world::{At, World};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::forwarder::{Effect, Event, NoRow};
use doorbuster_core::outcome::Outcome;

/// Performs what a forwarder asks for.
pub fn perform(world: &mut World, at: At, cell: usize, effect: Effect) {
    match effect {
        Effect::KeepLease(ticket, partition) => {
            let owner = world.hosts[at.host].owner;
            world.ask_database(at, database::Request::KeepLease { partition, owner }, move |world, at, outcome| {
                step(world, at, cell, Told::Forwarder(Event::LeaseKept(ticket, heard::lease(outcome))));
            });
        }
        Effect::TakeProducer(ticket, partition) => {
            world.ask_broker(at, broker::Request::TakeProducer(partition), move |world, at, outcome| {
                step(world, at, cell, Told::Forwarder(Event::ProducerTaken(ticket, heard::producer(outcome))));
            });
        }
        Effect::ReadRow(ticket, shard) => {
            let mut reads = Reads::default();
            reads.shards.insert(shard);
            world.ask_database(at, database::Request::Read(reads), move |world, at, outcome| {
                let outcome = match heard::rows(outcome) {
                    Some((_, mut rows)) => rows.shards.remove(&shard).map_or(Outcome::Refused(NoRow), Outcome::Done),
                    None => Outcome::Unknown,
                };
                step(world, at, cell, Told::Forwarder(Event::RowRead(ticket, shard, outcome)));
            });
        }
        Effect::Publish { ticket, producer, partition, intents } => {
            let request = broker::Request::PublishIntents { producer, partition, intents };
            if world.plants.acknowledge_before_publishing {
                // The planted bug: done is said before the broker has said so.
                world.notify_cell(at, cell, Told::Forwarder(Event::Published(ticket, Outcome::Done(()))));
                return world.ask_broker(at, request, |_, _, _| {});
            }
            world.ask_broker(at, request, move |world, at, outcome| {
                let outcome = match heard::published(outcome) {
                    Outcome::Unknown if world.plants.unknown_publish_is_done => Outcome::Done(()),
                    known => known,
                };
                step(world, at, cell, Told::Forwarder(Event::Published(ticket, outcome)));
            });
        }
        Effect::Apply(ticket, shard, command) => {
            world.ask_database(at, database::Request::Apply(command), move |world, at, outcome| {
                step(world, at, cell, Told::Forwarder(Event::Applied(ticket, shard, heard::applied(outcome))));
            });
        }
        Effect::ReadLog { .. } | Effect::Ack { .. } | Effect::Trim { .. } => perform_log(world, at, cell, effect),
    }
}

/// What goes to the shard's server.
fn perform_log(world: &mut World, at: At, cell: usize, effect: Effect) {
    match effect {
        Effect::ReadLog { ticket, shard, fence, after, limit } => {
            let request = node::Request::ReadLog { shard, fence, after, limit };
            world.ask_node(at, request, move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(node::Reply::Page(Ok(page))) => Outcome::Done(page),
                    Outcome::Done(node::Reply::Page(Err(fenced))) => Outcome::Refused(fenced),
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
                };
                step(world, at, cell, Told::Forwarder(Event::LogRead(ticket, shard, outcome)));
            });
        }
        Effect::Ack { ticket, shard, fence, seq } => {
            world.ask_node(at, node::Request::Ack { shard, fence, seq }, move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(node::Reply::Acked(Ok(()))) => Outcome::Done(()),
                    Outcome::Done(node::Reply::Acked(Err(fenced))) => Outcome::Refused(fenced),
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
                };
                step(world, at, cell, Told::Forwarder(Event::Acked(ticket, shard, outcome)));
            });
        }
        Effect::Trim { shard, fence, decided, age_ms } => {
            world.ask_node(at, node::Request::Trim { shard, fence, decided, age_ms }, |_, _, _| {});
        }
        Effect::KeepLease(..)
        | Effect::TakeProducer(..)
        | Effect::ReadRow(..)
        | Effect::Publish { .. }
        | Effect::Apply(..) => unreachable!("these go elsewhere"),
    }
}
