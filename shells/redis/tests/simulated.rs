//! The ports over the simulated server, held to the same contracts as over a real one.

mod support;

use async_trait::async_trait;
use doorbuster_core::database::rows::AckLevel;
use doorbuster_redis::cache::RedisSharedCache;
use doorbuster_redis::config::RedisConfig;
use doorbuster_redis::dial::{Address, ByteStream, Dial};
use doorbuster_redis::log::RedisShardLog;
use doorbuster_redis::servers::Servers;
use doorbuster_runtime::contract::clock::SteppedEnv;
use doorbuster_runtime::contract::{
    LedgerAndLogs, Subject, ledger_contract, shard_log_contract, shared_cache_contract,
};
use doorbuster_runtime::env::SystemEnv;
use doorbuster_runtime::ports::cache::SharedCache;
use doorbuster_runtime::ports::ledger::Ledger;
use doorbuster_sim::hosts::redis::{Identity, Mounted, RedisHost, SyncPolicy, serve};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

/// Streams within this process; their other ends go to the server.
struct Pipes(mpsc::UnboundedSender<DuplexStream>);

#[async_trait]
impl Dial for Pipes {
    async fn dial(&self, _: &Address) -> io::Result<Box<dyn ByteStream>> {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        self.0.send(theirs).map_err(|_| io::Error::other("the server is gone"))?;
        Ok(Box::new(ours))
    }
}

/// Bytes that a stream holds before its reader must read.
const PIPE_BYTES: usize = 1 << 16;

#[allow(clippy::disallowed_methods, reason = "the simulated server runs on this very thread, beside the test")]
fn start() -> Arc<Servers> {
    let env = SystemEnv::shared();
    let (dialled, mut accepted) = mpsc::unbounded_channel();
    let host = RedisHost::new(Identity::from_entropy([1, 2, 3], [4, 5, 6]), SyncPolicy::Always);
    let server = Rc::new(RefCell::new(Mounted::new(host)));
    let (own, clock) = (server.clone(), env.clone());
    tokio::task::spawn_local(async move {
        loop {
            own.borrow_mut().tick(clock.now());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let clock = env.clone();
    tokio::task::spawn_local(async move {
        while let Some(stream) = accepted.recv().await {
            let (own, clock) = (server.clone(), clock.clone());
            tokio::task::spawn_local(async move { serve(&own, stream, || clock.now()).await });
        }
    });
    Servers::new(RedisConfig::default(), Arc::new(Pipes(dialled)), env)
}

#[tokio::test]
async fn the_simulated_server_keeps_the_contract_of_the_shards_servers() {
    let make = async || {
        let port: Arc<dyn Ledger> = Arc::new(support::ledger(&start(), AckLevel::Redis));
        Subject { port, clock: SteppedEnv::shared(1), keep: Box::new(()) }
    };
    LocalSet::new().run_until(ledger_contract(make)).await;
}

#[tokio::test]
async fn the_simulated_server_keeps_the_contract_of_the_shards_logs() {
    let make = async || {
        let own = start();
        let port = LedgerAndLogs {
            ledger: Arc::new(support::ledger(&own, AckLevel::Redis)),
            log: Arc::new(RedisShardLog::new(own.clone(), 1)),
            successor: Arc::new(RedisShardLog::new(own, 2)),
        };
        Subject { port, clock: SteppedEnv::shared(1), keep: Box::new(()) }
    };
    LocalSet::new().run_until(shard_log_contract(make)).await;
}

#[tokio::test]
async fn the_simulated_server_keeps_the_contract_of_the_shared_cache() {
    let make = async || {
        let port: Arc<dyn SharedCache> = Arc::new(RedisSharedCache::new(start()));
        Subject { port, clock: SteppedEnv::shared(1), keep: Box::new(()) }
    };
    LocalSet::new().run_until(shared_cache_contract(make)).await;
}
