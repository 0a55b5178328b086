//! Intents as intake reads them.
//!
//! The role asks once which partitions are its own, so each is told: one that is another's has no records while it is.
//! A place is the record's offset, until a partition comes back at an older one (see [`crate::member::row`]).

use crate::config::KafkaConfig;
use crate::dead::DeadLetters;
use crate::intent;
use crate::member::row::Rows;
use crate::member::{Member, Membership};
use crate::topic::TopicId;
use async_trait::async_trait;
use doorbuster_core::ids::{Epoch, Seq, ShardId};
use doorbuster_core::inbox::{NotAssigned, Record};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::intents::Intents;
use doorbuster_runtime::ports::{Offset, Partition, Unavailable};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The group of every intake.
const GROUP: &str = "intake";
/// The keeper is told so long after it asked that nobody knows whether the drain is over: the forwarder, which reads the
/// shard's row itself, does the work, and the row tells.
const DRAIN: Duration = Duration::from_millis(300);

/// The topic `intents`.
pub struct KafkaIntents {
    config: Arc<KafkaConfig>,
    env: SharedEnv,
    dead: DeadLetters,
    member: Mutex<Option<Arc<Member<Intent>>>>,
}

impl KafkaIntents {
    pub(crate) fn new(config: Arc<KafkaConfig>, env: SharedEnv, dead: DeadLetters) -> KafkaIntents {
        KafkaIntents { config, env, dead, member: Mutex::default() }
    }

    fn member(&self) -> Result<Arc<Member<Intent>>, Unavailable> {
        let mut member = self.member.lock().expect("no holder of this lock panics");
        if let Some(member) = member.as_ref() {
            return Ok(member.clone());
        }
        let decode = |letter: &crate::letter::Letter| intent::decode(letter.value.as_deref());
        let membership = Membership { topic: TopicId::Intents, group: GROUP, rows: Rows::OfPartitions, decode };
        let joined = Arc::new(Member::join(self.config.clone(), self.env.clone(), membership)?);
        Ok(member.insert(joined).clone())
    }
}

#[async_trait]
impl Intents for KafkaIntents {
    async fn assigned(&self) -> Result<Vec<(Partition, Offset)>, Unavailable> {
        let member = self.member()?;
        member.ready().await;
        // Of another's partition nothing is known; its records come from whatever place it is left at.
        let place = |partition| (Partition(partition), Offset(member.committed(partition).unwrap_or(0)));
        Ok((0..self.config.partitions).map(place).collect())
    }

    async fn fetch(
        &self,
        partition: Partition,
        from: Offset,
        limit: usize,
    ) -> Outcome<Vec<Record<Intent>>, NotAssigned> {
        let Ok(member) = self.member() else { return Outcome::Unknown };
        let read = |(number, intent): (u64, Option<Intent>)| match intent {
            Some(intent) => Record::Delivered(Offset(number), intent),
            None => Record::Undecodable(Offset(number)),
        };
        match member.fetch(partition.0, from.0, limit).await {
            Ok(found) => Outcome::Done(found.into_iter().map(read).collect()),
            Err(NotAssigned) => Outcome::Refused(NotAssigned),
        }
    }

    async fn commit(&self, partition: Partition, next: Offset) -> Outcome<(), NotAssigned> {
        let Ok(member) = self.member() else { return Outcome::Unknown };
        member.commit(partition.0, next.0).await
    }

    async fn set_aside(&self, partition: Partition, offset: Offset) -> Outcome<(), NotAssigned> {
        let Ok(member) = self.member() else { return Outcome::Unknown };
        match member.unreadable(partition.0, offset.0) {
            Some(unreadable) => self.dead.keep(GROUP, &unreadable.letter, &unreadable.reason).await,
            // Committed, which it is only after it was set aside; or another's now, who sets it aside.
            None => Outcome::Done(()),
        }
    }

    async fn drain(&self, _: ShardId, _: Epoch, _: Option<Seq>) -> Outcome<(), Unavailable> {
        tokio::time::sleep(DRAIN).await;
        Outcome::Unknown
    }
}
