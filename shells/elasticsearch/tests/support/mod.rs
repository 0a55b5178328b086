//! What the tests against a real server share: an index of their own in it.
#![allow(dead_code, reason = "each test binary uses its own part of it")]

use async_trait::async_trait;
use doorbuster_core::database::rows::ProductRow;
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::search::document::{Document, SnapshotTime};
use doorbuster_core::search::indexer::Written;
use doorbuster_core::time::Wall;
use doorbuster_elasticsearch::cluster::Cluster;
use doorbuster_elasticsearch::config::ElasticsearchConfig;
use doorbuster_elasticsearch::index::ElasticsearchIndex;
use doorbuster_elasticsearch::shown::ElasticsearchShown;
use doorbuster_elasticsearch::template::install;
use doorbuster_runtime::contract::{Clock, Shown};
use doorbuster_runtime::env::{SharedEnv, SystemEnv};
use doorbuster_runtime::ports::search::SearchIndex;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

const SERVER: &str = "DOORBUSTER_ELASTICSEARCH";
/// Generations that a test may have made: it removes them all.
const GENERATIONS_MAX: u64 = 20;
/// Looks at a state that the index comes to by itself, and the pause between two of them.
const LOOKS_MAX: usize = 200;
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// An index of one test, under an alias of its own.
pub struct Index {
    server: String,
    removal: Option<Removal>,
    pub cluster: Arc<Cluster>,
    pub search: Arc<ElasticsearchIndex>,
    pub shown: Arc<ElasticsearchShown>,
}

impl Index {
    /// `None`, and a line that says so, where no server is named.
    pub async fn make(test: &str) -> Option<Index> {
        let index = Index::bare(test)?;
        install(&index.cluster).await.expect("an index can be made");
        Some(index)
    }

    /// The same without an index.
    pub fn bare(test: &str) -> Option<Index> {
        let Ok(server) = std::env::var(SERVER) else {
            println!("{test}: skipped, {SERVER} names no server (cargo lab up starts one)");
            return None;
        };
        let alias = format!("test_{:016x}", SystemEnv::shared().entropy());
        let config = ElasticsearchConfig {
            urls: vec![format!("http://{server}")],
            alias,
            // One node has no place for a copy.
            replicas: 0,
            retire_ms: 2_000,
            ..ElasticsearchConfig::default()
        };
        let removal = Removal { server: server.clone(), alias: config.alias.clone() };
        Some(Index { removal: Some(removal), ..Index::over(server, config) })
    }

    /// Another process's view of the same index, which this one outlives.
    pub fn again(&self, change: impl FnOnce(&mut ElasticsearchConfig)) -> Index {
        let mut config = ElasticsearchConfig {
            urls: vec![format!("http://{}", self.server)],
            alias: self.cluster.names().reads().to_owned(),
            replicas: 0,
            ..ElasticsearchConfig::default()
        };
        change(&mut config);
        Index::over(self.server.clone(), config)
    }

    fn over(server: String, config: ElasticsearchConfig) -> Index {
        let cluster = Cluster::new(config).expect("a test's section is valid");
        let search = Arc::new(ElasticsearchIndex::new(cluster.clone()));
        let shown = Arc::new(ElasticsearchShown::new(cluster.clone()));
        Index { server, removal: None, cluster, search, shown }
    }

    pub async fn write(&self, documents: Vec<Document>) -> Vec<Written> {
        match self.search.write(documents).await {
            Outcome::Done(written) => written,
            other => panic!("a server that is well answers, not {other:?}"),
        }
    }

    pub async fn stored(&self, product: &str) -> Option<Document> {
        self.shown.stored(id(product)).await.expect("the index can be read")
    }

    /// Waits until it is shown.
    pub async fn comes_to_show(&self, expected: &Document) {
        for _ in 0..LOOKS_MAX {
            let found = self.shown.shown(expected.product).await.expect("the index can be searched");
            if found.as_ref() == Some(expected) {
                return;
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        panic!("never shown: {expected:?}");
    }

    /// Asks the server in words of its own; the answer with its head.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> String {
        ask(&self.server, method, path, body)
    }
}

/// Removes a test's index, when the test fails too.
struct Removal {
    server: String,
    alias: String,
}

impl Drop for Removal {
    fn drop(&mut self) {
        let indices: Vec<String> = (1..=GENERATIONS_MAX).map(|number| format!("{}-{number}", self.alias)).collect();
        ask(&self.server, "DELETE", &format!("/{}?ignore_unavailable=true", indices.join(",")), "");
        ask(&self.server, "DELETE", &format!("/_index_template/{}", self.alias), "");
    }
}

/// Asks a server in words of its own; the answer with its head.
fn ask(server: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(server).expect("the server listens");
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n");
    let form = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{form}{body}").as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers");
    answer
}

pub fn id(product: &str) -> ProductId {
    ProductId::parse(product).expect("a test names a product")
}

/// A product at a version, which is also that of its row.
pub fn document(product: &str, version: u64) -> Document {
    let product = id(product);
    let row = ProductRow {
        id: product,
        name: format!("{product} at {version}"),
        category: "things".to_owned(),
        image_url: "https://images.example/1.jpg".to_owned(),
        version: Version(version),
    };
    Document { product, version: SnapshotTime(version), row: Some(row), sales_7d: version % 100 }
}

/// What a suite looks at.
pub struct Looked(pub Arc<ElasticsearchShown>);

#[async_trait]
impl Shown for Looked {
    async fn shown(&self, product: ProductId) -> Option<Document> {
        self.0.shown(product).await.expect("the index can be searched")
    }
}

/// A clock on which time passes with the index's refreshes: nothing else in it waits for time, and a refresh that is asked
/// for is the one that would come.
pub struct RefreshClock {
    pub index: Index,
    pub env: SharedEnv,
}

#[async_trait]
impl Clock for RefreshClock {
    async fn now(&self) -> Wall {
        self.env.now().wall
    }

    async fn pass_ms(&self, _: u64) {
        let answer = self.index.ask("POST", &format!("/{}/_refresh", self.index.cluster.names().reads()), "");
        assert!(answer.starts_with("HTTP/1.1 200"), "an index can be refreshed: {answer}");
    }
}
