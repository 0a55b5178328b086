//! A member of a group of the broker, over the network.

use super::silent;
use crate::services::broker::group::{self, BEAT_MS};
use crate::services::broker::log::Payload;
use crate::services::broker::{Broker, Reply, Request};
use crate::services::heard;
use crate::worlds::wire::rpc::client::Client;
use async_trait::async_trait;
use doorbuster_core::database::event::Event;
use doorbuster_core::inbox::{NotAssigned, Record};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::ports::group::{Assignment, Group};
use doorbuster_runtime::ports::{Offset, Partition, Unavailable};
use std::time::Duration;

/// An attendance is held for a heartbeat's time.
const ATTENDANCE: Duration = Duration::from_millis(2 * BEAT_MS);

/// What a topic's payload is to its readers; `None` of one that cannot be read.
type Reading<T> = fn(Payload) -> Option<T>;

/// One member.
pub struct WiredGroup<T> {
    client: Client<Broker>,
    group: group::Group,
    member: u64,
    reading: Reading<T>,
}

impl WiredGroup<Intent> {
    /// A member of intake's group of this number.
    pub fn of_intents(client: Client<Broker>, member: u64) -> WiredGroup<Intent> {
        let reading = |payload| match payload {
            Payload::Intent(intent) => Some(intent),
            Payload::Event(_) | Payload::Poison => None,
        };
        WiredGroup { client, group: group::Group::Intake, member, reading }
    }
}

impl WiredGroup<Event> {
    /// A member of this number of a group that reads a topic of the outbox.
    pub fn of_events(client: Client<Broker>, group: group::Group, member: u64) -> WiredGroup<Event> {
        let reading = |payload| match payload {
            Payload::Event(event) => Some(event),
            Payload::Intent(_) | Payload::Poison => None,
        };
        WiredGroup { client, group, member, reading }
    }
}

#[async_trait]
impl<T: Send + 'static> Group<T> for WiredGroup<T> {
    async fn assigned(&self, generation: u64) -> Result<Assignment, Unavailable> {
        let request = Request::Attend { group: self.group, member: self.member, generation };
        match self.client.ask_within(request, ATTENDANCE).await {
            Outcome::Done(Reply::Assigned { generation, partitions }) => Ok(Assignment { generation, partitions }),
            Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Err(silent("broker")),
        }
    }

    async fn fetch(&self, partition: Partition, from: Offset, limit: usize) -> Outcome<Vec<Record<T>>, NotAssigned> {
        let read = |(offset, payload)| match (self.reading)(payload) {
            Some(record) => Record::Delivered(offset, record),
            None => Record::Undecodable(offset),
        };
        match self.client.ask(Request::Fetch { group: self.group, partition, from, limit }).await {
            Outcome::Done(Reply::Records(records)) => Outcome::Done(records.into_iter().map(read).collect()),
            Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => Outcome::Unknown,
        }
    }

    async fn commit(&self, partition: Partition, next: Offset) -> Outcome<(), NotAssigned> {
        let request = Request::Commit { group: self.group, member: self.member, partition, next };
        heard::committed(self.client.ask(request).await)
    }

    async fn set_aside(&self, partition: Partition, offset: Offset) -> Outcome<(), NotAssigned> {
        let request = Request::SetAside { group: self.group, partition, offset };
        heard::set_aside(self.client.ask(request).await)
    }
}
