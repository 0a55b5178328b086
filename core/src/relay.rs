//! The outbox's change stream to its topics: partitions side by side, each in order, children after their parents.

pub mod partitions;

use crate::call::{Call, earliest};
use crate::database::event::Event as Told;
use crate::limits::{CHANGES_MAX, IDLE_POLL_MS, PARTITIONS_PERIOD_MS, RELAY_PARTITIONS_MAX};
use crate::machine::{Machine, Ticket};
use crate::outcome::Outcome;
use crate::rng::Rng;
use crate::time::{Mono, Now};
use partitions::{Child, CommitTime, PartitionChange, PartitionRefusal, PartitionRow, StreamToken};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// A place in one partition of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// At the first record of this commit time or later.
    From(CommitTime),
    /// Behind this many records of this commit time.
    Behind(CommitTime, u32),
}

/// A page of the stream, in the order of commits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChangePage {
    /// Outbox rows.
    pub records: Vec<(CommitTime, Told)>,
    /// A heartbeat: no later page has a record at or before this time.
    pub through: Option<CommitTime>,
    /// Where to go on.
    pub next: Place,
    /// Present when this is the partition's last page: what follows it.
    pub end: Option<Vec<Child>>,
}

/// The topics certainly did not take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopicAway;

/// What happens to the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The time asked for has come.
    Woken,
    /// Answers `ListReady`.
    Listed(Ticket, Outcome<Vec<PartitionRow>, Infallible>),
    /// Answers `Change` with the row after it.
    Changed(Ticket, StreamToken, Outcome<PartitionRow, PartitionRefusal>),
    /// Answers `Read`.
    Read(Ticket, StreamToken, Outcome<ChangePage, Infallible>),
    /// Answers `Publish`.
    Published(Ticket, StreamToken, Outcome<(), TopicAway>),
}

/// What the relay asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Reads which partitions this owner may relay.
    ListReady {
        /// To answer with.
        ticket: Ticket,
        /// Who asks.
        owner: u64,
        /// Most partitions.
        limit: usize,
    },
    /// Runs one transaction on a partition's row.
    Change {
        /// To answer with.
        ticket: Ticket,
        /// Who asks.
        owner: u64,
        /// Which partition.
        token: StreamToken,
        /// What to change.
        change: PartitionChange,
    },
    /// Reads on in a partition; may wait a moment for the first record or heartbeat.
    Read {
        /// To answer with.
        ticket: Ticket,
        /// Which partition.
        token: StreamToken,
        /// From where.
        from: Place,
        /// Most records.
        limit: usize,
    },
    /// Publishes events, each to its own topic under its subject, in this order per subject; `Done` when all are kept.
    Publish {
        /// To answer with.
        ticket: Ticket,
        /// From which partition.
        token: StreamToken,
        /// At most `CHANGES_MAX`.
        events: Vec<Told>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Beginning,
    Reading,
    /// These events, then the change, are owed.
    Publishing(Vec<Told>, PartitionChange),
    Changing(PartitionChange),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Reader {
    place: Place,
    watermark: CommitTime,
    stage: Stage,
    call: Call,
    /// When the row was last written: idle heartbeats are noted, and the lease kept, once a period.
    noted: Mono,
}

/// One relay.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Relay {
    owner: u64,
    tickets: Ticket,
    rng: Rng,
    list: Call,
    /// At most `RELAY_PARTITIONS_MAX`.
    readers: BTreeMap<StreamToken, Reader>,
}

impl Relay {
    /// A relay that looks for partitions at once; the seed also names its leases, so it is fresh for each process.
    pub fn new(now: Mono, seed: u64) -> Relay {
        let mut rng = Rng::seeded(seed);
        let owner = rng.draw();
        Relay { owner, tickets: Ticket::default(), rng, list: Call::due(now), readers: BTreeMap::new() }
    }
}

impl Machine for Relay {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        self.absorb(now.mono, event);
        self.start(now.mono, out);
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        let readers = self.readers.values().map(|reader| (reader.call.wake_at(), "partition"));
        earliest(readers.chain([(self.list.wake_at(), "list partitions")]))
    }

    fn check(&self) {
        assert!(self.readers.len() <= RELAY_PARTITIONS_MAX, "partitions under way are bounded");
    }

    fn pending(&self) -> Option<&'static str> {
        let rests = |reader: &Reader| reader.stage == Stage::Reading;
        (!self.readers.values().all(rests)).then_some("records are not published or not noted")
    }
}

impl Relay {
    fn absorb(&mut self, now: Mono, event: Event) {
        match event {
            Event::Woken => {}
            Event::Listed(ticket, outcome) => self.absorb_listed(now, ticket, outcome),
            Event::Changed(ticket, token, outcome) => self.absorb_changed(now, ticket, token, outcome),
            Event::Read(ticket, token, outcome) => {
                let Some(reader) = self.answered(ticket, token) else { return };
                match outcome {
                    Outcome::Done(page) => reader.absorb_page(now, page),
                    Outcome::Refused(never) => match never {},
                    // A read changes nothing.
                    Outcome::Unknown => self.retry(now, token),
                }
            }
            Event::Published(ticket, token, outcome) => {
                let Some(reader) = self.answered(ticket, token) else { return };
                match outcome {
                    Outcome::Done(()) => reader.absorb_published(now),
                    // Unknown: published twice, an event has the same id and the same subject's order; consumers drop it.
                    Outcome::Refused(TopicAway) | Outcome::Unknown => self.retry(now, token),
                }
            }
        }
    }

