use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

use doorbuster_core::time::Wall;

use crate::hosts::redis::Bytes;

/// The id of a stream's entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// The part before the dash.
    pub ms: u64,
    /// The part behind it.
    pub sequence: u64,
}

/// Entries in order, and who has read them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    /// Names and values, alternating.
    pub entries: BTreeMap<StreamId, Vec<Bytes>>,
    /// The highest id that was ever appended.
    pub last_id: StreamId,
    /// How many entries were ever appended.
    pub entries_added: u64,
    /// The readers.
    pub groups: BTreeMap<Bytes, Group>,
}

/// Consumers that share a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// The highest id that was given to anybody.
    pub last_delivered: StreamId,
    /// How many entries were read, where that is known.
    pub entries_read: Option<u64>,
    /// What was given and not yet acknowledged.
    pub pending: BTreeMap<StreamId, Pending>,
    /// When each consumer was last seen.
    pub consumers: BTreeMap<Bytes, Wall>,
}

/// One entry that a consumer holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// Who holds it.
    pub consumer: Bytes,
    /// When it was given.
    pub delivered_at: Wall,
    /// How often.
    pub deliveries: u64,
}

impl StreamId {
    /// Below every entry.
    pub const MIN: StreamId = StreamId { ms: 0, sequence: 0 };
    /// Above every entry.
    pub const MAX: StreamId = StreamId { ms: u64::MAX, sequence: u64::MAX };

    /// The next higher id.
    pub fn next(self) -> Option<StreamId> {
        match self.sequence.checked_add(1) {
            Some(sequence) => Some(StreamId { ms: self.ms, sequence }),
            None => self.ms.checked_add(1).map(|ms| StreamId { ms, sequence: 0 }),
        }
    }

    /// The next lower id.
    pub fn previous(self) -> Option<StreamId> {
        match self.sequence.checked_sub(1) {
            Some(sequence) => Some(StreamId { ms: self.ms, sequence }),
            None => self.ms.checked_sub(1).map(|ms| StreamId { ms, sequence: u64::MAX }),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.ms, self.sequence)
    }
}

impl Stream {
    /// The lowest entry's id.
    pub fn first_id(&self) -> Option<StreamId> {
        self.entries.keys().next().copied()
    }

    /// The entries from `from` to `to`, both included.
    pub fn between(&self, from: StreamId, to: StreamId) -> impl DoubleEndedIterator<Item = (&StreamId, &Vec<Bytes>)> {
        // An upside-down range would panic in the map; the client gets nothing, as from the server.
        let empty = from > to;
        self.entries.range(from..=to.max(from)).filter(move |_| !empty)
    }

    /// The entries above `id`.
    pub fn after(&self, id: StreamId) -> impl Iterator<Item = (&StreamId, &Vec<Bytes>)> {
        self.entries.range((Bound::Excluded(id), Bound::Unbounded))
    }

    /// How many entries were appended up to and including `id`, where that can be told.
    ///
    /// The server's own estimate (`streamEstimateDistanceFromFirstEverEntry`); nothing here deletes from the middle.
    pub fn appended_up_to(&self, id: StreamId) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        let Some(first) = self.first_id() else {
            return (id <= self.last_id).then_some(self.entries_added);
        };
        let length = u64::try_from(self.entries.len()).expect("a length fits in 64 bits");
        match id.cmp(&self.last_id) {
            std::cmp::Ordering::Equal => Some(self.entries_added),
            std::cmp::Ordering::Greater => None,
            std::cmp::Ordering::Less if id < first => Some(self.entries_added - length),
            std::cmp::Ordering::Less if id == first => Some(self.entries_added - length + 1),
            std::cmp::Ordering::Less => None,
        }
    }

    /// How many entries `group` has still to read, where that can be told.
    pub fn lag(&self, group: &Group) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        let read = group.entries_read.or_else(|| self.appended_up_to(group.last_delivered))?;
        Some(self.entries_added.saturating_sub(read))
    }
}
