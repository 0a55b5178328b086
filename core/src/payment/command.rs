//! What may be asked of a payment.

use crate::ids::{OrderId, PaymentId, UserId};

/// One payment's change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PaymentCommand {
    /// Begins a payment of an unpaid order.
    Start {
        /// The caller's id of it; repeating it is harmless.
        payment: PaymentId,
        /// What is to be paid.
        order: OrderId,
        /// The caller, who must own the order.
        user: UserId,
    },
    /// The provider's word. It may come twice, late, and out of order.
    Settle {
        /// Which.
        payment: PaymentId,
        /// What it said.
        verdict: Verdict,
    },
    /// A late payment pays the order of the reservation that was taken for it.
    PayLate {
        /// Which.
        payment: PaymentId,
        /// The order of its late reservation.
        order: OrderId,
    },
    /// No unit could be had for a late payment: its money goes back.
    GiveUpLate {
        /// Which.
        payment: PaymentId,
    },
    /// The provider has given the money back.
    Refunded {
        /// Which.
        payment: PaymentId,
    },
}

/// What a provider says of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The money was taken.
    Succeeded,
    /// It was not.
    Declined,
}
