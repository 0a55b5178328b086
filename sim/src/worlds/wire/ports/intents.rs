//! Intents as intake reads them, over the network.

use super::member::{Member, Rows};
use crate::services::broker::group::Group;
use crate::services::broker::log::Payload;
use crate::services::broker::{Broker, PARTITIONS};
use crate::worlds::wire::rpc::client::Client;
use async_trait::async_trait;
use doorbuster_core::ids::{Epoch, Seq, ShardId};
use doorbuster_core::inbox::{NotAssigned, Record};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::intents::Intents;
use doorbuster_runtime::ports::{Offset, Partition, Unavailable};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The keeper is told so long after it asked that nobody knows whether the drain is over: the forwarder, which reads the
/// shard's row itself, does the work, and the row tells.
const DRAIN: Duration = Duration::from_millis(300);

/// The broker's `intents`.
pub struct WiredIntents {
    client: Client<Broker>,
    env: SharedEnv,
    member: OnceLock<Arc<Member>>,
}

impl WiredIntents {
    /// Over this client; the process joins the group when it first asks for its partitions.
    pub fn new(client: Client<Broker>, env: SharedEnv) -> WiredIntents {
        WiredIntents { client, env, member: OnceLock::new() }
    }

    fn member(&self) -> &Arc<Member> {
        self.member
            .get_or_init(|| Member::join(self.client.clone(), Group::Intake, self.env.entropy(), Rows::OfPartitions))
    }
}

#[async_trait]
impl Intents for WiredIntents {
    /// All of them, each from the first record that this process will come by: a partition that is another's has none.
    async fn assigned(&self) -> Result<Vec<(Partition, Offset)>, Unavailable> {
        self.member();
        Ok((0..PARTITIONS).map(|partition| (Partition(partition), Offset(0))).collect())
    }

    async fn fetch(
        &self,
        partition: Partition,
        from: Offset,
        limit: usize,
    ) -> Outcome<Vec<Record<Intent>>, NotAssigned> {
        let read = |(offset, payload)| match payload {
            Payload::Intent(intent) => Record::Delivered(offset, intent),
            Payload::Event(_) | Payload::Poison => Record::Undecodable(offset),
        };
        Outcome::Done(self.member().fetch(partition, from, limit).await.into_iter().map(read).collect())
    }

    async fn commit(&self, partition: Partition, next: Offset) -> Outcome<(), NotAssigned> {
        self.member().commit(partition, next).await
    }

    async fn set_aside(&self, partition: Partition, offset: Offset) -> Outcome<(), NotAssigned> {
        self.member().set_aside(partition, offset).await
    }

    async fn drain(&self, _: ShardId, _: Epoch, _: Option<Seq>) -> Outcome<(), Unavailable> {
        tokio::time::sleep(DRAIN).await;
        Outcome::Unknown
    }
}
