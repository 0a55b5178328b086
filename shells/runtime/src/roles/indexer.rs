//! The indexer, wired: changes of products and of their sales, to the search index.

use super::Ports;
use super::member::{Member, Reader};
use crate::drive::{Perform, Performed, Stop, drive, inbox, spawn};
use crate::ports::search::SearchIndex;
use crate::ports::windows::Windows;
use crate::telemetry::Metric;
use doorbuster_core::database::event::{Event as Told, Topic};
use doorbuster_core::search::indexer::{Effect, Event, Indexer, mark_of};
use doorbuster_core::time::Now;
use std::sync::Arc;

/// The group under which indexers read.
pub const READER: Reader = Reader { group: "indexer", topic: Topic::Catalog };

/// What an indexer stands on beside the environment and its topic.
#[derive(Clone)]
pub struct Indexing {
    /// Documents, read in one snapshot.
    pub windows: Arc<dyn Windows>,
    /// Where they go.
    pub search: Arc<dyn SearchIndex>,
}

/// Starts the indexer of what changes in the catalogue.
pub fn start(ports: &Ports, indexing: &Indexing, stop: &Stop) {
    let (events, received) = inbox();
    let member = READER.join(ports);
    spawn(member.clone().attend(stop.clone(), events.clone(), Event::Inbox));
    let performer = Arc::new(IndexerPerformer { ports: ports.clone(), member, indexing: indexing.clone() });
    let machine = Indexer::new(ports.env.entropy());
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), (events, received), |_| Event::Woken));
}

struct IndexerPerformer {
    ports: Ports,
    member: Member<Told>,
    indexing: Indexing,
}

impl Perform<Indexer> for IndexerPerformer {
    fn perform(&self, _: Now, effect: Effect) -> Option<Performed<Event>> {
        let (member, indexing) = (self.member.clone(), self.indexing.clone());
        match effect {
            Effect::Inbox(effect) => Some(Box::pin(async move {
                Some(Event::Inbox(member.perform(effect, |event| Some(mark_of(&event))).await))
            })),
            Effect::Read { ticket, products } => Some(Box::pin(async move {
                Some(Event::Read { ticket, documents: indexing.windows.documents(products).await.ok() })
            })),
            Effect::Write { ticket, documents } => Some(Box::pin(async move {
                Some(Event::Written { ticket, outcome: indexing.search.write(documents).await })
            })),
            Effect::ReportRejected(product) => {
                tracing::error!(%product, "search will never take this product");
                self.ports.telemetry.add(Metric::Alarms, 1);
                None
            }
        }
    }
}
