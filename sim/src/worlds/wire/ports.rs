//! The ports of the shells over the simulated network: database, broker, provider and search, each behind one RPC connection.
//!
//! # How a world mounts and uses them
//!
//! Once per run, outside of every host: each service machine is mounted, which is what outlives crashes of its host.
//!
//! ```ignore
//! let database = Mount::new(Database::new(seed.stream("database")), seed.stream("database/link"), observe.clone());
//! let broker = Mount::new(Broker::new(seed.stream("broker")), seed.stream("broker/link"), observe.clone());
//! let provider = Mount::new(Provider::default(), seed.stream("provider/link"), observe);
//! ```
//!
//! One host each serves them. Its environment's clocks are the service's own: they must go on where they were when the host
//! starts again (time since the begin of the simulation), and `Mount::act(now, ..)` takes the same clock from outside.
//!
//! ```ignore
//! sim.host("database", move || {
//!     let (mount, env) = (database.clone(), env.clone());
//!     async move {
//!         let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
//!         Ok(rpc::host::serve(mount, env, async || Ok(listener.accept().await?.0)).await?)
//!     }
//! });
//! ```
//!
//! A process of roles connects inside of its host, in each life anew:
//!
//! ```ignore
//! let services = Services { database: database.endpoint(at("database")), .. };
//! let wired = Wired::connect(&env, dial, &services);
//! let ports = Ports { store: wired.store, intents: wired.intents, feed: wired.feed, provider: wired.provider, .. };
//! roles::forwarder::start(&ports, &wired.forwarding(shard_log), &stop);
//! roles::relay::start(&ports, &wired.relaying(), &stop);
//! ```
//!
//! Strikes: `mount.act(now, |machine, _| machine.conditions.strike(kind, permille))`, `Broker::rebalance` and the like with
//! the effects' vector; `mount.trouble(FaultKind::N9 | N5, permille)` for answers that are lost or break off. Inspection:
//! `mount.look(|database| ..)`. Notices of the provider that are due: wait for `provider.steps().changed()`, then take
//! `machine.due` in `act`, and confirm a delivered one with [`Wired::confirm`] (or a step of the mount of your own).

pub mod cache;
mod changes;
mod feed;
mod group;
mod leases;
pub mod provider;
mod publish;
mod search;
mod store;
mod windows;

use super::rpc::client::Client;
use super::rpc::mount::Endpoint;
use crate::services::broker::{Broker, PARTITIONS};
use crate::services::database::Database;
use crate::services::provider::{Provider, Request};
use crate::services::search::Search;
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::outcome::Outcome;
use doorbuster_redis::dial::Dial;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports;
use doorbuster_runtime::roles::forwarder::Forwarding;
use doorbuster_runtime::roles::indexer::Indexing;
use doorbuster_runtime::roles::relay::Relaying;
use std::sync::Arc;

/// A read that this service has not answered.
fn silent(service: &str) -> ports::Unavailable {
    ports::Unavailable(format!("the {service} has not answered"))
}

/// Where a process finds the services.
#[derive(Clone)]
pub struct Services {
    /// The database.
    pub database: Endpoint<Database>,
    /// The broker of topics.
    pub broker: Endpoint<Broker>,
    /// The payment provider.
    pub provider: Endpoint<Provider>,
    /// The search index.
    pub search: Endpoint<Search>,
}

/// One process's ports over the network; cheap to clone.
#[derive(Clone)]
pub struct Wired {
    /// The database.
    pub store: Arc<dyn ports::store::Store>,
    /// Intents, as intake reads them.
    pub intents: Arc<dyn ports::group::Group<Intent>>,
    /// The outbox's topics, as their groups read them.
    pub feed: Arc<dyn ports::feed::Feed>,
    /// The payment provider.
    pub provider: Arc<dyn ports::provider::Provider>,
    /// The topics, as forwarders and relays write them.
    pub publish: Arc<dyn ports::publish::Publish>,
    /// Who forwards into which partition.
    pub leases: Arc<dyn ports::leases::Leases>,
    /// The outbox's change stream.
    pub changes: Arc<dyn ports::changes::Changes>,
    /// Rings of sales and documents for search.
    pub windows: Arc<dyn ports::windows::Windows>,
    notices: Client<Provider>,
}

impl Wired {
    /// The ports of the calling process; call it inside of its host. Each service is dialled when it is first asked.
    pub fn connect(env: &SharedEnv, dial: Arc<dyn Dial>, services: &Services) -> Wired {
        let database = Client::new(services.database.clone(), dial.clone(), env);
        let broker = Client::new(services.broker.clone(), dial.clone(), env);
        let provider = Client::new(services.provider.clone(), dial, env);
        Wired {
            store: Arc::new(store::WiredStore::new(database.clone())),
            intents: Arc::new(group::WiredGroup::of_intents(broker.clone(), env.entropy())),
            feed: Arc::new(feed::WiredFeed::new(broker.clone(), env.clone())),
            provider: Arc::new(provider::WiredProvider::new(provider.clone())),
            publish: Arc::new(publish::WiredPublish::new(broker.clone())),
            leases: Arc::new(leases::WiredLeases::new(database.clone())),
            changes: Arc::new(changes::WiredChanges::new(database.clone())),
            windows: Arc::new(windows::WiredWindows::new(database)),
            notices: provider,
        }
    }

    /// What a forwarder stands on, over this log.
    pub fn forwarding(&self, log: Arc<dyn ports::shard_log::ShardLog>) -> Forwarding {
        Forwarding { log, leases: self.leases.clone(), publish: self.publish.clone(), partitions: PARTITIONS }
    }

    /// What a relay stands on.
    pub fn relaying(&self) -> Relaying {
        Relaying { changes: self.changes.clone(), publish: self.publish.clone() }
    }

    /// What an indexer stands on. Nobody else talks to the index, so nobody else has a connection to it.
    pub fn indexing(&self, env: &SharedEnv, dial: Arc<dyn Dial>, services: &Services) -> Indexing {
        let client = Client::new(services.search.clone(), dial, env);
        Indexing { windows: self.windows.clone(), search: Arc::new(search::WiredSearch::new(client)) }
    }

    /// Tells the provider that its notice was taken; whether it heard.
    pub async fn confirm(&self, notice: u64) -> bool {
        matches!(self.notices.ask(Request::Confirm(notice)).await, Outcome::Done(_))
    }
}
