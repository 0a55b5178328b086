//! The worker of the sales windows: counts the movements of its partitions in micro-batches, and tells of the windows
//! every hour.
//!
//! It keeps no window of its own. Rings, marks and cursor change in one transaction that names the place where the
//! cursor must be, so a worker that has been replaced, or does not know it yet, changes nothing. A record's offset is
//! committed only after its batch (S10).

use super::command::SalesReport;
use super::emission::Emission;
use super::movement::Movement;
use super::reading::{Place, Reading};
use crate::call::earliest;
use crate::database::command::{Command, Refusal, Reply};
use crate::ids::SkuId;
use crate::inbox::partitions::{News, Partitions};
use crate::inbox::{self, Offset, Partition};
use crate::limits::INBOX_RECORDS_MAX;
use crate::machine::{Machine, Ticket};
use crate::outcome::Outcome;
use crate::rng::Rng;
use crate::time::{Mono, Now};
use std::collections::BTreeMap;

/// What happens to the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The time asked for has come.
    Woken,
    /// Something of the partitions.
    Inbox(inbox::Event<Movement>),
    /// Answers `ReadCursor`.
    CursorRead {
        /// Of the question.
        ticket: Ticket,
        /// Of which partition.
        partition: Partition,
        /// First record that is not counted, by a strong read begun after the question; 0 where there is no row;
        /// `None` when the read failed.
        next: Option<Offset>,
    },
    /// Answers `Apply`.
    Applied {
        /// Of the question.
        ticket: Ticket,
        /// Of which partition.
        partition: Partition,
        /// What the database said.
        outcome: Outcome<Reply, Refusal>,
    },
    /// Answers `ListRings`.
    RingsListed {
        /// Of the question.
        ticket: Ticket,
        /// Of which partition.
        partition: Partition,
        /// In the order of the SKUs; fewer than asked for only when none is left; `None` when the read failed.
        skus: Option<Vec<SkuId>>,
    },
}

/// What the worker asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Something of the partitions.
    Inbox(inbox::Effect),
    /// Reads the cursor's row, strongly.
    ReadCursor {
        /// To answer with.
        ticket: Ticket,
        /// Of which partition.
        partition: Partition,
    },
    /// Runs one transaction; always [`Command::Sales`].
    Apply {
        /// To answer with.
        ticket: Ticket,
        /// Of which partition.
        partition: Partition,
        /// What to decide.
        command: Command,
    },
    /// Reads which SKUs of the partition have a ring, strongly.
    ListRings {
        /// To answer with.
        ticket: Ticket,
        /// Of which partition: that of the rings' rows.
        partition: Partition,
        /// Only those behind this one.
        after: Option<SkuId>,
        /// Most SKUs.
        limit: usize,
    },
    /// A batch was counted; for metrics, not answered.
    ReportCounted(SalesReport),
    /// The database refused what it never should; not answered, and the same is tried again.
    ReportRefusal {
        /// Of which partition.
        partition: Partition,
        /// Why.
        refusal: Refusal,
    },
}

/// The worker of its assigned partitions of `sales`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SalesWindows {
    tickets: Ticket,
    rng: Rng,
    partitions: Partitions,
    work: BTreeMap<Partition, Work>,
}

/// The two tasks of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Work {
    reading: Reading,
    emission: Emission,
}

impl SalesWindows {
    /// A worker without partitions; `seed` only varies its pauses.
    pub fn new(seed: u64) -> SalesWindows {
        let (tickets, rng) = (Ticket::default(), Rng::seeded(seed));
        SalesWindows { tickets, rng, partitions: Partitions::new(INBOX_RECORDS_MAX), work: BTreeMap::new() }
    }

    fn absorb_inbox(&mut self, now: Mono, event: inbox::Event<Movement>) {
        let assigned = match &event {
            inbox::Event::Assigned { partition, from } => Some((*partition, *from)),
            inbox::Event::Revoked { .. }
            | inbox::Event::Fetched { .. }
            | inbox::Event::Committed { .. }
            | inbox::Event::SetAside { .. } => None,
        };
        match self.partitions.absorb(now, &mut self.rng, event) {
            News::Nothing => {}
            News::Gone(partition) => {
                self.work.remove(&partition);
            }
            News::Fresh(partition, records) => {
                let work = self.work.get_mut(&partition).expect("work goes with its partition");
                let counted = work.reading.gather(now, records);
                self.finish(partition, counted);
            }
        }
        if let Some((partition, from)) = assigned {
            let (reading, emission) = (Reading::new(now, from), Emission::new(now));
            self.work.insert(partition, Work { reading, emission });
        }
    }

