//! What was sold, as the workers of the sales windows read it: by the partitions' own offsets.

use crate::config::KafkaConfig;
use crate::dead::DeadLetters;
use crate::event;
use crate::letter::Letter;
use crate::member::row::Rows;
use crate::member::{Member, Membership};
use crate::topic::TopicId;
use async_trait::async_trait;
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::inbox::{NotAssigned, Record};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::window::movement::Movement;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::movements::{Assignment, Movements};
use doorbuster_runtime::ports::{Offset, Partition, Unavailable};
use std::sync::{Arc, Mutex};

/// The group of every worker.
const GROUP: &str = "sales";

/// The topic `sales`.
pub struct KafkaMovements {
    config: Arc<KafkaConfig>,
    env: SharedEnv,
    dead: DeadLetters,
    member: Mutex<Option<Arc<Member<Movement>>>>,
}

impl KafkaMovements {
    pub(crate) fn new(config: Arc<KafkaConfig>, env: SharedEnv, dead: DeadLetters) -> KafkaMovements {
        KafkaMovements { config, env, dead, member: Mutex::default() }
    }

    fn member(&self) -> Result<Arc<Member<Movement>>, Unavailable> {
        let mut member = self.member.lock().expect("no holder of this lock panics");
        if let Some(member) = member.as_ref() {
            return Ok(member.clone());
        }
        let topic = TopicId::Outbox(Topic::Sales);
        let membership = Membership { topic, group: GROUP, rows: Rows::Exact, decode: movement };
        let joined = Arc::new(Member::join(self.config.clone(), self.env.clone(), membership)?);
        Ok(member.insert(joined).clone())
    }
}

fn movement(letter: &Letter) -> Result<Movement, String> {
    match event::decode(letter)? {
        Event::SalesMoved(movement) => Ok(movement),
        Event::OrderChanged(_)
        | Event::TimeoutDue { .. }
        | Event::Settled { .. }
        | Event::Granted { .. }
        | Event::ReservationLost { .. }
        | Event::PaymentLate { .. }
        | Event::RefundDue { .. }
        | Event::SaleChanged { .. }
        | Event::CatalogChanged { .. }
        | Event::SalesAdvanced { .. } => Err("an event, but no movement".to_owned()),
    }
}

#[async_trait]
impl Movements for KafkaMovements {
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

    async fn fetch(
        &self,
        partition: Partition,
        from: Offset,
        limit: usize,
    ) -> Outcome<Vec<Record<Movement>>, NotAssigned> {
        let Ok(member) = self.member() else { return Outcome::Unknown };
        let read = |(number, movement): (u64, Option<Movement>)| match movement {
            Some(movement) => Record::Delivered(Offset(number), movement),
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
        if let Some(unreadable) = member.unreadable(partition.0, offset.0) {
            return self.dead.keep(GROUP, &unreadable.letter, &unreadable.reason).await;
        }
        if !member.owns(partition.0) {
            return Outcome::Refused(NotAssigned);
        }
        // Reading has gone elsewhere since: it comes by again.
        member.read_again(partition.0, offset.0);
        Outcome::Unknown
    }
}
