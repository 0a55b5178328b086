//! The shards' logs as a forwarder sees them.

use async_trait::async_trait;
use doorbuster_core::forwarder::tail::LogPage;
use doorbuster_core::ids::{Seq, ShardId};
use doorbuster_core::ledger::shard::{Fence, Fenced};
use doorbuster_core::outcome::Outcome;

/// The logs that the shards' servers write, read by the holder of a partition's lease.
///
/// Contract: entries come in the order of their seqs and none is passed over that still stands there, whoever read them
/// before: what a dead forwarder had read and not acknowledged is read again, first. A page may repeat what an earlier
/// one held. `last`, `acked` and `sealed` were read in the same step as the entries or before them, and a page has at
/// least one entry if one stands behind the place that was asked for and is not beyond `last`. A call is `Refused` only
/// when the memory is certainly not the fence's; anything else that is in the way is `Unknown`. A mark that is `Unknown`
/// may be written at any later time; it never goes back. Every call may be repeated.
#[async_trait]
pub trait ShardLog: Send + Sync + 'static {
    /// Up to `limit` entries behind `after`, or behind the memory's own mark. Waits a bounded time for the first one of a
    /// memory that is not sealed, then answers a page without entries.
    async fn read(&self, shard: ShardId, fence: Fence, after: Option<Seq>, limit: usize) -> Outcome<LogPage, Fenced>;
    /// Marks entries up to `seq` as durable in the memory: buyers may be told. They are nobody's to forward any more.
    async fn ack(&self, shard: ShardId, fence: Fence, seq: Seq) -> Outcome<(), Fenced>;
    /// Removes entries up to `decided` that are at least `age_ms` old by the server's clock; answers how many. It may
    /// leave some for the next time.
    async fn trim(&self, shard: ShardId, fence: Fence, decided: Seq, age_ms: u64) -> Outcome<u64, Fenced>;
}
