//! What the sales windows and search read of the database beyond single rows.

use super::{Partition, Unavailable};
use async_trait::async_trait;
use doorbuster_core::ids::{ProductId, SkuId};
use doorbuster_core::search::document::Document;

/// Reads of the rings of sales and of products with their rings.
///
/// Contract: every read is strong: it sees every transaction that was done before it was asked. Documents are of one
/// snapshot and carry its time as their version: a later snapshot has no lower one, and two snapshots of one version show
/// the same. A read that failed changes nothing.
#[async_trait]
pub trait Windows: Send + Sync + 'static {
    /// Up to `limit` SKUs with a ring in this partition, in their order, beginning after `after`; fewer only when none is
    /// left.
    async fn rings(&self, partition: Partition, after: Option<SkuId>, limit: usize) -> Result<Vec<SkuId>, Unavailable>;
    /// The documents of these products, in the order of the question.
    async fn documents(&self, products: Vec<ProductId>) -> Result<Vec<Document>, Unavailable>;
}
