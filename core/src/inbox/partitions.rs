//! The partitions of one consumer: where each is read, what of it is open, and which offsets may be committed.
//!
//! An offset is committed only after all records before it are done (S10). What a consumer does with a record between
//! its delivery and its end is not known here.

use super::assigned::Assigned;
use super::{Effect, Event, NotAssigned, Offset, Partition, Record};
use crate::call::Call;
use crate::limits::IDLE_POLL_MS;
use crate::machine::Ticket;
use crate::outcome::Outcome;
use crate::rng::Rng;
use crate::time::Mono;
use std::collections::BTreeMap;

/// All partitions of one consumer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Partitions {
    assigned: BTreeMap<Partition, Assigned>,
    /// Records of one partition that may be open; then its fetching pauses.
    open_max: usize,
}

/// What an event means for the work on records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News<T> {
    /// Nothing.
    Nothing,
    /// Work on records of this partition is not ours any more, or begins anew.
    Gone(Partition),
    /// Records that were not delivered before in this assignment, in order; each is to be finished once.
    Fresh(Partition, Vec<(Offset, T)>),
}

impl Partitions {
    /// None yet; of each at most `open_max` records are open.
    pub fn new(open_max: usize) -> Partitions {
        Partitions { assigned: BTreeMap::new(), open_max }
    }

    /// Takes an event.
    pub fn absorb<T>(&mut self, now: Mono, rng: &mut Rng, event: Event<T>) -> News<T> {
        match event {
            Event::Assigned { partition, from } => {
                // A second assignment without a revocation begins anew: what was done beyond `from` is done again.
                self.assigned.insert(partition, Assigned::new(from, now));
                News::Gone(partition)
            }
            Event::Revoked { partition } => self.revoke(partition),
            Event::Fetched { ticket, partition, outcome } => {
                self.absorb_fetched(now, rng, (ticket, partition), outcome)
            }
            Event::Committed { ticket, partition, outcome } => {
                self.absorb_committed(now, rng, (ticket, partition), outcome)
            }
            Event::SetAside { ticket, partition, offset, outcome } => {
                self.absorb_set_aside(now, rng, (ticket, partition, offset), outcome)
            }
        }
    }

    /// Starts what is due of fetches, commits and dead letters.
    pub fn pump(&mut self, now: Mono, tickets: &mut Ticket, out: &mut Vec<Effect>) {
        for (partition, assigned) in &mut self.assigned {
            assigned.pump(now, *partition, self.open_max, tickets, out);
        }
    }

    /// A delivered record needs nothing more. Its partition is ours: work on it ends with [`News::Gone`].
    pub fn finish(&mut self, partition: Partition, offset: Offset) {
        self.assigned.get_mut(&partition).expect("work goes with its partition").finish(offset);
    }

    /// Whether the partition is ours.
    pub fn has(&self, partition: Partition) -> bool {
        self.assigned.contains_key(&partition)
    }

    /// Delivered records that are not finished.
    pub fn open(&self) -> usize {
        self.assigned.values().map(|assigned| assigned.open.len()).sum()
    }

    /// When they must be looked at.
    pub fn wakes(&self) -> impl Iterator<Item = (Option<Mono>, &'static str)> {
        self.assigned.values().flat_map(|assigned| {
            let aside = assigned.aside.values().map(|call| (call.wake_at(), "set aside"));
            aside.chain([(assigned.fetch_at(self.open_max), "fetch"), (assigned.commit.wake_at(), "commit")])
        })
    }

    /// What is not done or not committed yet.
    pub fn owes(&self) -> Option<&'static str> {
        let owes = |assigned: &Assigned| !assigned.open.is_empty() || assigned.committable() > assigned.committed;
        self.assigned.values().any(owes).then_some("an offset is not committed")
    }

    fn revoke<T>(&mut self, partition: Partition) -> News<T> {
        self.assigned.remove(&partition);
        News::Gone(partition)
    }

    fn absorb_fetched<T>(
        &mut self,
        now: Mono,
        rng: &mut Rng,
        (ticket, partition): (Ticket, Partition),
        outcome: Outcome<Vec<Record<T>>, NotAssigned>,
    ) -> News<T> {
        let asked = self.assigned.get_mut(&partition).filter(|assigned| assigned.fetch.is_asked());
        let Some(assigned) = asked else { return News::Nothing };
        if !assigned.fetch.take(ticket) {
            return News::Nothing;
        }
        let records = match outcome {
            Outcome::Done(records) => records,
            Outcome::Refused(NotAssigned) => return self.revoke(partition),
            // A read changes nothing: whether it happened or not, it is asked again.
            Outcome::Unknown => {
                assigned.fetch.retry(now, rng);
                return News::Nothing;
            }
        };
        assigned.fetch.again_at(if records.is_empty() { now.after_ms(IDLE_POLL_MS) } else { now });
        let mut fresh = Vec::with_capacity(records.len());
        for record in records {
            if !assigned.deliver(record.offset()) {
                continue;
            }
            match record {
                Record::Undecodable(offset) => drop(assigned.aside.insert(offset, Call::due(now))),
                Record::Delivered(offset, record) => fresh.push((offset, record)),
            }
        }
        News::Fresh(partition, fresh)
    }

    fn absorb_committed<T>(
        &mut self,
        now: Mono,
        rng: &mut Rng,
        (ticket, partition): (Ticket, Partition),
        outcome: Outcome<(), NotAssigned>,
    ) -> News<T> {
        let Some(assigned) = self.assigned.get_mut(&partition) else { return News::Nothing };
        if !assigned.commit.take(ticket) {
            return News::Nothing;
        }
        match outcome {
            Outcome::Done(()) => {
                assigned.committed = assigned.committing;
                assigned.commit.rest();
            }
            Outcome::Refused(NotAssigned) => return self.revoke(partition),
            // Kept or not: committing the same or a later place again is harmless, all records before it are done.
            Outcome::Unknown => assigned.commit.retry(now, rng),
        }
        News::Nothing
    }

    fn absorb_set_aside<T>(
        &mut self,
        now: Mono,
        rng: &mut Rng,
        (ticket, partition, offset): (Ticket, Partition, Offset),
        outcome: Outcome<(), NotAssigned>,
    ) -> News<T> {
        let Some(assigned) = self.assigned.get_mut(&partition) else { return News::Nothing };
        let Some(call) = assigned.aside.get_mut(&offset).filter(|call| call.is_asked()) else { return News::Nothing };
        if !call.take(ticket) {
            return News::Nothing;
        }
        match outcome {
            Outcome::Done(()) => {
                assigned.aside.remove(&offset);
                assigned.finish(offset);
            }
            Outcome::Refused(NotAssigned) => return self.revoke(partition),
            // Kept or not: a second dead letter of one offset is recognised by it, a missing one would be a loss.
            Outcome::Unknown => call.retry(now, rng),
        }
        News::Nothing
    }
}
