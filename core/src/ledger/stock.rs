//! The arithmetic of the stock rows: the only place where granted, consumed, pool and total change.
//!
//! I1: consumed <= granted. I2: pool + granted over all shards = total.

use crate::database::draft::Draft;
use crate::database::event::Event;
use crate::database::rows::{Phase, SkuRow, StockRow};
use crate::ids::{SaleId, ShardId, SkuId};
use crate::ledger::basket::Line;
use crate::limits::STOCK_MAX;

/// The units that an entry names are not there: the epoch's ledger is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage;

impl StockRow {
    /// Asserts I1.
    pub fn check(&self) {
        assert!(self.consumed <= self.granted, "I1: consumed {} > granted {}", self.consumed, self.granted);
    }

    /// Units granted and not consumed.
    pub fn free(&self) -> u64 {
        self.check();
        self.granted - self.consumed
    }
}

/// Whether every line can be consumed.
pub fn covers(draft: &Draft<'_>, shard: ShardId, lines: &[Line]) -> bool {
    lines.iter().all(|line| {
        let free = draft.stock(&(shard, line.sku)).map_or(0, StockRow::free);
        free >= u64::from(line.quantity)
    })
}

/// Consumes every line, or nothing.
pub fn consume(draft: &mut Draft<'_>, shard: ShardId, lines: &[Line]) -> Result<(), Shortage> {
    if !covers(draft, shard, lines) {
        return Err(Shortage);
    }
    for line in lines {
        let mut row = *draft.stock(&(shard, line.sku)).expect("covers found it");
        row.consumed += u64::from(line.quantity);
        row.check();
        draft.put_stock((shard, line.sku), row);
    }
    Ok(())
}

/// Frees the lines of an order that ends. In a closed shard nothing may be sold again, so the units go to the pool.
pub fn free(draft: &mut Draft<'_>, shard: ShardId, phase: Phase, lines: &[Line]) {
    for line in lines {
        let quantity = u64::from(line.quantity);
        let mut row = *draft.stock(&(shard, line.sku)).expect("an order's units were consumed from a row");
        row.consumed = row.consumed.checked_sub(quantity).expect("I3: the order was counted");
        draft.put_stock((shard, line.sku), row);
        if phase == Phase::Closed {
            return_to_pool(draft, shard, line.sku, quantity).expect("the units were just freed");
        }
    }
}

/// Rules 3 and 7: moves units from a shard's row to the pool; refused when orders need them.
pub fn return_to_pool(draft: &mut Draft<'_>, shard: ShardId, sku: SkuId, quantity: u64) -> Result<(), Shortage> {
    let row = draft.stock(&(shard, sku)).copied().unwrap_or_default();
    if row.free() < quantity {
        return Err(Shortage);
    }
    draft.put_stock((shard, sku), StockRow { granted: row.granted - quantity, ..row });
    let mut pooled = sku_row(draft, shard.sale, sku);
    pooled.pool += quantity;
    assert!(pooled.pool <= pooled.total, "I2: pool {} > total {}", pooled.pool, pooled.total);
    draft.put_sku((shard.sale, sku), pooled);
    Ok(())
}

/// Rule 6: moves units from the pool to a shard and tells the shard, unless it is closed.
pub fn grant(draft: &mut Draft<'_>, shard: ShardId, sku: SkuId, quantity: u64) -> Result<(), Shortage> {
    let mut pooled = sku_row(draft, shard.sale, sku);
    if pooled.pool < quantity || quantity == 0 {
        return Err(Shortage);
    }
    pooled.pool -= quantity;
    draft.put_sku((shard.sale, sku), pooled);
    let row = draft.stock(&(shard, sku)).copied().unwrap_or_default();
    let grant_seq = row.grant_seq + 1;
    draft.put_stock((shard, sku), StockRow { granted: row.granted + quantity, grant_seq, ..row });
    let epoch = draft.shard(&shard).expect("a sale's shards have rows").uncounted_epoch();
    draft.emit(Event::Granted { shard, epoch, sku, quantity, grant_seq });
    Ok(())
}

/// Splits what the pool has evenly over the shards that may sell; the first ones get the remainder.
pub fn distribute(draft: &mut Draft<'_>, sale: SaleId, sku: SkuId, shards: u16) {
    let open: Vec<ShardId> = (0..shards)
        .map(|k| ShardId { sale, k })
        .filter(|shard| draft.shard(shard).is_some_and(|row| row.phase != Phase::Closed))
        .collect();
    let pool = sku_row(draft, sale, sku).pool;
    let count = open.len() as u64;
    for (index, shard) in open.into_iter().enumerate() {
        let share = pool / count + u64::from((index as u64) < pool % count);
        if share > 0 {
            grant(draft, shard, sku, share).expect("the shares add up to the pool");
        }
    }
}

/// Adds units to the sale.
pub fn add(draft: &mut Draft<'_>, sale: SaleId, sku: SkuId, quantity: u64) {
    let mut row = sku_row(draft, sale, sku);
    row.total += quantity;
    row.pool += quantity;
    assert!(row.total <= STOCK_MAX, "the caller has checked the bound");
    draft.put_sku((sale, sku), row);
}

fn sku_row(draft: &Draft<'_>, sale: SaleId, sku: SkuId) -> SkuRow {
    draft.sku(&(sale, sku)).cloned().expect("a SKU with stock has a row")
}
