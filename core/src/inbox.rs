//! What a consumer of partitions keeps: positions in [`partitions`], and here lanes of work per shard.
//!
//! Work of different shards is done side by side, work of one shard in order. A revoked partition takes its lanes along,
//! so answers to its work find nobody.

mod assigned;
pub mod marks;
mod partition;
pub mod partitions;

pub use partition::Partition;

use crate::call::{Call, earliest};
use crate::ids::ShardId;
use crate::limits::INBOX_RECORDS_MAX;
use crate::machine::Ticket;
use crate::outcome::Outcome;
use crate::rng::Rng;
use crate::time::Mono;
use partitions::{News, Partitions};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

/// A place in a partition. Offsets grow; they need not be contiguous (Kafka numbers its own markers too).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Offset(pub u64);

impl Offset {
    /// The place after this one.
    pub fn next(self) -> Offset {
        Offset(self.0 + 1)
    }
}

/// One record as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Record<T> {
    /// A record that could be read.
    Delivered(Offset, T),
    /// Bytes that are no record of this topic.
    Undecodable(Offset),
}

impl<T> Record<T> {
    /// Its place.
    pub fn offset(&self) -> Offset {
        match self {
            Record::Delivered(offset, _) | Record::Undecodable(offset) => *offset,
        }
    }
}

/// The partition belongs to another consumer now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NotAssigned;

/// What happens to an inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<T> {
    /// The partition is ours; reading goes on at `from`, the committed place.
    Assigned {
        /// Which.
        partition: Partition,
        /// First record that is not known to be done.
        from: Offset,
    },
    /// The partition is no longer ours.
    Revoked {
        /// Which.
        partition: Partition,
    },
    /// Answers `Fetch`.
    Fetched {
        /// Of the question.
        ticket: Ticket,
        /// Of which partition.
        partition: Partition,
        /// Records in the order of their offsets.
        outcome: Outcome<Vec<Record<T>>, NotAssigned>,
    },
    /// Answers `Commit`.
    Committed {
        /// Of the question.
        ticket: Ticket,
        /// Of which partition.
        partition: Partition,
        /// Whether the place is kept.
        outcome: Outcome<(), NotAssigned>,
    },
    /// Answers `SetAside`.
    SetAside {
        /// Of the question.
        ticket: Ticket,
        /// Of which partition.
        partition: Partition,
        /// Which record.
        offset: Offset,
        /// Whether it is kept elsewhere.
        outcome: Outcome<(), NotAssigned>,
    },
}

/// What an inbox asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Reads up to `limit` records at or after `from`; may wait a moment for the first.
    Fetch {
        /// To answer with.
        ticket: Ticket,
        /// Which partition.
        partition: Partition,
        /// First offset wanted.
        from: Offset,
        /// Most records.
        limit: usize,
    },
    /// Keeps `next` as the place to go on at. All records before it are done.
    Commit {
        /// To answer with.
        ticket: Ticket,
        /// Which partition.
        partition: Partition,
        /// First record that is not done.
        next: Offset,
    },
    /// Copies a record that cannot be read to the topic's dead letters.
    SetAside {
        /// To answer with.
        ticket: Ticket,
        /// Which partition.
        partition: Partition,
        /// Which record.
        offset: Offset,
    },
}

/// A lane's name: the shard, and the partition that its records come from.
pub type LaneId = (Partition, ShardId);

/// Records of one shard that wait or are being worked on, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lane<T> {
    waiting: VecDeque<(Offset, T)>,
    /// How many of the first are being worked on.
    taken: usize,
    call: Call,
}

/// All partitions of one consumer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Inbox<T> {
    partitions: Partitions,
    lanes: BTreeMap<LaneId, Lane<T>>,
    /// Lanes with an open attempt: at most `flights_max`.
    flights: BTreeMap<Ticket, LaneId>,
    flights_max: usize,
    /// The lane that was served last: the next one has its turn.
    last: Option<LaneId>,
}

impl<T> Inbox<T> {
    /// An inbox without partitions that works on at most `flights_max` lanes at once.
    pub fn new(flights_max: usize) -> Inbox<T> {
        let partitions = Partitions::new(INBOX_RECORDS_MAX);
        let (lanes, flights) = (BTreeMap::new(), BTreeMap::new());
        Inbox { partitions, lanes, flights, flights_max, last: None }
    }

    /// Takes an event of its own; `shard_of` tells whose a record is.
    pub fn absorb(&mut self, now: Mono, rng: &mut Rng, event: Event<T>, shard_of: impl Fn(&T) -> ShardId) {
        match self.partitions.absorb(now, rng, event) {
            News::Nothing => {}
            News::Gone(partition) => {
                self.lanes.retain(|id, _| id.0 != partition);
                self.flights.retain(|_, id| id.0 != partition);
            }
            News::Fresh(partition, records) => {
                for (offset, record) in records {
                    let new = || Lane { waiting: VecDeque::new(), taken: 0, call: Call::due(now) };
                    let lane = self.lanes.entry((partition, shard_of(&record))).or_insert_with(new);
                    lane.waiting.push_back((offset, record));
                }
            }
        }
    }

