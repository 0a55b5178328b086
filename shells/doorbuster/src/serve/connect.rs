//! The platform of one process over the servers of production.

use super::config::{Config, told};
use crate::provider::SimulatedProvider;
use doorbuster_core::limits::BATCH_MAX;
use doorbuster_elasticsearch::cluster::Cluster;
use doorbuster_elasticsearch::index::ElasticsearchIndex;
use doorbuster_kafka::kafka::Kafka;
use doorbuster_redis::cache::RedisSharedCache;
use doorbuster_redis::delay::RedisDelayQueue;
use doorbuster_redis::dial::TcpDial;
use doorbuster_redis::directory::StoreDirectory;
use doorbuster_redis::ledger::RedisLedger;
use doorbuster_redis::log::RedisShardLog;
use doorbuster_redis::servers::Servers;
use doorbuster_runtime::drive::Stop;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::drain::DrainedByForwarder;
use doorbuster_runtime::roles::Ports;
use doorbuster_runtime::roles::forwarder::Forwarding;
use doorbuster_runtime::roles::indexer::Indexing;
use doorbuster_runtime::roles::lane::Lanes;
use doorbuster_runtime::roles::relay::Relaying;
use doorbuster_runtime::roles::role::Platform;
use doorbuster_runtime::roles::settler::ClearLatch;
use doorbuster_runtime::telemetry::Telemetry;
use doorbuster_spanner::changes::SpannerChanges;
use doorbuster_spanner::connection::Connection;
use doorbuster_spanner::leases::SpannerLeases;
use doorbuster_spanner::schema;
use doorbuster_spanner::store::SpannerStore;
use doorbuster_spanner::windows::SpannerWindows;
use std::error::Error;
use std::sync::Arc;

/// Connects to every server and compares what stands there with what this release needs. Topics that are missing are made;
/// nothing that is there is changed.
///
/// # Errors
/// A server does not answer, or has another schema or other topics: the text says what to do.
pub async fn connect(
    config: &Config,
    env: SharedEnv,
    clear_latch: ClearLatch,
    stop: &Stop,
) -> Result<Platform, Box<dyn Error>> {
    let database = Connection::open(config.spanner.clone(), env.clone()).await?;
    schema::check(&database).await?;
    let kafka = Kafka::connect(config.kafka.clone(), env.clone()).await?;
    let cluster = Cluster::new(config.elasticsearch.clone()).map_err(told)?;
    let servers = Servers::new(config.redis.clone(), Arc::new(TcpDial), env.clone());
    let store = Arc::new(SpannerStore::new(database.clone()));
    let directory = Arc::new(StoreDirectory::new(store.clone()));
    let publish = Arc::new(kafka.publish());
    let owner = env.entropy();
    let ports = Ports {
        env: env.clone(),
        owner,
        telemetry: Telemetry::shared(),
        store,
        ledger: Arc::new(RedisLedger::new(servers.clone(), directory.clone())),
        intents: Arc::new(kafka.intents()),
        drain: Arc::new(DrainedByForwarder),
        feed: Arc::new(kafka.feed()),
        delay: Arc::new(RedisDelayQueue::new(servers.clone(), directory)),
        provider: Arc::new(SimulatedProvider::new(env, config.http.callback, config.secrets.secrets().webhooks)),
    };
    Ok(Platform {
        forwarding: Forwarding {
            log: Arc::new(RedisShardLog::new(servers.clone(), owner)),
            leases: Arc::new(SpannerLeases::new(database.clone())),
            publish: publish.clone(),
            partitions: config.kafka.partitions,
        },
        relaying: Relaying { changes: Arc::new(SpannerChanges::new(database.clone())), publish },
        indexing: Indexing {
            windows: Arc::new(SpannerWindows::new(database)),
            search: Arc::new(ElasticsearchIndex::new(cluster)),
        },
        shared_cache: Arc::new(RedisSharedCache::new(servers)),
        admit: Arc::new(Lanes::new(ports.clone(), stop.clone(), BATCH_MAX)),
        clear_latch,
        ports,
    })
}
