//! The roles, wired: effect to request, reply to event. No branch of the domain is here.

pub mod balancer;
pub mod cache;
pub mod forwarder;
pub mod inbox;
pub mod indexer;
pub mod intake;
pub mod invalidator;
pub mod keeper;
pub mod lane;
pub mod payment;
pub mod reaper;
pub mod relay;
pub mod sales;
pub mod settler;
pub mod sweep;

use super::embedded;
use super::host::{Told, Unit};
use super::world::{At, World};
use crate::plan::Setup;
use crate::services::broker::PARTITIONS;
use crate::services::broker::group::Group;
use doorbuster_core::cache::invalidator::Invalidator;
use doorbuster_core::delay::reaper::Reaper;
use doorbuster_core::delay::sweep::Sweep;
use doorbuster_core::forwarder::Forwarder;
use doorbuster_core::ids::ShardId;
use doorbuster_core::inbox::Partition;
use doorbuster_core::intake::consumer::Consumer;
use doorbuster_core::keeper::Keeper;
use doorbuster_core::keeper::balancer::Balancer;
use doorbuster_core::payment::worker::PaymentWorker;
use doorbuster_core::relay::Relay;
use doorbuster_core::search::indexer::Indexer;
use doorbuster_core::settler::Settler;
use doorbuster_core::window::worker::SalesWindows;

/// All roles, in the order in which their hosts are made.
pub const ROLES: [&str; 8] = ["edge", "keeper", "forwarder", "intake", "relay", "reaper", "settler", "payment"];

/// Roles that a plan may have beside these.
pub const FURTHER: [&str; 3] = ["invalidator", "sales", "indexer"];

/// Instances of a role: what a plan does not mention is there once, if everything needs it.
pub fn instances(setup: &Setup, role: &str) -> u32 {
    let usual = u32::from(ROLES.contains(&role));
    setup.instances.get(role).copied().unwrap_or(usual)
}

/// The partition of a shard's intents.
pub fn partition_of(shard: ShardId) -> Partition {
    Partition::of_shard(shard, PARTITIONS)
}

/// Starts the machines of a host.
pub fn start(world: &mut World, at: At) {
    let (mono, owner) = (world.host_clock(at.host).mono, world.hosts[at.host].owner);
    let shards: Vec<ShardId> = world.shards().collect();
    match world.hosts[at.host].role {
        "keeper" => {
            for shard in shards.iter().copied() {
                let seed = world.entropy(at.host);
                world.install(at, Unit::Keeper(shard, Keeper::new(shard, owner, seed)));
            }
            if shards.len() > 1 {
                world.install(at, Unit::Balancer(Balancer::new(mono)));
            }
        }
        "forwarder" => {
            for partition in (0..PARTITIONS).map(Partition) {
                let own: Vec<ShardId> = shards.iter().copied().filter(|s| partition_of(*s) == partition).collect();
                if own.is_empty() {
                    continue;
                }
                let seed = world.entropy(at.host);
                let cell = world.install(at, Unit::Forwarder(Forwarder::new(mono, partition, seed)));
                for shard in own {
                    world.notify_cell(at, cell, Told::Forwarder(doorbuster_core::forwarder::Event::ShardFound(shard)));
                }
            }
        }
        "relay" => {
            let seed = world.entropy(at.host);
            world.install(at, Unit::Relay(Relay::new(mono, seed)));
        }
        "reaper" => {
            let seed = world.entropy(at.host);
            let cell = world.install(at, Unit::Reaper(Reaper::new(mono, seed)));
            inbox::attend(world, at, cell, Group::Reaper, reaper::wrap);
            let seed = world.entropy(at.host);
            let cell = world.install(at, Unit::Sweep(Sweep::new(seed)));
            for shard in shards {
                world.notify_cell(at, cell, Told::Sweep(doorbuster_core::delay::sweep::Event::ShardFound(shard)));
            }
        }
        // Lanes are made when their first buyer comes.
        "edge" if world.catalog.is_on => cache::start(world, at),
        _ => start_consumer(world, at),
    }
}

/// Roles that are one machine which reads a topic.
fn start_consumer(world: &mut World, at: At) {
    match world.hosts[at.host].role {
        "intake" => {
            let seed = world.entropy(at.host);
            let cell = world.install(at, Unit::Intake(Consumer::new(seed)));
            match world.setup.embedded {
                true => embedded::attend(world, at, cell),
                false => inbox::attend(world, at, cell, Group::Intake, intake::wrap),
            }
        }
        "settler" => {
            let seed = world.entropy(at.host);
            let cell = world.install(at, Unit::Settler(Settler::new(seed)));
            inbox::attend(world, at, cell, Group::Settler, settler::wrap);
        }
        "payment" => {
            let seed = world.entropy(at.host);
            let cell = world.install(at, Unit::Payment(PaymentWorker::new(seed)));
            inbox::attend(world, at, cell, Group::Payment, payment::wrap);
        }
        "invalidator" => {
            let seed = world.entropy(at.host);
            let cell = world.install(at, Unit::Invalidator(Invalidator::new(seed)));
            inbox::attend(world, at, cell, Group::Invalidator, invalidator::wrap);
        }
        "sales" => {
            let seed = world.entropy(at.host);
            let cell = world.install(at, Unit::Sales(SalesWindows::new(seed)));
            inbox::attend(world, at, cell, Group::Sales, sales::wrap);
        }
        "indexer" => {
            let seed = world.entropy(at.host);
            let cell = world.install(at, Unit::Indexer(Indexer::new(seed)));
            inbox::attend(world, at, cell, Group::Indexer, indexer::wrap);
        }
        _ => {}
    }
}
