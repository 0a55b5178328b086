//! The outbox's topics as their groups read them.
//!
//! The port has one row of places for a topic, so the partitions of a process are one row here, numbered as records
//! arrive; where a record really stands is looked up when it is done. Numbers begin again with each process.

use crate::config::KafkaConfig;
use crate::dead::DeadLetters;
use crate::event;
use crate::member::row::Rows;
use crate::member::{Member, Membership};
use crate::topic::TopicId;
use async_trait::async_trait;
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::feed::Feed;
use doorbuster_runtime::ports::{Offset, Unavailable};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The partitions of a topic are one row.
const ONLY: u32 = 0;

type Members = BTreeMap<(&'static str, Topic), Arc<Member<Event>>>;

/// The topics of the outbox.
pub struct KafkaFeed {
    config: Arc<KafkaConfig>,
    env: SharedEnv,
    dead: DeadLetters,
    /// One member per group and topic of this process's roles.
    members: Mutex<Members>,
}

impl KafkaFeed {
    pub(crate) fn new(config: Arc<KafkaConfig>, env: SharedEnv, dead: DeadLetters) -> KafkaFeed {
        KafkaFeed { config, env, dead, members: Mutex::default() }
    }

    fn member(&self, group: &'static str, topic: Topic) -> Result<Arc<Member<Event>>, Unavailable> {
        let mut members = self.members.lock().expect("no holder of this lock panics");
        if let Some(member) = members.get(&(group, topic)) {
            return Ok(member.clone());
        }
        let topic_id = TopicId::Outbox(topic);
        let membership = Membership { topic: topic_id, group, rows: Rows::OfTopic, decode: event::decode };
        let member = Arc::new(Member::join(self.config.clone(), self.env.clone(), membership)?);
        members.insert((group, topic), member.clone());
        Ok(member)
    }

    /// Puts what cannot be read among the dead letters, up to a place: nobody is given anything behind it before.
    async fn bury(&self, group: &'static str, member: &Member<Event>, to: u64) -> Result<(), Unavailable> {
        let mut buried = false;
        while let Some(number) = member.next_unreadable(ONLY, 0).filter(|number| *number < to) {
            let Some(unreadable) = member.unreadable(ONLY, number) else { continue };
            match self.dead.keep(group, &unreadable.letter, &unreadable.reason).await {
                Outcome::Done(()) => member.bury(ONLY, number),
                // Kept or not: a second dead letter of one place is recognised by it, a missing one would be a loss.
                Outcome::Refused(_) | Outcome::Unknown => {
                    return Err(Unavailable("a record that cannot be read is not set aside".to_owned()));
                }
            }
            buried = true;
        }
        if buried {
            // Where nobody was given anything before it, nobody will commit it either. Not kept: it is read again.
            let _: Outcome<(), _> = member.commit(ONLY, 0).await;
        }
        Ok(())
    }
}

#[async_trait]
impl Feed for KafkaFeed {
    /// The first record that this process will come by.
    async fn committed(&self, group: &'static str, topic: Topic) -> Result<Offset, Unavailable> {
        self.member(group, topic)?.ready().await;
        Ok(Offset(0))
    }

    async fn fetch(
        &self,
        group: &'static str,
        topic: Topic,
        from: Offset,
        limit: usize,
    ) -> Result<Vec<(Offset, Event)>, Unavailable> {
        let member = self.member(group, topic)?;
        let Ok(found) = member.fetch(ONLY, from.0, limit).await else { return Ok(Vec::new()) };
        if let Some((last, _)) = found.last() {
            self.bury(group, &member, last + 1).await?;
        }
        Ok(found.into_iter().filter_map(|(number, event)| Some((Offset(number), event?))).collect())
    }

    async fn commit(&self, group: &'static str, topic: Topic, next: Offset) -> Result<(), Unavailable> {
        match self.member(group, topic)?.commit(ONLY, next.0).await {
            Outcome::Done(()) => Ok(()),
            Outcome::Refused(_) | Outcome::Unknown => Err(Unavailable("the place is kept or not".to_owned())),
        }
    }
}
