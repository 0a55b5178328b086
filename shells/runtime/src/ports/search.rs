//! The search index, as whoever keeps it up to date writes it.

use async_trait::async_trait;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::search::document::Document;
use doorbuster_core::search::indexer::{PushedBack, Written};

/// The search index: whole documents, each under an external version.
///
/// Contract: a document is stored unless one of the same or a higher version is there, so what is stored of a product
/// never goes back, and neither does what is shown of it. A bulk may be taken in part: each of its documents has an answer
/// of its own, in their order. `Refused` took nothing, and wants a pause. `Unknown` may have been taken, whole or in part,
/// or may be taken at any later time, behind bulks that were sent after it. What is stored is shown some time later.
#[async_trait]
pub trait SearchIndex: Send + Sync + 'static {
    /// Writes up to `INDEX_BULK_MAX` documents, of a product at most one.
    async fn write(&self, documents: Vec<Document>) -> Outcome<Vec<Written>, PushedBack>;
}
