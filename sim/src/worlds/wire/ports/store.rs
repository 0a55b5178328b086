//! The database, over the network.

use super::silent;
use crate::services::database::snapshot::{Scan, SnapshotAt};
use crate::services::database::{Database, Reply, Request};
use crate::services::heard;
use crate::worlds::wire::rpc::client::Client;
use async_trait::async_trait;
use doorbuster_core::database::command::{self, Command, Refusal};
use doorbuster_core::database::rows::{OrderRow, PaymentRow, ProductRow, SaleRow};
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{PaymentId, ProductId, ReservationId, ShardId};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::store::{Due, Snapshot, Store};
use std::sync::Arc;

/// The database.
pub struct WiredStore(Client<Database>);

impl WiredStore {
    /// Over this client.
    pub fn new(client: Client<Database>) -> WiredStore {
        WiredStore(client)
    }
}

#[async_trait]
impl Store for WiredStore {
    async fn apply(&self, command: Command) -> Outcome<command::Reply, Refusal> {
        heard::applied(self.0.ask(Request::Apply(command)).await)
    }

    async fn read(&self, reads: Reads) -> Result<Rows, Unavailable> {
        heard::rows(self.0.ask(Request::Read(reads)).await).map(|(_, rows)| rows).ok_or_else(|| silent("database"))
    }

    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Unavailable> {
        match self.0.ask(Request::TakeSnapshot).await {
            Outcome::Done(Reply::Snapshot(at)) => Ok(Arc::new(WiredSnapshot { client: self.0.clone(), at })),
            Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Err(silent("database")),
        }
    }

    async fn due(
        &self,
        shard: ShardId,
        before: Wall,
        after: Option<Due>,
        limit: usize,
    ) -> Result<Vec<Due>, Unavailable> {
        let after = after.map(|due| (due.expires_at, due.order));
        match self.0.ask(Request::DueBefore { shard, before, after, limit }).await {
            Outcome::Done(Reply::Due(_, tasks)) => {
                let due = |task: doorbuster_core::delay::queue::Task| Due {
                    expires_at: task.due,
                    order: task.order,
                    version: task.version,
                };
                Ok(tasks.into_iter().map(due).collect())
            }
            Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Err(silent("database")),
        }
    }
}

/// One state of the database: every read of it goes over the network.
struct WiredSnapshot {
    client: Client<Database>,
    at: SnapshotAt,
}

impl WiredSnapshot {
    async fn scan(&self, scan: Scan) -> Result<Rows, Unavailable> {
        let outcome = self.client.ask(Request::ReadSnapshot(self.at.clone(), scan)).await;
        heard::rows(outcome).map(|(_, rows)| rows).ok_or_else(|| silent("database"))
    }
}

#[async_trait]
impl Snapshot for WiredSnapshot {
    fn taken_at(&self) -> Wall {
        self.at.at
    }

    async fn read(&self, reads: Reads) -> Result<Rows, Unavailable> {
        self.scan(Scan::Rows(reads)).await
    }

    async fn sales(&self) -> Result<Vec<SaleRow>, Unavailable> {
        Ok(self.scan(Scan::Sales).await?.sales.into_values().collect())
    }

    async fn products(&self, after: Option<ProductId>, limit: usize) -> Result<Vec<ProductRow>, Unavailable> {
        Ok(self.scan(Scan::Products(after, limit)).await?.products.into_values().collect())
    }

    async fn payments(&self, after: Option<PaymentId>, limit: usize) -> Result<Vec<PaymentRow>, Unavailable> {
        Ok(self.scan(Scan::Payments(after, limit)).await?.payments.into_values().collect())
    }

    async fn orders(
        &self,
        shard: ShardId,
        after: Option<ReservationId>,
        limit: usize,
    ) -> Result<Vec<OrderRow>, Unavailable> {
        Ok(self.scan(Scan::Orders(shard, after, limit)).await?.orders.into_values().collect())
    }
}
