//! The worker that tells caches of changes: the floor first, then the message, then the offset.
//!
//! The floor is what holds; the message only makes it quick. A worker that dies before it asks for the message leaves
//! the record uncommitted: the next one finds the floor and tells again. One that dies with the message unsent may lose
//! it, and caches find the floor when their copies come of age.

use crate::call::{Call, earliest};
use crate::database::event::Event as Outgoing;
use crate::ids::{ProductId, Version};
use crate::inbox::marks::{Mark, Marks};
use crate::inbox::{self};
use crate::limits::CACHE_FLOORS_MAX;
use crate::machine::{Machine, Ticket};
use crate::outcome::Outcome;
use crate::rng::Rng;
use crate::time::{Mono, Now};

/// The shared cache took nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unreachable;

/// What happens to the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The time asked for has come.
    Woken,
    /// Something of the partitions; a record without a mark is none of a product's row.
    Inbox(inbox::Event<Option<Mark>>),
    /// Answers `Floor`: done when every floor of it stands.
    Floored {
        /// Of the question.
        ticket: Ticket,
        /// What became of it.
        outcome: Outcome<(), Unreachable>,
    },
}

/// What the worker asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Something of the partitions.
    Inbox(inbox::Effect),
    /// Writes the floors of these changes into the shared cache.
    Floor {
        /// To answer with.
        ticket: Ticket,
        /// Product and version; at most `CACHE_FLOORS_MAX`.
        floors: Vec<(ProductId, Version)>,
    },
    /// Tells every process that listens; their floors stand. Not answered: who misses it asks again in time.
    Announce(Vec<(ProductId, Version)>),
}

/// The mark of an event, if caches hold what it changed.
pub fn mark_of(event: &Outgoing) -> Option<Mark> {
    match event {
        // Version 0: only a SKU was written, of a product without a row.
        Outgoing::CatalogChanged { product, version } if *version > Version(0) => {
            Some(Mark { product: *product, version: *version })
        }
        Outgoing::CatalogChanged { .. }
        | Outgoing::OrderChanged(_)
        | Outgoing::TimeoutDue { .. }
        | Outgoing::Settled { .. }
        | Outgoing::Granted { .. }
        | Outgoing::ReservationLost { .. }
        | Outgoing::PaymentLate { .. }
        | Outgoing::RefundDue { .. }
        | Outgoing::SaleChanged { .. }
        | Outgoing::SalesMoved(_)
        | Outgoing::SalesAdvanced { .. } => None,
    }
}

/// The worker of its assigned partitions of `catalog`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Invalidator {
    tickets: Ticket,
    rng: Rng,
    marks: Marks,
    floor: Call,
}

impl Invalidator {
    /// A worker without partitions; `seed` only varies its pauses.
    pub fn new(seed: u64) -> Invalidator {
        Invalidator {
            tickets: Ticket::default(),
            rng: Rng::seeded(seed),
            marks: Marks::new(),
            floor: Call::due(Mono(0)),
        }
    }

    fn floored(&mut self, now: Mono, ticket: Ticket, outcome: Outcome<(), Unreachable>, out: &mut Vec<Effect>) {
        if !self.floor.take(ticket) {
            return;
        }
        match outcome {
            Outcome::Done(()) => {
                out.push(Effect::Announce(floors(&self.marks.taken())));
                self.marks.finish(|_| true);
                self.floor.again_at(now);
            }
            // Written or not: a floor that is written again changes nothing.
            Outcome::Refused(Unreachable) | Outcome::Unknown => self.again(now),
        }
    }

    fn again(&mut self, now: Mono) {
        self.marks.finish(|_| false);
        self.floor.retry(now, &mut self.rng);
    }

    fn pump(&mut self, now: Mono, out: &mut Vec<Effect>) {
        if self.floor.is_asked() && self.floor.is_due(now) {
            // An overdue answer is as good as unknown.
            self.again(now);
        }
        if self.marks.is_ready() && self.floor.is_due(now) {
            let floors = floors(&self.marks.take(CACHE_FLOORS_MAX));
            out.push(Effect::Floor { ticket: self.floor.ask(now, self.tickets.advance()), floors });
        }
    }
}

fn floors(marks: &[Mark]) -> Vec<(ProductId, Version)> {
    marks.iter().map(|mark| (mark.product, mark.version)).collect()
}

impl Machine for Invalidator {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Woken => {}
            Event::Inbox(event) => self.marks.absorb(now.mono, &mut self.rng, event),
            Event::Floored { ticket, outcome } => self.floored(now.mono, ticket, outcome, out),
        }
        self.pump(now.mono, out);
        let mut effects = Vec::new();
        self.marks.pump(now.mono, &mut self.tickets, &mut effects);
        out.extend(effects.into_iter().map(Effect::Inbox));
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        let working = self.floor.is_asked() || self.marks.is_ready();
        let floor = working.then(|| self.floor.wake_at()).flatten();
        earliest(self.marks.wakes().chain([(floor, "floors")]))
    }

    fn check(&self) {
        self.marks.check();
    }

    fn pending(&self) -> Option<&'static str> {
        self.marks.owes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_product_with_a_row_is_marked() {
        let product = ProductId::parse("lamp").expect("a short name");
        let changed = |version| Outgoing::CatalogChanged { product, version: Version(version) };
        assert_eq!(mark_of(&changed(0)), None);
        assert_eq!(mark_of(&changed(1)), Some(Mark { product, version: Version(1) }));
        assert_eq!(mark_of(&changed(7)), Some(Mark { product, version: Version(7) }));
    }
}
