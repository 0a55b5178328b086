//! The database.

use super::Unavailable;
use async_trait::async_trait;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::rows::{OrderRow, PaymentRow, ProductRow, SaleRow};
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{OrderId, PaymentId, ProductId, ReservationId, ShardId, Version};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use std::sync::Arc;

/// An unpaid order in the index of due orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Due {
    /// When its pay window ends.
    pub expires_at: Wall,
    /// Which.
    pub order: OrderId,
    /// Of which version.
    pub version: Version,
}

/// The database: serialisable transactions over the tables of core, with an outbox.
///
/// Contract: `apply` runs core's `reads` and `decide` in one serialisable transaction and writes rows and outbox
/// together or not at all; `Done` means durable; `Unknown` means written or not. A command may be run again after
/// `Unknown`: every command is safe to repeat. Reads are strong: they see every `Done` that came before.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// One transaction.
    async fn apply(&self, command: Command) -> Outcome<Reply, Refusal>;
    /// These rows, from one snapshot of now.
    async fn read(&self, reads: Reads) -> Result<Rows, Unavailable>;
    /// A snapshot of now, for scans that must be consistent.
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Unavailable>;
    /// Unpaid orders of a shard that are due before `before`, by time, beginning after `after`.
    async fn due(
        &self,
        shard: ShardId,
        before: Wall,
        after: Option<Due>,
        limit: usize,
    ) -> Result<Vec<Due>, Unavailable>;
}

/// One consistent state of the database.
#[async_trait]
pub trait Snapshot: Send + Sync {
    /// When it was taken, by the database's clock.
    fn taken_at(&self) -> Wall;
    /// These rows.
    async fn read(&self, reads: Reads) -> Result<Rows, Unavailable>;
    /// Every sale.
    async fn sales(&self) -> Result<Vec<SaleRow>, Unavailable>;
    /// Products in the order of their ids, beginning after `after`.
    async fn products(&self, after: Option<ProductId>, limit: usize) -> Result<Vec<ProductRow>, Unavailable>;
    /// Payments in the order of their ids, beginning after `after`.
    async fn payments(&self, after: Option<PaymentId>, limit: usize) -> Result<Vec<PaymentRow>, Unavailable>;
    /// Orders of a shard in the order of their ids, beginning after `after`.
    async fn orders(
        &self,
        shard: ShardId,
        after: Option<ReservationId>,
        limit: usize,
    ) -> Result<Vec<OrderRow>, Unavailable>;
}
