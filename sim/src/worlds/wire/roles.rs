//! What a host of each role runs: the shells of the product, over this world's network.

use super::catalog::Catalog;
use super::http;
use super::ports::cache::{WatchedCache, WatchedStore};
use super::ports::{Services, Wired};
use super::process::{Listener, Process};
use super::redis::{Belief, WireDial};
use super::shopping::read_along;
use super::stream::Stream;
use doorbuster_core::limits::BATCH_MAX;
use doorbuster_redis::cache::RedisSharedCache;
use doorbuster_redis::config::RedisConfig;
use doorbuster_redis::delay::RedisDelayQueue;
use doorbuster_redis::dial::Dial;
use doorbuster_redis::directory::{Directory, StoreDirectory};
use doorbuster_redis::ledger::RedisLedger;
use doorbuster_redis::log::RedisShardLog;
use doorbuster_redis::servers::Servers;
use doorbuster_runtime::drive::{Stop, spawn};
use doorbuster_runtime::env::Env;
use doorbuster_runtime::ports::admit::Admit;
use doorbuster_runtime::ports::cache::SharedCache;
use doorbuster_runtime::ports::drain::DrainedByForwarder;
use doorbuster_runtime::roles::cache::{Behind, Products};
use doorbuster_runtime::roles::lane::Lanes;
use doorbuster_runtime::roles::role::{Platform, Role};
use doorbuster_runtime::roles::{Ports, cache};
use doorbuster_runtime::telemetry::Telemetry;
use doorbuster_web::api::{Api, Secrets, Settings};
use std::sync::Arc;

/// All roles, in the order in which their hosts are made.
pub const ROLES: [&str; 11] = [
    "edge",
    "keeper",
    "forwarder",
    "intake",
    "relay",
    "reaper",
    "settler",
    "payment",
    "invalidator",
    "sales",
    "indexer",
];

/// The platform's secrets: every edge and the provider know them.
pub fn secrets() -> Secrets {
    Secrets { tokens: b"tokens".to_vec(), receipts: b"receipts".to_vec(), webhooks: b"webhooks".to_vec() }
}

/// One process's ports, and what only some roles need.
struct Shells {
    process: Arc<Process>,
    ports: Ports,
    wired: Wired,
    services: Services,
    servers: Arc<Servers>,
    catalog: Arc<Catalog>,
    stop: Stop,
}

impl Shells {
    fn new(process: &Arc<Process>, services: &Services, catalog: Arc<Catalog>) -> Shells {
        let env = process.env();
        let dial: Arc<dyn Dial> = Arc::new(WireDial(process.clone()));
        let wired = Wired::connect(&env, dial.clone(), services);
        let belief = Arc::new(Belief(process.clone()));
        let servers = Servers::discovered_by(belief, RedisConfig::default(), dial, env.clone());
        let directory: Arc<dyn Directory> = Arc::new(StoreDirectory::new(wired.store.clone()));
        let ports = Ports {
            env,
            owner: process.entropy(),
            telemetry: Telemetry::shared(),
            store: wired.store.clone(),
            ledger: Arc::new(RedisLedger::new(servers.clone(), directory.clone())),
            intents: wired.intents.clone(),
            drain: Arc::new(DrainedByForwarder),
            feed: wired.feed.clone(),
            delay: Arc::new(RedisDelayQueue::new(servers.clone(), directory)),
            provider: wired.provider.clone(),
        };
        let (process, services, stop) = (process.clone(), services.clone(), process.stopped());
        Shells { process, ports, wired, services, servers, catalog, stop }
    }

    fn lanes(&self) -> Arc<dyn Admit> {
        Arc::new(Lanes::new(self.ports.clone(), self.stop.clone(), BATCH_MAX))
    }

    fn shared_cache(&self) -> Arc<dyn SharedCache> {
        Arc::new(RedisSharedCache::new(self.servers.clone()))
    }

    /// The products of an edge, watched; an edge of a world without a catalogue has none.
    fn products(&self) -> Arc<Products> {
        if !self.catalog.is_on {
            return Products::stopped();
        }
        let (reader, visits) = self.catalog.join(self.process.number);
        let (env, store) = (self.ports.env.clone(), self.ports.store.clone());
        let store = Arc::new(WatchedStore::new(store, reader.clone(), env.clone()));
        let shared = Arc::new(WatchedCache::new(self.shared_cache(), reader.clone()));
        let products = cache::start(Behind { env, store, shared }, &self.stop);
        spawn(read_along(products.clone(), reader, visits));
        products
    }

    /// What a process of background roles stands on. Edges are other processes: their latches age.
    fn platform(&self) -> Platform {
        let dial = Arc::new(WireDial(self.process.clone()));
        let log = RedisShardLog::new(self.servers.clone(), self.ports.owner);
        Platform {
            ports: self.ports.clone(),
            forwarding: self.wired.forwarding(Arc::new(log)),
            relaying: self.wired.relaying(),
            indexing: self.wired.indexing(&self.ports.env, dial, &self.services),
            shared_cache: self.shared_cache(),
            admit: self.lanes(),
            clear_latch: Arc::new(|_, _| {}),
        }
    }

    /// An edge: the web server over this host's listener.
    async fn serve(&self) -> turmoil::Result {
        let products = self.products();
        let ports = doorbuster_web::api::Ports {
            store: self.ports.store.clone(),
            ledger: self.ports.ledger.clone(),
            admit: self.lanes(),
            provider: self.ports.provider.clone(),
            products,
            env: self.ports.env.clone(),
            telemetry: self.ports.telemetry.clone(),
            verdicts: None,
            depths: None,
        };
        let api = Api::shared(ports, secrets(), Settings { dev: true, ..Settings::default() });
        let listener = self.process.listen(http::PORT).await?;
        doorbuster_web::serve_on(Door(listener), api, self.stop.clone()).await;
        Ok(())
    }
}

/// Runs one life of a host of this role.
///
/// # Errors
/// The port of an edge is taken.
pub async fn run(
    process: Arc<Process>,
    role: &'static str,
    services: Services,
    catalog: Arc<Catalog>,
) -> turmoil::Result {
    process.begin_life();
    let shells = Shells::new(&process, &services, catalog);
    match Role::parse(role) {
        Some(role) => shells.platform().start(role, &shells.stop),
        None => shells.serve().await?,
    }
    // What was asked to stop waits here to be ended.
    std::future::pending().await
}

/// The listener as the web server wants it.
struct Door(Listener);

impl doorbuster_web::Listener for Door {
    type Io = Stream;
    type Addr = Arc<str>;

    async fn accept(&mut self) -> (Stream, Arc<str>) {
        loop {
            if let Ok(accepted) = self.0.accept().await {
                return accepted;
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Arc<str>> {
        Ok(self.0.name())
    }
}
