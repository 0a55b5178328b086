//! A topic of the outbox behind an inbox: its one partition in one process, fetched and committed.

use super::Ports;
use crate::ports::{Partition, Unavailable};
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::inbox::{self, Record};
use doorbuster_core::outcome::Outcome;

/// The topics of the outbox have one partition in one process.
const ONLY: Partition = Partition(0);

/// Who reads what.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// The group whose place is kept.
    pub group: &'static str,
    /// The topic.
    pub topic: Topic,
}

impl Reader {
    /// What the inbox is told first: where its reading goes on.
    pub async fn assigned<T>(&self, ports: &Ports) -> Result<inbox::Event<T>, Unavailable> {
        let from = ports.feed.committed(self.group, self.topic).await?;
        Ok(inbox::Event::Assigned { partition: ONLY, from })
    }

    /// Performs what the inbox asks for; `record` makes its record of an event, `None` of one that is none of its own.
    pub async fn perform<T>(
        &self,
        ports: &Ports,
        effect: inbox::Effect,
        record: impl Fn(Event) -> Option<T>,
    ) -> inbox::Event<T> {
        match effect {
            inbox::Effect::Fetch { ticket, partition, from, limit } => {
                let found = ports.feed.fetch(self.group, self.topic, from, limit).await;
                let records = found.map(|found| {
                    let read = |(offset, event)| match record(event) {
                        Some(record) => Record::Delivered(offset, record),
                        None => Record::Undecodable(offset),
                    };
                    found.into_iter().map(read).collect()
                });
                inbox::Event::Fetched { ticket, partition, outcome: records.map_or(Outcome::Unknown, Outcome::Done) }
            }
            inbox::Effect::Commit { ticket, partition, next } => {
                let committed = ports.feed.commit(self.group, self.topic, next).await;
                inbox::Event::Committed {
                    ticket,
                    partition,
                    outcome: committed.map_or(Outcome::Unknown, Outcome::Done),
                }
            }
            inbox::Effect::SetAside { ticket, partition, offset } => {
                let (group, topic, offset_number) = (self.group, self.topic, offset.0);
                tracing::error!(group, ?topic, offset_number, "an event is in a topic that is not its own");
                inbox::Event::SetAside { ticket, partition, offset, outcome: Outcome::Done(()) }
            }
        }
    }
}
