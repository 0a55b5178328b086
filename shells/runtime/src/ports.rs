//! The ports: what the platform needs of the outside, and what each implementation may do to a call.
//!
//! Every trait says what may be duplicated, reordered, lost or unknown; the contract suites hold each
//! implementation to it.

pub mod admit;
pub mod delay;
pub mod feed;
pub mod intents;
pub mod ledger;
pub mod provider;
pub mod store;

/// The other side cannot be asked now; nothing happened, ask again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(pub String);

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unavailable: {}", self.0)
    }
}

impl std::error::Error for Unavailable {}

/// A place in a topic or partition, contiguous from 1. 0 stands before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub u64);
