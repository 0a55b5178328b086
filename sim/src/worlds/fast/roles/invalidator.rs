//! Invalidators: changes of products, to the shared cache and to whoever listens.

use super::inbox;
use crate::services::broker::group::Group;
use crate::services::broker::log::Payload;
use crate::services::node::shared_cache::{CacheReply, CacheRequest};
use crate::services::node::{self, Reply};
use crate::worlds::fast::host::{Told, step};
use crate::worlds::fast::world::{At, World};
use doorbuster_core::cache::invalidator::{Effect, Event, Unreachable, mark_of};
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::inbox::Event as InboxEvent;
use doorbuster_core::inbox::marks::Mark;
use doorbuster_core::machine::Ticket;
use doorbuster_core::outcome::Outcome;

/// An event of the inbox, in the invalidator's words.
pub fn wrap(event: InboxEvent<Option<Mark>>) -> Told {
    Told::Invalidator(Event::Inbox(event))
}

fn decode(payload: Payload) -> Option<Option<Mark>> {
    payload.into_event().map(|event| mark_of(&event))
}

/// Performs what an invalidator asks for.
pub fn perform(world: &mut World, at: At, cell: usize, effect: Effect) {
    match effect {
        Effect::Inbox(effect) => inbox::perform(world, at, cell, Group::Invalidator, effect, (decode, wrap)),
        Effect::Floor { ticket, floors } => floor(world, at, cell, ticket, floors),
        Effect::Announce(changes) => {
            let silent = world.plants.no_invalidation;
            for (product, version) in changes.into_iter().filter(|_| !silent) {
                let request = node::Request::Cache(CacheRequest::Announce(product, version));
                world.ask_node(at, request, |_, _, _| {});
            }
        }
    }
}

/// One floor after the other; each is a call of its own, as in a cluster of servers.
fn floor(world: &mut World, at: At, cell: usize, ticket: Ticket, mut floors: Vec<(ProductId, Version)>) {
    if world.plants.no_floor || world.plants.no_invalidation {
        floors.clear();
    }
    let Some((product, version)) = floors.pop() else {
        return step(world, at, cell, Told::Invalidator(Event::Floored { ticket, outcome: Outcome::Done(()) }));
    };
    let request = node::Request::Cache(CacheRequest::Floor(product, version));
    world.ask_node(at, request, move |world, at, outcome| {
        let outcome = match outcome {
            Outcome::Done(Reply::Cache(CacheReply::Floored(_))) => return floor(world, at, cell, ticket, floors),
            Outcome::Refused(_) => Outcome::Refused(Unreachable),
            Outcome::Done(_) | Outcome::Unknown => Outcome::Unknown,
        };
        step(world, at, cell, Told::Invalidator(Event::Floored { ticket, outcome }));
    });
}
