//! The roles of one process, where they are wired otherwise: intake reads the server's own log, and there is no forwarder.

use crate::services::embedded::{DurableReply, DurableRequest};
use crate::services::node;
use crate::worlds::fast::host::{Told, step};
use crate::worlds::fast::roles::intake::wrap;
use crate::worlds::fast::world::{At, Away, World};
use doorbuster_core::ids::{Epoch, ShardId};
use doorbuster_core::inbox::{Effect, Event, Partition};
use doorbuster_core::keeper::talk::KeeperEvent;
use doorbuster_core::machine::Ticket;
use doorbuster_core::outcome::Outcome;

/// One process has one intake, and its log is one partition.
const PARTITION: Partition = Partition(0);
/// A question that was not answered is asked again after this.
const AGAIN_MS: u64 = 200;

/// Intake begins behind the last record that the rows know as done.
pub fn attend(world: &mut World, at: At, cell: usize) {
    ask(world, at, DurableRequest::Attend, move |world, at, reply| match reply {
        Some(DurableReply::Place(from)) => {
            step(world, at, cell, wrap(Event::Assigned { partition: PARTITION, from }));
        }
        Some(_) | None => world.after_ms(AGAIN_MS, move |world| {
            if world.lives(at) {
                attend(world, at, cell);
            }
        }),
    });
}

/// Forgets the newest of what intake has done: it is decided again. Whether there was any.
pub fn begin_again(world: &mut World, records: u64) -> bool {
    let Some(server) = &mut world.platform.server else { return false };
    let moved = server.rewind(records);
    if let Some((at, cell)) = super::intake(world) {
        attend(world, at, cell);
    }
    moved
}

/// Performs what intake's inbox asks for.
pub fn perform_inbox(world: &mut World, at: At, cell: usize, effect: Effect) {
    match effect {
        Effect::Fetch { ticket, partition, from, limit } => {
            ask(world, at, DurableRequest::Fetch { from, limit }, move |world, at, reply| {
                let outcome = match reply {
                    Some(DurableReply::Records(records)) => Outcome::Done(records),
                    Some(_) | None => Outcome::Unknown,
                };
                step(world, at, cell, wrap(Event::Fetched { ticket, partition, outcome }));
            });
        }
        Effect::Commit { ticket, partition, next } => {
            ask(world, at, DurableRequest::Commit { next }, move |world, at, reply| {
                let outcome = reply.map_or(Outcome::Unknown, |_| Outcome::Done(()));
                step(world, at, cell, wrap(Event::Committed { ticket, partition, outcome }));
            });
        }
        Effect::SetAside { ticket, partition, offset } => {
            ask(world, at, DurableRequest::SetAside { offset }, move |world, at, reply| {
                let outcome = reply.map_or(Outcome::Unknown, |_| Outcome::Done(()));
                step(world, at, cell, wrap(Event::SetAside { ticket, partition, offset, outcome }));
            });
        }
    }
}

/// What the memory wrote is in the log already: only the seal is missing.
pub fn perform_drain(world: &mut World, at: At, cell: usize, shard: ShardId, (ticket, epoch): (Ticket, Epoch)) {
    ask(world, at, DurableRequest::AppendSeal { shard, epoch }, move |world, at, _| {
        step(world, at, cell, Told::Keeper(KeeperEvent::Drained { ticket }));
    });
}

fn ask(
    world: &mut World,
    at: At,
    request: DurableRequest,
    then: impl FnOnce(&mut World, At, Option<DurableReply>) + 'static,
) {
    world.ask_node(at, node::Request::Durable(request), move |world, at, outcome: Outcome<node::Reply, Away>| {
        let reply = match outcome {
            Outcome::Done(node::Reply::Durable(reply)) => Some(reply),
            Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => None,
        };
        then(world, at, reply);
    });
}
