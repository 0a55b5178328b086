//! One assigned partition: what was fetched, what is done, what may be committed.

use super::{Effect, Offset, Partition};
use crate::call::Call;
use crate::limits::FETCH_RECORDS_MAX;
use crate::machine::Ticket;
use crate::time::Mono;
use std::collections::{BTreeMap, BTreeSet};

/// Positions and open questions of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Assigned {
    /// First record that was not fetched.
    pub next: Offset,
    /// The place that is known to be kept.
    pub committed: Offset,
    /// The place that an open commit asks for.
    pub committing: Offset,
    /// Fetched records that are not done. One that stays open holds back commits, but not the records behind it.
    pub open: BTreeSet<Offset>,
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
            open: BTreeSet::new(),
            fetch: Call::due(now),
            commit: Call::QUIET,
            aside: BTreeMap::new(),
        }
    }

    /// Starts what is due.
    pub fn pump(
        &mut self,
        now: Mono,
        partition: Partition,
        open_max: usize,
        tickets: &mut Ticket,
        out: &mut Vec<Effect>,
    ) {
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
        let room = open_max.saturating_sub(self.open.len());
        if self.fetch.is_due(now) && room > 0 {
            let ticket = self.fetch.ask(now, tickets.advance());
            let limit = room.min(FETCH_RECORDS_MAX);
            out.push(Effect::Fetch { ticket, partition, from: self.next, limit });
        }
    }

    /// A full partition waits for its records to be done, not for the clock.
    pub fn fetch_at(&self, open_max: usize) -> Option<Mono> {
        if self.open.len() >= open_max { None } else { self.fetch.wake_at() }
    }

    /// `false` for a record that was delivered before.
    pub fn deliver(&mut self, offset: Offset) -> bool {
        if offset < self.next {
            return false;
        }
        self.next = offset.next();
        self.open.insert(offset)
    }

    /// The record is done.
    pub fn finish(&mut self, offset: Offset) {
        assert!(self.open.remove(&offset), "a delivered record is finished once");
        assert!(self.committable() >= self.committing, "what was finished stays finished");
    }

    /// The place up to which everything is done.
    pub fn committable(&self) -> Offset {
        self.open.first().copied().unwrap_or(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_above_an_open_record_is_committed() {
        let mut assigned = Assigned::new(Offset(5), Mono(0));
        for offset in [5, 6, 9] {
            assert!(assigned.deliver(Offset(offset)));
        }
        assert!(!assigned.deliver(Offset(6)), "delivered before");
        assigned.finish(Offset(6));
        assert_eq!(assigned.committable(), Offset(5));
        assigned.finish(Offset(5));
        assert_eq!(assigned.committable(), Offset(9));
        assigned.finish(Offset(9));
        assert_eq!(assigned.committable(), Offset(10));
    }

    #[test]
    fn a_record_that_stays_open_does_not_stop_the_ones_behind_it() {
        let (mut assigned, mut tickets, mut out) = (Assigned::new(Offset(0), Mono(0)), Ticket::default(), Vec::new());
        for offset in 0..10 {
            assert!(assigned.deliver(Offset(offset)));
            if offset > 0 {
                assigned.finish(Offset(offset));
            }
        }
        assigned.pump(Mono(0), Partition(0), 2, &mut tickets, &mut out);
        let fetched = out.iter().any(|effect| matches!(effect, Effect::Fetch { from: Offset(10), limit: 1, .. }));
        assert!(fetched, "one place of two is free: {out:?}");
    }
}
