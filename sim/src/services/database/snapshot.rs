//! Reads of one state: what a transaction that only reads sees.

use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{OrderId, PaymentId, ProductId, ReservationId, ShardId};
use doorbuster_core::time::Wall;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

/// One state of the database, named by its time. Whoever holds it reads it in as many requests as he likes, and the
/// database need not remember who does: a database with versions finds a state by its time, this one is handed it back.
#[derive(Clone, PartialEq, Eq)]
pub struct SnapshotAt {
    /// The database's clock when it was taken.
    pub at: Wall,
    rows: Arc<Rows>,
}

impl Hash for SnapshotAt {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.at.hash(state);
    }
}

impl fmt::Debug for SnapshotAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SnapshotAt").field(&self.at).finish()
    }
}

/// What is read of a state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scan {
    /// These rows.
    Rows(Reads),
    /// Every sale.
    Sales,
    /// Products behind a place.
    Products(Option<ProductId>, usize),
    /// Payments behind a place.
    Payments(Option<PaymentId>, usize),
    /// Orders of a shard behind a place.
    Orders(ShardId, Option<ReservationId>, usize),
}

impl SnapshotAt {
    /// A state of now.
    pub(super) fn new(at: Wall, rows: Arc<Rows>) -> SnapshotAt {
        SnapshotAt { at, rows }
    }

    /// Reads it.
    pub(super) fn read(&self, scan: Scan) -> Rows {
        let rows = &self.rows;
        match scan {
            Scan::Rows(reads) => rows.select(&reads),
            Scan::Sales => Rows { sales: rows.sales.clone(), ..Rows::default() },
            Scan::Products(after, limit) => Rows { products: behind(&rows.products, after, limit), ..Rows::default() },
            Scan::Payments(after, limit) => Rows { payments: behind(&rows.payments, after, limit), ..Rows::default() },
            Scan::Orders(shard, after, limit) => {
                let place = after.map(|reservation| OrderId { shard, reservation });
                let own = rows.orders.iter().filter(|(id, _)| id.shard == shard && place.is_none_or(|p| **id > p));
                let orders = own.take(limit).map(|(id, row)| (*id, row.clone())).collect();
                Rows { orders, ..Rows::default() }
            }
        }
    }
}

fn behind<K: Ord + Clone, V: Clone>(rows: &BTreeMap<K, V>, after: Option<K>, limit: usize) -> BTreeMap<K, V> {
    let from = after.map_or(Unbounded, Excluded);
    rows.range((from, Unbounded)).take(limit).map(|(key, row)| (key.clone(), row.clone())).collect()
}
