//! The partitions of `sales`, over the network: the broker's own places, because the database keeps them too.

use super::silent;
use crate::services::broker::group::{BEAT_MS, Group};
use crate::services::broker::log::Payload;
use crate::services::broker::{Broker, Reply, Request};
use crate::services::heard;
use crate::worlds::wire::rpc::client::Client;
use async_trait::async_trait;
use doorbuster_core::database::event::Event;
use doorbuster_core::inbox::{NotAssigned, Record};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::window::movement::Movement;
use doorbuster_runtime::ports::movements::{Assignment, Movements};
use doorbuster_runtime::ports::{Offset, Partition, Unavailable};
use std::time::Duration;

/// An attendance is held for a heartbeat's time.
const ATTENDANCE: Duration = Duration::from_millis(2 * BEAT_MS);

/// One member of the group that reads what was sold.
pub struct WiredMovements {
    client: Client<Broker>,
    member: u64,
}

impl WiredMovements {
    /// A member of this number, over this client.
    pub fn new(client: Client<Broker>, member: u64) -> WiredMovements {
        WiredMovements { client, member }
    }
}

#[async_trait]
impl Movements for WiredMovements {
    async fn assigned(&self, generation: u64) -> Result<Assignment, Unavailable> {
        let request = Request::Attend { group: Group::Sales, member: self.member, generation };
        match self.client.ask_within(request, ATTENDANCE).await {
            Outcome::Done(Reply::Assigned { generation, partitions }) => Ok(Assignment { generation, partitions }),
            Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Err(silent("broker")),
        }
    }

    async fn fetch(
        &self,
        partition: Partition,
        from: Offset,
        limit: usize,
    ) -> Outcome<Vec<Record<Movement>>, NotAssigned> {
        let read = |(offset, payload)| match payload {
            Payload::Event(Event::SalesMoved(movement)) => Record::Delivered(offset, movement),
            Payload::Event(_) | Payload::Intent(_) | Payload::Poison => Record::Undecodable(offset),
        };
        match self.client.ask(Request::Fetch { group: Group::Sales, partition, from, limit }).await {
            Outcome::Done(Reply::Records(records)) => Outcome::Done(records.into_iter().map(read).collect()),
            Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
        }
    }

    async fn commit(&self, partition: Partition, next: Offset) -> Outcome<(), NotAssigned> {
        let request = Request::Commit { group: Group::Sales, member: self.member, partition, next };
        heard::committed(self.client.ask(request).await)
    }

    async fn set_aside(&self, partition: Partition, offset: Offset) -> Outcome<(), NotAssigned> {
        let request = Request::SetAside { group: Group::Sales, partition, offset };
        heard::set_aside(self.client.ask(request).await)
    }
}
