//! The ports: what the platform needs of the outside, and what each implementation may do to a call.
//!
//! Every trait says what may be duplicated, reordered, lost or unknown; the contract suites hold each
//! implementation to it.

pub mod admit;
pub mod cache;
pub mod changes;
pub mod delay;
pub mod drain;
pub mod feed;
pub mod group;
pub mod leases;
pub mod ledger;
pub mod provider;
pub mod publish;
pub mod search;
pub mod shard_log;
pub mod store;
pub mod windows;

/// How long a fetch waits for its first record: well below the time after which a machine takes it as lost.
pub const FETCH_WAIT_MS: u64 = 500;

const _: () = assert!(FETCH_WAIT_MS < doorbuster_core::limits::ANSWER_MS_MAX / 2);

/// The other side cannot be asked now; nothing happened, ask again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(pub String);

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unavailable: {}", self.0)
    }
}

impl std::error::Error for Unavailable {}

pub use doorbuster_core::inbox::{Offset, Partition};
