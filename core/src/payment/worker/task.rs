//! One payment's way to its end.

use super::{Fate, NotReserved, PaymentEffect, ProviderRefusal};
use crate::call::Call;
use crate::database::command::Refusal;
use crate::database::rows::PaymentRow;
use crate::ids::{Key, OrderId, PaymentId};
use crate::ledger::page::Acceptance;
use crate::limits::{LATE_LOOK_TRIES, LATE_TRIES_MAX};
use crate::machine::Ticket;
use crate::outcome::Outcome;
use crate::payment::command::PaymentCommand;
use crate::time::Now;

/// One record's work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Task {
    pub payment: PaymentId,
    pub call: Call,
    stage: Stage,
    /// Failed tries to find a unit, over all reservations.
    tries: u32,
}

/// The question that is asked next, or open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Reserve { order: OrderId },
    PayLate { old: OrderId, order: OrderId, acceptance: Acceptance, not_yet: u32 },
    LookUp { old: OrderId, order: OrderId, acceptance: Acceptance },
    GiveUp,
    RefundAtProvider,
    NoteRefund,
}

/// An answer to any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Reserved(Outcome<(OrderId, Acceptance), NotReserved>),
    LookedUp(Option<Fate>),
    Applied(Outcome<PaymentRow, Refusal>),
    Refunded(Outcome<(), ProviderRefusal>),
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The payment needs nothing more from this record.
    Ended,
    /// The next question, at once.
    Onward,
    /// The stage's question, after a pause.
    Again,
    /// The same, and a person is told.
    Stuck(&'static str),
}

impl Task {
    pub fn late(now: Now, payment: PaymentId, order: OrderId) -> Task {
        Task { payment, call: Call::due(now.mono), stage: Stage::Reserve { order }, tries: 0 }
    }

    pub fn refund(now: Now, payment: PaymentId) -> Task {
        Task { payment, call: Call::due(now.mono), stage: Stage::RefundAtProvider, tries: 0 }
    }

    /// The question of this stage.
    pub fn question(&self, ticket: Ticket) -> PaymentEffect {
        let payment = self.payment;
        match self.stage {
            Stage::Reserve { order } => {
                PaymentEffect::ReserveLate { ticket, payment, order, key: Key::of_late_payment(payment) }
            }
            Stage::LookUp { order, acceptance, .. } => PaymentEffect::LookUp { ticket, order, acceptance },
            Stage::PayLate { order, .. } => PaymentEffect::Apply(ticket, PaymentCommand::PayLate { payment, order }),
            Stage::GiveUp => PaymentEffect::Apply(ticket, PaymentCommand::GiveUpLate { payment }),
            Stage::RefundAtProvider => PaymentEffect::RefundAtProvider { ticket, payment },
            Stage::NoteRefund => PaymentEffect::Apply(ticket, PaymentCommand::Refunded { payment }),
        }
    }

