//! What the local cache hears, what it asks for, and what its callers are told.

use super::Value;
use super::shared::{FillRefusal, Found};
use crate::ids::{ProductId, Version};
use crate::machine::Ticket;
use crate::outcome::Outcome;
use crate::time::Wall;
use std::convert::Infallible;

/// The database has no such product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Absent;

/// What the cache hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The time asked for has come.
    Woken,
    /// A caller waits for a product.
    Asked {
        /// Chosen by the edge, used once; the cache gives it back once.
        token: u64,
        /// Which product.
        key: ProductId,
    },
    /// Answers `ReadShared`.
    SharedRead {
        /// Of the question.
        ticket: Ticket,
        /// Which product.
        key: ProductId,
        /// What stood there.
        outcome: Outcome<Found, Infallible>,
    },
    /// Answers `Load`.
    Loaded {
        /// Of the question.
        ticket: Ticket,
        /// Which product.
        key: ProductId,
        /// The row's version and the product.
        outcome: Outcome<(Version, Value), Absent>,
    },
    /// Answers `FillShared`; an answer that is lost or doubled changes nothing.
    Filled {
        /// Which product.
        key: ProductId,
        /// What became of it.
        outcome: Outcome<(), FillRefusal>,
    },
    /// A change was committed and its floor stands in the shared cache.
    Invalidated {
        /// Which product.
        key: ProductId,
        /// The row's version.
        version: Version,
    },
    /// The subscription stands again: messages of the time between may be lost.
    Reconnected,
}

/// What the cache asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Read the shared cache, its server's clock first.
    ReadShared {
        /// To answer with.
        ticket: Ticket,
        /// Which product.
        key: ProductId,
    },
    /// Read the product's row by a strong read: no older than any commit before the read began.
    Load {
        /// To answer with.
        ticket: Ticket,
        /// Which product.
        key: ProductId,
    },
    /// Fill the shared cache.
    FillShared {
        /// Which product.
        key: ProductId,
        /// Of the row.
        version: Version,
        /// The product.
        value: Value,
        /// By the server's clock, when it was asked before the load began.
        asked_at: Wall,
    },
    /// Answer the caller with this token.
    Reply {
        /// As it was asked.
        token: u64,
        /// The answer.
        answer: Answer,
    },
}

/// What a caller is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The product.
    Found {
        /// Of the row.
        version: Version,
        /// The product.
        value: Value,
    },
    /// There is no such product.
    Absent,
    /// Too many wait here; nothing was asked. Come again.
    Overloaded,
    /// Nobody knows in time. Come again.
    NotReady,
}
