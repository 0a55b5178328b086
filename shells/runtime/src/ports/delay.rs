//! The delay queue: tasks that become due.

use super::Unavailable;
use async_trait::async_trait;
use doorbuster_core::delay::queue::{Completion, StaleToken, Task, Token};
use doorbuster_core::ids::OrderId;
use doorbuster_core::outcome::Outcome;

/// A recoverable delay queue of orders whose pay window ends.
///
/// Contract: each call is atomic, by the queue's own clock. `Unknown` may have been applied; repeating is safe.
/// The whole queue may be lost: the sweep over the database brings back what was in it.
#[async_trait]
pub trait DelayQueue: Send + Sync + 'static {
    /// Schedules each task; an older version than the known one changes nothing.
    async fn schedule(&self, tasks: Vec<Task>) -> Outcome<(), Unavailable>;
    /// Takes due tasks under this token for `lease_ms`.
    async fn claim(&self, token: Token, limit: usize, lease_ms: u64) -> Outcome<Vec<OrderId>, Unavailable>;
    /// Ends claims; one answer each.
    async fn complete(&self, completions: Vec<Completion>) -> Outcome<Vec<Result<(), StaleToken>>, Unavailable>;
    /// Puts up to `limit` tasks with expired leases back; answers how many.
    async fn recover(&self, limit: usize) -> Outcome<usize, Unavailable>;
}
