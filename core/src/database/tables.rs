//! All tables at once: what a transaction has read, and what it will write.

use super::rows::{
    OrderRow, PaymentRow, ProductRow, QuotaRow, RangeRow, SaleRow, ShardRow, SkuRow, StockRow, TopUpRow,
};
use crate::ids::{Key, OrderId, PaymentId, ProductId, SaleId, ShardId, SkuId, UserId};
use crate::inbox::Partition;
use crate::window::movement::MovementId;
use crate::window::rows::{CountedRow, SalesCursorRow, SalesRingRow};
use std::collections::{BTreeMap, BTreeSet};

/// Writes the list of tables once: the rows of a view or change, and the keys of a read.
macro_rules! tables {
    ($($(#[$doc:meta])* $table:ident: $key:ty => $row:ty,)*) => {
        /// Rows by table and key: a view's content, or what a change puts.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
        pub struct Rows { $($(#[$doc])* pub $table: BTreeMap<$key, $row>,)* }

        /// Keys by table: the rows that a decision needs.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
        pub struct Reads { $($(#[$doc])* pub $table: BTreeSet<$key>,)* }

        impl Rows {
            /// Puts every row of `newer` over its own.
            pub fn absorb(&mut self, newer: Rows) {
                $(self.$table.extend(newer.$table);)*
            }

            /// Takes away the rows with these keys.
            pub fn remove(&mut self, keys: &Reads) {
                $(for key in &keys.$table {
                    self.$table.remove(key);
                })*
            }

            /// Rows in all tables.
            pub fn len(&self) -> usize {
                0 $(+ self.$table.len())*
            }

            /// Copies the rows with these keys from a store that is itself `Rows`: models and tests.
            pub fn select(&self, reads: &Reads) -> Rows {
                let mut rows = Rows::default();
                $(for key in &reads.$table {
                    if let Some(row) = self.$table.get(key) {
                        rows.$table.insert(key.clone(), row.clone());
                    }
                })*
                rows
            }
        }

        impl Reads {
            /// The keys that are not in `known`.
            pub fn without(&self, known: &Reads) -> Reads {
                Reads { $($table: self.$table.difference(&known.$table).cloned().collect(),)* }
            }

            /// Adds all keys of `other`.
            pub fn absorb(&mut self, other: Reads) {
                $(self.$table.extend(other.$table);)*
            }

            /// Keys in all tables.
            pub fn len(&self) -> usize {
                0 $(+ self.$table.len())*
            }
        }
    };
}

tables! {
    /// Sales.
    sales: SaleId => SaleRow,
    /// SKUs by sale.
    ranges: SaleId => RangeRow,
    /// Products.
    products: ProductId => ProductRow,
    /// SKUs in sales.
    skus: (SaleId, SkuId) => SkuRow,
    /// Shards.
    shards: ShardId => ShardRow,
    /// Stock of shards.
    stock: (ShardId, SkuId) => StockRow,
    /// Orders.
    orders: OrderId => OrderRow,
    /// Live units of users.
    quotas: (ShardId, UserId) => QuotaRow,
    /// Payments.
    payments: PaymentId => PaymentRow,
    /// Top-ups that were done, by their keys.
    top_ups: (SaleId, Key) => TopUpRow,
    /// Sales of SKUs by hour.
    sales_rings: SkuId => SalesRingRow,
    /// How far movements of sales are counted.
    sales_cursors: Partition => SalesCursorRow,
    /// Movements of sales that were dealt with; a row may go once it has expired.
    counted: MovementId => CountedRow,
}

impl Rows {
    /// Whether there is no row in any table.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Reads {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a transaction has read: the keys that were asked for, and the rows that exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Every key that was asked for; one that has no row is known to be absent.
    pub asked: Reads,
    /// The rows.
    pub rows: Rows,
}

impl View {
    /// Adds the answer to a further read of the same transaction.
    pub fn absorb(&mut self, asked: Reads, rows: Rows) {
        self.asked.absorb(asked);
        self.rows.absorb(rows);
    }
}
