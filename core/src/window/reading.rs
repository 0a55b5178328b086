//! One partition of `sales`: what waits to be counted, and where the database says that counting stands.
//!
//! The cursor is believed until an answer contradicts it or stays away; then it is read anew, and records behind it
//! are passed over. Records themselves never change, so those in front of it are still good.

use super::command::{SalesBatch, SalesCommand};
use super::movement::Movement;
use super::worker::Effect;
use crate::call::Call;
use crate::database::command::Command;
use crate::inbox::{Offset, Partition};
use crate::limits::{SALES_BATCH_MAX, SALES_BATCH_MS};
use crate::machine::Ticket;
use crate::rng::Rng;
use crate::time::Mono;
use std::collections::VecDeque;

/// The movements of one assigned partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reading {
    /// Every record from here on was or will be delivered in this assignment.
    floor: Offset,
    /// First record that is not counted, as far as is known; `None` while it must be read.
    cursor: Option<Offset>,
    look: Call,
    gathered: VecDeque<(Offset, Movement)>,
    /// When what is gathered is counted, full or not.
    closes_at: Mono,
    /// How many of the first an open attempt counts.
    taken: usize,
    apply: Call,
}

/// What the cursor means for the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// These records need nothing more.
    Passed(Vec<Offset>),
    /// Records before the assignment's first one are not counted: it must begin at this place.
    Behind(Offset),
}

impl Reading {
    /// A partition that is read from `from` on.
    pub fn new(now: Mono, from: Offset) -> Reading {
        let (floor, look, apply) = (from, Call::due(now), Call::QUIET);
        Reading { floor, cursor: None, look, gathered: VecDeque::new(), closes_at: now, taken: 0, apply }
    }

    /// Takes delivered records, in the order of their offsets; returns those that are counted already.
    pub fn gather(&mut self, now: Mono, records: Vec<(Offset, Movement)>) -> Vec<Offset> {
        if self.gathered.is_empty() {
            self.closes_at = now.after_ms(SALES_BATCH_MS);
        }
        self.gathered.extend(records);
        self.cursor.map_or_else(Vec::new, |cursor| self.pass(cursor))
    }

    /// Takes the answer to the question for the cursor, if it is the open one's; `None` when the read failed.
    pub fn locate(&mut self, now: Mono, rng: &mut Rng, ticket: Ticket, next: Option<Offset>) -> Place {
        if !self.look.take(ticket) {
            return Place::Passed(Vec::new());
        }
        let Some(next) = next else {
            self.look.retry(now, rng);
            return Place::Passed(Vec::new());
        };
        if next < self.floor {
            return Place::Behind(next);
        }
        self.look.rest();
        self.cursor = Some(next);
        self.floor = next;
        Place::Passed(self.pass(next))
    }

    /// Whether the open attempt has this ticket; it is then closed.
    pub fn awaits(&mut self, ticket: Ticket) -> bool {
        self.apply.take(ticket)
    }

    /// The attempt was committed; returns what it counted.
    pub fn counted(&mut self, now: Mono) -> Vec<Offset> {
        let done: Vec<Offset> = self.gathered.drain(..self.taken).map(|(offset, _)| offset).collect();
        let next = done.last().expect("an attempt counts at least one record").next();
        (self.cursor, self.floor, self.taken) = (Some(next), next, 0);
        self.apply.rest();
        self.closes_at = now.after_ms(SALES_BATCH_MS);
        done
    }

    /// Nobody knows, or somebody else counts: the cursor is read before anything is tried again.
    pub fn doubt(&mut self, now: Mono, rng: &mut Rng) {
        (self.cursor, self.taken) = (None, 0);
        self.apply.retry(now, rng);
        self.look.again_at(now);
    }

    /// Starts what is due.
    pub fn pump(
        &mut self,
        now: Mono,
        partition: Partition,
        tickets: &mut Ticket,
        rng: &mut Rng,
        out: &mut Vec<Effect>,
    ) {
        if self.apply.is_asked() && self.apply.is_due(now) {
            // An overdue answer is as good as unknown: the cursor tells whether it was committed, and should it be
            // committed later, then the expected place of one of the two attempts is wrong.
            self.doubt(now, rng);
        }
        if self.look.is_due(now) {
            out.push(Effect::ReadCursor { ticket: self.look.ask(now, tickets.advance()), partition });
        }
        let Some(expected) = self.cursor else { return };
        if self.count_at().is_none_or(|at| at > now) {
            return;
        }
        self.taken = self.gathered.len().min(SALES_BATCH_MAX);
        let first = self.gathered.iter().take(self.taken);
        let movements: Vec<Movement> = first.map(|(_, movement)| *movement).collect();
        let next = self.gathered[self.taken - 1].0.next();
        let ticket = self.apply.ask(now, tickets.advance());
        let batch = SalesBatch { partition, expected, next, movements };
        out.push(Effect::Apply { ticket, partition, command: Command::Sales(SalesCommand::Count(batch)) });
    }

    /// When it must be looked at.
    pub fn wakes(&self) -> [(Option<Mono>, &'static str); 3] {
        let asked = self.apply.is_asked().then(|| self.apply.wake_at()).flatten();
        [(self.look.wake_at(), "cursor"), (asked, "count"), (self.count_at(), "micro-batch")]
    }

    /// Own invariants.
    pub fn check(&self) {
        assert!(self.taken <= self.gathered.len().min(SALES_BATCH_MAX), "an attempt counts what is there");
        assert!((self.taken > 0) == self.apply.is_asked(), "records are taken by an open attempt");
        let front = self.gathered.front().map(|(offset, _)| *offset);
        let known = front.zip(self.cursor);
        assert!(known.is_none_or(|(front, cursor)| front >= cursor), "what is counted is not kept");
    }

    /// What is not counted yet.
    pub fn pending(&self) -> Option<&'static str> {
        match self.cursor {
            None => Some("how far sales are counted is not known"),
            Some(_) if self.gathered.is_empty() => None,
            Some(_) => Some("sales are not counted yet"),
        }
    }

    /// When the next attempt begins; `None` while one is open, the cursor is not known, or there is nothing.
    fn count_at(&self) -> Option<Mono> {
        if self.gathered.is_empty() || self.cursor.is_none() || self.apply.is_asked() {
            return None;
        }
        let full = self.gathered.len() >= SALES_BATCH_MAX;
        let pause_over = self.apply.wake_at().unwrap_or_default();
        Some(if full { pause_over } else { pause_over.max(self.closes_at) })
    }

    fn pass(&mut self, cursor: Offset) -> Vec<Offset> {
        assert!(self.taken == 0 || self.cursor == Some(cursor), "an open attempt keeps its records");
        let counted = self.gathered.iter().take_while(|(offset, _)| *offset < cursor).count();
        self.gathered.drain(..counted).map(|(offset, _)| offset).collect()
    }
}
