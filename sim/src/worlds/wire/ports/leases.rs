//! Forwarders' leases, over the network.

use crate::services::database::{Database, Request};
use crate::services::heard;
use crate::worlds::wire::rpc::client::Client;
use async_trait::async_trait;
use doorbuster_core::forwarder::LeaseHeld;
use doorbuster_core::inbox::Partition;
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::ports::leases::Leases;

/// The leases that stand in the database.
pub struct WiredLeases(Client<Database>);

impl WiredLeases {
    /// Over this client.
    pub fn new(client: Client<Database>) -> WiredLeases {
        WiredLeases(client)
    }
}

#[async_trait]
impl Leases for WiredLeases {
    async fn keep(&self, partition: Partition, owner: u64) -> Outcome<(), LeaseHeld> {
        heard::lease(self.0.ask(Request::KeepLease { partition, owner }).await)
    }
}
