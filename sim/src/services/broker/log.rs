//! One partition of a topic.

use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::inbox::Offset;
use doorbuster_core::ledger::entry::Intent;

/// A topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicId {
    /// What the shards' logs carry.
    Intents,
    /// One of the outbox.
    Outbox(Topic),
}

/// What a record carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// In `intents`.
    Intent(Intent),
    /// In a topic of the outbox.
    Event(Event),
    /// Bytes that are no record.
    Poison,
}

impl Payload {
    /// The event of the outbox, where it is one.
    pub fn into_event(self) -> Option<Event> {
        match self {
            Payload::Event(event) => Some(event),
            Payload::Intent(_) | Payload::Poison => None,
        }
    }
}

/// The records of one partition, by rising offsets with holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    records: Vec<(Offset, Payload)>,
    /// Where it begins since retention has removed something.
    begin: u64,
    next: u64,
}

impl Log {
    /// Appends a record.
    pub fn push(&mut self, payload: Payload) {
        self.records.push((Offset(self.next), payload));
        self.next += 1;
    }

    /// Takes an offset for a marker.
    pub fn mark(&mut self) {
        self.next += 1;
    }

    fn place(&self, from: Offset) -> usize {
        self.records.partition_point(|(offset, _)| *offset < from)
    }

    /// Up to `limit` records at or after `from`.
    pub fn fetch(&self, from: Offset, limit: usize) -> Vec<(Offset, Payload)> {
        self.records[self.place(from)..].iter().take(limit).cloned().collect()
    }

    /// Records from `from` up to, but without, `to`.
    pub fn between(&self, from: Offset, to: Offset) -> &[(Offset, Payload)] {
        let (begin, end) = (self.place(from), self.place(to));
        &self.records[begin..end.max(begin)]
    }

    /// Records at or after `from`.
    pub fn behind(&self, from: Offset) -> u64 {
        (self.records.len() - self.place(from)) as u64
    }

    /// The first offset that no record has.
    pub fn end(&self) -> Offset {
        Offset(self.next)
    }

    /// Loses up to so many of the last records; their offsets are given again. How many. Without a loss the end stays
    /// where whoever has read all may stand: a copy that is elected has followed the begin of the log, and does not end
    /// before it.
    pub fn lose_end(&mut self, records: usize) -> usize {
        let kept = self.records.len().saturating_sub(records);
        let lost = self.records.len() - kept;
        self.records.truncate(kept);
        self.next = self.records.last().map_or(self.begin, |(offset, _)| offset.0 + 1);
        lost
    }

    /// Loses everything up to, but without, `to`, and tells how many of them stood at or after `from`.
    pub fn lose_between(&mut self, from: Offset, to: Offset) -> usize {
        let unread = self.between(from, to).len();
        self.begin = self.begin.max(to.0);
        self.records.retain(|(offset, _)| *offset >= to);
        unread
    }

    /// All records.
    pub fn records(&self) -> &[(Offset, Payload)] {
        &self.records
    }

    /// The last `count` payloads.
    pub fn tail(&self, count: usize) -> Vec<Payload> {
        let from = self.records.len().saturating_sub(count);
        self.records[from..].iter().map(|(_, payload)| payload.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(records: u64) -> Log {
        let mut log = Log::default();
        (0..records).for_each(|_| log.push(Payload::Poison));
        log.mark();
        log
    }

    #[test]
    fn an_end_that_is_lost_is_given_again() {
        let mut log = log(5);
        assert_eq!(log.lose_end(2), 2);
        assert_eq!(log.end(), Offset(3));
        log.push(Payload::Poison);
        assert_eq!(log.fetch(Offset(3), 9), [(Offset(3), Payload::Poison)]);
    }

    #[test]
    fn what_follows_a_lost_begin_and_a_lost_end_is_read_by_whoever_had_read_all() {
        let mut log = log(5);
        assert_eq!(log.lose_between(Offset(4), log.end()), 1);
        assert_eq!(log.lose_end(1), 0, "nothing is left to be lost");
        log.push(Payload::Poison);
        assert_eq!(log.fetch(Offset(5), 9).len(), 1, "its offset is not one that was read before");
        log.mark();
        assert_eq!(log.lose_end(3), 1);
        assert!(log.end() >= Offset(5), "no end lies before the begin");
    }
}
