//! The shared cache in memory, held to the contract of the shared cache.

use doorbuster_embedded::server::MemorySharedCache;
use doorbuster_runtime::contract::clock::SteppedEnv;
use doorbuster_runtime::contract::{Subject, shared_cache_contract};
use doorbuster_runtime::ports::cache::SharedCache;
use std::sync::Arc;

#[tokio::test]
async fn the_shared_cache_keeps_its_contract() {
    let make = async || {
        let env = SteppedEnv::shared(1);
        let cache = MemorySharedCache::new(env.clone());
        Subject { port: Arc::new(cache) as Arc<dyn SharedCache>, clock: env, keep: Box::new(()) }
    };
    shared_cache_contract(make).await;
}
