//! A bounded table whose rows end: the one that ends first is the first to go.

use crate::time::Mono;
use std::collections::{BTreeMap, BTreeSet};

/// Rows by key, each with its end. What goes when it is full depends on ends and keys only, so it is always the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Expiring<K: Ord, V> {
    rows: BTreeMap<K, (Mono, V)>,
    ends: BTreeSet<(Mono, K)>,
}

impl<K: Ord + Copy, V> Expiring<K, V> {
    pub fn new() -> Expiring<K, V> {
        Expiring { rows: BTreeMap::new(), ends: BTreeSet::new() }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The row, if it has not ended.
    pub fn find(&self, key: K, now: Mono) -> Option<&V> {
        self.rows.get(&key).filter(|(end, _)| now < *end).map(|(_, row)| row)
    }

    /// The row and its end, whether past or not.
    pub fn row(&self, key: K) -> Option<(Mono, &V)> {
        self.rows.get(&key).map(|(end, row)| (*end, row))
    }

    /// The same, to be changed.
    pub fn row_mut(&mut self, key: K) -> Option<&mut V> {
        self.rows.get_mut(&key).map(|(_, row)| row)
    }

    /// All rows, by key, to be changed.
    pub fn rows_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.rows.values_mut().map(|(_, row)| row)
    }

    /// Writes a row; what stood there is gone.
    pub fn insert(&mut self, key: K, row: V, end: Mono) {
        if let Some((former, _)) = self.rows.insert(key, (end, row)) {
            self.ends.remove(&(former, key));
        }
        self.ends.insert((end, key));
    }

    /// Moves the end of a row that is there.
    pub fn end_at(&mut self, key: K, end: Mono) {
        let Some((former, _)) = self.rows.get_mut(&key).filter(|(former, _)| *former != end) else { return };
        self.ends.remove(&(*former, key));
        *former = end;
        self.ends.insert((end, key));
    }

    pub fn remove(&mut self, key: K) -> Option<V> {
        let (end, row) = self.rows.remove(&key)?;
        self.ends.remove(&(end, key));
        Some(row)
    }

    /// The end that comes first, and whose it is.
    pub fn first(&self) -> Option<(Mono, K)> {
        self.ends.first().copied()
    }

    /// Drops everything that has ended.
    pub fn expire(&mut self, now: Mono) {
        while let Some((end, key)) = self.first()
            && end <= now
        {
            self.remove(key);
        }
    }

    /// Whether the two sides are one table; O(1).
    pub fn is_whole(&self) -> bool {
        self.rows.len() == self.ends.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_that_ends_first_is_the_first_to_go() {
        let mut table = Expiring::new();
        for (key, end) in [(1, 30), (2, 10), (3, 20), (1, 5)] {
            table.insert(key, key, Mono(end));
        }
        assert_eq!(table.first(), Some((Mono(5), 1)));
        table.end_at(1, Mono(40));
        assert_eq!(
            (table.first(), table.find(2, Mono(10)), table.find(2, Mono(9))),
            (Some((Mono(10), 2)), None, Some(&2))
        );
        table.expire(Mono(20));
        assert_eq!((table.len(), table.row(1), table.is_whole()), (1, Some((Mono(40), &1)), true));
        assert_eq!((table.remove(1), table.first()), (Some(1), None));
    }
}
