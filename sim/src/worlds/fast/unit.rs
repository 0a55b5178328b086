//! The machines of this world, and what each is told.

use doorbuster_core::cache::invalidator::{self, Invalidator};
use doorbuster_core::cache::local::Cache;
use doorbuster_core::cache::talk;
use doorbuster_core::delay::{reaper, sweep};
use doorbuster_core::forwarder::{self, Forwarder};
use doorbuster_core::ids::ShardId;
use doorbuster_core::intake::consumer;
use doorbuster_core::keeper::Keeper;
use doorbuster_core::keeper::balancer::{Balancer, BalancerEvent};
use doorbuster_core::keeper::talk::KeeperEvent;
use doorbuster_core::lane::{Lane, LaneEvent};
use doorbuster_core::machine::Machine;
use doorbuster_core::payment::worker::{PaymentEvent, PaymentWorker};
use doorbuster_core::relay::{self, Relay};
use doorbuster_core::search::indexer::{self, Indexer};
use doorbuster_core::settler::{Settler, SettlerEvent};
use doorbuster_core::time::Mono;
use doorbuster_core::window::worker::{self, SalesWindows};

/// A machine of a host.
pub enum Unit {
    Lane(ShardId, Lane),
    Forwarder(Forwarder),
    Intake(consumer::Consumer),
    Relay(Relay),
    Reaper(reaper::Reaper),
    Sweep(sweep::Sweep),
    Settler(Settler),
    Keeper(ShardId, Keeper),
    Balancer(Balancer),
    Payment(PaymentWorker),
    Cache(Box<Cache>),
    Invalidator(Invalidator),
    Sales(SalesWindows),
    Indexer(Indexer),
}

/// What a machine is told.
#[derive(Clone, Debug)]
pub enum Told {
    Lane(LaneEvent),
    Forwarder(forwarder::Event),
    Intake(consumer::Event),
    Relay(relay::Event),
    Reaper(reaper::Event),
    Sweep(sweep::Event),
    Settler(SettlerEvent),
    Keeper(KeeperEvent),
    Balancer(BalancerEvent),
    Payment(PaymentEvent),
    Cache(talk::Event),
    Invalidator(invalidator::Event),
    Sales(worker::Event),
    Indexer(indexer::Event),
}

macro_rules! each {
    ($unit:expr, $machine:ident => $body:expr) => {
        match $unit {
            Unit::Lane(_, $machine) => $body,
            Unit::Forwarder($machine) => $body,
            Unit::Intake($machine) => $body,
            Unit::Relay($machine) => $body,
            Unit::Reaper($machine) => $body,
            Unit::Sweep($machine) => $body,
            Unit::Settler($machine) => $body,
            Unit::Keeper(_, $machine) => $body,
            Unit::Balancer($machine) => $body,
            Unit::Payment($machine) => $body,
            Unit::Cache($machine) => $body,
            Unit::Invalidator($machine) => $body,
            Unit::Sales($machine) => $body,
            Unit::Indexer($machine) => $body,
        }
    };
}

impl Unit {
    /// When it is to be woken, by its host's clock.
    pub fn wake_at(&self) -> Option<(Mono, &'static str)> {
        each!(self, machine => machine.wake_at())
    }

    /// What it owes.
    pub fn pending(&self) -> Option<&'static str> {
        each!(self, machine => machine.pending())
    }

    /// What tells it that its time has come.
    pub fn woken(&self) -> Told {
        match self {
            Unit::Lane(..) => Told::Lane(LaneEvent::Tick),
            Unit::Forwarder(_) => Told::Forwarder(forwarder::Event::Woken),
            Unit::Intake(_) => Told::Intake(consumer::Event::Woken),
            Unit::Relay(_) => Told::Relay(relay::Event::Woken),
            Unit::Reaper(_) => Told::Reaper(reaper::Event::Woken),
            Unit::Sweep(_) => Told::Sweep(sweep::Event::Woken),
            Unit::Settler(_) => Told::Settler(SettlerEvent::Tick),
            Unit::Keeper(..) => Told::Keeper(KeeperEvent::Tick),
            Unit::Balancer(_) => Told::Balancer(BalancerEvent::Woken),
            Unit::Payment(_) => Told::Payment(PaymentEvent::Tick),
            Unit::Cache(_) => Told::Cache(talk::Event::Woken),
            Unit::Invalidator(_) => Told::Invalidator(invalidator::Event::Woken),
            Unit::Sales(_) => Told::Sales(worker::Event::Woken),
            Unit::Indexer(_) => Told::Indexer(indexer::Event::Woken),
        }
    }
}

impl Told {
    /// What of it goes into the hash of the run.
    pub fn kind(&self) -> u64 {
        match self {
            Told::Lane(_) => 1,
            Told::Forwarder(_) => 2,
            Told::Intake(_) => 3,
            Told::Relay(_) => 4,
            Told::Reaper(_) => 5,
            Told::Sweep(_) => 6,
            Told::Settler(_) => 7,
            Told::Keeper(_) => 8,
            Told::Balancer(_) => 9,
            Told::Payment(_) => 10,
            Told::Cache(_) => 11,
            Told::Invalidator(_) => 12,
            Told::Sales(_) => 13,
            Told::Indexer(_) => 14,
        }
    }

    /// Whether it only tells that time has passed: too many for a reader.
    pub fn is_tick(&self) -> bool {
        matches!(
            self,
            Told::Lane(LaneEvent::Tick)
                | Told::Forwarder(forwarder::Event::Woken)
                | Told::Intake(consumer::Event::Woken)
                | Told::Relay(relay::Event::Woken)
                | Told::Reaper(reaper::Event::Woken)
                | Told::Sweep(sweep::Event::Woken)
                | Told::Settler(SettlerEvent::Tick)
                | Told::Keeper(KeeperEvent::Tick)
                | Told::Balancer(BalancerEvent::Woken)
                | Told::Payment(PaymentEvent::Tick)
                | Told::Cache(talk::Event::Woken)
                | Told::Invalidator(invalidator::Event::Woken)
                | Told::Sales(worker::Event::Woken)
                | Told::Indexer(indexer::Event::Woken)
        )
    }
}
