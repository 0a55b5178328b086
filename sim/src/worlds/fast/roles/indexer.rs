//! Indexers: marked products, to search.

use super::inbox;
use crate::services::broker::group::Group;
use crate::services::broker::log::Payload;
use crate::services::{database, heard, search};
use crate::worlds::fast::host::{Told, step};
use crate::worlds::fast::world::{At, World};
use doorbuster_core::inbox::Event as InboxEvent;
use doorbuster_core::inbox::marks::Mark;
use doorbuster_core::search::indexer::{Effect, Event, mark_of};

/// An event of the inbox, in the indexer's words.
pub fn wrap(event: InboxEvent<Option<Mark>>) -> Told {
    Told::Indexer(Event::Inbox(event))
}

fn decode(payload: Payload) -> Option<Option<Mark>> {
    payload.into_event().map(|event| mark_of(&event))
}

/// Performs what an indexer asks for.
pub fn perform(world: &mut World, at: At, cell: usize, effect: Effect) {
    match effect {
        Effect::Inbox(effect) => inbox::perform(world, at, cell, Group::Indexer, effect, (decode, wrap)),
        Effect::Read { ticket, products } => {
            world.ask_database(at, database::Request::ReadDocuments(products), move |world, at, outcome| {
                let documents = heard::documents(outcome);
                step(world, at, cell, Told::Indexer(Event::Read { ticket, documents }));
            });
        }
        Effect::Write { ticket, documents } => {
            world.ask_search(at, search::Request::Bulk(documents), move |world, at, outcome| {
                let outcome = heard::written(outcome);
                step(world, at, cell, Told::Indexer(Event::Written { ticket, outcome }));
            });
        }
        Effect::ReportRejected(product) => {
            world.violate("alarm", format!("search will never take {product}"));
        }
    }
}
