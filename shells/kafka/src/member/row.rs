//! Records of one partition that were read and are not done, by their offsets.

use crate::letter::Letter;
use std::collections::BTreeMap;

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
}

/// One partition's.
#[derive(Debug)]
pub(crate) struct Row<T> {
    /// Everything from this offset on is kept, as far as it was read.
    begin: u64,
    /// The offset after the last record.
    next: u64,
    kept: BTreeMap<u64, Content<T>>,
}

/// A record as it is given: what it tells, or that it cannot be read.
pub(crate) type Given<T> = (u64, Option<T>);

impl<T: Clone> Row<T> {
    /// Reading begins here.
    pub(crate) fn at(begin: u64) -> Row<T> {
        Row { begin, next: begin, kept: BTreeMap::new() }
    }

    /// A record has arrived.
    pub(crate) fn push(&mut self, offset: u64, record: Result<T, Unreadable>) {
        // The end of the partition was lost, and is written again.
        if offset < self.next {
            *self = Row::at(offset);
        }
        let content = match record {
            Ok(record) => Content::Read(record),
            Err(unreadable) => Content::Unreadable(Box::new(unreadable)),
        };
        self.kept.insert(offset, content);
        self.next = offset + 1;
    }

    /// Records that are not done.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// The offset after the last record.
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
        self.kept.retain(|offset, content| *offset >= from || matches!(content, Content::Unreadable(_)));
    }

    /// Up to `limit` records at or behind a place.
    pub(crate) fn fetch(&self, from: u64, limit: usize) -> Vec<Given<T>> {
        let given = |(offset, content): (&u64, &Content<T>)| match content {
            Content::Read(record) => (*offset, Some(record.clone())),
            Content::Unreadable(_) => (*offset, None),
        };
        self.kept.range(from..).map(given).take(limit).collect()
    }

    /// A record that cannot be read.
    pub(crate) fn unreadable(&self, offset: u64) -> Option<Unreadable> {
        match self.kept.get(&offset)? {
            Content::Unreadable(unreadable) => Some((**unreadable).clone()),
            Content::Read(_) => None,
        }
    }

    /// Everything before `next` is committed.
    pub(crate) fn forget(&mut self, next: u64) {
        self.kept = self.kept.split_off(&next);
        self.begin = self.begin.max(next);
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

    #[test]
    fn a_dead_letter_waits_until_it_is_committed() {
        let mut row = Row::at(4);
        row.push(4, Ok(4));
        row.push(7, Err(unreadable()));
        row.push(9, Ok(9));
        assert_eq!(row.fetch(0, 9), [(4, Some(4)), (7, None), (9, Some(9))]);
        row.advance(9);
        assert_eq!((row.fetch(0, 9), row.unreadable(7)), (vec![(7, None), (9, Some(9))], Some(unreadable())));
        row.forget(9);
        assert_eq!((row.fetch(0, 9), row.unreadable(7)), (vec![(9, Some(9))], None));
    }

    #[test]
    fn a_row_begins_anew_where_its_partition_does() {
        let mut row = Row::at(5);
        row.push(5, Ok(5));
        row.push(6, Ok(6));
        row.push(3, Ok(3));
        assert_eq!((row.fetch(0, 9), row.next(), row.begins_at()), (vec![(3, Some(3))], 4, 3));
    }
}
