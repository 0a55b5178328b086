//! What the database says of sales that the servers do not know.

use async_trait::async_trait;
use doorbuster_core::database::rows::AckLevel;
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::{SaleId, ShardId};
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::store::Store;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

/// Facts of sales.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// What a 202 of this sale promises; fixed at its creation.
    ///
    /// # Errors
    /// The database cannot be asked, or has no such sale yet.
    async fn ack(&self, sale: SaleId) -> Result<AckLevel, Unavailable>;
    /// All shards of all sales.
    ///
    /// # Errors
    /// The database cannot be asked.
    async fn shards(&self) -> Result<Vec<ShardId>, Unavailable>;
}

/// The sales' rows.
pub struct StoreDirectory {
    store: Arc<dyn Store>,
    /// Never forgotten: a level is fixed at creation, and there are as many as sales.
    levels: RwLock<BTreeMap<SaleId, AckLevel>>,
}

impl StoreDirectory {
    /// Reads this database.
    pub fn new(store: Arc<dyn Store>) -> StoreDirectory {
        StoreDirectory { store, levels: RwLock::default() }
    }
}

#[async_trait]
impl Directory for StoreDirectory {
    async fn ack(&self, sale: SaleId) -> Result<AckLevel, Unavailable> {
        if let Some(level) = self.levels.read().expect("no holder of this lock panics").get(&sale) {
            return Ok(*level);
        }
        let mut reads = Reads::default();
        reads.sales.insert(sale);
        let rows = self.store.read(reads).await?;
        let row = rows.sales.get(&sale).ok_or_else(|| Unavailable(format!("there is no sale {sale}")))?;
        self.levels.write().expect("no holder of this lock panics").insert(sale, row.ack);
        Ok(row.ack)
    }

    async fn shards(&self) -> Result<Vec<ShardId>, Unavailable> {
        let sales = self.store.snapshot().await?.sales().await?;
        Ok(sales.iter().flat_map(|sale| (0..sale.shards).map(|k| ShardId { sale: sale.id, k })).collect())
    }
}
