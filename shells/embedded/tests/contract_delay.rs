//! The queue in memory, held to the contract of the delay queue.

use doorbuster_embedded::server::MemoryDelayQueue;
use doorbuster_runtime::contract::clock::SteppedEnv;
use doorbuster_runtime::contract::{Subject, delay_contract};
use doorbuster_runtime::ports::delay::DelayQueue;
use doorbuster_runtime::telemetry::Telemetry;
use std::sync::Arc;

#[tokio::test]
async fn the_queue_keeps_its_contract() {
    let make = async || {
        let env = SteppedEnv::shared(1);
        let queue = MemoryDelayQueue::new(env.clone(), Telemetry::shared());
        Subject { port: Arc::new(queue) as Arc<dyn DelayQueue>, clock: env, keep: Box::new(()) }
    };
    delay_contract(make).await;
}
