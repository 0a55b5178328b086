//! Reads that are not of one row: for search, for the hourly walk, and stale ones; and what the store lets go in time.

use super::{Database, Effects};
use crate::fault::FaultKind;
use crate::services::ServiceEffect;
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{ProductId, SkuId};
use doorbuster_core::inbox::Partition;
use doorbuster_core::search::document::{Document, SnapshotTime};
use doorbuster_core::time::{Now, Wall};
use std::sync::Arc;

/// A stale read shows what was replaced at most so many milliseconds ago.
const STALE_MS: u64 = 10_000;

impl Database {
    /// Rows of shards alone may be read stale by mistake: whoever acts on them names what it has read, or concludes only what
    /// stays true. Everything else is read strongly, as its contract says.
    pub(super) fn read(&mut self, now: Now, reads: &Reads, out: &mut Effects) -> Rows {
        let mut rows = self.rows.select(reads);
        if reads.len() != reads.shards.len() || !self.conditions.bites(FaultKind::D5) {
            return rows;
        }
        for (shard, row) in &mut rows.shards {
            let before = self.replaced.get(shard).filter(|(at, _)| at.after_ms(STALE_MS) > now.mono);
            if let Some((_, before)) = before.filter(|(_, before)| before != row) {
                out.push(ServiceEffect::Bitten(FaultKind::D5, "a read of rows"));
                *row = before.clone();
            }
        }
        rows
    }

    /// SKUs of this partition with a ring, in their order.
    pub(super) fn rings(&self, partition: Partition, after: Option<SkuId>, limit: usize) -> Vec<SkuId> {
        let own = self.rows.sales_rings.iter().filter(|(_, row)| row.partition == partition);
        let behind = own.map(|(sku, _)| *sku).filter(|sku| after.is_none_or(|after| *sku > after));
        behind.take(limit).collect()
    }

    /// One snapshot, under a time that no later commit has.
    pub(super) fn documents(&mut self, at: Wall, products: &[ProductId]) -> Vec<Document> {
        let version = SnapshotTime(self.stream.beat(at).0);
        let rows = &self.rows;
        let document = |product: &ProductId| {
            Document::of(*product, version, rows.products.get(product), rows.sales_rings.values())
        };
        products.iter().map(document).collect()
    }

    /// Rows whose time is over go.
    pub fn expire(&mut self, at: Wall) {
        Arc::make_mut(&mut self.rows).counted.retain(|_, row| row.expires_at > at);
    }
}
