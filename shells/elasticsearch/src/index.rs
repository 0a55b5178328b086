//! The index, as the indexer writes it.

use crate::bulk::{self, Target, Whole};
use crate::cluster::Cluster;
use crate::stored::Stored;
use async_trait::async_trait;
use doorbuster_core::limits::INDEX_BULK_MAX;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::search::document::Document;
use doorbuster_core::search::indexer::{PushedBack, Written};
use doorbuster_runtime::ports::search::SearchIndex;
use std::sync::Arc;

/// The index behind the alias that is written.
pub struct ElasticsearchIndex(Arc<Cluster>);

impl ElasticsearchIndex {
    /// In this cluster; [`crate::template::install`] has made it, or every document fails.
    pub fn new(cluster: Arc<Cluster>) -> ElasticsearchIndex {
        ElasticsearchIndex(cluster)
    }
}

#[async_trait]
impl SearchIndex for ElasticsearchIndex {
    async fn write(&self, documents: Vec<Document>) -> Outcome<Vec<Written>, PushedBack> {
        write(&self.0, Target::Alias(self.0.names.writes()), documents).await
    }
}

/// Writes documents where they are told to go.
pub(crate) async fn write(
    cluster: &Cluster,
    target: Target<'_>,
    documents: Vec<Document>,
) -> Outcome<Vec<Written>, PushedBack> {
    assert!(documents.len() <= INDEX_BULK_MAX, "a bulk has at most {INDEX_BULK_MAX} documents");
    // A version that is no number of the index would fail the whole bulk, in the middle of it.
    let sendable: Vec<bool> = documents.iter().map(|document| i64::try_from(document.version.0).is_ok()).collect();
    let bulk: Vec<Whole<Stored>> = documents.into_iter().filter_map(whole).collect();
    if bulk.is_empty() {
        return Outcome::Done(vec![Written::Rejected; sendable.len()]);
    }
    bulk::write(cluster, target, bulk).await.map(|written| {
        let mut written = written.into_iter();
        let mut next = || written.next().expect("one answer per document that was sent");
        sendable.into_iter().map(|sent| if sent { next() } else { Written::Rejected }).collect()
    })
}

fn whole(document: Document) -> Option<Whole<Stored>> {
    let version = i64::try_from(document.version.0).ok()?;
    Some(Whole { id: document.product.to_string(), version, source: Stored::from(document) })
}
