//! Lanes: made when their first buyer comes.

use crate::services::{database, node};
use crate::worlds::fast::host::{Told, Unit, Waiter, step};
use crate::worlds::fast::world::{At, World};
use doorbuster_core::database::rows::Phase;
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::ShardId;
use doorbuster_core::lane::{Lane, LaneEffect, LaneEvent};
use doorbuster_core::ledger::reserve::ReserveItem;
use doorbuster_core::limits::BATCH_MAX;
use doorbuster_core::outcome::Outcome;

/// Lets a buyer wait in the lane of this shard.
pub fn enter(world: &mut World, at: At, shard: ShardId, item: ReserveItem, waiter: Waiter) {
    let cells = &world.hosts[at.host].cells;
    let found = cells.iter().position(|cell| matches!(&cell.unit, Unit::Lane(of, _) if *of == shard));
    let cell = match found {
        Some(cell) => cell,
        None => {
            let seed = world.entropy(at.host);
            world.install(at, Unit::Lane(shard, Lane::new(BATCH_MAX, seed)))
        }
    };
    let host = &mut world.hosts[at.host];
    host.tokens += 1;
    let token = host.tokens;
    host.waiters.insert(token, waiter);
    world.notify_cell(at, cell, Told::Lane(LaneEvent::Asked { token, item }));
}

/// Performs what a lane asks for.
pub fn perform(world: &mut World, at: At, cell: usize, shard: ShardId, effect: LaneEffect) {
    match effect {
        LaneEffect::Send { ticket, fence, items } => {
            let request = node::Request::Reserve { shard, fence, items, level: world.setup.acknowledge };
            world.ask_node(at, request, move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(node::Reply::Reserved(Ok(replies))) => Outcome::Done(replies),
                    Outcome::Done(node::Reply::Reserved(Err(fenced))) => Outcome::Refused(fenced),
                    // A certain no of the server is not a fence: the lane's own pauses are for the unknown.
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
                };
                step(world, at, cell, Told::Lane(LaneEvent::Replied { ticket, outcome }));
            });
        }
        LaneEffect::ReadRow(ticket) => {
            let mut reads = Reads::default();
            reads.shards.insert(shard);
            world.ask_database(at, database::Request::Read(reads), move |world, at, outcome| {
                let row = match outcome {
                    Outcome::Done(database::Reply::Rows(_, rows)) => rows.shards.get(&shard).cloned(),
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => None,
                };
                let fence = row.filter(|row| row.phase == Phase::Open).map(|row| row.fence());
                step(world, at, cell, Told::Lane(LaneEvent::RowRead { ticket, fence }));
            });
        }
        LaneEffect::Reply { token, answer } => {
            if let Some(waiter) = world.hosts[at.host].waiters.remove(&token) {
                waiter(world, at, answer);
            }
        }
    }
}
