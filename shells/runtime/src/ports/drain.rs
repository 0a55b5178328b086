//! The end of an epoch in the durable log of intents.

use super::Unavailable;
use async_trait::async_trait;
use doorbuster_core::ids::{Epoch, Seq, ShardId};
use doorbuster_core::outcome::Outcome;
use std::time::Duration;

/// Puts the seal of an epoch into the log of intents.
///
/// Contract: `drain` is done when Seal(epoch) stands in the shard's partition and nothing of that epoch can be appended
/// behind it; `Unknown` may have appended it, and appending it twice is harmless.
#[async_trait]
pub trait Drain: Send + Sync + 'static {
    /// Puts Seal(epoch) behind everything of that epoch, up to `last` where it is known.
    async fn drain(&self, shard: ShardId, epoch: Epoch, last: Option<Seq>) -> Outcome<(), Unavailable>;
}

/// The pause after which a keeper is told that nobody knows: about what a forwarder takes to see the row and to seal.
const LOOK: Duration = Duration::from_millis(300);

/// The seal where a forwarder writes the log: it reads the shard's row itself and does the work, and the row tells when
/// it is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct DrainedByForwarder;

#[async_trait]
impl Drain for DrainedByForwarder {
    async fn drain(&self, _: ShardId, _: Epoch, _: Option<Seq>) -> Outcome<(), Unavailable> {
        tokio::time::sleep(LOOK).await;
        Outcome::Unknown
    }
}
