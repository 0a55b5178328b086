//! Which records of a partition are dealt with: what may be committed.

use std::collections::BTreeSet;

/// The open records of one partition, from one assignment on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Offsets {
    open: BTreeSet<u64>,
    /// The offset after the highest record that was delivered.
    next: u64,
    committed: u64,
}

impl Offsets {
    /// Takes a delivered record; `false` when it was delivered before in this assignment and is open or done.
    pub fn deliver(&mut self, offset: u64) -> bool {
        if offset < self.next {
            return false;
        }
        self.next = offset + 1;
        self.open.insert(offset)
    }

    /// Notes that a record needs nothing more.
    pub fn finish(&mut self, offset: u64) {
        assert!(self.open.remove(&offset), "a record is finished once");
    }

    /// Records that are not finished.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The offset to commit, which is the first to be read again, if it has moved since the last call. S10: nothing
    /// below it is open. A commit that is lost brings finished records again, which is harmless, so it has no answer.
    pub fn commit(&mut self) -> Option<u64> {
        let first_open = self.open.first().copied().unwrap_or(self.next);
        assert!(first_open >= self.committed, "what was finished stays finished");
        let moved = first_open > self.committed;
        self.committed = first_open;
        moved.then_some(first_open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_above_an_open_record_is_committed() {
        let mut offsets = Offsets::default();
        for offset in [5, 6, 9] {
            assert!(offsets.deliver(offset));
        }
        assert!(!offsets.deliver(6), "delivered before");
        offsets.finish(6);
        assert_eq!(offsets.commit(), Some(5));
        offsets.finish(5);
        assert_eq!(offsets.commit(), Some(9));
        offsets.finish(9);
        assert_eq!(offsets.commit(), Some(10));
        assert_eq!(offsets.commit(), None);
    }
}
