//! The lane of one (edge process, shard): reservations wait in it in order and leave it in batches.
//!
//! No timer makes batches: one leaves as soon as one may, and what comes while all are in flight makes the next.
//! Nothing here is allocated per reservation beyond the queue's own memory, which is used again.

mod slots;

use crate::keeper::pace::Pace;
use crate::ledger::reserve::{ItemReply, ReserveItem};
use crate::ledger::shard::{Fence, Fenced};
use crate::limits::{GROUP_MAX, LANE_ANSWER_MS, LANE_FLIGHTS_MAX, LANE_PATIENCE_MS, LANE_TRIES_MAX, LANE_WAITING_MAX};
use crate::machine::{Machine, Ticket};
use crate::outcome::Outcome;
use crate::time::{Mono, Now};
use slots::{Slots, Waiter};
use std::collections::VecDeque;

/// The lane of one shard in one process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lane {
    batch_max: usize,
    tickets: Ticket,
    pace: Pace,
    /// Nothing leaves before this: after a lost answer the server is given a pause.
    resume_at: Mono,
    row: Row,
    slots: Slots,
    /// Reservations whose answer was lost: each goes again alone, before what waits.
    again: VecDeque<u32>,
    waiting: VecDeque<u32>,
    flights: Vec<Flight>,
}

/// What the lane knows of the shard's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Row {
    /// Not OPEN when last read, or never read: to be read at this time, if anybody waits.
    Unknown {
        read_at: Mono,
    },
    Asked {
        ticket: Ticket,
        until: Mono,
    },
    Open(Fence),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Flight {
    ticket: Ticket,
    until: Mono,
    fence: Fence,
    slots: Vec<u32>,
}

/// What a lane hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneEvent {
    /// Time has passed.
    Tick,
    /// A buyer waits under this token, which the lane gives back once with the answer.
    Asked {
        /// Chosen by the edge, used once.
        token: u64,
        /// The wish.
        item: ReserveItem,
    },
    /// Answer to `Send`; one reply per item, in their order.
    Replied {
        /// Of the question.
        ticket: Ticket,
        /// `Refused` when the memory is not the one of the fence: nothing was taken.
        outcome: Outcome<Vec<ItemReply>, Fenced>,
    },
    /// Answer to `ReadRow`: the fence of a row in phase OPEN; `None` in any other phase, or when the read failed.
    RowRead {
        /// Of the question.
        ticket: Ticket,
        /// What to send with.
        fence: Option<Fence>,
    },
}

/// What a lane asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LaneEffect {
    /// Send this batch to the shard's server.
    Send {
        /// Of the question.
        ticket: Ticket,
        /// Which memory it is for.
        fence: Fence,
        /// At most the lane's batch size.
        items: Vec<ReserveItem>,
    },
    /// Read the shard's row.
    ReadRow(Ticket),
    /// Answer the buyer with this token.
    Reply {
        /// As it was asked.
        token: u64,
        /// The answer.
        answer: LaneAnswer,
    },
}

/// What a buyer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LaneAnswer {
    /// What the shard said.
    Decided(ItemReply),
    /// Too many wait here; nothing was sent. Come again.
    Overloaded,
    /// The shard is not open; nothing was taken. Come again.
    NotReady,
    /// Taken or not: the same key, sent again, finds out.
    Unknown,
}

impl Lane {
    /// A lane that sends at most `batch_max` reservations at once; the seed varies its pauses.
    pub fn new(batch_max: usize, seed: u64) -> Lane {
        assert!((1..=GROUP_MAX).contains(&batch_max), "a batch is bounded");
        Lane {
            batch_max,
            tickets: Ticket::default(),
            pace: Pace::new(seed),
            resume_at: Mono(0),
            row: Row::Unknown { read_at: Mono(0) },
            slots: Slots::default(),
            again: VecDeque::new(),
            waiting: VecDeque::new(),
            flights: Vec::with_capacity(LANE_FLIGHTS_MAX),
        }
    }

