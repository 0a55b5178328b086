//! The states of an order and the edges between them.

use serde::{Deserialize, Serialize};

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Waits for money until its pay window ends.
    #[serde(rename = "PENDING_PAYMENT")]
    PendingPayment,
    /// Paid.
    #[serde(rename = "PAID")]
    Paid,
    /// Ended unpaid.
    #[serde(rename = "CANCELLED")]
    Cancelled(Ending),
    /// The money is on its way back; the units are still held.
    #[serde(rename = "REFUNDING")]
    Refunding(Restock),
    /// The money went back.
    #[serde(rename = "REFUNDED")]
    Refunded(Restock),
    /// Never became a sale.
    #[serde(rename = "REJECTED")]
    Rejected(Rejection),
}

/// Who ended an unpaid order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The buyer.
    Buyer,
    /// The pay window ran out.
    Expired,
    /// The buyer did not know what became of it and gave it up.
    Abandoned,
    /// The operator.
    Operator,
}

/// Whether a refund gives the units back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restock {
    /// They can be sold again.
    Yes,
    /// They stay gone, and the buyer's quota stays used.
    No,
}

/// Why a reservation did not become a sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rejection {
    /// The sale was closed before its intent was decided.
    SaleClosed,
    /// The buyer gave it up before it arrived.
    Abandoned,
}

/// An edge that is not allowed, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ForbiddenEdge {
    /// Where the order stands.
    pub from: Status,
    /// Where it was to go.
    pub to: Status,
}

impl Status {
    /// Every status, in the order of their declaration.
    pub const ALL: [Status; 12] = [
        Status::PendingPayment,
        Status::Paid,
        Status::Cancelled(Ending::Buyer),
        Status::Cancelled(Ending::Expired),
        Status::Cancelled(Ending::Abandoned),
        Status::Cancelled(Ending::Operator),
        Status::Refunding(Restock::Yes),
        Status::Refunding(Restock::No),
        Status::Refunded(Restock::Yes),
        Status::Refunded(Restock::No),
        Status::Rejected(Rejection::SaleClosed),
        Status::Rejected(Rejection::Abandoned),
    ];

    /// The status with this name and reason; the inverse of [`Status::name`] and [`Status::reason`].
    pub fn parse(name: &str, reason: Option<&str>) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.name() == name && status.reason() == reason)
    }

    /// I3: whether the order's units count as consumed.
    pub fn holds_units(self) -> bool {
        match self {
            Status::PendingPayment | Status::Paid | Status::Refunding(_) | Status::Refunded(Restock::No) => true,
            Status::Cancelled(_) | Status::Rejected(_) | Status::Refunded(Restock::Yes) => false,
        }
    }

    /// Whether it can change no more.
    pub fn is_terminal(self) -> bool {
        match self {
            Status::Cancelled(_) | Status::Rejected(_) | Status::Refunded(_) => true,
            Status::PendingPayment | Status::Paid | Status::Refunding(_) => false,
        }
    }

    /// The next state, if the edge exists: S6.
    pub fn step(self, to: Status) -> Result<Status, ForbiddenEdge> {
        let allowed = match (self, to) {
            (Status::PendingPayment, Status::Paid | Status::Cancelled(_)) => true,
            (Status::Paid, Status::Refunding(_)) => true,
            (Status::Refunding(asked), Status::Refunded(done)) => asked == done,
            (
                Status::PendingPayment
                | Status::Paid
                | Status::Cancelled(_)
                | Status::Refunding(_)
                | Status::Refunded(_)
                | Status::Rejected(_),
                _,
            ) => false,
        };
        if allowed { Ok(to) } else { Err(ForbiddenEdge { from: self, to }) }
    }

    /// The state's name, as people and machines read it.
    pub fn name(self) -> &'static str {
        match self {
            Status::PendingPayment => "PENDING_PAYMENT",
            Status::Paid => "PAID",
            Status::Cancelled(_) => "CANCELLED",
            Status::Refunding(_) => "REFUNDING",
            Status::Refunded(_) => "REFUNDED",
            Status::Rejected(_) => "REJECTED",
        }
    }

    /// Why it ended, where there is a reason.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Status::PendingPayment | Status::Paid => None,
            Status::Cancelled(Ending::Buyer) => Some("buyer"),
            Status::Cancelled(Ending::Expired) => Some("expired"),
            Status::Cancelled(Ending::Abandoned) | Status::Rejected(Rejection::Abandoned) => Some("abandoned"),
            Status::Cancelled(Ending::Operator) => Some("operator"),
            Status::Refunding(Restock::Yes) | Status::Refunded(Restock::Yes) => Some("restock"),
            Status::Refunding(Restock::No) | Status::Refunded(Restock::No) => Some("no-restock"),
            Status::Rejected(Rejection::SaleClosed) => Some("sale-closed"),
        }
    }
}
