//! Sums over a sale, for people: stock from rows and counters, orders by state from a scan.
//!
//! Rows do not say which consumed units are paid, so orders are scanned; a scan is kept for ten times as long as it
//! took and at least a second, so that watching costs at most a tenth of one core.

use crate::api::Api;
use crate::problem::Problem;
use doorbuster_core::database::rows::{SaleRow, ShardRow, SkuRow, StockRow};
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{SaleId, ShardId, SkuId};
use doorbuster_core::ledger::shard::Counter;
use doorbuster_core::order::status::Status;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Mono;
use doorbuster_runtime::ports::ledger::ServerView;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Orders of one page of a scan: some hundred kilobytes.
const PAGE_MAX: usize = 1000;
/// A scan is kept at least this long.
const KEPT_MS_MIN: u64 = 1000;
/// A scan is kept this many times as long as it took.
const KEPT_FACTOR: u64 = 10;
/// Sales whose scans are kept; above that all are forgotten.
const SALES_MAX: usize = 256;

/// Orders of one sale by state, and units by SKU.
#[derive(Debug, Default)]
pub struct Tally {
    /// Orders by the state's name.
    pub orders: BTreeMap<&'static str, u64>,
    /// Units of paid orders, refunded ones that were not restocked included.
    pub sold: BTreeMap<SkuId, u64>,
    kept_until: Mono,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Board {
    tallies: Mutex<BTreeMap<SaleId, Arc<Tally>>>,
    /// One scan at a time: two would only wait for each other.
    scanning: tokio::sync::Mutex<()>,
}

/// What people see of one SKU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shelf {
    /// Units that can be reserved now.
    pub available: u64,
    /// Units of unpaid reservations.
    pub held: u64,
    /// Units of paid orders.
    pub sold: u64,
}

/// Everything of a sale at about one moment.
pub struct Panorama {
    /// The sale's rows: sale, range, SKUs, shards, stock.
    pub rows: Rows,
    /// What the shards' servers say, where one does.
    pub servers: BTreeMap<u16, ServerView>,
    /// Orders.
    pub tally: Arc<Tally>,
}

impl Api {
    /// Rows, counters and orders of a sale.
    pub(crate) async fn panorama(&self, sale: &SaleRow, skus: &[SkuId]) -> Result<Panorama, Problem> {
        let shards: Vec<ShardId> = (0..sale.shards).map(|k| ShardId { sale: sale.id, k }).collect();
        let reads = Reads {
            skus: skus.iter().map(|sku| (sale.id, *sku)).collect(),
            stock: shards.iter().flat_map(|shard| skus.iter().map(|sku| (*shard, *sku))).collect(),
            shards: shards.iter().copied().collect(),
            ..Reads::default()
        };
        let tally = self.tally(sale).await?;
        let mut servers = BTreeMap::new();
        for shard in shards {
            if let Outcome::Done(view) = self.ports.ledger.inspect(shard).await {
                servers.insert(shard.k, view);
            }
        }
        Ok(Panorama { rows: self.read(reads).await?, servers, tally })
    }

    async fn tally(&self, sale: &SaleRow) -> Result<Arc<Tally>, Problem> {
        if let Some(tally) = self.kept(sale.id) {
            return Ok(tally);
        }
        let _turn = self.board.scanning.lock().await;
        // Whoever had the turn before may have done the work.
        if let Some(tally) = self.kept(sale.id) {
            return Ok(tally);
        }
        let began = self.now().mono;
        let mut tally = self.scan(sale).await?;
        let ended = self.now().mono;
        tally.kept_until = Mono(ended.0 + KEPT_FACTOR * (ended.0 - began.0)).max(ended.after_ms(KEPT_MS_MIN));
        let tally = Arc::new(tally);
        let mut tallies = self.board.tallies.lock().expect("no holder of this lock panics");
        if tallies.len() >= SALES_MAX {
            tallies.clear();
        }
        tallies.insert(sale.id, tally.clone());
        Ok(tally)
    }

    fn kept(&self, sale: SaleId) -> Option<Arc<Tally>> {
        let tallies = self.board.tallies.lock().expect("no holder of this lock panics");
        tallies.get(&sale).filter(|tally| self.now().mono < tally.kept_until).cloned()
    }

    async fn scan(&self, sale: &SaleRow) -> Result<Tally, Problem> {
        let snapshot = self.snapshot().await?;
        let mut tally = Tally::default();
        for k in 0..sale.shards {
            let mut after = None;
            loop {
                let page = snapshot.orders(ShardId { sale: sale.id, k }, after, PAGE_MAX).await?;
                for row in &page {
                    *tally.orders.entry(row.status.name()).or_default() += 1;
                    if row.status != Status::PendingPayment {
                        for line in row.held_lines() {
                            *tally.sold.entry(line.sku).or_default() += u64::from(line.quantity);
                        }
                    }
                }
                match page.last() {
                    Some(last) if page.len() == PAGE_MAX => after = Some(last.id.reservation),
                    Some(_) | None => break,
                }
                // A long scan must not keep buyers waiting on this thread.
                tokio::task::yield_now().await;
            }
        }
        Ok(tally)
    }
}

impl Panorama {
    /// SKUs with what is left of them, in the order of their ids.
    pub fn shelves(&self) -> impl Iterator<Item = (&SkuRow, Shelf)> {
        self.rows.skus.values().map(|row| (row, self.shelf(row)))
    }

    fn shelf(&self, sku: &SkuRow) -> Shelf {
        let mut shelf = Shelf { sold: self.tally.sold.get(&sku.sku).copied().unwrap_or(0), ..Shelf::default() };
        let mut taken = 0;
        for shard in self.rows.shards.values() {
            let row = self.rows.stock.get(&(shard.id, sku.sku)).copied().unwrap_or_default();
            let counter = self.counter(shard, sku.sku, &row);
            shelf.available += counter.available;
            taken += counter.live;
        }
        // The scan is older than the counters: for a moment it may know of fewer or of more paid units.
        shelf.held = taken.saturating_sub(shelf.sold);
        shelf
    }

    /// The memory's counter if it is of the row's epoch, else what a rebuild would make of the row.
    pub fn counter(&self, shard: &ShardRow, sku: SkuId, row: &StockRow) -> Counter {
        let view = self.servers.get(&shard.id.k);
        let current = view.filter(|view| view.meta.is_some_and(|meta| meta.epoch == shard.epoch));
        let found = current.and_then(|view| view.counters.iter().find(|(known, _)| *known == sku));
        let rebuilt =
            Counter { available: row.free(), live: row.consumed, granted: row.granted, grant_seq: row.grant_seq };
        found.map_or(rebuilt, |(_, counter)| *counter)
    }
}
