//! The cache that all processes share, as its scripts mean it, and the channel on which changes are told.
//!
//! A message reaches whoever listens when it is told, at most once; a subscription ends with its server's life.

use super::{Effects, Node, Reply, Request};
use crate::fault::FaultKind;
use crate::services::ServiceEffect;
use doorbuster_core::cache::Value;
use doorbuster_core::cache::shared::{FillRefusal, Floored, Found};
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::machine::Ticket;
use doorbuster_core::oracle::cache_watch::Instance;
use doorbuster_core::time::Wall;

/// What is asked of the shared cache.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CacheRequest {
    /// What stands under a product, and the server's clock.
    Read(ProductId),
    /// Fills a product in.
    Fill {
        /// Which.
        product: ProductId,
        /// Of its row.
        version: Version,
        /// What it is.
        value: Value,
        /// The server's clock at the read before the load.
        asked_at: Wall,
        /// Which load of whom it stems from: for the oracle only.
        load: (Instance, Ticket),
    },
    /// Writes the floor of a change.
    Floor(ProductId, Version),
    /// Tells whoever listens.
    Announce(ProductId, Version),
    /// Listens from now on.
    Subscribe(u64),
    /// Whether the subscription still stands.
    Ping(u64),
}

/// What the shared cache tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheReply {
    /// Of a read.
    Found(Found),
    /// Of a fill.
    Filled(Result<(), FillRefusal>),
    /// Of a floor.
    Floored(Floored),
    /// Of a ping.
    Listens(bool),
    /// Of what has nothing to tell.
    Kept,
}

/// What the shared cache did beside its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheNews {
    /// A message leaves for this subscriber.
    Told(u64, ProductId, Version),
    /// A floor stands.
    Floored(ProductId, Version),
    /// A load's product was taken.
    Filled((Instance, Ticket), ProductId, Version),
}

impl CacheRequest {
    /// Whether it may change what is kept.
    pub fn writes(&self) -> bool {
        match self {
            CacheRequest::Fill { .. } | CacheRequest::Floor(..) => true,
            CacheRequest::Read(_) | CacheRequest::Announce(..) | CacheRequest::Subscribe(_) | CacheRequest::Ping(_) => {
                false
            }
        }
    }

    /// What is in flight while it is.
    pub fn stage(&self) -> &'static str {
        match self {
            CacheRequest::Read(_) => "a read of the shared cache",
            CacheRequest::Fill { .. } => "loaded, not filled",
            CacheRequest::Floor(..) => "changed, no floor",
            CacheRequest::Announce(..) => "a floor, not told",
            CacheRequest::Subscribe(_) | CacheRequest::Ping(_) => "a subscription",
        }
    }
}

impl Node {
    pub(super) fn share(&mut self, at: Wall, request: &CacheRequest, out: &mut Effects) -> Reply {
        match request {
            CacheRequest::Subscribe(subscriber) => {
                self.subscribers.insert(*subscriber);
                Reply::Cache(CacheReply::Kept)
            }
            CacheRequest::Ping(subscriber) => Reply::Cache(CacheReply::Listens(self.subscribers.contains(subscriber))),
            CacheRequest::Announce(product, version) => {
                let subscribers: Vec<u64> = self.subscribers.iter().copied().collect();
                for subscriber in subscribers {
                    if self.conditions.bites(FaultKind::R8) {
                        out.push(ServiceEffect::Bitten(FaultKind::R8, "a floor, not told"));
                        continue;
                    }
                    self.news.push(CacheNews::Told(subscriber, *product, *version));
                }
                Reply::Cache(CacheReply::Kept)
            }
            CacheRequest::Read(_) | CacheRequest::Fill { .. } | CacheRequest::Floor(..) => {
                let reply = self.run(at, &Request::Cache(request.clone()), out);
                self.note(request, &reply);
                reply
            }
        }
    }

    fn note(&mut self, request: &CacheRequest, reply: &Reply) {
        match (request, reply) {
            (CacheRequest::Floor(product, version), Reply::Cache(CacheReply::Floored(_))) => {
                self.news.push(CacheNews::Floored(*product, *version));
            }
            (CacheRequest::Fill { product, version, load, .. }, Reply::Cache(CacheReply::Filled(Ok(())))) => {
                self.news.push(CacheNews::Filled(*load, *product, *version));
            }
            (_, _) => {}
        }
    }

    /// A subscriber's connection is gone.
    pub fn unsubscribe(&mut self, subscriber: u64) {
        self.subscribers.remove(&subscriber);
    }
}