    fn absorb_listed(&mut self, now: Mono, ticket: Ticket, outcome: Outcome<Vec<PartitionRow>, Infallible>) {
        if !self.list.take(ticket) {
            return;
        }
        let rows = match outcome {
            Outcome::Done(rows) => rows,
            Outcome::Refused(never) => match never {},
            // A read changes nothing.
            Outcome::Unknown => return self.list.retry(now, &mut self.rng),
        };
        self.list.again_at(now.after_ms(PARTITIONS_PERIOD_MS));
        for row in rows {
            if self.readers.len() >= RELAY_PARTITIONS_MAX {
                return;
            }
            self.readers.entry(row.token).or_insert_with(|| Reader {
                place: Place::From(row.watermark),
                watermark: row.watermark,
                stage: Stage::Beginning,
                call: Call::due(now),
                noted: now,
            });
        }
    }

    fn absorb_changed(
        &mut self,
        now: Mono,
        ticket: Ticket,
        token: StreamToken,
        outcome: Outcome<PartitionRow, PartitionRefusal>,
    ) {
        let Some(reader) = self.answered(ticket, token) else { return };
        let finishing = matches!(reader.stage, Stage::Changing(PartitionChange::Finish(_)));
        match outcome {
            Outcome::Done(_) if finishing => self.leave(now, token),
            Outcome::Done(row) => reader.absorb_row(now, &row),
            // Another relay has it, or it is finished: by us, when the answer to an earlier attempt was lost.
            Outcome::Refused(
                PartitionRefusal::Missing
                | PartitionRefusal::ParentsUnfinished
                | PartitionRefusal::Finished
                | PartitionRefusal::LeaseHeld,
            ) => self.leave(now, token),
            // Each change may be made twice: it begins, advances or finishes what is begun, advanced or finished.
            Outcome::Unknown => self.retry(now, token),
        }
    }

    fn answered(&mut self, ticket: Ticket, token: StreamToken) -> Option<&mut Reader> {
        self.readers.get_mut(&token).filter(|reader| reader.call.is_asked()).and_then(|reader| {
            let ours = reader.call.take(ticket);
            ours.then_some(reader)
        })
    }

    fn retry(&mut self, now: Mono, token: StreamToken) {
        let reader = self.readers.get_mut(&token).expect("it was just answered");
        reader.call.retry(now, &mut self.rng);
    }

    /// The next list tells who goes on, and what follows.
    fn leave(&mut self, now: Mono, token: StreamToken) {
        self.readers.remove(&token);
        self.list.wish(now);
    }

    fn start(&mut self, now: Mono, out: &mut Vec<Effect>) {
        let (owner, tickets) = (self.owner, &mut self.tickets);
        if self.list.is_due(now) {
            let ticket = self.list.ask(now, tickets.advance());
            out.push(Effect::ListReady { ticket, owner, limit: RELAY_PARTITIONS_MAX });
        }
        for (token, reader) in self.readers.iter_mut().filter(|(_, reader)| reader.call.is_due(now)) {
            let (ticket, token) = (reader.call.ask(now, tickets.advance()), *token);
            out.push(match &reader.stage {
                Stage::Beginning => Effect::Change { ticket, owner, token, change: PartitionChange::Begin },
                Stage::Reading => Effect::Read { ticket, token, from: reader.place, limit: CHANGES_MAX },
                Stage::Publishing(events, _) => Effect::Publish { ticket, token, events: events.clone() },
                Stage::Changing(change) => Effect::Change { ticket, owner, token, change: change.clone() },
            });
        }
    }
}

impl Reader {
    /// Begun, or advanced. Another relay may have been further: its watermark is as good as ours.
    fn absorb_row(&mut self, now: Mono, row: &PartitionRow) {
        if self.stage == Stage::Beginning {
            self.place = Place::From(row.watermark);
        }
        self.watermark = self.watermark.max(row.watermark);
        self.stage = Stage::Reading;
        self.noted = now;
        self.call.again_at(now);
    }

    /// The page's change is owed from now on, but made only after its records are published.
    fn absorb_page(&mut self, now: Mono, page: ChangePage) {
        assert!(page.records.len() <= CHANGES_MAX, "a page is bounded");
        self.place = page.next;
        let last = page.records.last().map(|(at, _)| *at);
        let reached = page.through.max(last).unwrap_or(self.watermark).max(self.watermark);
        if page.records.is_empty() && page.end.is_none() && now < self.noted.after_ms(PARTITIONS_PERIOD_MS) {
            self.call.again_at(now.after_ms(IDLE_POLL_MS));
            return;
        }
        let events: Vec<Told> = page.records.into_iter().map(|(_, event)| event).collect();
        let change = match page.end {
            Some(children) => PartitionChange::Finish(children),
            None => PartitionChange::Advance(reached),
        };
        self.stage = match events.is_empty() {
            false => Stage::Publishing(events, change),
            true => Stage::Changing(change),
        };
        self.call.again_at(now);
    }

    fn absorb_published(&mut self, now: Mono) {
        let Stage::Publishing(_, change) = &self.stage else { return };
        self.stage = Stage::Changing(change.clone());
        self.call.again_at(now);
    }
}
