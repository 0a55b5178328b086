//! What the database says of sales that the servers do not know.

use async_trait::async_trait;
use doorbuster_core::database::rows::{AckLevel, SaleRow};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::{SaleId, ShardId};
use doorbuster_core::limits::HOLD_MS_MAX;
use doorbuster_core::time::Wall;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::store::Store;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

/// So long after a sale's window its last orders may still be unpaid: the longest pay window, and a day for what is late.
const TASKS_END_MS: u64 = HOLD_MS_MAX + 24 * 3_600_000;

/// Facts of sales.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// What a 202 of this sale promises; fixed at its creation.
    ///
    /// # Errors
    /// The database cannot be asked, or has no such sale yet.
    async fn ack(&self, sale: SaleId) -> Result<AckLevel, Unavailable>;
    /// All shards of all sales that may still have tasks in the delay queue.
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
        let snapshot = self.store.snapshot().await?;
        Ok(shards_of(&snapshot.sales().await?, snapshot.taken_at()))
    }
}

/// Shards whose queues are asked at `now`: else every sale that ever was would cost a call each second for ever. What is
/// left in an older queue the sweep over the orders finds.
fn shards_of(sales: &[SaleRow], now: Wall) -> Vec<ShardId> {
    let has_tasks = |sale: &&SaleRow| now <= sale.window.ends_at.after_ms(TASKS_END_MS);
    sales.iter().filter(has_tasks).flat_map(|sale| (0..sale.shards).map(|k| ShardId { sale: sale.id, k })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorbuster_core::database::rows::{Currency, SaleState};
    use doorbuster_core::ids::Version;
    use doorbuster_core::ledger::shard::Window;

    #[test]
    fn a_sale_that_ended_long_ago_has_no_queue_to_be_asked() {
        let sale = |name: &str, ends_at| SaleRow {
            id: SaleId::parse(name).unwrap(),
            title: String::new(),
            window: Window { starts_at: Wall(0), ends_at },
            limit: 1,
            hold_ms: 30_000,
            shards: 2,
            ack: AckLevel::Redis,
            currency: Currency::parse("EUR").unwrap(),
            state: SaleState::Open,
            version: Version(1),
        };
        let sales = [sale("old", Wall(1_000)), sale("later", Wall(1_001)), sale("always", Wall(u64::MAX))];
        let names = |now| shards_of(&sales, now).into_iter().map(|shard| format!("{shard:?}")).collect::<Vec<_>>();
        assert_eq!(names(Wall(1_000 + TASKS_END_MS)).len(), 6);
        let left = names(Wall(1_001 + TASKS_END_MS));
        assert!(left.len() == 4 && left.iter().all(|name| !name.contains("old")), "{left:?}");
    }
}
