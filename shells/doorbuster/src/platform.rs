//! All roles of the platform over the embedded ports, in one process.

use crate::depths::EmbeddedDepths;
use crate::provider::SimulatedProvider;
use doorbuster_core::ids::ShardId;
use doorbuster_core::limits::GROUP_MAX;
use doorbuster_embedded::data::DataDirectory;
use doorbuster_embedded::rows::{RowsFeed, RowsStore};
use doorbuster_embedded::server::{LogIntents, MemoryDelayQueue, MemorySharedCache, ShardServer};
use doorbuster_runtime::drive::{Stop, spawn};
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::admit::Admit;
use doorbuster_runtime::ports::cache::SharedCache;
use doorbuster_runtime::ports::store::Store;
use doorbuster_runtime::roles::auditor::{self, LiveCheck};
use doorbuster_runtime::roles::cache::{self, Behind, Products};
use doorbuster_runtime::roles::lane::Lanes;
use doorbuster_runtime::roles::settler::ClearLatch;
use doorbuster_runtime::roles::{Ports, balancer, intake, invalidator, keeper, payment, reaper, settler, sweep};
use doorbuster_runtime::telemetry::{Metric, Telemetry};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// How often the lag of intake is looked at.
const LAG_LOOK: Duration = Duration::from_millis(500);

/// The same at every start: the lock of the data directory says that the process before this one is dead.
const OWNER: u64 = 1;

/// The embedded ports, and what ends with them.
pub struct Embedded {
    /// What the roles stand on.
    pub ports: Ports,
    /// The log as intake reads it.
    pub intents: LogIntents,
    /// The outbox.
    pub feed: RowsFeed,
    /// What audits ask beside the rows.
    pub depths: Arc<EmbeddedDepths>,
    /// The thread of the shards' server: it ends when every port is dropped, and closes the log.
    pub server: JoinHandle<()>,
}

/// Builds the ports over an open data directory.
pub fn embed(data: DataDirectory, env: SharedEnv, webhooks: SocketAddr, webhook_secret: Vec<u8>) -> Embedded {
    let telemetry = Telemetry::shared();
    let rows: RowsStore = data.rows;
    let (store, feed) = (Arc::new(rows.clone()), RowsFeed::new(rows.clone()));
    let delay = MemoryDelayQueue::new(env.clone(), telemetry.clone());
    let (ledger, intents, server) = ShardServer::start(data.log, rows.clone(), env.clone(), telemetry.clone());
    let ledger = Arc::new(ledger);
    let depths =
        EmbeddedDepths { store: store.clone(), ledger: ledger.clone(), delay: delay.clone(), feed: feed.clone() };
    let ports = Ports {
        env: env.clone(),
        owner: OWNER,
        telemetry,
        store,
        ledger,
        intents: Arc::new(intents.clone()),
        drain: Arc::new(intents.clone()),
        feed: Arc::new(feed.clone()),
        delay: Arc::new(delay),
        provider: Arc::new(SimulatedProvider::new(env, webhooks, webhook_secret)),
    };
    Embedded { ports, intents, feed, depths: Arc::new(depths), server }
}

/// What the edge needs of the running roles.
pub struct Running {
    /// The lanes.
    pub admit: Arc<dyn Admit>,
    /// The products, through the cache of this process.
    pub products: Arc<Products>,
    /// The live oracle.
    pub verdicts: watch::Receiver<Vec<LiveCheck>>,
}

/// Starts every role. The memory of the last process is gone: its delay queue is filled again from the index of due
/// orders before anything new is scheduled, and the keepers end its epochs.
pub async fn start(embedded: &Embedded, clear_latch: ClearLatch, stop: &Stop) -> Result<Running, Unavailable> {
    let ports = &embedded.ports;
    for shard in all_shards(ports.store.as_ref()).await? {
        sweep::refill(ports, shard).await?;
    }
    intake::start(ports, stop);
    reaper::start(ports, stop);
    sweep::start(ports, stop);
    settler::start(ports, stop, clear_latch);
    let keepers = keeper::follow(ports, stop);
    let balancers = balancer::start(ports, keepers.clone(), stop);
    let admit = balancers.watch(Arc::new(Lanes::new(ports.clone(), stop.clone(), GROUP_MAX)));
    payment::start(ports, admit.clone(), stop);
    let products = read_products(ports, stop);
    let verdicts = auditor::start(ports, keepers, stop);
    look_after_the_log(embedded.intents.clone(), embedded.feed.clone(), ports.telemetry.clone(), stop.clone());
    Ok(Running { admit, products, verdicts })
}

/// Caches as several processes have them, in one: what they hold ends with the process, so nothing is older than its rows.
/// The outbox is read without a relay; a change is told to the only edge by the same invalidator that tells many.
fn read_products(ports: &Ports, stop: &Stop) -> Arc<Products> {
    let shared: Arc<dyn SharedCache> = Arc::new(MemorySharedCache::new(ports.env.clone()));
    invalidator::start(ports, &shared, stop);
    cache::start(Behind { env: ports.env.clone(), store: ports.store.clone(), shared }, stop)
}

async fn all_shards(store: &dyn Store) -> Result<Vec<ShardId>, Unavailable> {
    let sales = store.snapshot().await?.sales().await?;
    Ok(sales.iter().flat_map(|sale| (0..sale.shards).map(|k| ShardId { sale: sale.id, k })).collect())
}

/// Keeps the gauges of what waits in the log and in the outbox, and gives up outbox events that every reader has dealt with.
fn look_after_the_log(intents: LogIntents, feed: RowsFeed, telemetry: Arc<Telemetry>, mut stop: Stop) {
    let readers = [reaper::READER, settler::READER, payment::READER, invalidator::READER];
    let readers = readers.map(|reader| (reader.group, reader.topic));
    spawn(async move {
        while !*stop.borrow() {
            if let Ok(lag) = intents.lag() {
                telemetry.set(Metric::IntakeLag, lag);
            }
            if let Ok(owed) = feed.unsent(settler::READER.group, settler::READER.topic) {
                telemetry.set(Metric::SettlerParked, owed);
            }
            if let Err(unavailable) = feed.trim(&readers).await {
                tracing::debug!(%unavailable, "the outbox was not trimmed");
            }
            // A stop or the pause, whichever comes first.
            let _ = tokio::time::timeout(LAG_LOOK, stop.changed()).await;
        }
    });
}
