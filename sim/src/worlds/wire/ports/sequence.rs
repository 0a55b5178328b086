//! Records in the order in which one process came by them, whatever partitions they are from.
//!
//! The roles know one unbroken row of offsets per partition or topic that is theirs for as long as they live. A group's
//! assignment changes meanwhile, and its kept places go back: so a record gets a number here when it arrives, and its real
//! place is looked up again when it is done. What is read again gets a new number; every reader of a topic may see a record
//! twice.

use crate::services::broker::log::Payload;
use doorbuster_core::inbox::{Offset, Partition};
use std::collections::BTreeMap;

/// The records of one row that are not done.
#[derive(Debug, Default)]
pub struct Sequence {
    next: u64,
    kept: BTreeMap<u64, Kept>,
}

#[derive(Debug)]
struct Kept {
    partition: Partition,
    offset: Offset,
    generation: u64,
    /// `None`: nobody is given this record, and it is done when what stands before it is.
    payload: Option<Payload>,
}

impl Sequence {
    /// A record has arrived under this assignment.
    pub fn push(&mut self, generation: u64, partition: Partition, offset: Offset, payload: Option<Payload>) {
        self.kept.insert(self.next, Kept { partition, offset, generation, payload });
        self.next += 1;
    }

    /// Records that are not done.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Up to `limit` records at or behind a place.
    pub fn fetch(&self, from: Offset, limit: usize) -> Vec<(Offset, Payload)> {
        let given = |(number, kept): (&u64, &Kept)| Some((Offset(*number), kept.payload.clone()?));
        self.kept.range(from.0..).filter_map(given).take(limit).collect()
    }

    /// Where a record really stands.
    pub fn place(&self, number: Offset) -> Option<(Partition, Offset)> {
        self.kept.get(&number.0).map(|kept| (kept.partition, kept.offset))
    }

    /// The end of what is done when everything before `next` is: records that nobody is given go with it.
    pub fn done(&self, next: Offset) -> Offset {
        let hidden = |(number, kept): (&u64, &Kept)| kept.payload.is_none().then_some(number + 1);
        Offset(self.kept.range(next.0..).map_while(hidden).last().unwrap_or(next.0))
    }

    /// The first record that somebody was given, or the end.
    pub fn first_given(&self) -> Offset {
        let given = self.kept.iter().find(|(_, kept)| kept.payload.is_some());
        Offset(given.map_or(self.next, |(number, _)| *number))
    }

    /// What is to be committed when everything before `next` is done: of this assignment only, for an older one's
    /// partitions are others' now, or are read again from where they were kept.
    pub fn places(&self, next: Offset, generation: u64) -> BTreeMap<Partition, Offset> {
        let done = self.kept.range(..next.0).filter(|(_, kept)| kept.generation == generation);
        done.map(|(_, kept)| (kept.partition, kept.offset.next())).collect()
    }

    /// Everything before `next` is committed.
    pub fn forget(&mut self, next: Offset) {
        self.kept = self.kept.split_off(&next.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(records: &[(u32, u64, bool)]) -> Sequence {
        let mut sequence = Sequence::default();
        for (partition, offset, is_given) in records {
            sequence.push(1, Partition(*partition), Offset(*offset), is_given.then_some(Payload::Poison));
        }
        sequence
    }

    #[test]
    fn what_is_done_is_committed_where_it_really_stands() {
        let mut sequence = pushed(&[(0, 7, true), (1, 3, true), (0, 9, true)]);
        assert_eq!(sequence.places(Offset(2), 1), [(Partition(0), Offset(8)), (Partition(1), Offset(4))].into());
        assert!(sequence.places(Offset(3), 2).is_empty(), "they are of an older assignment");
        sequence.forget(Offset(2));
        assert_eq!(sequence.fetch(Offset(0), 9).len(), 1);
        assert_eq!(sequence.place(Offset(2)), Some((Partition(0), Offset(9))));
    }

    #[test]
    fn records_that_nobody_is_given_go_with_those_before_them() {
        let sequence = pushed(&[(0, 0, true), (0, 1, false), (0, 2, false), (0, 3, true), (0, 4, false)]);
        assert_eq!(sequence.done(Offset(1)), Offset(3));
        assert_eq!(sequence.done(Offset(4)), Offset(5));
        assert_eq!(sequence.fetch(Offset(1), 9), [(Offset(3), Payload::Poison)]);
        assert_eq!(pushed(&[(0, 5, false)]).first_given(), Offset(1));
    }
}
