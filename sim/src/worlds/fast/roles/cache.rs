//! The local cache of an edge: the shared cache, the rows, and the channel of changes.

use crate::services::database;
use crate::services::node::shared_cache::{CacheReply, CacheRequest};
use crate::services::node::{self, Reply};
use crate::worlds::fast::catalog;
use crate::worlds::fast::host::{Told, Unit, step};
use crate::worlds::fast::world::{At, World};
use doorbuster_core::cache::Value;
use doorbuster_core::cache::local::Cache;
use doorbuster_core::cache::talk::{Absent, Effect, Event};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::outcome::Outcome;

/// How often a subscriber asks whether its subscription still stands.
const PING_MS: u64 = 2_000;
/// Pause before a subscription is made anew.
const AGAIN_MS: u64 = 200;

/// Installs the cache of an edge; it listens from now on.
pub fn start(world: &mut World, at: At) {
    let seed = world.entropy(at.host);
    let cell = world.install(at, Unit::Cache(Box::new(Cache::new(seed))));
    catalog::joined(world, at, cell);
    listen(world, at, cell);
}

/// The name under which a life of a host subscribes.
fn subscriber(at: At) -> u64 {
    ((at.host as u64) << 32) | u64::from(at.life)
}

/// The life that subscribed under this name.
pub fn subscribed(subscriber: u64) -> At {
    At { host: (subscriber >> 32) as usize, life: subscriber as u32 }
}

fn listen(world: &mut World, at: At, cell: usize) {
    let server = world.hosts[at.host].believes;
    let request = node::Request::Cache(CacheRequest::Subscribe(subscriber(at)));
    world.ask_this_node(at, server, request, move |world, at, outcome| match outcome {
        Outcome::Done(_) => {
            step(world, at, cell, Told::Cache(Event::Reconnected));
            stay(world, at, cell, server);
        }
        Outcome::Refused(_) | Outcome::Unknown => listen_again(world, at, cell),
    });
}

fn listen_again(world: &mut World, at: At, cell: usize) {
    world.after_ms(AGAIN_MS, move |world| {
        if world.lives(at) {
            listen(world, at, cell);
        }
    });
}

/// A server that is silent looks like one that is cut off: whatever it told may be lost.
fn stay(world: &mut World, at: At, cell: usize, server: usize) {
    world.after_ms(PING_MS, move |world| {
        if !world.lives(at) {
            return;
        }
        let request = node::Request::Cache(CacheRequest::Ping(subscriber(at)));
        world.ask_this_node(at, server, request, move |world, at, outcome| match outcome {
            Outcome::Done(Reply::Cache(CacheReply::Listens(true))) => stay(world, at, cell, server),
            Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => listen_again(world, at, cell),
        });
    });
}

/// Performs what the cache asks for.
pub fn perform(world: &mut World, at: At, cell: usize, effect: Effect) {
    match effect {
        Effect::ReadShared { ticket, key } => {
            let request = node::Request::Cache(CacheRequest::Read(key));
            world.ask_node(at, request, move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(Reply::Cache(CacheReply::Found(found))) => Outcome::Done(found),
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
                };
                step(world, at, cell, Told::Cache(Event::SharedRead { ticket, key, outcome }));
            });
        }
        Effect::Load { ticket, key } => {
            catalog::load_started(world, at, key, ticket);
            let reads = Reads { products: [key].into(), ..Reads::default() };
            world.ask_database(at, database::Request::Read(reads), move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(database::Reply::Rows(_, rows)) => match rows.products.get(&key) {
                        Some(row) => Outcome::Done((row.version, Value::from(row.name.as_bytes()))),
                        None => Outcome::Refused(Absent),
                    },
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
                };
                step(world, at, cell, Told::Cache(Event::Loaded { ticket, key, outcome }));
            });
        }
        Effect::FillShared { key, version, value, asked_at } => {
            let Some(load) = catalog::last_load(world, at) else { return };
            let request = CacheRequest::Fill { product: key, version, value, asked_at, load };
            world.ask_node(at, node::Request::Cache(request), move |world, at, outcome| {
                let outcome = match outcome {
                    Outcome::Done(Reply::Cache(CacheReply::Filled(Ok(())))) => Outcome::Done(()),
                    Outcome::Done(Reply::Cache(CacheReply::Filled(Err(refusal)))) => Outcome::Refused(refusal),
                    Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
                };
                step(world, at, cell, Told::Cache(Event::Filled { key, outcome }));
            });
        }
        Effect::Reply { token, answer } => catalog::answered(world, at, token, answer),
    }
}
