//! The ports over a real server, held to their contracts.

mod support;

use doorbuster_core::database::rows::AckLevel;
use doorbuster_redis::cache::RedisSharedCache;
use doorbuster_redis::delay::RedisDelayQueue;
use doorbuster_redis::log::RedisShardLog;
use doorbuster_redis::servers::Servers;
use doorbuster_runtime::contract::{
    LedgerAndLogs, Subject, delay_contract, ledger_contract, shard_log_contract, shared_cache_contract,
};
use doorbuster_runtime::ports::cache::SharedCache;
use doorbuster_runtime::ports::delay::DelayQueue;
use doorbuster_runtime::ports::ledger::Ledger;
use doorbuster_runtime::ports::shard_log::ShardLog;
use std::sync::Arc;
use support::{OneLevel, Server, ServerClock, config, ledger, servers};

const SKIPPED: &str = "contracts";

fn there_is_a_server() -> bool {
    Server::start(SKIPPED).is_some()
}

#[tokio::test]
async fn the_scripts_keep_the_contract_of_the_shards_servers() {
    if !there_is_a_server() {
        return;
    }
    let make = async || {
        let server = Server::start(SKIPPED).expect("there was one");
        let port: Arc<dyn Ledger> = Arc::new(ledger(&servers(config(&server)), AckLevel::Redis));
        Subject { port, clock: Arc::new(ServerClock(server.port)), keep: Box::new(server) }
    };
    ledger_contract(make).await;
}

#[tokio::test]
async fn the_scripts_keep_the_contract_of_the_delay_queue() {
    if !there_is_a_server() {
        return;
    }
    let make = async || {
        let server = Server::start(SKIPPED).expect("there was one");
        let sales = vec!["due", "leases", "versions", "stale", "limits"];
        let directory = Arc::new(OneLevel { level: AckLevel::Redis, sales });
        let port: Arc<dyn DelayQueue> = Arc::new(RedisDelayQueue::new(servers(config(&server)), directory));
        Subject { port, clock: Arc::new(ServerClock(server.port)), keep: Box::new(server) }
    };
    delay_contract(make).await;
}

#[tokio::test]
async fn the_scripts_keep_the_contract_of_the_shared_cache() {
    if !there_is_a_server() {
        return;
    }
    let make = async || {
        let server = Server::start(SKIPPED).expect("there was one");
        let port: Arc<dyn SharedCache> = Arc::new(RedisSharedCache::new(servers(config(&server))));
        Subject { port, clock: Arc::new(ServerClock(server.port)), keep: Box::new(server) }
    };
    shared_cache_contract(make).await;
}

#[tokio::test]
async fn the_streams_keep_the_contract_of_the_shards_logs() {
    if !there_is_a_server() {
        return;
    }
    let make = async || {
        let server = Server::start(SKIPPED).expect("there was one");
        let (own, other) = (servers(config(&server)), servers(config(&server)));
        let log =
            |servers: &Arc<Servers>, owner| Arc::new(RedisShardLog::new(servers.clone(), owner)) as Arc<dyn ShardLog>;
        let port = LedgerAndLogs {
            ledger: Arc::new(ledger(&own, AckLevel::Redis)),
            log: log(&own, 1),
            successor: log(&other, 2),
        };
        Subject { port, clock: Arc::new(ServerClock(server.port)), keep: Box::new(server) }
    };
    shard_log_contract(make).await;
}
