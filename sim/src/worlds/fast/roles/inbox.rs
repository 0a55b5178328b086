//! A group's partitions behind an inbox: attended, fetched, committed.

use crate::services::broker::group::Group;
use crate::services::broker::log::Payload;
use crate::services::broker::{Reply, Request};
use crate::services::heard;
use crate::worlds::fast::host::{Told, step};
use crate::worlds::fast::world::{At, World};
use doorbuster_core::inbox::{Effect, Event, Offset, Partition, Record};
use doorbuster_core::outcome::Outcome;
use std::collections::BTreeMap;

/// Puts an event of an inbox into its machine's own words.
pub type Wrap<T> = fn(Event<T>) -> Told;

/// The record of a payload; `None` of one that is none of this group's.
pub type Decode<T> = fn(Payload) -> Option<T>;

/// Joins the group and stays in it: the machine hears of partitions that come and go.
pub fn attend<T: 'static>(world: &mut World, at: At, cell: usize, group: Group, wrap: Wrap<T>) {
    attend_from(world, at, cell, group, wrap, 0, BTreeMap::new());
}

fn attend_from<T: 'static>(
    world: &mut World,
    at: At,
    cell: usize,
    group: Group,
    wrap: Wrap<T>,
    generation: u64,
    own: BTreeMap<Partition, Offset>,
) {
    let request = Request::Attend { group, member: member(at), generation };
    world.ask_broker(at, request, move |world, at, outcome| match outcome {
        Outcome::Done(Reply::Assigned { generation: current, partitions }) => {
            let assigned: BTreeMap<Partition, Offset> = partitions.into_iter().collect();
            if current != generation {
                for partition in own.keys().copied().filter(|partition| !assigned.contains_key(partition)) {
                    step(world, at, cell, wrap(Event::Revoked { partition }));
                }
                // A partition that stays is begun anew: another member may have had it in between, and kept places of
                // a group may have gone back.
                for (partition, from) in &assigned {
                    step(world, at, cell, wrap(Event::Assigned { partition: *partition, from: *from }));
                }
            }
            attend_from(world, at, cell, group, wrap, current, assigned);
        }
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => {
            world.after_ms(200, move |world| {
                if world.lives(at) {
                    attend_from(world, at, cell, group, wrap, generation, own);
                }
            });
        }
    });
}

fn member(at: At) -> u64 {
    ((at.host as u64) << 32) | u64::from(at.life)
}

/// Performs what an inbox asks for.
pub fn perform<T: 'static>(
    world: &mut World,
    at: At,
    cell: usize,
    group: Group,
    effect: Effect,
    (decode, wrap): (Decode<T>, Wrap<T>),
) {
    match effect {
        Effect::Fetch { ticket, partition, from, limit } => {
            let request = Request::Fetch { group, partition, from, limit };
            world.ask_broker(at, request, move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(Reply::Records(records)) => {
                        let read = |(offset, payload)| match decode(payload) {
                            Some(record) => Record::Delivered(offset, record),
                            None => Record::Undecodable(offset),
                        };
                        Outcome::Done(records.into_iter().map(read).collect())
                    }
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
                };
                step(world, at, cell, wrap(Event::Fetched { ticket, partition, outcome }));
            });
        }
        Effect::Commit { ticket, partition, next } => {
            let request = Request::Commit { group, member: member(at), partition, next };
            world.ask_broker(at, request, move |world, at, outcome| {
                let outcome = heard::committed(outcome);
                step(world, at, cell, wrap(Event::Committed { ticket, partition, outcome }));
            });
        }
        Effect::SetAside { ticket, partition, offset } => {
            let request = Request::SetAside { group, partition, offset };
            world.ask_broker(at, request, move |world, at, outcome| {
                let outcome = heard::set_aside(outcome);
                step(world, at, cell, wrap(Event::SetAside { ticket, partition, offset, outcome }));
            });
        }
    }
}
