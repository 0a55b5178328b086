//! A decision in the making: reads go to what was written so far, then to the view.

use super::event::Event;
use super::rows::{
    OrderRow, PaymentRow, ProductRow, QuotaRow, RangeRow, SaleRow, ShardRow, SkuRow, StockRow, TopUpRow,
};
use super::tables::{Reads, Rows, View};
use crate::ids::{Key, OrderId, PaymentId, ProductId, SaleId, ShardId, SkuId, UserId};
use crate::inbox::Partition;
use crate::time::Wall;
use crate::window::movement::MovementId;
use crate::window::rows::{CountedRow, SalesCursorRow, SalesRingRow};

/// What a transaction writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Change {
    /// Rows to put.
    pub rows: Rows,
    /// Keys of rows to take away; none of them is in `rows`.
    pub removed: Reads,
    /// Outbox rows to insert, in this order.
    pub events: Vec<Event>,
}

impl Change {
    /// Writes it to a store that is itself `Rows`: models and tests.
    pub fn write_to(self, rows: &mut Rows) {
        rows.absorb(self.rows);
        rows.remove(&self.removed);
    }
}

/// A change in the making over a view.
#[derive(Debug)]
pub struct Draft<'view> {
    view: &'view View,
    /// The database's clock, read in this transaction.
    pub at: Wall,
    change: Change,
}

macro_rules! accessors {
    ($($read:ident, $put:ident, $table:ident: $key:ty => $row:ty;)*) => {
        impl Draft<'_> {
            $(
                /// The row as this transaction sees it.
                pub fn $read(&self, key: &$key) -> Option<&$row> {
                    let asked = self.change.rows.$table.contains_key(key) || self.view.asked.$table.contains(key);
                    assert!(asked, "{} {key:?} was not read: `reads` forgot it", stringify!($table));
                    if self.change.removed.$table.contains(key) {
                        return None;
                    }
                    self.change.rows.$table.get(key).or_else(|| self.view.rows.$table.get(key))
                }

                /// Writes the row.
                pub fn $put(&mut self, key: $key, row: $row) {
                    self.change.removed.$table.remove(&key);
                    self.change.rows.$table.insert(key, row);
                }
            )*
        }
    };
}

accessors! {
    sale, put_sale, sales: SaleId => SaleRow;
    range, put_range, ranges: SaleId => RangeRow;
    product, put_product, products: ProductId => ProductRow;
    sku, put_sku, skus: (SaleId, SkuId) => SkuRow;
    shard, put_shard, shards: ShardId => ShardRow;
    stock, put_stock, stock: (ShardId, SkuId) => StockRow;
    order, put_order, orders: OrderId => OrderRow;
    quota, put_quota, quotas: (ShardId, UserId) => QuotaRow;
    payment, put_payment, payments: PaymentId => PaymentRow;
    top_up, put_top_up, top_ups: (SaleId, Key) => TopUpRow;
    sales_ring, put_sales_ring, sales_rings: SkuId => SalesRingRow;
    sales_cursor, put_sales_cursor, sales_cursors: Partition => SalesCursorRow;
    counted, put_counted, counted: MovementId => CountedRow;
}

impl<'view> Draft<'view> {
    /// An empty change over this view.
    pub fn new(view: &'view View, at: Wall) -> Draft<'view> {
        Draft { view, at, change: Change::default() }
    }

    /// Takes the SKU's ring away.
    pub fn remove_sales_ring(&mut self, sku: SkuId) {
        self.change.rows.sales_rings.remove(&sku);
        self.change.removed.sales_rings.insert(sku);
    }

    /// Adds an outbox row.
    pub fn emit(&mut self, event: Event) {
        self.change.events.push(event);
    }

    /// The finished change.
    pub fn finish(self) -> Change {
        self.change
    }
}
