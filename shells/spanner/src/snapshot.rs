//! One state of the database, read in pages.

use crate::connection::within;
use crate::read::Reader;
use crate::rows::{Orders, Payments, Products, Sales, Table, order_key};
use crate::store::of_shard;
use crate::trouble::Trouble;
use crate::value::micros_of;
use async_trait::async_trait;
use doorbuster_core::database::rows::{OrderRow, PaymentRow, ProductRow, SaleRow};
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{PaymentId, ProductId, ReservationId, ShardId};
use doorbuster_core::time::Wall;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::store::Snapshot;
use google_cloud_spanner::transaction::MultiUseReadOnlyTransaction;
use google_cloud_spanner::value::Value;

/// A transaction that only reads, at one time. It can be read for as long as Spanner keeps versions: an hour.
pub struct SpannerSnapshot {
    transaction: MultiUseReadOnlyTransaction,
    taken_micros: u64,
    scan_ms: u64,
}

impl SpannerSnapshot {
    pub(crate) fn new(transaction: MultiUseReadOnlyTransaction, scan_ms: u64) -> Result<SpannerSnapshot, Trouble> {
        let taken_micros = taken_micros(&transaction)?;
        Ok(SpannerSnapshot { transaction, taken_micros, scan_ms })
    }

    async fn scan<T: Table>(
        &self,
        prefix: Vec<Value>,
        after: Option<Vec<Value>>,
        limit: Option<usize>,
    ) -> Result<Vec<T::Row>, Unavailable> {
        let found = within(self.scan_ms, Reader::Snapshot(&self.transaction).scan::<T>(prefix, after, limit)).await?;
        Ok(found.into_iter().map(|(_, row)| row).collect())
    }
}

/// The time of a snapshot in microseconds. Commits have whole microseconds, so two snapshots within one show the same.
pub(crate) fn taken_micros(transaction: &MultiUseReadOnlyTransaction) -> Result<u64, Trouble> {
    let at = transaction.read_timestamp();
    at.map(micros_of).ok_or_else(|| Trouble::Broken("a snapshot does not tell its time".to_owned()))
}

#[async_trait]
impl Snapshot for SpannerSnapshot {
    fn taken_at(&self) -> Wall {
        Wall(self.taken_micros / 1_000)
    }

    async fn read(&self, reads: Reads) -> Result<Rows, Unavailable> {
        Ok(within(self.scan_ms, Reader::Snapshot(&self.transaction).rows(&reads)).await?)
    }

    async fn sales(&self) -> Result<Vec<SaleRow>, Unavailable> {
        self.scan::<Sales>(Vec::new(), None, None).await
    }

    async fn products(&self, after: Option<ProductId>, limit: usize) -> Result<Vec<ProductRow>, Unavailable> {
        self.scan::<Products>(Vec::new(), after.map(|after| Products::key(&after)), Some(limit)).await
    }

    async fn payments(&self, after: Option<PaymentId>, limit: usize) -> Result<Vec<PaymentRow>, Unavailable> {
        self.scan::<Payments>(Vec::new(), after.map(|after| Payments::key(&after)), Some(limit)).await
    }

    async fn orders(
        &self,
        shard: ShardId,
        after: Option<ReservationId>,
        limit: usize,
    ) -> Result<Vec<OrderRow>, Unavailable> {
        self.scan::<Orders>(of_shard(shard), after.map(|after| order_key(shard, after)), Some(limit)).await
    }
}
