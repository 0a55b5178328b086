//! Reapers: ends of pay windows, through the delay queue, into the database.

use super::{inbox, intake};
use crate::services::broker::group::Group;
use crate::services::broker::log::Payload;
use crate::services::{database, node};
use crate::worlds::fast::host::{Told, step};
use crate::worlds::fast::world::{At, Away, World};
use doorbuster_core::database::event::Event as Outgoing;
use doorbuster_core::database::tables::Reads;
use doorbuster_core::delay::claims::Standing;
use doorbuster_core::delay::queue::Task;
use doorbuster_core::delay::reaper::{Effect, Event, QueueAway};
use doorbuster_core::inbox::Event as InboxEvent;
use doorbuster_core::outcome::Outcome;

/// An event of the inbox, in the reaper's words.
pub fn wrap(event: InboxEvent<Task>) -> Told {
    Told::Reaper(Event::Inbox(event))
}

fn decode(payload: Payload) -> Option<Task> {
    match payload {
        Payload::Event(Outgoing::TimeoutDue { order, version, expires_at }) => {
            Some(Task { order, version, due: expires_at })
        }
        Payload::Event(_) | Payload::Intent(_) | Payload::Poison => None,
    }
}

/// What a caller of the delay queue knows.
pub fn delayed<T>(
    outcome: Outcome<node::Reply, Away>,
    read: impl Fn(node::Reply) -> Option<T>,
) -> Outcome<T, QueueAway> {
    match outcome {
        Outcome::Done(reply) => read(reply).map_or(Outcome::Unknown, Outcome::Done),
        Outcome::Refused(Away) => Outcome::Refused(QueueAway),
        Outcome::Unknown => Outcome::Unknown,
    }
}

/// A reply that has nothing to tell.
pub fn kept(reply: node::Reply) -> Option<()> {
    matches!(reply, node::Reply::Kept).then_some(())
}

/// Performs what a reaper asks for.
pub fn perform(world: &mut World, at: At, cell: usize, effect: Effect) {
    match effect {
        Effect::Inbox(effect) => inbox::perform(world, at, cell, Group::Reaper, effect, (decode, wrap)),
        Effect::Schedule(ticket, _, tasks) => {
            world.ask_node(at, node::Request::Schedule(tasks), move |world, at, outcome| {
                step(world, at, cell, Told::Reaper(Event::Scheduled(ticket, delayed(outcome, kept))));
            });
        }
        Effect::Claim { ticket, token, limit, lease_ms } => {
            world.ask_node(at, node::Request::Claim { token, limit, lease_ms }, move |world, at, outcome| {
                let claimed = |reply| if let node::Reply::Claimed(orders) = reply { Some(orders) } else { None };
                step(world, at, cell, Told::Reaper(Event::Claimed(ticket, token, delayed(outcome, claimed))));
            });
        }
        Effect::Recover(ticket, limit) => {
            world.ask_node(at, node::Request::Recover(limit), move |world, at, outcome| {
                let recovered = |reply| if let node::Reply::Recovered(count) = reply { Some(count) } else { None };
                step(world, at, cell, Told::Reaper(Event::Recovered(ticket, delayed(outcome, recovered))));
            });
        }
        Effect::Apply(ticket, command) => {
            world.ask_database(at, database::Request::Apply(command), move |world, at, outcome| {
                step(world, at, cell, Told::Reaper(Event::Applied(ticket, intake::applied(outcome))));
            });
        }
        Effect::Look(ticket, _, orders) => {
            let mut reads = Reads::default();
            reads.orders.extend(&orders);
            world.ask_database(at, database::Request::Read(reads), move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(database::Reply::Rows(taken_at, rows)) => {
                        let standing = |order| Standing::of(rows.orders.get(order), taken_at);
                        Outcome::Done(orders.iter().map(standing).collect())
                    }
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
                };
                step(world, at, cell, Told::Reaper(Event::Looked(ticket, outcome)));
            });
        }
        Effect::Complete(ticket, _, completions) => {
            world.ask_node(at, node::Request::Complete(completions), move |world, at, outcome| {
                step(world, at, cell, Told::Reaper(Event::Completed(ticket, delayed(outcome, kept))));
            });
        }
    }
}
