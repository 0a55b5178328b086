//! The worker that writes documents: marked products are read in one snapshot and sent in one bulk.
//!
//! Why a lost or doubled answer is harmless, and a slow worker too:
//! 1. A record marks its product. The snapshot begins later, so it shows the change that the record tells of.
//! 2. The document goes out under the snapshot's time. If the index has a newer one, that was read later still: it shows
//!    the change as well, and the record is done.
//! 3. Whatever is not known to be stored is read again in a new snapshot and sent again.

use super::document::Document;
use crate::call::{Call, earliest};
use crate::database::event::Event as Outgoing;
use crate::ids::{ProductId, Version};
use crate::inbox;
use crate::inbox::marks::{Mark, Marks};
use crate::limits::INDEX_BULK_MAX;
use crate::machine::{Machine, Ticket};
use crate::outcome::Outcome;
use crate::rng::Rng;
use crate::time::{Mono, Now};
use std::collections::BTreeSet;

/// What became of one document of a bulk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Written {
    /// It is stored.
    Stored,
    /// A document of the same or a later snapshot is there.
    Newer,
    /// Not stored; it may be tried again.
    Failed,
    /// Not stored, and never will be as it is.
    Rejected,
}

/// The index takes nothing now: it is asked again after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PushedBack;

/// What happens to the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The time asked for has come.
    Woken,
    /// Something of the partitions; a record without a mark is none of search's.
    Inbox(inbox::Event<Option<Mark>>),
    /// Answers `Read`, in the order of the question; `None` when the read failed.
    Read {
        /// Of the question.
        ticket: Ticket,
        /// One snapshot, by a strong read begun after the question.
        documents: Option<Vec<Document>>,
    },
    /// Answers `Write`, one per document in their order.
    Written {
        /// Of the question.
        ticket: Ticket,
        /// What became of each.
        outcome: Outcome<Vec<Written>, PushedBack>,
    },
}

/// What the worker asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Something of the partitions.
    Inbox(inbox::Effect),
    /// Reads these products' documents in one snapshot.
    Read {
        /// To answer with.
        ticket: Ticket,
        /// Which; at most `INDEX_BULK_MAX`.
        products: Vec<ProductId>,
    },
    /// Writes whole documents, each under its version.
    Write {
        /// To answer with.
        ticket: Ticket,
        /// What to write.
        documents: Vec<Document>,
    },
    /// The index will never take this document; not answered. Its record is done, or nothing behind it would be.
    ReportRejected(ProductId),
}

/// The mark of an event, if search shows what it changed.
pub fn mark_of(event: &Outgoing) -> Option<Mark> {
    match event {
        Outgoing::CatalogChanged { product, .. } | Outgoing::SalesAdvanced { product, .. } => {
            Some(Mark { product: *product, version: Version(0) })
        }
        Outgoing::OrderChanged(_)
        | Outgoing::TimeoutDue { .. }
        | Outgoing::Settled { .. }
        | Outgoing::Granted { .. }
        | Outgoing::ReservationLost { .. }
        | Outgoing::PaymentLate { .. }
        | Outgoing::RefundDue { .. }
        | Outgoing::SaleChanged { .. }
        | Outgoing::SalesMoved(_) => None,
    }
}

/// The worker of its assigned partitions of `catalog`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Indexer {
    tickets: Ticket,
    rng: Rng,
    marks: Marks,
    /// The snapshot, then the bulk.
    call: Call,
    /// What the open bulk carries; empty while it is read.
    bulk: Vec<ProductId>,
}

impl Indexer {
    /// A worker without partitions; `seed` only varies its pauses.
    pub fn new(seed: u64) -> Indexer {
        Indexer {
            tickets: Ticket::default(),
            rng: Rng::seeded(seed),
            marks: Marks::new(),
            call: Call::due(Mono(0)),
            bulk: Vec::new(),
        }
    }

    fn read(&mut self, now: Mono, ticket: Ticket, documents: Option<Vec<Document>>, out: &mut Vec<Effect>) {
        if !self.bulk.is_empty() || !self.call.take(ticket) {
            return;
        }
        let Some(documents) = documents.filter(|documents| !documents.is_empty()) else { return self.again(now) };
        self.bulk = documents.iter().map(|document| document.product).collect();
        let ticket = self.call.ask(now, self.tickets.advance());
        out.push(Effect::Write { ticket, documents });
    }

    fn written(
        &mut self,
        now: Mono,
        ticket: Ticket,
        outcome: Outcome<Vec<Written>, PushedBack>,
        out: &mut Vec<Effect>,
    ) {
        if !self.call.take(ticket) {
            return;
        }
        let written = match outcome {
            Outcome::Done(written) => written,
            // Stored or not: the next snapshot is newer, and takes its place.
            Outcome::Refused(PushedBack) | Outcome::Unknown => return self.again(now),
        };
        let bulk = std::mem::take(&mut self.bulk);
        let mut done = BTreeSet::new();
        for (product, written) in bulk.into_iter().zip(&written) {
            match written {
                Written::Stored | Written::Newer => drop(done.insert(product)),
                Written::Failed => {}
                Written::Rejected => {
                    done.insert(product);
                    out.push(Effect::ReportRejected(product));
                }
            }
        }
        let before = self.marks.taken().len();
        self.marks.finish(|product| done.contains(&product));
        match done.len() >= before {
            true => self.call.again_at(now),
            false => self.call.retry(now, &mut self.rng),
        }
    }

    fn again(&mut self, now: Mono) {
        self.bulk.clear();
        self.marks.finish(|_| false);
        self.call.retry(now, &mut self.rng);
    }

    fn pump(&mut self, now: Mono, out: &mut Vec<Effect>) {
        if self.call.is_asked() && self.call.is_due(now) {
            // An overdue answer is as good as unknown.
            self.again(now);
        }
        if self.marks.is_ready() && self.call.is_due(now) {
            let products = self.marks.take(INDEX_BULK_MAX).into_iter().map(|mark| mark.product).collect();
            out.push(Effect::Read { ticket: self.call.ask(now, self.tickets.advance()), products });
        }
    }
}

impl Machine for Indexer {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Woken => {}
            Event::Inbox(event) => self.marks.absorb(now.mono, &mut self.rng, event),
            Event::Read { ticket, documents } => self.read(now.mono, ticket, documents, out),
            Event::Written { ticket, outcome } => self.written(now.mono, ticket, outcome, out),
        }
        self.pump(now.mono, out);
        let mut effects = Vec::new();
        self.marks.pump(now.mono, &mut self.tickets, &mut effects);
        out.extend(effects.into_iter().map(Effect::Inbox));
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        let working = self.call.is_asked() || self.marks.is_ready();
        let call = working.then(|| self.call.wake_at()).flatten();
        earliest(self.marks.wakes().chain([(call, "documents")]))
    }

    fn check(&self) {
        self.marks.check();
        assert!(self.bulk.is_empty() || self.call.is_asked(), "a bulk is an open question");
    }

    fn pending(&self) -> Option<&'static str> {
        self.marks.owes()
    }
}
