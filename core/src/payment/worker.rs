//! The worker of one partition of payments that need work: money that came late, and money that must go back.
//!
//! Exactly once overall, because every end is a conditional row: of paying and giving up a late payment one wins,
//! and the provider knows a refund by the payment's id. Nothing here ends without one of them.

mod task;

use crate::call::earliest;
use crate::database::command::Refusal;
use crate::database::event::Event;
use crate::database::rows::PaymentRow;
use crate::ids::{Key, OrderId, PaymentId};
use crate::ledger::page::Acceptance;
use crate::limits::PAYMENTS_MAX;
use crate::machine::{Machine, Ticket};
use crate::outcome::Outcome;
use crate::payment::command::PaymentCommand;
use crate::rng::Rng;
use crate::settler::offsets::Offsets;
use crate::time::{Mono, Now};
use std::collections::BTreeMap;
use task::{Answer, Next, Task};

/// The worker of one partition, from one assignment on: a new assignment begins with a new worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PaymentWorker {
    tickets: Ticket,
    rng: Rng,
    offsets: Offsets,
    tasks: BTreeMap<u64, Task>,
    paused: bool,
}

/// What a worker hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentEvent {
    /// Time has passed.
    Tick,
    /// A record of the partition, in the order of offsets; it may be delivered twice.
    Delivered {
        /// Its place in the partition.
        offset: u64,
        /// What it tells.
        event: Event,
    },
    /// Answer to `ReserveLate`.
    LateReserved {
        /// Of the question.
        ticket: Ticket,
        /// The order to be, taken now or earlier under this key.
        outcome: Outcome<(OrderId, Acceptance), NotReserved>,
    },
    /// Answer to `LookUp`.
    LookedUp {
        /// Of the question.
        ticket: Ticket,
        /// What became of the reservation; `None` when the read failed.
        fate: Option<Fate>,
    },
    /// Answer to `Apply`.
    Applied {
        /// Of the question.
        ticket: Ticket,
        /// The payment's row.
        outcome: Outcome<PaymentRow, Refusal>,
    },
    /// Answer to `RefundAtProvider`.
    RefundedAtProvider {
        /// Of the question.
        ticket: Ticket,
        /// `Refused` when the provider says that it will not.
        outcome: Outcome<(), ProviderRefusal>,
    },
}

/// Why no unit was taken for a late payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotReserved {
    /// For good: sold out, the limit, the sale's end.
    Never,
    /// The shard is not open now, or stopped: try again.
    NotReady,
}

/// The provider will not give this money back; a person must find out why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProviderRefusal;

/// What became of an accepted reservation, by its (epoch, seq), both rows read in one strong snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Its order has a row.
    Decided,
    /// It stands in the log and is not decided yet.
    OnItsWay,
    /// It will never be an order of this (epoch, seq).
    Lost,
}

/// What a worker asks for. Each with a ticket is answered once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PaymentEffect {
    /// Reserve the basket of this ended order again, for its user, by the ordinary path.
    ReserveLate {
        /// Of the question.
        ticket: Ticket,
        /// Whose money came late.
        payment: PaymentId,
        /// The order whose basket and user to repeat.
        order: OrderId,
        /// The key to reserve under: derived, so that a retry is recognised.
        key: Key,
    },
    /// Ask what became of this acceptance.
    LookUp {
        /// Of the question.
        ticket: Ticket,
        /// The order to be.
        order: OrderId,
        /// Where it was accepted.
        acceptance: Acceptance,
    },
    /// Decide in a transaction.
    Apply(Ticket, PaymentCommand),
    /// Have the provider give the money back; idempotent by the payment's id.
    RefundAtProvider {
        /// Of the question.
        ticket: Ticket,
        /// Which.
        payment: PaymentId,
    },
    /// Wake a person: this money is stuck, and will be tried again. Not answered.
    Alarm {
        /// Which.
        payment: PaymentId,
        /// What stands in its way.
        why: &'static str,
    },
    /// Everything below this offset is dealt with; not answered.
    Commit {
        /// The first offset to read again.
        offset: u64,
    },
    /// Deliver no more for now; what is already on its way may still come.
    Pause,
    /// Deliver again.
    Resume,
}