    pub fn owes(&self) -> &'static str {
        match self.stage {
            Stage::Reserve { .. } => "a late payment looks for a unit",
            Stage::PayLate { .. } | Stage::LookUp { .. } => "a late payment waits for its order",
            Stage::GiveUp => "a late payment is to be given up",
            Stage::RefundAtProvider => "money is to go back",
            Stage::NoteRefund => "a refund is to be noted",
        }
    }

    /// Takes the answer to the open question.
    pub fn take(&mut self, answer: Answer) -> Next {
        match (self.stage, answer) {
            (Stage::Reserve { order }, Answer::Reserved(outcome)) => self.reserved(order, outcome),
            (Stage::PayLate { .. }, Answer::Applied(outcome)) => self.paid_late(outcome),
            (Stage::LookUp { old, order, acceptance }, Answer::LookedUp(fate)) => {
                self.looked_up(old, order, acceptance, fate)
            }
            (Stage::GiveUp, Answer::Applied(outcome)) => gave_up(outcome),
            (Stage::RefundAtProvider, Answer::Refunded(outcome)) => self.refunded_at_provider(&outcome),
            (Stage::NoteRefund, Answer::Applied(outcome)) => noted_refund(outcome),
            (
                Stage::Reserve { .. }
                | Stage::PayLate { .. }
                | Stage::LookUp { .. }
                | Stage::GiveUp
                | Stage::RefundAtProvider
                | Stage::NoteRefund,
                answer,
            ) => unreachable!("{answer:?} under the ticket of another question"),
        }
    }

    fn reserved(&mut self, old: OrderId, outcome: Outcome<(OrderId, Acceptance), NotReserved>) -> Next {
        match outcome {
            Outcome::Done((order, acceptance)) => {
                self.stage = Stage::PayLate { old, order, acceptance, not_yet: 0 };
                Next::Onward
            }
            Outcome::Refused(NotReserved::Never) => self.give_up(),
            Outcome::Refused(NotReserved::NotReady) => self.try_again(),
            // Taken or not: the same key finds out. If the tries end first, a unit that was taken is an unpaid order,
            // which expires by itself.
            Outcome::Unknown => self.try_again(),
        }
    }

    fn try_again(&mut self) -> Next {
        self.tries += 1;
        if self.tries < LATE_TRIES_MAX { Next::Again } else { self.give_up() }
    }

    fn give_up(&mut self) -> Next {
        self.stage = Stage::GiveUp;
        Next::Onward
    }

    fn paid_late(&mut self, outcome: Outcome<PaymentRow, Refusal>) -> Next {
        match outcome {
            // Paid, or owed back because the new order had ended meanwhile: its own event tells that.
            Outcome::Done(_) => Next::Ended,
            Outcome::Refused(Refusal::NotYet) => self.wait_for_order(),
            // Not late any more: another worker, or an earlier try of this one, has brought it to its end.
            Outcome::Refused(Refusal::PaymentState(_)) => Next::Ended,
            Outcome::Refused(Refusal::NoPayment) => Next::Stuck("a late payment has no row"),
            // Whatever else stands against the order, the money is not lost with it.
            Outcome::Refused(
                Refusal::NoSale
                | Refusal::NoSku
                | Refusal::NotYours
                | Refusal::Forbidden(_)
                | Refusal::NotExpired
                | Refusal::SaleConflict(_)
                | Refusal::KeyReused
                | Refusal::PaymentConflict
                | Refusal::StaleRung
                | Refusal::LeaseHeld
                | Refusal::StaleOffset
                | Refusal::StaleVersion(_)
                | Refusal::WindowOpen
                | Refusal::Invalid(_),
            ) => self.give_up(),
            // Paid or not: asked again, the row is Late, or it is not and the work was done.
            Outcome::Unknown => Next::Again,
        }
    }

    /// The intent is on its way, or lost with its server: after some tries somebody must look.
    fn wait_for_order(&mut self) -> Next {
        let Stage::PayLate { old, order, acceptance, not_yet } = &mut self.stage else {
            unreachable!("only a late payment waits for its order");
        };
        *not_yet += 1;
        if *not_yet % LATE_LOOK_TRIES != 0 {
            return Next::Again;
        }
        self.stage = Stage::LookUp { old: *old, order: *order, acceptance: *acceptance };
        Next::Onward
    }

    fn looked_up(&mut self, old: OrderId, order: OrderId, acceptance: Acceptance, fate: Option<Fate>) -> Next {
        match fate {
            Some(Fate::Decided) => {
                self.stage = Stage::PayLate { old, order, acceptance, not_yet: 0 };
                Next::Onward
            }
            // Not counted as a try: its unit is taken, and giving up would send a buyer away who has one.
            Some(Fate::OnItsWay) => {
                self.stage = Stage::PayLate { old, order, acceptance, not_yet: 0 };
                Next::Again
            }
            Some(Fate::Lost) => {
                self.stage = Stage::Reserve { order: old };
                self.try_again()
            }
            None => Next::Again,
        }
    }

    fn refunded_at_provider(&mut self, outcome: &Outcome<(), ProviderRefusal>) -> Next {
        match outcome {
            Outcome::Done(()) => {
                self.stage = Stage::NoteRefund;
                Next::Onward
            }
            Outcome::Refused(ProviderRefusal) => Next::Stuck("the provider refuses a refund"),
            // Sent back or not: the provider knows the refund by the payment's id and does it once.
            Outcome::Unknown => Next::Again,
        }
    }
}

fn gave_up(outcome: Outcome<PaymentRow, Refusal>) -> Next {
    match outcome {
        // The refund has its own event, written in the same transaction.
        Outcome::Done(_) => Next::Ended,
        Outcome::Refused(Refusal::PaymentState(_)) => Next::Ended,
        Outcome::Refused(_) => Next::Stuck("a late payment cannot be given up"),
        // Given up or not: asked again, the row is Late, or it is not and the work was done.
        Outcome::Unknown => Next::Again,
    }
}

fn noted_refund(outcome: Outcome<PaymentRow, Refusal>) -> Next {
    match outcome {
        Outcome::Done(_) => Next::Ended,
        Outcome::Refused(_) => Next::Stuck("the money went back and the rows refuse to note it"),
        // Noted or not: noting it twice changes nothing.
        Outcome::Unknown => Next::Again,
    }
}
