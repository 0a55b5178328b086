//! The forwarder's effects that are about the shards' logs, wired.

use crate::drive::Performed;
use crate::ports::shard_log::ShardLog;
use doorbuster_core::forwarder::{Effect, Event};
use std::sync::Arc;

/// Starts an effect that is about a log; every other one is given back to whoever performs the rest.
///
/// # Errors
/// The effect, if it is not about a log.
#[allow(clippy::result_large_err, reason = "an effect travels by value, once and no further")]
pub fn perform(log: &Arc<dyn ShardLog>, effect: Effect) -> Result<Performed<Event>, Effect> {
    let log = log.clone();
    match effect {
        Effect::ReadLog { ticket, shard, fence, after, limit } => {
            Ok(Box::pin(async move { Some(Event::LogRead(ticket, shard, log.read(shard, fence, after, limit).await)) }))
        }
        Effect::Ack { ticket, shard, fence, seq } => {
            Ok(Box::pin(async move { Some(Event::Acked(ticket, shard, log.ack(shard, fence, seq).await)) }))
        }
        Effect::Trim { shard, fence, decided, age_ms } => Ok(Box::pin(async move {
            // Not answered: whatever became of it, what is left is removed the next time.
            let _ = log.trim(shard, fence, decided, age_ms).await;
            None
        })),
        other @ (Effect::KeepLease(..)
        | Effect::TakeProducer(..)
        | Effect::ReadRow(..)
        | Effect::Publish { .. }
        | Effect::Apply(..)) => Err(other),
    }
}
