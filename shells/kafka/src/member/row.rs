//! Records that were read and are not done, by the numbers under which a role knows them.
//!
//! A role knows one row of numbers for as long as it lives, but a partition may come back at an older place, and its end
//! may be lost and written again. So where a role is not told of assignments, what is read again gets a new number.

use crate::letter::Letter;
use std::collections::BTreeMap;

/// How partitions become the rows that a role reads, and how records are numbered there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// All partitions are one row, numbered as records arrive. A record that cannot be read is nobody's business but the
    /// adapter's.
    OfTopic,
    /// Each partition is a row. A number is the record's offset, or a later one where that was given before.
    OfPartitions,
    /// Each partition is a row, a number is the offset, and the role hears of assignments.
    Exact,
}

impl Rows {
    /// The row of a partition's records.
    pub(crate) fn row_of(self, partition: u32) -> u32 {
        match self {
            Rows::OfTopic => 0,
            Rows::OfPartitions | Rows::Exact => partition,
        }
    }
}

/// A record whose bytes are no record of its topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) letter: Letter,
    pub(crate) reason: String,
}

#[derive(Clone, Debug)]
enum Content<T> {
    Read(T),
    Unreadable(Box<Unreadable>),
    /// It is among the dead letters, and is done when what stands before it is.
    Buried,
}

#[derive(Clone, Debug)]
struct Kept<T> {
    partition: u32,
    offset: u64,
    /// Which assignment of the partition it was read in.
    epoch: u64,
    content: Content<T>,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Row<T> {
    rows: Rows,
    /// Everything from this number on is kept, as far as it was read.
    begin: u64,
    /// The number after the last record.
    next: u64,
    /// The number after the last record that somebody was given.
    given: u64,
    kept: BTreeMap<u64, Kept<T>>,
}

/// A record as it is given: what it tells, or that it cannot be read.
pub(crate) type Given<T> = (u64, Option<T>);

impl<T: Clone> Row<T> {
    pub(crate) fn new(rows: Rows) -> Row<T> {
        Row { rows, begin: 0, next: 0, given: 0, kept: BTreeMap::new() }
    }

    /// Reading begins here, and what was kept is forgotten.
    pub(crate) fn begin(&mut self, at: u64) {
        self.kept.clear();
        (self.begin, self.next, self.given) = (at, at, at);
    }

    /// A record has arrived.
    pub(crate) fn push(&mut self, (partition, offset): (u32, u64), epoch: u64, record: Result<T, Unreadable>) {
        let number = match self.rows {
            Rows::OfTopic => self.next,
            Rows::OfPartitions => offset.max(self.next),
            Rows::Exact => {
                // The end of the partition was lost, and is written again.
                if offset < self.next {
                    self.begin(offset);
                }
                offset
            }
        };
        let content = match record {
            Ok(record) => Content::Read(record),
            Err(unreadable) => Content::Unreadable(Box::new(unreadable)),
        };
        self.kept.insert(number, Kept { partition, offset, epoch, content });
        self.next = number + 1;
    }

    /// Records that are not done.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// The number after the last record.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Where reading began, or what stands before is done.
    pub(crate) fn begins_at(&self) -> u64 {
        self.begin
    }

    /// What stands before this place is not asked for; dead letters wait until they are set aside.
    pub(crate) fn advance(&mut self, from: u64) {
        self.begin = self.begin.max(from);
        self.kept.retain(|number, kept| *number >= from || matches!(kept.content, Content::Unreadable(_)));
    }

    /// Up to `limit` records at or behind a place.
    pub(crate) fn fetch(&mut self, from: u64, limit: usize) -> Vec<Given<T>> {
        let given = |(number, kept): (&u64, &Kept<T>)| match &kept.content {
            Content::Read(record) => Some((*number, Some(record.clone()))),
            Content::Unreadable(_) => Some((*number, None)),
            Content::Buried => None,
        };
        let found: Vec<_> = self.kept.range(from..).filter_map(given).take(limit).collect();
        self.given = found.last().map_or(self.given, |(number, _)| self.given.max(number + 1));
        found
    }

    /// A record that cannot be read.
    pub(crate) fn unreadable(&self, number: u64) -> Option<Unreadable> {
        match &self.kept.get(&number)?.content {
            Content::Unreadable(unreadable) => Some((**unreadable).clone()),
            Content::Read(_) | Content::Buried => None,
        }
    }

    /// The first record at or behind a place that cannot be read.
    pub(crate) fn next_unreadable(&self, from: u64) -> Option<u64> {
        self.kept
            .range(from..)
            .find(|(_, kept)| matches!(kept.content, Content::Unreadable(_)))
            .map(|(number, _)| *number)
    }

