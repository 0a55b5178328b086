//! The delay queue: tasks that become due.

use super::Unavailable;
use async_trait::async_trait;
use doorbuster_core::ids::{OrderId, Version};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;

/// A recoverable delay queue of orders whose pay window ends.
///
/// Contract: each call is atomic, by the queue's own clock. `Unknown` may have been applied; repeating is safe.
/// The whole queue may be lost: the sweep over the database brings back what was in it.
#[async_trait]
pub trait DelayQueue: Send + Sync + 'static {
    /// Makes the task due at `due`; an older version than the known one changes nothing.
    async fn schedule(&self, tasks: Vec<(OrderId, Version, Wall)>) -> Outcome<(), Unavailable>;
    /// Takes due tasks under this token for `lease_ms`.
    async fn claim(&self, token: u64, limit: usize, lease_ms: u64) -> Outcome<Vec<OrderId>, Unavailable>;
    /// Removes tasks that were claimed under this token; others stay.
    async fn complete(&self, token: u64, tasks: Vec<OrderId>) -> Outcome<(), Unavailable>;
    /// Puts tasks with expired leases back; answers how many.
    async fn recover(&self) -> Outcome<usize, Unavailable>;
}
