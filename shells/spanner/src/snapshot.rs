//! One state of the database, read in pages.

use crate::connection::within;
use crate::read::{Moment, Reader};
use crate::rows::{Orders, Payments, Products, Sales, Table, order_key};
use crate::store::of_shard;
use crate::value::wall_of;
use async_trait::async_trait;
use doorbuster_core::database::rows::{OrderRow, PaymentRow, ProductRow, SaleRow};
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{PaymentId, ProductId, ReservationId, ShardId};
use doorbuster_core::time::Wall;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::store::Snapshot;
use google_cloud_spanner::value::Value;

/// One state. It can be read for as long as Spanner keeps versions: an hour.
pub struct SpannerSnapshot {
    moment: Moment,
    scan_ms: u64,
}

impl SpannerSnapshot {
    pub(crate) fn new(moment: Moment, scan_ms: u64) -> SpannerSnapshot {
        SpannerSnapshot { moment, scan_ms }
    }

    async fn scan<T: Table>(
        &self,
        prefix: Vec<Value>,
        after: Option<Vec<Value>>,
        limit: Option<usize>,
    ) -> Result<Vec<T::Row>, Unavailable> {
        let found = within(self.scan_ms, Reader::Snapshot(&self.moment).scan::<T>(prefix, after, limit)).await?;
        Ok(found.into_iter().map(|(_, row)| row).collect())
    }
}

#[async_trait]
impl Snapshot for SpannerSnapshot {
    fn taken_at(&self) -> Wall {
        wall_of(self.moment.at)
    }

    async fn read(&self, reads: Reads) -> Result<Rows, Unavailable> {
        Ok(within(self.scan_ms, Reader::Snapshot(&self.moment).rows(&reads)).await?)
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
