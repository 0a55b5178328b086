//! The roles by name, each on what it stands on: production and the simulator start them here alike.

use super::forwarder::Forwarding;
use super::indexer::Indexing;
use super::relay::Relaying;
use super::settler::ClearLatch;
use super::{
    Ports, balancer, forwarder, indexer, intake, invalidator, keeper, payment, reaper, relay, sales, settler, sweep,
};
use crate::drive::Stop;
use crate::ports::admit::Admit;
use crate::ports::cache::SharedCache;
use std::sync::Arc;

/// A role that works by itself. The edge, which waits for buyers, is the web server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Climbs the epoch ladder of each shard, and shares units among shards.
    Keeper,
    /// The shards' logs to intents.
    Forwarder,
    /// Intents to orders.
    Intake,
    /// The outbox to its topics.
    Relay,
    /// Ends of pay windows, through the delay queue and by the sweep.
    Reaper,
    /// What goes down to shards.
    Settler,
    /// Late money, and money that must go back.
    Payment,
    /// Changes of products to caches.
    Invalidator,
    /// Windows of sales.
    Sales,
    /// Changes of products to search.
    Indexer,
}

impl Role {
    /// All of them, in the order in which an order passes them.
    pub const ALL: [Role; 10] = [
        Role::Keeper,
        Role::Forwarder,
        Role::Intake,
        Role::Relay,
        Role::Reaper,
        Role::Settler,
        Role::Payment,
        Role::Invalidator,
        Role::Sales,
        Role::Indexer,
    ];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Keeper => "keeper",
            Role::Forwarder => "forwarder",
            Role::Intake => "intake",
            Role::Relay => "relay",
            Role::Reaper => "reaper",
            Role::Settler => "settler",
            Role::Payment => "payment",
            Role::Invalidator => "invalidator",
            Role::Sales => "sales",
            Role::Indexer => "indexer",
        }
    }

    /// The role of this name.
    pub fn parse(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// What the roles of one process stand on; cheap to clone.
#[derive(Clone)]
pub struct Platform {
    /// What every role stands on.
    pub ports: Ports,
    /// What a forwarder stands on.
    pub forwarding: Forwarding,
    /// What a relay stands on.
    pub relaying: Relaying,
    /// What an indexer stands on; the worker of the sales windows reads rings as it reads documents.
    pub indexing: Indexing,
    /// The cache that all processes share.
    pub shared_cache: Arc<dyn SharedCache>,
    /// Lanes of this process, for reservations that late money makes.
    pub admit: Arc<dyn Admit>,
    /// Told when units of a shard came back; edges in other processes let their latches age.
    pub clear_latch: ClearLatch,
}

impl Platform {
    /// Starts a role; it works until the stop.
    pub fn start(&self, role: Role, stop: &Stop) {
        let ports = &self.ports;
        match role {
            Role::Keeper => drop(balancer::start(ports, keeper::follow(ports, stop), stop)),
            Role::Forwarder => forwarder::start(ports, &self.forwarding, stop),
            Role::Intake => intake::start(ports, stop),
            Role::Relay => relay::start(ports, &self.relaying, stop),
            Role::Reaper => {
                reaper::start(ports, stop);
                sweep::start(ports, stop);
            }
            Role::Settler => settler::start(ports, stop, self.clear_latch.clone()),
            Role::Payment => payment::start(ports, self.admit.clone(), stop),
            Role::Invalidator => invalidator::start(ports, &self.shared_cache, stop),
            Role::Sales => sales::start(ports, &self.indexing.windows, stop),
            Role::Indexer => indexer::start(ports, &self.indexing, stop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_found_by_its_name() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.name()), Some(role));
        }
        assert_eq!(Role::parse("edge"), None);
    }
}