    /// The record is among the dead letters.
    pub(crate) fn bury(&mut self, number: u64) {
        if let Some(kept) = self.kept.get_mut(&number) {
            kept.content = Content::Buried;
        }
    }

    /// The end of what is done when everything before `next` is: dead letters that nobody is given go with it.
    pub(crate) fn done(&self, next: u64) -> u64 {
        let buried = |(number, kept): (&u64, &Kept<T>)| matches!(kept.content, Content::Buried).then_some(number + 1);
        self.kept.range(next..).map_while(buried).last().unwrap_or(next)
    }

    /// What is to be committed when everything before `next` is done: of present assignments only, for an older one's
    /// partitions are others' now, or are read again.
    pub(crate) fn places(&self, next: u64, is_present: impl Fn(u32, u64) -> bool) -> BTreeMap<u32, u64> {
        let done = self.kept.range(..next).filter(|(_, kept)| is_present(kept.partition, kept.epoch));
        done.map(|(_, kept)| (kept.partition, kept.offset + 1)).collect()
    }

    /// Everything before `next` is committed.
    pub(crate) fn forget(&mut self, next: u64) {
        self.kept = self.kept.split_off(&next);
        self.begin = self.begin.max(next);
    }

    /// What was read of a partition that is another's now, and given to nobody, is that one's business.
    pub(crate) fn drop_ungiven(&mut self, partition: u32) {
        let given = self.given;
        self.kept.retain(|number, kept| *number < given || kept.partition != partition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreadable() -> Unreadable {
        let (topic, key, value, headers) = (String::new(), None, None, Vec::new());
        let letter = Letter { topic, partition: 0, offset: 0, timestamp_ms: None, key, value, headers };
        Unreadable { letter, reason: String::new() }
    }

    fn row(rows: Rows, records: &[(u32, u64, bool)]) -> Row<u64> {
        let mut row = Row::new(rows);
        for (partition, offset, can_be_read) in records {
            let record = if *can_be_read { Ok(*offset) } else { Err(unreadable()) };
            row.push((*partition, *offset), 1, record);
        }
        row
    }

    #[test]
    fn what_is_done_is_committed_where_it_really_stands() {
        let mut row = row(Rows::OfTopic, &[(0, 7, true), (1, 3, true), (0, 9, true)]);
        assert_eq!(row.places(2, |_, epoch| epoch == 1), [(0, 8), (1, 4)].into());
        assert!(row.places(3, |_, epoch| epoch == 2).is_empty(), "they are of an older assignment");
        row.forget(2);
        assert_eq!(row.fetch(0, 9), [(2, Some(9))]);
    }

    #[test]
    fn a_number_is_the_offset_until_it_would_stand_twice() {
        let mut row = row(Rows::OfPartitions, &[(4, 7, true), (4, 9, true)]);
        row.push((4, 8), 2, Ok(8));
        row.push((4, 9), 2, Ok(9));
        row.push((4, 20), 2, Ok(20));
        assert_eq!(row.fetch(0, 9), [(7, Some(7)), (9, Some(9)), (10, Some(8)), (11, Some(9)), (20, Some(20))]);
        assert_eq!(row.places(12, |_, epoch| epoch == 2), [(4, 10)].into());
    }

    #[test]
    fn dead_letters_go_with_what_stands_before_them() {
        let mut row = row(Rows::OfTopic, &[(0, 0, true), (0, 1, false), (0, 2, true)]);
        assert_eq!(row.next_unreadable(0), Some(1));
        assert_eq!(row.done(1), 1, "it is not kept elsewhere yet");
        row.bury(1);
        assert_eq!((row.next_unreadable(0), row.done(1), row.done(0)), (None, 2, 0));
        assert_eq!(row.fetch(0, 9), [(0, Some(0)), (2, Some(2))]);
    }

    #[test]
    fn what_nobody_was_given_goes_with_its_partition() {
        let mut row = row(Rows::OfTopic, &[(0, 0, true), (1, 0, true), (0, 1, true)]);
        assert_eq!(row.fetch(0, 1).len(), 1);
        row.drop_ungiven(0);
        assert_eq!(row.fetch(0, 9), [(0, Some(0)), (1, Some(0))]);
    }

    #[test]
    fn an_exact_row_begins_anew_where_its_partition_does() {
        let mut row = row(Rows::Exact, &[(0, 5, true), (0, 6, true)]);
        row.push((0, 3), 1, Ok(3));
        assert_eq!((row.fetch(0, 9), row.next(), row.begins_at()), (vec![(3, Some(3))], 4, 3));
    }
}
