//! The search index: whole documents under external versions, seen a while after they are stored.
//!
//! At its weakest: a bulk is taken in part, pushed back, taken and not answered, or overtaken by a later one, and what is
//! stored is shown late.

use super::conditions::Conditions;
use super::{ServiceEffect, ServiceEvent};
use crate::fault::FaultKind;
use doorbuster_core::ids::ProductId;
use doorbuster_core::machine::Machine;
use doorbuster_core::rng::Rng;
use doorbuster_core::search::document::Document;
use doorbuster_core::search::indexer::Written;
use doorbuster_core::time::{Mono, Now};
use std::collections::BTreeMap;

/// What is stored is shown within so many milliseconds, as an index does by default.
const REFRESH_MS: u64 = 1_000;
/// Longest further lag of a refresh.
const LAG_MS_MAX: u64 = 30_000;
/// Longest time by which a bulk comes later than it was sent: longer than its sender waits.
const OVERTAKEN_MS_MAX: u64 = 8_000;
/// What is in flight while a bulk is.
pub const STAGE: &str = "a product not indexed";

/// What is asked of the index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Stores documents, each unless one of the same or a higher version is there.
    Bulk(Vec<Document>),
}

/// What the index tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// One per document.
    Written(Vec<Written>),
    /// Nothing was taken: too many requests.
    PushedBack,
    /// Taken or not.
    Unknown,
}

/// The index.
#[derive(Clone, Debug)]
pub struct Search {
    stored: BTreeMap<ProductId, Document>,
    shown: BTreeMap<ProductId, Document>,
    /// Bulks that were overtaken.
    late: BTreeMap<(Mono, u64), Vec<Document>>,
    refresh_at: Option<Mono>,
    /// A planted bug: versions are not looked at.
    pub takes_any_version: bool,
    /// Documents that are shown now and were not before; the world takes them.
    pub news: Vec<Document>,
    /// What befalls it.
    pub conditions: Conditions,
}

type Effects = Vec<ServiceEffect<Reply>>;

impl Search {
    /// An empty one.
    pub fn new(rng: Rng) -> Search {
        Search {
            stored: BTreeMap::new(),
            shown: BTreeMap::new(),
            late: BTreeMap::new(),
            refresh_at: None,
            takes_any_version: false,
            news: Vec::new(),
            conditions: Conditions::new(rng),
        }
    }

    /// What a search finds of this product.
    pub fn shown(&self, product: ProductId) -> Option<&Document> {
        self.shown.get(&product)
    }

    /// Whether something is stored and not shown, or on its way.
    pub fn is_busy(&self) -> bool {
        self.refresh_at.is_some() || !self.late.is_empty()
    }

    fn asked(&mut self, now: Now, call: u64, documents: Vec<Document>, out: &mut Effects) {
        if self.conditions.bites(FaultKind::E2) {
            out.push(ServiceEffect::Bitten(FaultKind::E2, STAGE));
            return out.push(ServiceEffect::Answered { call, reply: Reply::PushedBack });
        }
        if self.conditions.bites(FaultKind::E4) {
            out.push(ServiceEffect::Bitten(FaultKind::E4, STAGE));
            let late_ms = 1 + self.conditions.below(OVERTAKEN_MS_MAX);
            // Nobody is told: the next bulk is sent before this one is there.
            self.late.insert((now.mono.after_ms(late_ms), call), documents);
            return out.push(ServiceEffect::Answered { call, reply: Reply::Unknown });
        }
        let written = documents.into_iter().map(|document| self.store(now, document, out)).collect();
        let lost = self.conditions.bites(FaultKind::E3);
        if lost {
            out.push(ServiceEffect::Bitten(FaultKind::E3, "indexed, not answered"));
        }
        let reply = if lost { Reply::Unknown } else { Reply::Written(written) };
        out.push(ServiceEffect::Answered { call, reply });
    }

    fn store(&mut self, now: Now, document: Document, out: &mut Effects) -> Written {
        if self.conditions.bites(FaultKind::E1) {
            out.push(ServiceEffect::Bitten(FaultKind::E1, STAGE));
            return Written::Failed;
        }
        let known = self.stored.get(&document.product).filter(|_| !self.takes_any_version);
        if known.is_some_and(|known| known.version >= document.version) {
            return Written::Newer;
        }
        if self.refresh_at.is_none() {
            let mut lag_ms = REFRESH_MS;
            if self.conditions.bites(FaultKind::E5) {
                out.push(ServiceEffect::Bitten(FaultKind::E5, "indexed, not shown"));
                lag_ms += self.conditions.below(LAG_MS_MAX);
            }
            self.refresh_at = Some(now.mono.after_ms(lag_ms));
        }
        self.stored.insert(document.product, document);
        Written::Stored
    }

    fn refresh(&mut self) {
        for (product, document) in &self.stored {
            if self.shown.get(product) != Some(document) {
                self.news.push(document.clone());
                self.shown.insert(*product, document.clone());
            }
        }
        self.refresh_at = None;
    }
}

impl Machine for Search {
    type Event = ServiceEvent<Request>;
    type Effect = ServiceEffect<Reply>;

    fn step(&mut self, now: Now, event: Self::Event, out: &mut Effects) {
        match event {
            ServiceEvent::Asked { call, request: Request::Bulk(documents) } => self.asked(now, call, documents, out),
            ServiceEvent::Woken => {
                while let Some(entry) = self.late.first_entry().filter(|entry| entry.key().0 <= now.mono) {
                    let documents = entry.remove();
                    documents.into_iter().for_each(|document| {
                        self.store(now, document, out);
                    });
                }
                if self.refresh_at.is_some_and(|at| at <= now.mono) {
                    self.refresh();
                }
            }
        }
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        let late = self.late.first_key_value().map(|((at, _), _)| (*at, "a bulk was overtaken"));
        late.into_iter().chain(self.refresh_at.map(|at| (at, "a refresh is due"))).min()
    }
}
