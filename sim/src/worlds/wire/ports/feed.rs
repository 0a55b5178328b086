//! The outbox's topics as their groups read them, over the network.

use super::group::WiredGroup;
use crate::services::broker::Broker;
use crate::services::broker::group;
use crate::services::broker::log::TopicId;
use crate::worlds::wire::rpc::client::Client;
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::feed::Feed;
use doorbuster_runtime::ports::group::Group;
use std::sync::Arc;

/// The broker's topics of the outbox.
pub struct WiredFeed {
    client: Client<Broker>,
    env: SharedEnv,
}

impl WiredFeed {
    /// Over this client; each membership has a number of its own.
    pub fn new(client: Client<Broker>, env: SharedEnv) -> WiredFeed {
        WiredFeed { client, env }
    }
}

impl Feed for WiredFeed {
    fn join(&self, name: &'static str, topic: Topic) -> Arc<dyn Group<Event>> {
        let is_asked = |group: &group::Group| group.role() == name && group.topic() == TopicId::Outbox(topic);
        let group = group::Group::ALL.into_iter().find(is_asked).expect("every role's group is one of the broker's");
        Arc::new(WiredGroup::of_events(self.client.clone(), group, self.env.entropy()))
    }
}
