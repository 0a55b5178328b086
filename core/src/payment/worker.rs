//! The worker of payments that need work: money that came late, and money that must go back.
//!
//! Exactly once overall, because every end is a conditional row: of paying and giving up a late payment one wins,
//! and the provider knows a refund by the payment's id. Nothing here ends without one of them.

mod task;

use crate::call::earliest;
use crate::database::command::Refusal;
use crate::database::event::Event;
use crate::database::rows::PaymentRow;
use crate::ids::{Key, OrderId, PaymentId};
use crate::inbox::partitions::{News, Partitions};
use crate::inbox::{self, Offset, Partition};
use crate::ledger::page::Acceptance;
use crate::limits::PAYMENTS_MAX;
use crate::machine::{Machine, Ticket};
use crate::order::fate::Fate;
use crate::outcome::Outcome;
use crate::payment::command::PaymentCommand;
use crate::payment::late::NotReserved;
use crate::rng::Rng;
use crate::time::{Mono, Now};
use std::collections::BTreeMap;
use task::{Answer, Next, Task};

/// The worker of one process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PaymentWorker {
    tickets: Ticket,
    rng: Rng,
    partitions: Partitions,
    tasks: BTreeMap<(Partition, Offset), Task>,
}

/// What a worker hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentEvent {
    /// Time has passed.
    Tick,
    /// Something of the partitions of payments.
    Inbox(inbox::Event<Event>),
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

/// The provider will not give this money back; a person must find out why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProviderRefusal;

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
    /// Something of the partitions.
    Inbox(inbox::Effect),
}

impl PaymentWorker {
    /// A worker without partitions; the seed varies its delays.
    pub fn new(seed: u64) -> PaymentWorker {
        // Twice what is treated at a time: the next payments are there when one ends.
        let (tickets, rng, partitions) = (Ticket::default(), Rng::seeded(seed), Partitions::new(2 * PAYMENTS_MAX));
        PaymentWorker { tickets, rng, partitions, tasks: BTreeMap::new() }
    }

    fn absorb(&mut self, now: Now, event: inbox::Event<Event>) {
        match self.partitions.absorb(now.mono, &mut self.rng, event) {
            News::Nothing => {}
            News::Gone(partition) => self.tasks.retain(|place, _| place.0 != partition),
            News::Fresh(partition, records) => {
                for (offset, event) in records {
                    self.take_up(now, (partition, offset), event);
                }
            }
        }
    }

    fn take_up(&mut self, now: Now, place: (Partition, Offset), event: Event) {
        match event {
            Event::PaymentLate { payment, order } => {
                self.tasks.insert(place, Task::late(now, payment, order));
            }
            Event::RefundDue { payment, .. } => {
                self.tasks.insert(place, Task::refund(now, payment));
            }
            Event::OrderChanged(_)
            | Event::TimeoutDue { .. }
            | Event::Settled { .. }
            | Event::Granted { .. }
            | Event::ReservationLost { .. }
            | Event::SaleChanged { .. }
            | Event::CatalogChanged { .. }
            | Event::SalesMoved(_)
            | Event::SalesAdvanced { .. } => self.partitions.finish(place.0, place.1),
        }
    }

    fn answer(&mut self, now: Now, ticket: Ticket, answer: Answer, out: &mut Vec<PaymentEffect>) {
        let awaiting = self.tasks.iter_mut().find_map(|(place, task)| {
            let awaited = task.call.take(ticket);
            awaited.then_some((*place, task))
        });
        let Some((place, task)) = awaiting else { return };
        match task.take(answer) {
            Next::Ended => {
                self.tasks.remove(&place);
                self.partitions.finish(place.0, place.1);
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
        // An overdue answer is as good as unknown: its place is free, and every question may be asked twice.
        for task in self.tasks.values_mut().filter(|task| task.call.is_asked() && task.call.is_due(now.mono)) {
            task.call.retry(now.mono, &mut self.rng);
        }
        let free = PAYMENTS_MAX.saturating_sub(self.asked());
        for task in self.tasks.values_mut().filter(|task| task.call.is_due(now.mono)).take(free) {
            let ticket = task.call.ask(now.mono, self.tickets.advance());
            out.push(task.question(ticket));
        }
        let mut effects = Vec::new();
        self.partitions.pump(now.mono, &mut self.tickets, &mut effects);
        out.extend(effects.into_iter().map(PaymentEffect::Inbox));
    }

    /// Payments with an open question.
    fn asked(&self) -> usize {
        self.tasks.values().filter(|task| task.call.is_asked()).count()
    }
}

impl Machine for PaymentWorker {
    type Event = PaymentEvent;
    type Effect = PaymentEffect;

    fn step(&mut self, now: Now, event: PaymentEvent, out: &mut Vec<PaymentEffect>) {
        match event {
            PaymentEvent::Tick => {}
            PaymentEvent::Inbox(event) => self.absorb(now, event),
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
        // While all places are taken a due payment must wait for an answer, not for the clock.
        let full = self.asked() >= PAYMENTS_MAX;
        let tasks = self.tasks.values().filter(|task| !full || task.call.is_asked());
        let tasks = tasks.map(|task| (task.call.wake_at(), "a payment is to be tried again"));
        earliest(self.partitions.wakes().chain(tasks))
    }

    fn pending(&self) -> Option<&'static str> {
        self.tasks.values().next().map(|task| task.owes()).or_else(|| self.partitions.owes())
    }
}
