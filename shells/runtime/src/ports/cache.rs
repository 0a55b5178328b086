//! The cache that all processes share, and the channel on which changes are told.

use super::Unavailable;
use crate::drive::Stop;
use async_trait::async_trait;
use doorbuster_core::cache::Value;
use doorbuster_core::cache::shared::{FillRefusal, Floored, Found};
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use std::convert::Infallible;

/// What a listener hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A product has this version now, and its floor stands.
    Invalidated(ProductId, Version),
    /// The subscription stands, or stands again: what was told before may be lost.
    Reconnected,
}

/// The shared cache: core's `SharedCache`, one call of it after the other per product, by the clock of its own server.
///
/// Contract: a fill never replaces anything newer than itself, and none whose reader asked longer ago than a floor
/// stands is taken. `Unknown` may have been applied; repeating is safe. Everything may be forgotten at any time, floors
/// included: then an older version may be filled in once more, and ends with its age. A message reaches whoever listens
/// when it is told, at most once and in any order; a subscription that may have lost one is made anew, and says so.
#[async_trait]
pub trait SharedCache: Send + Sync + 'static {
    /// What stands under a product, and the server's clock before that was read.
    async fn read(&self, product: ProductId) -> Outcome<Found, Infallible>;
    /// Fills in a product that was loaded after `asked_at`, the clock that a read told.
    async fn fill(
        &self,
        product: ProductId,
        version: Version,
        value: Value,
        asked_at: Wall,
    ) -> Outcome<(), FillRefusal>;
    /// Writes the floors of committed changes, of a product at most once; one answer each. `Done` only when all of them
    /// stand: only then may the changes be announced.
    async fn floor(&self, changes: Vec<(ProductId, Version)>) -> Outcome<Vec<Floored>, Unavailable>;
    /// Tells whoever listens now. Others hear of it by the age of what they keep.
    async fn announce(&self, changes: Vec<(ProductId, Version)>) -> Outcome<(), Unavailable>;
    /// Listens until it is told to stop, or until the listener is dropped.
    fn listen(&self, stop: Stop) -> Box<dyn Listen>;
}

/// A listener's end of the channel.
///
/// Contract: the first notice is `Reconnected`, when the subscription stands for the first time.
#[async_trait]
pub trait Listen: Send + 'static {
    /// The next notice; nothing when it was told to stop.
    async fn next(&mut self) -> Option<Notice>;
}
