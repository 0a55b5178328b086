//! What the sales windows and search read beyond single rows: by the rings' two indexes.

use crate::connection::{Connection, within};
use crate::read::{Reader, most, range};
use crate::rows::{Cells, Products, SalesRings, Table};
use crate::trouble::Trouble;
use crate::value::{micros_of, number};
use async_trait::async_trait;
use doorbuster_core::ids::{ProductId, SkuId};
use doorbuster_core::search::document::{Document, SnapshotTime};
use doorbuster_core::window::rows::SalesRingRow;
use doorbuster_runtime::ports::windows::Windows;
use doorbuster_runtime::ports::{Partition, Unavailable};
use google_cloud_spanner::key::KeySet;
use google_cloud_spanner::read::ReadRequest;
use std::collections::BTreeSet;

/// The rows, as the sales windows and search read them.
#[derive(Clone)]
pub struct SpannerWindows {
    connection: Connection,
}

impl SpannerWindows {
    /// Over this connection, whose schema must be this program's.
    pub fn new(connection: Connection) -> SpannerWindows {
        SpannerWindows { connection }
    }

    async fn documents_now(&self, products: &[ProductId]) -> Result<Vec<Document>, Trouble> {
        let moment = self.connection.snapshot_now().await?;
        // Commits have whole microseconds, so two snapshots within one show the same.
        let version = SnapshotTime(micros_of(moment.at));
        let reader = Reader::Snapshot(&moment);
        let keys: BTreeSet<ProductId> = products.iter().copied().collect();
        let (rows, rings) = tokio::try_join!(reader.by_key::<Products>(&keys), rings_of(reader, &keys))?;
        let document = |product: &ProductId| Document::of(*product, version, rows.get(product), &rings);
        Ok(products.iter().map(document).collect())
    }
}

/// The rings of these products, of which the index knows what a document shows.
async fn rings_of(reader: Reader<'_>, products: &BTreeSet<ProductId>) -> Result<Vec<SalesRingRow>, Trouble> {
    if products.is_empty() {
        return Ok(Vec::new());
    }
    let all_of = |product: &ProductId| range(vec![product.as_str().into()], None);
    let set = products.iter().fold(KeySet::builder(), |set, product| set.add_range(all_of(product))).build();
    let request = ReadRequest::builder(SalesRings::NAME, ["product", "emitted"]);
    let mut found = reader.read(request.with_index("sales_rings_by_product", set).build()).await?;
    let mut rings = Vec::new();
    while let Some(row) = found.next().await {
        let row = row?;
        let mut cells = Cells::of("sales_rings_by_product", row.raw_values());
        let product = cells.named()?;
        rings.push(SalesRingRow { emitted: cells.number()?, ..SalesRingRow::new(Partition(0), product) });
    }
    Ok(rings)
}

#[async_trait]
impl Windows for SpannerWindows {
    async fn rings(&self, partition: Partition, after: Option<SkuId>, limit: usize) -> Result<Vec<SkuId>, Unavailable> {
        let own = number(partition.0.into());
        let after = after.map(|after| vec![own.clone(), after.as_str().into()]);
        let request = ReadRequest::builder(SalesRings::NAME, ["sku"])
            .with_index("sales_rings_by_part", range(vec![own], after))
            .set_limit(most(limit))
            .build();
        let skus = within(self.connection.config().scan_ms, async {
            let mut found = self.connection.reads().single_use().build().execute_read(request).await?;
            let mut skus = Vec::new();
            while let Some(row) = found.next().await {
                skus.push(Cells::of("sales_rings_by_part", row?.raw_values()).named()?);
            }
            Ok(skus)
        });
        Ok(skus.await?)
    }

    async fn documents(&self, products: Vec<ProductId>) -> Result<Vec<Document>, Unavailable> {
        Ok(within(self.connection.config().scan_ms, self.documents_now(&products)).await?)
    }
}
