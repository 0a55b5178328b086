//! One partition of the outbox as a consumer reads it: a fetch waits for news, and a commit is the only memory.

use doorbuster_core::inbox::{Effect, Event, Offset, Partition, Record};
use doorbuster_core::machine::Ticket;
use doorbuster_core::outcome::Outcome;

const ONLY: Partition = Partition(0);

#[derive(Default)]
pub struct Feed {
    committed: u64,
    /// Everything before this has arrived in this life of the consumer: it has asked for what comes then.
    delivered: u64,
    waiting: Option<(Ticket, u64, usize)>,
}

impl Feed {
    /// What a new life of the consumer is told first.
    pub fn assign<T>(&mut self) -> Event<T> {
        (self.delivered, self.waiting) = (self.committed, None);
        Event::Assigned { partition: ONLY, from: Offset(self.committed) }
    }

    /// Whether this life has so many records.
    pub fn has_delivered(&self, count: usize) -> bool {
        self.delivered >= count as u64
    }

    /// Performs what can be answered at once; `lost` commits are kept nowhere, and a fetch waits for [`Feed::deliver`].
    pub fn perform<T>(&mut self, effect: Effect, lost: bool) -> Option<Event<T>> {
        match effect {
            Effect::Fetch { ticket, from, limit, .. } => {
                (self.delivered, self.waiting) = (from.0, Some((ticket, from.0, limit)));
                None
            }
            Effect::Commit { ticket, partition, next } => {
                let outcome = if lost { Outcome::Unknown } else { Outcome::Done(()) };
                self.committed = if lost { self.committed } else { self.committed.max(next.0) };
                Some(Event::Committed { ticket, partition, outcome })
            }
            Effect::SetAside { offset, .. } => panic!("record {offset:?} was readable"),
        }
    }

    /// Answers the waiting fetch with at most `count` records, the first of them perhaps once more.
    pub fn deliver<T>(&mut self, count: usize, again: bool, log: impl Fn(usize) -> Option<T>) -> Option<Event<T>> {
        let (ticket, from, limit) = self.waiting?;
        let first = from.saturating_sub(u64::from(again));
        let last = from + count.min(limit) as u64;
        let read = |offset: u64| Some(Record::Delivered(Offset(offset), log(offset as usize)?));
        let records: Vec<_> = (first..last).map_while(read).collect();
        records.last()?;
        self.waiting = None;
        Some(Event::Fetched { ticket, partition: ONLY, outcome: Outcome::Done(records) })
    }
}
