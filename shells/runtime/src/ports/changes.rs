//! The outbox's change stream, and how far each of its partitions is relayed.

use async_trait::async_trait;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::relay::partitions::{PartitionChange, PartitionRefusal, PartitionRow, StreamToken};
use doorbuster_core::relay::{ChangePage, Place};
use std::convert::Infallible;

/// The change stream of the outbox.
///
/// Contract: every outbox row of a committed transaction stands in exactly one partition, rows of one subject in the
/// order of their commits; none of another transaction does. Partitions split, merge and move: the last page of one names
/// all its children, and each of a child's parents names it. Reading again from a place gives at least what it gave
/// before. The rows that tell how far a partition is relayed stand in the same database, are written one transaction a
/// change, and are judged by its clock; a change that is `Unknown` may have been made, and every change may be made
/// twice. A read that failed is `Unknown`: it changes nothing.
#[async_trait]
pub trait Changes: Send + Sync + 'static {
    /// Up to `limit` partitions that this owner may relay now: begun after all their parents were finished, and leased to
    /// nobody else.
    async fn ready(&self, owner: u64, limit: usize) -> Outcome<Vec<PartitionRow>, Infallible>;
    /// One transaction on a partition's row; answers the row after it.
    async fn change(
        &self,
        owner: u64,
        token: StreamToken,
        change: PartitionChange,
    ) -> Outcome<PartitionRow, PartitionRefusal>;
    /// Up to `limit` records at or behind a place. Waits a bounded time for the first one, then answers a heartbeat.
    async fn read(&self, token: StreamToken, from: Place, limit: usize) -> Outcome<ChangePage, Infallible>;
}
