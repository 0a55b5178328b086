//! The outbox's topics as their groups read them, over the network.

use super::member::{Member, Rows};
use super::silent;
use crate::services::broker::Broker;
use crate::services::broker::group::Group;
use crate::services::broker::log::{Payload, TopicId};
use crate::worlds::wire::rpc::client::Client;
use async_trait::async_trait;
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::inbox::Partition;
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::feed::Feed;
use doorbuster_runtime::ports::{Offset, Unavailable};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The partitions of a topic are one row.
const ONLY: Partition = Partition(0);

/// The broker's topics of the outbox.
pub struct WiredFeed {
    client: Client<Broker>,
    env: SharedEnv,
    members: Mutex<BTreeMap<Group, Arc<Member>>>,
}

impl WiredFeed {
    /// Over this client; the process joins a group when it first reads for it.
    pub fn new(client: Client<Broker>, env: SharedEnv) -> WiredFeed {
        WiredFeed { client, env, members: Mutex::default() }
    }

    fn member(&self, name: &'static str, topic: Topic) -> Result<Arc<Member>, Unavailable> {
        let group =
            Group::ALL.into_iter().find(|group| group.role() == name && group.topic() == TopicId::Outbox(topic));
        let group = group.ok_or_else(|| Unavailable(format!("there is no group {name} of {topic:?}")))?;
        let mut members = self.members.lock().expect("no holder of this lock panics");
        let join = || Member::join(self.client.clone(), group, self.env.entropy(), Rows::OfTopic);
        Ok(members.entry(group).or_insert_with(join).clone())
    }
}

#[async_trait]
impl Feed for WiredFeed {
    /// The first record that this process will come by.
    async fn committed(&self, group: &'static str, topic: Topic) -> Result<Offset, Unavailable> {
        self.member(group, topic).map(|_| Offset(0))
    }

    async fn fetch(
        &self,
        group: &'static str,
        topic: Topic,
        from: Offset,
        limit: usize,
    ) -> Result<Vec<(Offset, Event)>, Unavailable> {
        let records = self.member(group, topic)?.fetch(ONLY, from, limit).await;
        let event = |(offset, payload)| match payload {
            Payload::Event(event) => (offset, event),
            Payload::Intent(_) | Payload::Poison => unreachable!("what is no event was set aside on the way"),
        };
        Ok(records.into_iter().map(event).collect())
    }

    async fn commit(&self, group: &'static str, topic: Topic, next: Offset) -> Result<(), Unavailable> {
        match self.member(group, topic)?.commit(ONLY, next).await {
            Outcome::Done(()) => Ok(()),
            Outcome::Refused(_) | Outcome::Unknown => Err(silent("broker")),
        }
    }
}
