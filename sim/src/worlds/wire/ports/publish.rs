//! The topics as they are written, over the network.

use crate::services::broker::{Broker, Request};
use crate::services::heard;
use crate::worlds::wire::rpc::client::Client;
use async_trait::async_trait;
use doorbuster_core::database::event::Event;
use doorbuster_core::forwarder::{Producer, ProducerFenced};
use doorbuster_core::inbox::Partition;
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::relay::TopicAway;
use doorbuster_runtime::ports::publish::Publish;
use std::convert::Infallible;

/// The topics of the broker.
pub struct WiredPublish(Client<Broker>);

impl WiredPublish {
    /// Over this client.
    pub fn new(client: Client<Broker>) -> WiredPublish {
        WiredPublish(client)
    }
}

#[async_trait]
impl Publish for WiredPublish {
    async fn take_producer(&self, partition: Partition) -> Outcome<Producer, Infallible> {
        heard::producer(self.0.ask(Request::TakeProducer(partition)).await)
    }

    async fn publish_intents(
        &self,
        producer: Producer,
        partition: Partition,
        intents: Vec<Intent>,
    ) -> Outcome<(), ProducerFenced> {
        heard::published(self.0.ask(Request::PublishIntents { producer, partition, intents }).await)
    }

    async fn publish_events(&self, events: Vec<Event>) -> Outcome<(), TopicAway> {
        match self.0.ask(Request::PublishEvents(events)).await {
            Outcome::Refused(_) => Outcome::Refused(TopicAway),
            other => heard::kept(other),
        }
    }
}
