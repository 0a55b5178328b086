//! The copying of one generation that stands still into another.

use crate::answer::{Trouble, heard};
use crate::bulk::{self, Target, Whole};
use crate::cluster::Cluster;
use crate::names::Generation;
use doorbuster_core::limits::{BACKOFF_MS_MAX, BACKOFF_MS_MIN, INDEX_BULK_MAX};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::search::document::SnapshotTime;
use doorbuster_core::search::indexer::Written;
use elasticsearch::SearchParts;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Tries of one page, with growing pauses about half a minute: then whoever rebuilds asks again.
const TRIES_MAX: u32 = 12;

/// What became of the documents of the old generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// The new one had none, or an older one.
    pub stored: usize,
    /// The new one had them, or newer ones.
    pub newer: usize,
    /// The new mapping does not take them; each has been logged.
    pub rejected: usize,
}

pub(super) struct Copying<'a> {
    pub cluster: &'a Cluster,
    pub from: Generation,
    pub to: Generation,
    /// Older documents are left out.
    pub since: SnapshotTime,
}

/// A document as it lies there, fields that this release does not know included.
#[derive(Clone, Debug, Deserialize)]
struct Lying {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_version")]
    version: i64,
    #[serde(rename = "_source")]
    source: Value,
    /// Where to go on behind it.
    sort: Value,
}

impl Copying<'_> {
    /// Copies page by page in the order of the products.
    ///
    /// # Errors
    /// The servers cannot be asked now.
    pub async fn run(&self) -> Result<Copied, Trouble> {
        let mut copied = Copied::default();
        let mut after = None;
        loop {
            let page = self.page(after).await?;
            let Some(last) = page.last() else { return Ok(copied) };
            after = Some(last.sort.clone());
            self.copy(page, &mut copied).await?;
        }
    }

    async fn page(&self, after: Option<Value>) -> Result<Vec<Lying>, Trouble> {
        // A version above every number of the index was never stored.
        let since = i64::try_from(self.since.0).unwrap_or(i64::MAX);
        let mut body = json!({
            "size": INDEX_BULK_MAX,
            "version": true,
            "track_total_hits": false,
            "query": {"range": {"snapshot": {"gte": since}}},
            "sort": [{"product": "asc"}],
        });
        if let Some(after) = after {
            body["search_after"] = after;
        }
        let cluster = self.cluster;
        let answer = heard(
            cluster
                .client
                .search(SearchParts::Index(&[&cluster.names.index(self.from)]))
                // A shard that does not answer would look as if it had nothing.
                .allow_partial_search_results(false)
                .request_timeout(cluster.change_time())
                .body(body)
                .send()
                .await,
        )
        .await;
        let mut answer = answer?.success()?;
        let hits = answer["hits"]["hits"].take();
        Vec::<Lying>::deserialize(hits).map_err(|error| Trouble::Unanswered(format!("{error}: {answer}")))
    }

    /// Writes a page until every document of it has an answer that is final.
    async fn copy(&self, mut page: Vec<Lying>, copied: &mut Copied) -> Result<(), Trouble> {
        for attempt in 0..TRIES_MAX {
            let whole =
                |lying: &Lying| Whole { id: lying.id.clone(), version: lying.version, source: lying.source.clone() };
            let target = self.cluster.names.index(self.to);
            let outcome = bulk::write(self.cluster, Target::Index(&target), page.iter().map(whole).collect()).await;
            // A copy that was taken and not answered for is there when it comes again.
            if let Outcome::Done(written) = outcome {
                let mut written = written.into_iter();
                page.retain(|lying| copied.count(lying, written.next().expect("one answer per document")));
            }
            if page.is_empty() {
                return Ok(());
            }
            let pause_ms = (BACKOFF_MS_MIN << attempt).min(BACKOFF_MS_MAX);
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        Err(Trouble::Unanswered(format!("{} documents are not taken by generation {}", page.len(), self.to)))
    }
}

impl Copied {
    /// Whether the document is to be written again.
    fn count(&mut self, lying: &Lying, written: Written) -> bool {
        match written {
            Written::Stored => self.stored += 1,
            Written::Newer => self.newer += 1,
            Written::Rejected => {
                tracing::error!(id = lying.id, "the new mapping does not take this document");
                self.rejected += 1;
            }
            Written::Failed => return true,
        }
        false
    }
}
