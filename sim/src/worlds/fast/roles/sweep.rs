//! Sweeps: the index of due orders, back into the delay queue.

use super::reaper::{delayed, kept};
use crate::services::{database, node};
use crate::worlds::fast::host::{Told, step};
use crate::worlds::fast::world::{At, World};
use doorbuster_core::delay::sweep::{DuePage, Effect, Event};
use doorbuster_core::outcome::Outcome;

/// Performs what a sweep asks for.
pub fn perform(world: &mut World, at: At, cell: usize, effect: Effect) {
    match effect {
        Effect::ScanDue { ticket, shard, after, limit } => {
            let limit = if world.plants.no_sweep { 0 } else { limit };
            world.ask_database(at, database::Request::Due { shard, after, limit }, move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(database::Reply::Due(taken_at, tasks)) => {
                        Outcome::Done(DuePage { at: taken_at, tasks })
                    }
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
                };
                step(world, at, cell, Told::Sweep(Event::Scanned(ticket, shard, outcome)));
            });
        }
        Effect::Schedule(ticket, shard, tasks) => {
            world.ask_node(at, node::Request::Schedule(tasks), move |world, at, outcome| {
                step(world, at, cell, Told::Sweep(Event::Scheduled(ticket, shard, delayed(outcome, kept))));
            });
        }
    }
}
