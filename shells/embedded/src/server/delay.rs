//! The delay queue in memory: core's model behind a lock. A start fills it from the index of due orders.

use async_trait::async_trait;
use doorbuster_core::delay::queue::{Completion, Queue, StaleToken, Task, Token};
use doorbuster_core::ids::OrderId;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::delay::DelayQueue;
use doorbuster_runtime::telemetry::{Metric, Telemetry};
use std::sync::{Arc, Mutex, MutexGuard};

/// The delay queue of this process.
#[derive(Clone)]
pub struct MemoryDelayQueue {
    queue: Arc<Mutex<Queue>>,
    env: SharedEnv,
    telemetry: Arc<Telemetry>,
}

impl MemoryDelayQueue {
    /// Empty.
    pub fn new(env: SharedEnv, telemetry: Arc<Telemetry>) -> MemoryDelayQueue {
        MemoryDelayQueue { queue: Arc::default(), env, telemetry }
    }

    /// Every task: its order, when it is due or its lease ends, and the claim on it, if there is one.
    pub fn tasks(&self) -> Vec<(OrderId, Wall, Option<Token>)> {
        self.lock().tasks().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic inside the model is a broken invariant: the process must not go on with such a queue.
        self.queue.lock().expect("the queue's model does not panic")
    }

    fn count(&self, queue: &Queue) {
        self.telemetry.set(Metric::DelayReady, queue.ready() as u64);
        self.telemetry.set(Metric::DelayProcessing, queue.processing() as u64);
    }
}

#[async_trait]
impl DelayQueue for MemoryDelayQueue {
    async fn schedule(&self, tasks: Vec<Task>) -> Outcome<(), Unavailable> {
        let mut queue = self.lock();
        for task in tasks {
            queue.schedule(task);
        }
        self.count(&queue);
        Outcome::Done(())
    }

    async fn claim(&self, token: Token, limit: usize, lease_ms: u64) -> Outcome<Vec<OrderId>, Unavailable> {
        let mut queue = self.lock();
        let claimed = queue.claim(self.env.now().wall, limit, token, lease_ms);
        self.count(&queue);
        Outcome::Done(claimed)
    }

    async fn complete(&self, completions: Vec<Completion>) -> Outcome<Vec<Result<(), StaleToken>>, Unavailable> {
        let (mut queue, now) = (self.lock(), self.env.now().wall);
        let ended = completions.into_iter().map(|completion| queue.complete(now, completion)).collect();
        self.count(&queue);
        Outcome::Done(ended)
    }

    async fn recover(&self, limit: usize) -> Outcome<usize, Unavailable> {
        let mut queue = self.lock();
        let recovered = queue.recover(self.env.now().wall, limit);
        self.count(&queue);
        Outcome::Done(recovered)
    }
}
