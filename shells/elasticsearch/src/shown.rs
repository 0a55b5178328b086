//! The index, as it is searched.

use crate::answer::{Trouble, heard};
use crate::cluster::Cluster;
use crate::stored::Stored;
use doorbuster_core::ids::ProductId;
use doorbuster_core::search::document::Document;
use elasticsearch::{GetParts, SearchParts};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Reads behind the alias that is searched.
pub struct ElasticsearchShown(Arc<Cluster>);

/// What is kept of one product.
#[derive(Debug, Deserialize)]
struct Found {
    #[serde(rename = "_version")]
    version: u64,
    #[serde(rename = "_source")]
    source: Stored,
}

impl ElasticsearchShown {
    /// In this cluster.
    pub fn new(cluster: Arc<Cluster>) -> ElasticsearchShown {
        ElasticsearchShown(cluster)
    }

    /// The document that is stored of a product, shown or not.
    ///
    /// # Errors
    /// The index cannot be asked now.
    pub async fn stored(&self, product: ProductId) -> Result<Option<Document>, Trouble> {
        let cluster = &self.0;
        let answer = heard(
            cluster
                .client
                .get(GetParts::IndexId(cluster.names.reads(), product.as_str()))
                .request_timeout(Duration::from_millis(cluster.config.search_ms))
                .send()
                .await,
        )
        .await;
        let answer = answer?;
        // An index that is not there is an error; a document that is not there is an answer.
        if answer.status == 404 && answer.body["found"] == false {
            return Ok(None);
        }
        found(answer.success()?).map(Some)
    }

    /// The document that a search finds of a product: what was stored before the last refresh.
    ///
    /// # Errors
    /// The index cannot be asked now, or not all of it.
    pub async fn shown(&self, product: ProductId) -> Result<Option<Document>, Trouble> {
        let hits = self.search(json!({"size": 1, "version": true, "query": {"term": {"product": product}}})).await?;
        hits.into_iter().next().map(found).transpose()
    }

    /// Every hit of a search.
    pub(crate) async fn search(&self, body: Value) -> Result<Vec<Value>, Trouble> {
        let cluster = &self.0;
        let answer = heard(
            cluster
                .client
                .search(SearchParts::Index(&[cluster.names.reads()]))
                // A shard that does not answer would look as if it had nothing.
                .allow_partial_search_results(false)
                .request_timeout(Duration::from_millis(cluster.config.search_ms))
                .body(body)
                .send()
                .await,
        )
        .await;
        let mut answer = answer?.success()?;
        match answer["hits"]["hits"].take() {
            Value::Array(hits) => Ok(hits),
            _ => Err(Trouble::Unanswered(format!("an answer to a search is none: {answer}"))),
        }
    }
}

/// The document of a hit.
pub(crate) fn found(value: Value) -> Result<Document, Trouble> {
    match Found::deserialize(&value) {
        Ok(found) => Ok(found.source.into_document(found.version)),
        Err(error) => Err(Trouble::Unanswered(format!("{error}: {value}"))),
    }
}
