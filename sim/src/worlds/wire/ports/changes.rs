//! The change stream, over the network.

use crate::services::database::{Database, Request};
use crate::services::heard;
use crate::worlds::wire::rpc::client::Client;
use async_trait::async_trait;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::relay::partitions::{PartitionChange, PartitionRefusal, PartitionRow, StreamToken};
use doorbuster_core::relay::{ChangePage, Place};
use doorbuster_runtime::ports::changes::Changes;
use std::convert::Infallible;

/// The change stream of the database's outbox.
pub struct WiredChanges(Client<Database>);

impl WiredChanges {
    /// Over this client.
    pub fn new(client: Client<Database>) -> WiredChanges {
        WiredChanges(client)
    }
}

#[async_trait]
impl Changes for WiredChanges {
    async fn ready(&self, owner: u64, limit: usize) -> Outcome<Vec<PartitionRow>, Infallible> {
        heard::ready(self.0.ask(Request::ListReady { owner, limit }).await)
    }

    async fn change(
        &self,
        owner: u64,
        token: StreamToken,
        change: PartitionChange,
    ) -> Outcome<PartitionRow, PartitionRefusal> {
        heard::changed(self.0.ask(Request::Change { owner, token, change }).await)
    }

    async fn read(&self, token: StreamToken, from: Place, limit: usize) -> Outcome<ChangePage, Infallible> {
        heard::page(self.0.ask(Request::ReadStream { token, from, limit }).await)
    }
}