    /// Reservations that have not left yet.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + self.again.len()
    }

    fn admit(&mut self, now: Now, token: u64, item: ReserveItem, out: &mut Vec<LaneEffect>) {
        // A second click of the same wish gets the first one's answer. Another wish under the key is for the shard
        // to judge: its answer depends on what becomes of the first.
        if let Some(slot) = self.slots.find(item.id)
            && self.slots.item(slot).body == item.body
        {
            if self.slots.join(slot, token) == slots::Joined::Full {
                out.push(LaneEffect::Reply { token, answer: LaneAnswer::Overloaded });
            }
            return;
        }
        if self.waiting.len() >= LANE_WAITING_MAX {
            out.push(LaneEffect::Reply { token, answer: LaneAnswer::Overloaded });
            return;
        }
        let slot = self.slots.insert(item, Waiter::new(token, now.mono.after_ms(LANE_PATIENCE_MS)));
        self.waiting.push_back(slot);
    }

    fn replied(
        &mut self,
        now: Now,
        ticket: Ticket,
        outcome: Outcome<Vec<ItemReply>, Fenced>,
        out: &mut Vec<LaneEffect>,
    ) {
        let Some(index) = self.flights.iter().position(|flight| flight.ticket == ticket) else { return };
        let flight = self.flights.remove(index);
        match outcome {
            Outcome::Done(replies) => {
                assert!(replies.len() == flight.slots.len(), "one reply per item");
                self.pace.succeed();
                for (slot, reply) in flight.slots.into_iter().zip(replies) {
                    self.answer(slot, LaneAnswer::Decided(reply), out);
                }
            }
            Outcome::Refused(Fenced) => self.fenced(now, flight),
            Outcome::Unknown => self.lost(now, flight, out),
        }
    }

    /// Nothing was taken by this sending: the reservations wait again, at the front, for the row's next word.
    fn fenced(&mut self, now: Now, flight: Flight) {
        for slot in flight.slots.into_iter().rev() {
            // What an earlier sending may have taken stays apart from what was certainly not taken.
            let queue = if self.slots.was_lost(slot) { &mut self.again } else { &mut self.waiting };
            queue.push_front(slot);
        }
        if self.row == Row::Open(flight.fence) {
            // With a pause: the row may name the lost memory for another second, and each try would be fenced again.
            self.row = Row::Unknown { read_at: self.pace.fail(now) };
        }
    }

    /// Taken or not: each goes again under its own key, which the shard knows if it was taken. Never the batch: a
    /// batch that was taken in part cannot be, but one item that the server chokes on would take all others along.
    fn lost(&mut self, now: Now, flight: Flight, out: &mut Vec<LaneEffect>) {
        self.resume_at = self.pace.fail(now);
        for slot in flight.slots {
            if self.slots.lose(slot) < LANE_TRIES_MAX {
                self.again.push_back(slot);
            } else {
                self.answer(slot, LaneAnswer::Unknown, out);
            }
        }
    }

    fn answer(&mut self, slot: u32, answer: LaneAnswer, out: &mut Vec<LaneEffect>) {
        self.slots.remove(slot, |token| out.push(LaneEffect::Reply { token, answer }));
    }

    fn row_read(&mut self, now: Now, ticket: Ticket, fence: Option<Fence>) {
        let Row::Asked { ticket: asked, .. } = self.row else { return };
        if asked != ticket {
            return;
        }
        self.row = match fence {
            Some(fence) => Row::Open(fence),
            None => Row::Unknown { read_at: self.pace.fail(now) },
        };
    }

    /// Those who waited too long are told so: what was never sent is certainly not taken, the rest nobody knows.
    fn expire(&mut self, now: Now, out: &mut Vec<LaneEffect>) {
        while let Some(index) = self.flights.iter().position(|flight| flight.until <= now.mono) {
            let flight = self.flights.remove(index);
            self.lost(now, flight, out);
        }
        while let Some(slot) = self.again.front().copied()
            && self.slots.patience(slot) <= now.mono
        {
            self.again.pop_front();
            self.answer(slot, LaneAnswer::Unknown, out);
        }
        while let Some(slot) = self.waiting.front().copied()
            && self.slots.patience(slot) <= now.mono
        {
            self.waiting.pop_front();
            self.answer(slot, LaneAnswer::NotReady, out);
        }
    }

    fn read_row(&mut self, now: Now, out: &mut Vec<LaneEffect>) {
        let due = match self.row {
            Row::Unknown { read_at } => read_at <= now.mono,
            // A read whose answer was lost is asked again: reading changes nothing.
            Row::Asked { until, .. } => until <= now.mono,
            Row::Open(_) => false,
        };
        if due && self.waiting() > 0 {
            let ticket = self.tickets.advance();
            self.row = Row::Asked { ticket, until: now.mono.after_ms(LANE_ANSWER_MS) };
            out.push(LaneEffect::ReadRow(ticket));
        }
    }

    fn send(&mut self, now: Now, out: &mut Vec<LaneEffect>) {
        let Row::Open(fence) = self.row else { return };
        while self.flights.len() < LANE_FLIGHTS_MAX && now.mono >= self.resume_at {
            let slots: Vec<u32> = match self.again.pop_front() {
                Some(slot) => vec![slot],
                None => self.waiting.drain(..self.waiting.len().min(self.batch_max)).collect(),
            };
            if slots.is_empty() {
                return;
            }
            let items = slots.iter().map(|slot| self.slots.item(*slot).clone()).collect();
            let ticket = self.tickets.advance();
            self.flights.push(Flight { ticket, until: now.mono.after_ms(LANE_ANSWER_MS), fence, slots });
            out.push(LaneEffect::Send { ticket, fence, items });
        }
    }
}

