//! Rings of sales and documents for search, over the network.

use super::silent;
use crate::services::database::{Database, Request};
use crate::services::heard;
use crate::worlds::wire::rpc::client::Client;
use async_trait::async_trait;
use doorbuster_core::ids::{ProductId, SkuId};
use doorbuster_core::search::document::Document;
use doorbuster_runtime::ports::windows::Windows;
use doorbuster_runtime::ports::{Partition, Unavailable};

/// The database, as the sales windows and search read it.
pub struct WiredWindows(Client<Database>);

impl WiredWindows {
    /// Over this client.
    pub fn new(client: Client<Database>) -> WiredWindows {
        WiredWindows(client)
    }
}

#[async_trait]
impl Windows for WiredWindows {
    async fn rings(&self, partition: Partition, after: Option<SkuId>, limit: usize) -> Result<Vec<SkuId>, Unavailable> {
        heard::rings(self.0.ask(Request::ListRings { partition, after, limit }).await).ok_or_else(|| silent("database"))
    }

    async fn documents(&self, products: Vec<ProductId>) -> Result<Vec<Document>, Unavailable> {
        heard::documents(self.0.ask(Request::ReadDocuments(products)).await).ok_or_else(|| silent("database"))
    }
}
