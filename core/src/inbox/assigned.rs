//! One assigned partition: what was fetched, what is done, what may be committed.

use super::{Effect, Offset, Partition};
use crate::call::Call;
use crate::limits::{FETCH_RECORDS_MAX, INBOX_RECORDS_MAX};
use crate::machine::Ticket;
use crate::time::Mono;
use std::collections::{BTreeMap, VecDeque};

/// Positions and open questions of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Assigned {
    /// First record that was not fetched.
    pub next: Offset,
    /// The place that is known to be kept.
    pub committed: Offset,
    /// The place that an open commit asks for.
    pub committing: Offset,
    /// Fetched records and whether they are done, in order.
    pub unfinished: VecDeque<(Offset, bool)>,
    /// Fetches.
    pub fetch: Call,
    /// Commits.
    pub commit: Call,
    /// Records that are no records, on their way to the dead letters.
    pub aside: BTreeMap<Offset, Call>,
}

impl Assigned {
    /// A partition to be read from `from` on.
    pub fn new(from: Offset, now: Mono) -> Assigned {
        Assigned {
            next: from,
            committed: from,
            committing: from,
            unfinished: VecDeque::new(),
            fetch: Call::due(now),
            commit: Call::QUIET,
            aside: BTreeMap::new(),
        }
    }

    /// Starts what is due.
    pub fn pump(&mut self, now: Mono, partition: Partition, tickets: &mut Ticket, out: &mut Vec<Effect>) {
        for (offset, call) in self.aside.iter_mut().filter(|(_, call)| call.is_due(now)) {
            let ticket = call.ask(now, tickets.advance());
            out.push(Effect::SetAside { ticket, partition, offset: *offset });
        }
        if self.committable() > self.committed && self.commit.is_quiet() {
            self.commit = Call::due(now);
        }
        if self.commit.is_due(now) {
            let ticket = self.commit.ask(now, tickets.advance());
            self.committing = self.committable();
            out.push(Effect::Commit { ticket, partition, next: self.committing });
        }
        let room = INBOX_RECORDS_MAX.saturating_sub(self.unfinished.len());
        if self.fetch.is_due(now) && room > 0 {
            let ticket = self.fetch.ask(now, tickets.advance());
            let limit = room.min(FETCH_RECORDS_MAX);
            out.push(Effect::Fetch { ticket, partition, from: self.next, limit });
        }
    }

    /// A full inbox waits for its records to be done, not for the clock.
    pub fn fetch_at(&self) -> Option<Mono> {
        let full = self.unfinished.len() >= INBOX_RECORDS_MAX;
        if full { None } else { self.fetch.wake_at() }
    }

    /// `false` for a record that was delivered before.
    pub fn deliver(&mut self, offset: Offset) -> bool {
        let fresh = offset >= self.next;
        if fresh {
            self.next = offset.next();
            self.unfinished.push_back((offset, false));
        }
        fresh
    }

    /// The record is done.
    pub fn finish(&mut self, offset: Offset) {
        let index = self.unfinished.binary_search_by_key(&offset, |(offset, _)| *offset);
        let index = index.expect("only delivered records are finished");
        self.unfinished[index].1 = true;
        if index > 0 {
            return;
        }
        while self.unfinished.front().is_some_and(|(_, done)| *done) {
            self.unfinished.pop_front();
        }
    }

    /// The place up to which everything is done.
    pub fn committable(&self) -> Offset {
        self.unfinished.front().map_or(self.next, |(offset, _)| *offset)
    }
}
