//! What the clients asked and what they were told: the one input that no store of the platform has a hand in.

use super::audit::NamedStatus;
use crate::ids::{Epoch, Key, OrderId, PaymentId, Seq, UserId, Version};
use crate::ledger::basket::Basket;
use crate::time::Wall;
use serde::{Deserialize, Serialize};

/// Every call of every client of one sale, in the order in which they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The calls.
    pub calls: Vec<Call>,
    /// Whether these are all the calls that anyone made: only then is an order without a call a phantom.
    pub is_complete: bool,
}

/// One question of one client, and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Who asked.
    pub user: UserId,
    /// When the request left, by the client's clock.
    pub sent_at: Wall,
    /// When the answer came, or when the client gave up.
    pub answered_at: Wall,
    /// What was asked, and what was told.
    pub exchange: Exchange,
}

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "asked", rename_all = "kebab-case")]
pub enum Exchange {
    /// A reservation under an idempotency key.
    Reserve {
        /// The key.
        key: Key,
        /// What was asked for.
        basket: Basket,
        /// What was told.
        answer: Answer<Accepted>,
    },
    /// What became of a key.
    LookUp {
        /// The key.
        key: Key,
        /// What was told.
        answer: Answer<Became>,
    },
    /// To make certain that a key is not a sale.
    Abandon {
        /// The key.
        key: Key,
        /// The order as it stands after the commit.
        answer: Answer<Seen>,
    },
    /// A payment of an order.
    Pay {
        /// The order.
        order: OrderId,
        /// The payment's id, where the client has one.
        payment: Option<PaymentId>,
        /// Accepted means started, not paid.
        answer: Answer<Started>,
    },
    /// The buyer's cancellation.
    Cancel {
        /// The order.
        order: OrderId,
        /// The order as it stands after the commit.
        answer: Answer<Seen>,
    },
    /// A look at an order.
    Look {
        /// The order.
        order: OrderId,
        /// The order as it stood; an order on its way is `Accepted` with [`Seen::on_its_way`].
        answer: Answer<Seen>,
    },
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer<T> {
    /// Yes, with this.
    Accepted(T),
    /// No, by the name of the problem: the last part of its type.
    Refused(String),
    /// Nothing that can be relied on: timed out, cut off, or an answer of no documented form.
    Unknown,
}

/// The body of a 202.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Id of the reservation and of its order.
    pub id: OrderId,
    /// `{epoch}.{seq}.{tag}`; absent when the client did not keep it.
    pub receipt: Option<String>,
    /// End of the pay window as promised; absent when the client did not keep it.
    pub expires_at: Option<Wall>,
}

/// The answer to a look-up by key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Became {
    /// It was accepted as this order, which exists or is on its way.
    Accepted(OrderId),
    /// The acceptance at this place will never be an order.
    Lost(Epoch, Seq),
    /// Nothing is known of the key yet; it promises nothing.
    NotSeen,
}

/// An order as a client saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Which.
    pub id: OrderId,
    /// Where it stood; absent while the order is on its way.
    pub status: Option<NamedStatus>,
    /// Of which version of the row; absent when the client was not told.
    pub version: Option<Version>,
}

/// The body of a started payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The payment, where it is told.
    pub payment: Option<PaymentId>,
}

impl<T> Answer<T> {
    /// The name of the problem, if it was refused.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Answer::Refused(problem) => Some(problem),
            Answer::Accepted(_) | Answer::Unknown => None,
        }
    }

    /// What came with a yes.
    pub fn accepted(&self) -> Option<&T> {
        match self {
            Answer::Accepted(told) => Some(told),
            Answer::Refused(_) | Answer::Unknown => None,
        }
    }
}

impl Accepted {
    /// Where it was accepted, as the receipt says in clear.
    pub fn place(&self) -> Option<(Epoch, Seq)> {
        let mut parts = self.receipt.as_deref()?.split('.');
        let epoch = parts.next()?.parse().ok()?;
        let seq = parts.next()?.parse().ok()?;
        Some((Epoch(epoch), Seq(seq)))
    }
}

impl Seen {
    /// An order whose row does not exist yet.
    pub fn on_its_way(id: OrderId) -> Seen {
        Seen { id, status: None, version: None }
    }
}

impl Exchange {
    /// The name of the problem, if the question was refused.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Exchange::Reserve { answer, .. } => answer.refusal(),
            Exchange::LookUp { answer, .. } => answer.refusal(),
            Exchange::Abandon { answer, .. } | Exchange::Cancel { answer, .. } | Exchange::Look { answer, .. } => {
                answer.refusal()
            }
            Exchange::Pay { answer, .. } => answer.refusal(),
        }
    }

    /// The order as the answer showed it.
    pub fn seen(&self) -> Option<&Seen> {
        match self {
            Exchange::Abandon { answer, .. } | Exchange::Cancel { answer, .. } | Exchange::Look { answer, .. } => {
                answer.accepted()
            }
            Exchange::Reserve { .. } | Exchange::LookUp { .. } | Exchange::Pay { .. } => None,
        }
    }
}

impl History {
    /// Reservations that were asked for: the call, the key, the basket, the answer.
    pub fn reserves(&self) -> impl Iterator<Item = (&Call, &Key, &Basket, &Answer<Accepted>)> {
        self.calls.iter().filter_map(|call| match &call.exchange {
            Exchange::Reserve { key, basket, answer } => Some((call, key, basket, answer)),
            Exchange::LookUp { .. }
            | Exchange::Abandon { .. }
            | Exchange::Pay { .. }
            | Exchange::Cancel { .. }
            | Exchange::Look { .. } => None,
        })
    }

    /// Reservations that were acknowledged.
    pub fn acceptances(&self) -> impl Iterator<Item = (&Call, &Key, &Basket, &Accepted)> {
        self.reserves().filter_map(|(call, key, basket, answer)| Some((call, key, basket, answer.accepted()?)))
    }
}
