//! The topics as those who write them see them.

use async_trait::async_trait;
use doorbuster_core::database::event::Event;
use doorbuster_core::forwarder::{Producer, ProducerFenced};
use doorbuster_core::inbox::Partition;
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::relay::TopicAway;
use std::convert::Infallible;

/// The topics, written by forwarders and relays.
///
/// Contract: a partition of intents has one producer at a time. Taking it fences every older one for good, and ends what
/// that one has open: whole or not at all, before the taking is answered. Nothing of a fenced producer is appended
/// afterwards, and one that has been refused stays refused. `Done` means kept by as many replicas as the topic asks for.
/// `Unknown` may have been done, or may be done at any later time until the producer is taken again.
#[async_trait]
pub trait Publish: Send + Sync + 'static {
    /// Makes the partition's producer the caller's. Asked again, it fences the one before, its own included.
    async fn take_producer(&self, partition: Partition) -> Outcome<Producer, Infallible>;
    /// One transaction: all of these in this order, or none. Readers see them when it is committed.
    async fn publish_intents(
        &self,
        producer: Producer,
        partition: Partition,
        intents: Vec<Intent>,
    ) -> Outcome<(), ProducerFenced>;
    /// Each event to its own topic under its subject, in this order per subject; `Done` when all of them are kept.
    /// `Unknown` may have kept some of them, and asking again keeps those twice. `Refused` kept none.
    async fn publish_events(&self, events: Vec<Event>) -> Outcome<(), TopicAway>;
}
