//! Admission as the web sees it: one click in, one answer out.

use async_trait::async_trait;
use doorbuster_core::ids::ShardId;
use doorbuster_core::ledger::page::Acceptance;
use doorbuster_core::ledger::reserve::{ReserveItem, ReserveRefusal};

/// What a buyer's click became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Taken now.
    Accepted(Acceptance),
    /// Taken earlier under this key: the same answer again.
    Replayed(Acceptance),
    /// Nothing was taken for it.
    Refused(ReserveRefusal),
    /// Too many wait already: nothing was asked, come again in a moment.
    Overloaded,
    /// The shard has no open epoch now: nothing was taken, come again in a moment.
    NotReady,
    /// Taken or not: the same key asks again, or the look-up tells.
    Unknown,
}

/// The lanes of this process.
///
/// Contract: every call is answered within a bounded time; `Unknown` may have taken the units, and the same id asked
/// again gets the answer of the first time.
#[async_trait]
pub trait Admit: Send + Sync + 'static {
    /// Reserves through the lane of this shard.
    async fn reserve(&self, shard: ShardId, item: ReserveItem) -> Admission;
}
