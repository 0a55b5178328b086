//! One process's membership in a group, as its role reads the topic.

use crate::config::KafkaConfig;
use crate::dead::DeadLetters;
use crate::member::{Decode, Member};
use crate::topic::TopicId;
use async_trait::async_trait;
use doorbuster_core::inbox::{NotAssigned, Record};
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::group::{Assignment, Group};
use doorbuster_runtime::ports::{Offset, Partition, Unavailable};
use std::sync::{Arc, Mutex};

/// What the memberships of one process share.
#[derive(Clone)]
pub(crate) struct Shelf {
    pub(crate) config: Arc<KafkaConfig>,
    pub(crate) env: SharedEnv,
    pub(crate) dead: DeadLetters,
}

/// A membership; it begins with the first question for its partitions.
pub struct KafkaGroup<T: Clone + Send + 'static> {
    shelf: Shelf,
    name: &'static str,
    topic: TopicId,
    decode: Decode<T>,
    member: Mutex<Option<Arc<Member<T>>>>,
}

impl<T: Clone + Send + 'static> KafkaGroup<T> {
    pub(crate) fn new(shelf: Shelf, name: &'static str, topic: TopicId, decode: Decode<T>) -> KafkaGroup<T> {
        KafkaGroup { shelf, name, topic, decode, member: Mutex::default() }
    }

    fn member(&self) -> Result<Arc<Member<T>>, Unavailable> {
        let mut member = self.member.lock().expect("no holder of this lock panics");
        if let Some(member) = member.as_ref() {
            return Ok(member.clone());
        }
        let (config, env) = (self.shelf.config.clone(), self.shelf.env.clone());
        let joined = Arc::new(Member::join(config, env, self.name, self.topic, self.decode)?);
        Ok(member.insert(joined).clone())
    }
}

#[async_trait]
impl<T: Clone + Send + 'static> Group<T> for KafkaGroup<T> {
    async fn assigned(&self, generation: u64) -> Result<Assignment, Unavailable> {
        let place = |(partition, committed)| (Partition(partition), Offset(committed));
        let told = |(generation, places): (u64, Vec<(u32, u64)>)| Assignment {
            generation,
            partitions: places.into_iter().map(place).collect(),
        };
        // While the places of a new assignment are not known, it is not one yet: the caller goes on with what it has.
        let pending = || Unavailable("the group's assignment is under way".to_owned());
        self.member()?.assignment(generation).await.map(told).ok_or_else(pending)
    }

    async fn fetch(&self, partition: Partition, from: Offset, limit: usize) -> Outcome<Vec<Record<T>>, NotAssigned> {
        let Ok(member) = self.member() else { return Outcome::Unknown };
        let read = |(offset, record): (u64, Option<T>)| match record {
            Some(record) => Record::Delivered(Offset(offset), record),
            None => Record::Undecodable(Offset(offset)),
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
        if let Some(unreadable) = member.unreadable(partition.0, offset.0) {
            return self.shelf.dead.keep(self.name, &unreadable.letter, &unreadable.reason).await;
        }
        if !member.owns(partition.0) {
            return Outcome::Refused(NotAssigned);
        }
        // Reading has gone elsewhere since: it comes by again.
        member.read_again(partition.0, offset.0);
        Outcome::Unknown
    }
}