    fn absorb_cursor(&mut self, now: Mono, ticket: Ticket, partition: Partition, next: Option<Offset>) {
        let Some(work) = self.work.get_mut(&partition) else { return };
        match work.reading.locate(now, &mut self.rng, ticket, next) {
            Place::Passed(offsets) => self.finish(partition, offsets),
            // The group's offset was committed, and what it stood for is not in the database: the database has the
            // last word, and what is counted again is recognised by its marks.
            Place::Behind(from) => self.absorb_inbox(now, inbox::Event::Assigned { partition, from }),
        }
    }

    fn absorb_applied(
        &mut self,
        now: Mono,
        (ticket, partition): (Ticket, Partition),
        outcome: Outcome<Reply, Refusal>,
        out: &mut Vec<Effect>,
    ) {
        let Some(work) = self.work.get_mut(&partition) else { return };
        if work.reading.awaits(ticket) {
            self.absorb_counted(now, partition, outcome, out);
        } else if work.emission.awaits(ticket) {
            match outcome {
                Outcome::Done(_) => work.emission.told(now),
                // The database's clock is behind this one: the hour comes there too.
                Outcome::Refused(Refusal::WindowOpen) => work.emission.retry(now, &mut self.rng),
                Outcome::Refused(refusal) => {
                    out.push(Effect::ReportRefusal { partition, refusal });
                    work.emission.retry(now, &mut self.rng);
                }
                // Told or not: what was told for this hour is passed over.
                Outcome::Unknown => work.emission.retry(now, &mut self.rng),
            }
        }
    }

    fn absorb_counted(
        &mut self,
        now: Mono,
        partition: Partition,
        outcome: Outcome<Reply, Refusal>,
        out: &mut Vec<Effect>,
    ) {
        let work = self.work.get_mut(&partition).expect("the caller found it");
        match outcome {
            Outcome::Done(reply) => {
                let Reply::Sales(report) = reply else { panic!("a batch of sales answers with its report") };
                out.push(Effect::ReportCounted(report));
                let counted = work.reading.counted(now);
                self.finish(partition, counted);
            }
            Outcome::Refused(Refusal::StaleOffset) => work.reading.doubt(now, &mut self.rng),
            Outcome::Refused(refusal) => {
                out.push(Effect::ReportRefusal { partition, refusal });
                work.reading.doubt(now, &mut self.rng);
            }
            // Committed: the cursor stands behind the batch. Not committed: it stands before it. The row tells.
            Outcome::Unknown => work.reading.doubt(now, &mut self.rng),
        }
    }

    fn absorb_listed(&mut self, now: Mono, ticket: Ticket, partition: Partition, skus: Option<Vec<SkuId>>) {
        let Some(work) = self.work.get_mut(&partition) else { return };
        if !work.emission.awaits(ticket) {
            return;
        }
        match skus {
            Some(skus) => work.emission.listed(now, skus),
            None => work.emission.retry(now, &mut self.rng),
        }
    }

    fn finish(&mut self, partition: Partition, offsets: Vec<Offset>) {
        for offset in offsets {
            self.partitions.finish(partition, offset);
        }
    }
}

impl Machine for SalesWindows {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Woken => {}
            Event::Inbox(event) => self.absorb_inbox(now.mono, event),
            Event::CursorRead { ticket, partition, next } => self.absorb_cursor(now.mono, ticket, partition, next),
            Event::Applied { ticket, partition, outcome } => {
                self.absorb_applied(now.mono, (ticket, partition), outcome, out);
            }
            Event::RingsListed { ticket, partition, skus } => self.absorb_listed(now.mono, ticket, partition, skus),
        }
        for (partition, work) in &mut self.work {
            work.reading.pump(now.mono, *partition, &mut self.tickets, &mut self.rng, out);
            work.emission.pump(now, *partition, &mut self.tickets, out);
        }
        let mut effects = Vec::new();
        self.partitions.pump(now.mono, &mut self.tickets, &mut effects);
        out.extend(effects.into_iter().map(Effect::Inbox));
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        let work = self.work.values().flat_map(|work| work.reading.wakes().into_iter().chain(work.emission.wakes()));
        earliest(self.partitions.wakes().chain(work))
    }

    fn check(&self) {
        assert!(self.work.keys().all(|partition| self.partitions.has(*partition)), "work goes with its partition");
        for work in self.work.values() {
            work.reading.check();
        }
    }

    fn pending(&self) -> Option<&'static str> {
        let owed = |work: &Work| work.reading.pending().or(work.emission.pending());
        self.work.values().find_map(owed).or(self.partitions.owes())
    }
}
