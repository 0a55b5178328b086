//! Who forwards into which partition of intents.

use async_trait::async_trait;
use doorbuster_core::forwarder::LeaseHeld;
use doorbuster_core::inbox::Partition;
use doorbuster_core::outcome::Outcome;

/// Leases of the partitions of intents, kept beside the rows and judged by the database's clock.
///
/// Contract: a lease keeps two forwarders from doing the same work and no more: two may hold one for a moment, after a
/// step of a clock or a restored table, and the producer's fence sees to what is safe. `Unknown` may have taken it.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Takes or keeps the partition's lease for `LEASE_MS`.
    async fn keep(&self, partition: Partition, owner: u64) -> Outcome<(), LeaseHeld>;
}
