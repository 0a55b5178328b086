//! The outside services as machines: a request in, a reply out, at the weakest that their contracts allow.
//!
//! Each is one core `Machine`, so that any world can mount it: the fast one calls it from its event heap, another may put
//! it behind a connection. What a fault makes of a request is decided here, by a generator of the service's own; what the
//! network makes of it is the world's business.

pub mod broker;
pub mod conditions;
pub mod database;
pub mod embedded;
pub mod heard;
pub mod node;
pub mod provider;
pub mod search;

use crate::explore::fingerprint;
use crate::fault::FaultKind;
use doorbuster_core::database::event::Event;
use doorbuster_core::oracle::probe::Probe;

/// How long a read that finds nothing waits for news, in milliseconds: shorter than any machine's patience, and long
/// enough that an idle platform costs few events.
pub const WAIT_MS: u64 = 2_000;

/// What happens to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceEvent<Q> {
    /// The time asked for has come.
    Woken,
    /// A request arrived; its answer names the call.
    Asked {
        /// Names the request.
        call: u64,
        /// What is asked.
        request: Q,
    },
}

/// What a service does.
#[derive(Clone, Debug, PartialEq)]
pub enum ServiceEffect<R> {
    /// Answers a call.
    Answered {
        /// Which.
        call: u64,
        /// What is told.
        reply: R,
    },
    /// Will never answer this call: the caller finds out by its own patience.
    Dropped {
        /// Which.
        call: u64,
    },
    /// Tells the oracle.
    Probed(Probe),
    /// A fault changed an outcome while this was in flight.
    Bitten(FaultKind, &'static str),
    /// Rows were committed, at most once in a step, so that whoever hears of it finds them as this commit left them.
    /// Boxed, because it is far larger than the others.
    Committed(Box<database::Commit>),
}

/// What an event is recognised by where it is written and where it is sent.
pub(crate) fn record_of(event: &Event) -> u64 {
    fingerprint::of(event) as u64
}
