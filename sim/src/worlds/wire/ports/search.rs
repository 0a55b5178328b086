//! The search index, over the network.

use crate::services::heard;
use crate::services::search::{Request, Search};
use crate::worlds::wire::rpc::client::Client;
use async_trait::async_trait;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::search::document::Document;
use doorbuster_core::search::indexer::{PushedBack, Written};
use doorbuster_runtime::ports::search::SearchIndex;

/// The index.
pub struct WiredSearch(Client<Search>);

impl WiredSearch {
    /// Over this client.
    pub fn new(client: Client<Search>) -> WiredSearch {
        WiredSearch(client)
    }
}

#[async_trait]
impl SearchIndex for WiredSearch {
    async fn write(&self, documents: Vec<Document>) -> Outcome<Vec<Written>, PushedBack> {
        heard::written(self.0.ask(Request::Bulk(documents)).await)
    }
}
