//! Settlers: what the outbox sends down to shards.

use super::inbox;
use crate::services::broker::group::Group;
use crate::services::broker::log::Payload;
use crate::services::{database, node};
use crate::worlds::fast::host::{Told, step};
use crate::worlds::fast::world::{At, Away, World};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::ShardId;
use doorbuster_core::inbox::Event as InboxEvent;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::settler::{SettlerEffect, SettlerEvent, ShardChange, Unreachable};

/// An event of the inbox, in the settler's words.
pub fn wrap(event: InboxEvent<(ShardId, ShardChange)>) -> Told {
    Told::Settler(SettlerEvent::Inbox(event))
}

fn decode(payload: Payload) -> Option<(ShardId, ShardChange)> {
    payload.into_event().and_then(ShardChange::of)
}

/// Performs what a settler asks for.
pub fn perform(world: &mut World, at: At, cell: usize, effect: SettlerEffect) {
    match effect {
        SettlerEffect::Inbox(effect) => inbox::perform(world, at, cell, Group::Settler, effect, (decode, wrap)),
        SettlerEffect::Settle { ticket, shard, changes } => {
            world.ask_node(at, node::Request::Settle { shard, changes }, move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(node::Reply::Settled(settled)) => Outcome::Done(settled),
                    Outcome::Refused(Away) => Outcome::Refused(Unreachable),
                    Outcome::Done(_) | Outcome::Unknown => Outcome::Unknown,
                };
                step(world, at, cell, Told::Settler(SettlerEvent::Settled { ticket, outcome }));
            });
        }
        SettlerEffect::ReadShard { ticket, shard } => {
            let mut reads = Reads::default();
            reads.shards.insert(shard);
            world.ask_database(at, database::Request::Read(reads), move |world, at, outcome| {
                let rung = match outcome {
                    Outcome::Done(database::Reply::Rows(_, rows)) => {
                        rows.shards.get(&shard).map(|row| (row.phase, row.epoch))
                    }
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => None,
                };
                step(world, at, cell, Told::Settler(SettlerEvent::ShardRead { ticket, rung }));
            });
        }
        // Its own process has no door: edges are other processes, and their latches age by themselves.
        SettlerEffect::ClearLatch { .. } => {}
    }
}