impl PaymentWorker {
    /// A worker of a newly assigned partition; the seed varies its delays.
    pub fn new(seed: u64) -> PaymentWorker {
        let (tickets, rng) = (Ticket::default(), Rng::seeded(seed));
        PaymentWorker { tickets, rng, offsets: Offsets::default(), tasks: BTreeMap::new(), paused: false }
    }

    fn deliver(&mut self, now: Now, offset: u64, event: Event) {
        if !self.offsets.deliver(offset) {
            return;
        }
        match event {
            Event::PaymentLate { payment, order } => {
                self.tasks.insert(offset, Task::late(now, payment, order));
            }
            Event::RefundDue { payment, .. } => {
                self.tasks.insert(offset, Task::refund(now, payment));
            }
            Event::OrderChanged(_)
            | Event::TimeoutDue { .. }
            | Event::Settled { .. }
            | Event::Granted { .. }
            | Event::ReservationLost { .. }
            | Event::SaleChanged { .. }
            | Event::CatalogChanged { .. } => self.offsets.finish(offset),
        }
    }

    fn answer(&mut self, now: Now, ticket: Ticket, answer: Answer, out: &mut Vec<PaymentEffect>) {
        let awaiting = self.tasks.iter_mut().find_map(|(offset, task)| {
            let awaited = task.call.take(ticket);
            awaited.then_some((*offset, task))
        });
        let Some((offset, task)) = awaiting else { return };
        match task.take(answer) {
            Next::Ended => {
                self.tasks.remove(&offset);
                self.offsets.finish(offset);
            }
            Next::Onward => task.call.again_at(now.mono),
            Next::Again => task.call.retry(now.mono, &mut self.rng),
            Next::Stuck(why) => {
                out.push(PaymentEffect::Alarm { payment: task.payment, why });
                task.call.retry(now.mono, &mut self.rng);
            }
        }
    }

    fn send_due(&mut self, now: Now, out: &mut Vec<PaymentEffect>) {
        let free = PAYMENTS_MAX.saturating_sub(self.tasks.values().filter(|task| task.call.is_asked()).count());
        // An overdue answer is as good as unknown; every question may be asked twice.
        for task in self.tasks.values_mut().filter(|task| task.call.is_due(now.mono)).take(free) {
            let ticket = task.call.ask(now.mono, self.tickets.advance());
            out.push(task.question(ticket));
        }
        if let Some(offset) = self.offsets.commit() {
            out.push(PaymentEffect::Commit { offset });
        }
        let open = self.offsets.open();
        if !self.paused && open >= 2 * PAYMENTS_MAX {
            self.paused = true;
            out.push(PaymentEffect::Pause);
        } else if self.paused && open <= PAYMENTS_MAX {
            self.paused = false;
            out.push(PaymentEffect::Resume);
        }
    }
}

impl Machine for PaymentWorker {
    type Event = PaymentEvent;
    type Effect = PaymentEffect;

    fn step(&mut self, now: Now, event: PaymentEvent, out: &mut Vec<PaymentEffect>) {
        match event {
            PaymentEvent::Tick => {}
            PaymentEvent::Delivered { offset, event } => self.deliver(now, offset, event),
            PaymentEvent::LateReserved { ticket, outcome } => self.answer(now, ticket, Answer::Reserved(outcome), out),
            PaymentEvent::LookedUp { ticket, fate } => self.answer(now, ticket, Answer::LookedUp(fate), out),
            PaymentEvent::Applied { ticket, outcome } => self.answer(now, ticket, Answer::Applied(outcome), out),
            PaymentEvent::RefundedAtProvider { ticket, outcome } => {
                self.answer(now, ticket, Answer::Refunded(outcome), out);
            }
        }
        self.send_due(now, out);
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        earliest(self.tasks.values().map(|task| (task.call.wake_at(), "a payment is to be tried again")))
    }

    fn pending(&self) -> Option<&'static str> {
        self.tasks.values().next().map(|task| task.owes())
    }
}
