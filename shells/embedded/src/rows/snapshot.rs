//! One consistent state of the rows.

use super::key::{self, Table};
use super::read;
use super::store::{Shelf, unavailable};
use async_trait::async_trait;
use doorbuster_core::database::rows::{OrderRow, PaymentRow, ProductRow, SaleRow};
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{OrderId, PaymentId, ProductId, ReservationId, ShardId};
use doorbuster_core::time::Wall;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::store::Snapshot;

/// A snapshot of the key-value store with the time at which it was taken.
pub struct RowsSnapshot {
    shelf: Shelf,
    snapshot: fjall::Snapshot,
    taken_at: Wall,
}

impl RowsSnapshot {
    pub(super) fn new(shelf: Shelf, snapshot: fjall::Snapshot, taken_at: Wall) -> RowsSnapshot {
        RowsSnapshot { shelf, snapshot, taken_at }
    }
}

#[async_trait]
impl Snapshot for RowsSnapshot {
    fn taken_at(&self) -> Wall {
        self.taken_at
    }

    async fn read(&self, reads: Reads) -> Result<Rows, Unavailable> {
        read::rows(&self.snapshot, &self.shelf.rows, &reads).map_err(unavailable)
    }

    async fn sales(&self) -> Result<Vec<SaleRow>, Unavailable> {
        let all = key::all(Table::Sales);
        let found = read::scan(&self.snapshot, &self.shelf.rows, &all, all.clone(), usize::MAX);
        Ok(found.map_err(unavailable)?.into_iter().map(|(_, row)| row).collect())
    }

    async fn products(&self, after: Option<ProductId>, limit: usize) -> Result<Vec<ProductRow>, Unavailable> {
        let all = key::all(Table::Products);
        let from = after.map_or_else(|| all.clone(), |product| behind(key::product(&product)));
        let found = read::scan(&self.snapshot, &self.shelf.rows, &all, from, limit);
        Ok(found.map_err(unavailable)?.into_iter().map(|(_, row)| row).collect())
    }

    async fn payments(&self, after: Option<PaymentId>, limit: usize) -> Result<Vec<PaymentRow>, Unavailable> {
        let all = key::all(Table::Payments);
        let from = after.map_or_else(|| all.clone(), |payment| behind(key::payment(&payment)));
        let found = read::scan(&self.snapshot, &self.shelf.rows, &all, from, limit);
        Ok(found.map_err(unavailable)?.into_iter().map(|(_, row)| row).collect())
    }

    async fn orders(
        &self,
        shard: ShardId,
        after: Option<ReservationId>,
        limit: usize,
    ) -> Result<Vec<OrderRow>, Unavailable> {
        let all = key::of_shard(Table::Orders, shard);
        let from = after.map_or_else(|| all.clone(), |reservation| behind(key::order(&OrderId { shard, reservation })));
        let found = read::scan(&self.snapshot, &self.shelf.rows, &all, from, limit);
        Ok(found.map_err(unavailable)?.into_iter().map(|(_, row)| row).collect())
    }
}

/// The least key behind this one.
fn behind(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}
