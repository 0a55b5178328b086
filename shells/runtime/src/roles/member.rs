//! A member of a group behind an inbox: its partitions come and go, are fetched and committed.

use super::Ports;
use crate::drive::{Inbox, Stop};
use crate::ports::Partition;
use crate::ports::group::{Assignment, Group};
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::inbox::{self, Record};
use doorbuster_core::outcome::Outcome;
use std::sync::Arc;
use std::time::Duration;

/// Pauses before the assignment is asked for again when nobody has answered; each is twice the one before. All of them are
/// fractions of a session, so that lost answers do not cost the partitions.
const AGAIN_MIN: Duration = Duration::from_millis(200);
const AGAIN_MAX: Duration = Duration::from_millis(1_600);

/// Who reads which topic of the outbox.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// The group whose places are kept.
    pub group: &'static str,
    /// The topic.
    pub topic: Topic,
}

impl Reader {
    /// This process as a member of the group.
    pub fn join(&self, ports: &Ports) -> Member<Event> {
        Member::new(self.group, ports.feed.join(self.group, self.topic))
    }
}

/// A membership, and what people call it.
pub struct Member<T> {
    name: &'static str,
    group: Arc<dyn Group<T>>,
}

impl<T> Clone for Member<T> {
    fn clone(&self) -> Member<T> {
        Member { name: self.name, group: self.group.clone() }
    }
}

impl<T: 'static> Member<T> {
    /// A membership under this name.
    pub fn new(name: &'static str, group: Arc<dyn Group<T>>) -> Member<T> {
        Member { name, group }
    }

    /// Stays in the group until the stop, and tells the inbox of partitions that come and go.
    pub async fn attend<U, E>(self, mut stop: Stop, events: Inbox<E>, event: impl Fn(inbox::Event<U>) -> E) {
        let (mut own, mut pause) = (Assignment::default(), AGAIN_MIN);
        loop {
            let next = tokio::select! {
                biased;
                _ = stop.wait_for(|stopped| *stopped) => return,
                next = self.group.assigned(own.generation) => next,
            };
            let Ok(next) = next else {
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(AGAIN_MAX);
                continue;
            };
            pause = AGAIN_MIN;
            for change in changes(&own, &next) {
                if events.send(event(change)).await.is_err() {
                    return;
                }
            }
            own = next;
        }
    }

    /// Performs what the inbox asks for; `record` makes its record of what stands in the topic, `None` of what is none of
    /// its own.
    pub async fn perform<U>(&self, effect: inbox::Effect, record: impl Fn(T) -> Option<U>) -> inbox::Event<U> {
        match effect {
            inbox::Effect::Fetch { ticket, partition, from, limit } => {
                let read = |found| match found {
                    Record::Delivered(offset, found) => {
                        record(found).map_or(Record::Undecodable(offset), |own| Record::Delivered(offset, own))
                    }
                    Record::Undecodable(offset) => Record::Undecodable(offset),
                };
                let outcome = self.group.fetch(partition, from, limit).await;
                let outcome = outcome.map(|found| found.into_iter().map(read).collect());
                inbox::Event::Fetched { ticket, partition, outcome }
            }
            inbox::Effect::Commit { ticket, partition, next } => {
                let outcome = self.group.commit(partition, next).await;
                inbox::Event::Committed { ticket, partition, outcome }
            }
            inbox::Effect::SetAside { ticket, partition, offset } => {
                let outcome = self.group.set_aside(partition, offset).await;
                if outcome == Outcome::Done(()) {
                    let (group, partition, offset) = (self.name, partition.0, offset.0);
                    tracing::error!(group, partition, offset, "a record that is none of its topic was set aside");
                }
                inbox::Event::SetAside { ticket, partition, offset, outcome }
            }
        }
    }
}

/// What an inbox hears of another assignment. A partition that stays is begun anew: another member may have had it in
/// between, and the group's places may have gone back.
fn changes<U>(own: &Assignment, next: &Assignment) -> Vec<inbox::Event<U>> {
    if own.generation == next.generation {
        return Vec::new();
    }
    let stays = |partition: &Partition| next.partitions.iter().any(|(assigned, _)| assigned == partition);
    let gone = own.partitions.iter().map(|(partition, _)| *partition).filter(|partition| !stays(partition));
    let revoked = gone.map(|partition| inbox::Event::Revoked { partition });
    let assigned = next.partitions.iter().map(|(partition, from)| (*partition, *from));
    revoked.chain(assigned.map(|(partition, from)| inbox::Event::Assigned { partition, from })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Offset;

    fn assignment(generation: u64, partitions: &[(u32, u64)]) -> Assignment {
        let place = |(partition, from): &(u32, u64)| (Partition(*partition), Offset(*from));
        Assignment { generation, partitions: partitions.iter().map(place).collect() }
    }

    #[test]
    fn a_new_assignment_takes_away_first_and_begins_what_stays_anew() {
        let (own, next) = (assignment(1, &[(0, 5), (1, 7)]), assignment(2, &[(1, 6), (2, 0)]));
        let expected: Vec<inbox::Event<Event>> = vec![
            inbox::Event::Revoked { partition: Partition(0) },
            inbox::Event::Assigned { partition: Partition(1), from: Offset(6) },
            inbox::Event::Assigned { partition: Partition(2), from: Offset(0) },
        ];
        assert_eq!(changes(&own, &next), expected);
    }

    #[test]
    fn the_same_assignment_changes_nothing() {
        let own = assignment(3, &[(0, 5)]);
        assert_eq!(changes::<Event>(&own, &own.clone()), Vec::new());
    }
}