    /// Starts what is due of fetches, commits and dead letters.
    pub fn pump(&mut self, now: Mono, tickets: &mut Ticket, out: &mut Vec<Effect>) {
        self.partitions.pump(now, tickets, out);
    }

    /// The next lane that may begin an attempt, in turn; `None` when none is due or enough are open.
    pub fn due_lane(&mut self, now: Mono) -> Option<LaneId> {
        // An attempt whose answer is overdue gives up its place; its ticket is dropped by the lane's call.
        let lanes = &self.lanes;
        self.flights.retain(|_, id| lanes.get(id).is_some_and(|lane| !lane.call.is_due(now)));
        if self.flights.len() >= self.flights_max {
            return None;
        }
        let after = self.last.map_or(Unbounded, Excluded);
        let due = |(_, lane): &(&LaneId, &Lane<T>)| lane.call.is_due(now);
        let later = self.lanes.range((after, Unbounded)).find(due);
        later.or_else(|| self.lanes.iter().find(due)).map(|(id, _)| *id)
    }

    /// Begins an attempt on the first records of the lane for which `fits` says yes; at least one is taken.
    /// `fits` is told how many were taken before.
    pub fn begin(&mut self, now: Mono, id: LaneId, ticket: Ticket, mut fits: impl FnMut(usize, &T) -> bool) -> Vec<T>
    where
        T: Clone,
    {
        let lane = self.lanes.get_mut(&id).expect("a due lane exists");
        lane.call.ask(now, ticket);
        let fitting = lane.waiting.iter().enumerate().take_while(|(index, (_, record))| fits(*index, record)).count();
        lane.taken = fitting.max(1);
        self.flights.insert(ticket, id);
        self.last = Some(id);
        lane.waiting.iter().take(lane.taken).map(|(_, record)| record.clone()).collect()
    }

    /// The records of this attempt are done: their effects are durable.
    pub fn finish(&mut self, now: Mono, ticket: Ticket) {
        let Some(id) = self.answered(ticket) else { return };
        let lane = self.lanes.get_mut(&id).expect("answered found it");
        for (offset, _) in lane.waiting.drain(..lane.taken) {
            self.partitions.finish(id.0, offset);
        }
        lane.taken = 0;
        match lane.waiting.is_empty() {
            true => drop(self.lanes.remove(&id)),
            false => lane.call.again_at(now),
        }
    }

    /// The records of this attempt are to be tried again.
    pub fn retry(&mut self, now: Mono, rng: &mut Rng, ticket: Ticket) {
        let Some(id) = self.answered(ticket) else { return };
        let lane = self.lanes.get_mut(&id).expect("answered found it");
        lane.taken = 0;
        lane.call.retry(now, rng);
    }

    /// Whether this ticket is an open attempt's.
    pub fn is_open(&self, ticket: Ticket) -> bool {
        self.flights.contains_key(&ticket)
    }

    /// Whether the partition is ours.
    pub fn has(&self, partition: Partition) -> bool {
        self.partitions.has(partition)
    }

    /// When it must be woken.
    pub fn wake_at(&self) -> Option<(Mono, &'static str)> {
        let full = self.flights.len() >= self.flights_max;
        // While all places are taken a due lane must wait for an answer, not for the clock.
        let lanes = self.lanes.values().filter(move |lane| !full || lane.call.is_asked());
        earliest(self.partitions.wakes().chain(lanes.map(|lane| (lane.call.wake_at(), "lane"))))
    }

    /// Bounds of S20 that can be seen in O(1).
    pub fn check(&self) {
        assert!(self.flights.len() <= self.flights_max, "flights are bounded");
        assert!(self.flights.len() <= self.lanes.len(), "a lane has at most one open attempt");
    }

    /// What is not done yet.
    pub fn pending(&self) -> Option<&'static str> {
        if !self.lanes.is_empty() {
            return Some("records are not done");
        }
        self.partitions.owes()
    }

    /// The lane of an open attempt, which is closed by this.
    fn answered(&mut self, ticket: Ticket) -> Option<LaneId> {
        let id = self.flights.remove(&ticket)?;
        let lane = self.lanes.get_mut(&id)?;
        lane.call.take(ticket).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_ours_from_its_assignment_to_its_loss() {
        let (mut inbox, mut rng) = (Inbox::<ShardId>::new(1), Rng::seeded(1));
        let (own, other) = (Partition(3), Partition(4));
        let mut absorb = |inbox: &mut Inbox<ShardId>, event| inbox.absorb(Mono(0), &mut rng, event, |shard| *shard);
        absorb(&mut inbox, Event::Assigned { partition: own, from: Offset(0) });
        assert_eq!((inbox.has(own), inbox.has(other)), (true, false));
        absorb(&mut inbox, Event::Revoked { partition: own });
        assert!(!inbox.has(own));
    }
}
