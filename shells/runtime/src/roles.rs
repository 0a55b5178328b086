//! One small file per role: it wires a machine of core to ports and has no branch of the domain.

pub mod auditor;
pub mod balancer;
pub mod cache;
pub mod forwarder;
pub mod indexer;
pub mod intake;
pub mod invalidator;
pub mod keeper;
pub mod lane;
pub mod load;
pub mod member;
pub mod payment;
pub mod reaper;
pub mod relay;
pub mod role;
pub mod sales;
pub mod settler;
pub mod shard_log;
pub mod shards;
pub mod sweep;
mod waiters;

use crate::env::SharedEnv;
use crate::ports::delay::DelayQueue;
use crate::ports::drain::Drain;
use crate::ports::feed::Feed;
use crate::ports::group::Group;
use crate::ports::ledger::Ledger;
use crate::ports::provider::Provider;
use crate::ports::store::Store;
use crate::telemetry::Telemetry;
use doorbuster_core::ledger::entry::Intent;
use std::sync::Arc;

/// Everything that roles stand on; cheap to clone.
#[derive(Clone)]
pub struct Ports {
    /// Clocks and entropy.
    pub env: SharedEnv,
    /// Who this process is to leases. Drawn at random where several processes may share a database; fixed where the data
    /// directory keeps a second one out, so that a restart need not wait for its own old lease.
    pub owner: u64,
    /// What is counted.
    pub telemetry: Arc<Telemetry>,
    /// The database.
    pub store: Arc<dyn Store>,
    /// The shards' servers.
    pub ledger: Arc<dyn Ledger>,
    /// The durable log of intents, as intake reads it.
    pub intents: Arc<dyn Group<Intent>>,
    /// How an epoch ends in that log.
    pub drain: Arc<dyn Drain>,
    /// The outbox.
    pub feed: Arc<dyn Feed>,
    /// The delay queue.
    pub delay: Arc<dyn DelayQueue>,
    /// The payment provider.
    pub provider: Arc<dyn Provider>,
}
