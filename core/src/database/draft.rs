//! A decision in the making: reads go to what was written so far, then to the view.

use super::event::Event;
use super::rows::{OrderRow, PaymentRow, ProductRow, QuotaRow, RangeRow, SaleRow, ShardRow, SkuRow, StockRow};
use super::tables::{Rows, View};
use crate::ids::{OrderId, PaymentId, ProductId, SaleId, ShardId, SkuId, UserId};
use crate::time::Wall;

/// What a transaction writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Change {
    /// Rows to put.
    pub rows: Rows,
    /// Outbox rows to insert, in this order.
    pub events: Vec<Event>,
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
                    self.change.rows.$table.get(key).or_else(|| self.view.rows.$table.get(key))
                }

                /// Writes the row.
                pub fn $put(&mut self, key: $key, row: $row) {
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
}

impl<'view> Draft<'view> {
    /// An empty change over this view.
    pub fn new(view: &'view View, at: Wall) -> Draft<'view> {
        Draft { view, at, change: Change::default() }
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