impl Machine for Lane {
    type Event = LaneEvent;
    type Effect = LaneEffect;

    fn step(&mut self, now: Now, event: LaneEvent, out: &mut Vec<LaneEffect>) {
        match event {
            LaneEvent::Tick => {}
            LaneEvent::Asked { token, item } => self.admit(now, token, item, out),
            LaneEvent::Replied { ticket, outcome } => self.replied(now, ticket, outcome, out),
            LaneEvent::RowRead { ticket, fence } => self.row_read(now, ticket, fence),
        }
        self.expire(now, out);
        self.read_row(now, out);
        self.send(now, out);
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        let flight = self.flights.iter().map(|flight| (flight.until, "an answer is overdue")).min();
        let first = self.again.front().into_iter().chain(self.waiting.front());
        let patience = first.map(|slot| (self.slots.patience(*slot), "a buyer has waited long")).min();
        let may_send = self.waiting() > 0 && self.flights.len() < LANE_FLIGHTS_MAX;
        let next = match self.row {
            Row::Unknown { read_at } if self.waiting() > 0 => Some((read_at, "the row is to be read")),
            // With nobody waiting it is not asked for again, so nothing is due either: that would be a busy loop.
            Row::Asked { until, .. } if self.waiting() > 0 => Some((until, "the row is overdue")),
            Row::Open(_) if may_send => Some((self.resume_at, "the next batch may leave")),
            Row::Unknown { .. } | Row::Asked { .. } | Row::Open(_) => None,
        };
        [flight, patience, next].into_iter().flatten().min()
    }

    fn check(&self) {
        assert!(self.flights.len() <= LANE_FLIGHTS_MAX, "S20: flights of a lane are bounded");
        // What comes back fenced waits beside what has waited: nobody was let in for it.
        let flown = LANE_FLIGHTS_MAX * self.batch_max;
        assert!(self.waiting.len() <= LANE_WAITING_MAX + flown, "S20: a lane's queue is bounded");
        assert!(self.slots.len() <= LANE_WAITING_MAX + 2 * flown, "S20: a lane's memory is bounded");
    }

    fn pending(&self) -> Option<&'static str> {
        (self.slots.len() > 0).then_some("buyers wait for an answer")
    }
}
