//! The tables: what a row of core is in columns, and back. One file per group of tables.

mod catalog;
mod cells;
mod lease;
mod order;
mod outbox;
mod partition;
mod sale;
mod shard;
mod window;

pub use catalog::{Products, Skus};
pub use cells::{Cells, Misread};
pub use lease::ForwarderLeases;
pub use order::{Orders, Payments, Quotas, order_key};
pub use outbox::{OutboxRow, outbox_mutations};
pub use partition::{Partitions, StoredPartition, token_of};
pub use sale::{Sales, TopUps};
pub use shard::{Shards, Stock};
pub use window::{Counted, SalesCursors, SalesRings};

use google_cloud_spanner::key::Key;
use google_cloud_spanner::mutation::{Mutation, WriteBuilder};
use google_cloud_spanner::value::Value;

/// One table. Its columns begin with those of its key.
pub trait Table {
    /// What names a row.
    type Key: Ord + Clone;
    /// A row.
    type Row: PartialEq;
    /// The table's name.
    const NAME: &'static str;
    /// All columns that are written and read.
    const COLUMNS: &'static [&'static str];
    /// How many of them are the key.
    const KEYS: usize;
    /// Cells that a row's index entries count in a commit at most: one that goes and one that comes.
    const INDEXED: usize = 0;

    /// The key's columns.
    fn key(key: &Self::Key) -> Vec<Value>;
    /// The other columns, in their order.
    fn values(row: &Self::Row) -> Vec<Value>;
    /// The row in these cells: those of all columns, in their order.
    fn parse(cells: &mut Cells<'_>) -> Result<(Self::Key, Self::Row), Misread>;
}

/// A write, and how many cells it counts in a commit.
pub struct Write {
    /// The mutation.
    pub mutation: Mutation,
    /// What Spanner counts it as: its columns, those of the key included, and its index entries.
    pub cells: usize,
}

/// What is known of the row that a write replaces.
pub enum Before<'a, R> {
    /// It was read: there is none.
    Absent,
    /// It was read.
    Known(&'a R),
    /// It was not read.
    Unread,
}

/// Writes a row: only what changes, because a commit counts its cells.
pub fn put<T: Table>(key: &T::Key, row: &T::Row, before: Before<'_, T::Row>) -> Write {
    let (keys, values) = (T::key(key), T::values(row));
    assert!(keys.len() == T::KEYS && keys.len() + values.len() == T::COLUMNS.len(), "{} has other columns", T::NAME);
    let (mut builder, written): (WriteBuilder, Vec<(usize, Value)>) = match before {
        Before::Absent => {
            // A column that is left out of an insertion is NULL.
            let some = values.into_iter().enumerate().filter(|(_, value)| !value.is_null());
            (Mutation::new_insert_builder(T::NAME), some.collect())
        }
        Before::Known(old) => {
            let old = T::values(old);
            let changed = values.into_iter().enumerate().filter(|(column, value)| old[*column] != *value);
            (Mutation::new_update_builder(T::NAME), changed.collect())
        }
        Before::Unread => (Mutation::new_insert_or_update_builder(T::NAME), values.into_iter().enumerate().collect()),
    };
    let cells = T::KEYS + written.len() + T::INDEXED;
    for (column, key) in T::COLUMNS.iter().zip(keys) {
        builder = builder.set(*column).to(key);
    }
    for (column, value) in written {
        builder = builder.set(T::COLUMNS[T::KEYS + column]).to(value);
    }
    Write { mutation: builder.build(), cells }
}

/// Takes a row away.
pub fn remove<T: Table>(key: &T::Key) -> Write {
    Write { mutation: Mutation::delete(T::NAME, Key::new(T::key(key)).into()), cells: 1 + T::INDEXED }
}

/// Asserts that a row survives its columns.
#[cfg(test)]
pub fn assert_survives<T: Table>(key: T::Key, row: T::Row)
where
    T::Key: std::fmt::Debug,
    T::Row: std::fmt::Debug + PartialEq,
{
    let values: Vec<Value> = T::key(&key).into_iter().chain(T::values(&row)).collect();
    let mut cells = Cells::of(T::NAME, &values);
    assert_eq!(T::parse(&mut cells).expect("it was just written"), (key, row));
    assert!(cells.is_empty(), "every column is read");
}
