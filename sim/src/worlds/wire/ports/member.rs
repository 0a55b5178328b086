//! One process in one group: it attends, reads ahead what is assigned to it, and keeps the group's places.

use super::sequence::Sequence;
use crate::services::broker::group::{BEAT_MS, Group};
use crate::services::broker::log::Payload;
use crate::services::broker::{Broker, PARTITIONS, Reply, Request};
use crate::services::heard;
use crate::worlds::wire::rpc::client::Client;
use doorbuster_core::inbox::{NotAssigned, Offset, Partition};
use doorbuster_core::limits::{FETCH_RECORDS_MAX, INBOX_RECORDS_MAX};
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::drive::spawn;
use doorbuster_runtime::ports::FETCH_WAIT_MS;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// An attendance is held for a heartbeat's time.
const ATTENDANCE: Duration = Duration::from_millis(2 * BEAT_MS);
/// Pause after a question that came to nothing; the client's own pauses grow.
const AGAIN: Duration = Duration::from_millis(200);
/// Records of one row that are read and not done; then reading pauses. A role may hold so many open, and as many again are
/// read ahead.
const KEPT_MAX: usize = 2 * INBOX_RECORDS_MAX;

/// How partitions become the rows that a role reads, and which records it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Each partition is a row; a record that cannot be read is the role's business.
    OfPartitions,
    /// All of them are one row; a record that cannot be read goes to the dead letters on the way.
    OfTopic,
}

/// A member of a group.
pub struct Member {
    client: Client<Broker>,
    group: Group,
    number: u64,
    rows: Rows,
    state: Mutex<State>,
    /// Counts what changed in the state.
    news: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    generation: u64,
    /// The present assignment, and the next record to read of each.
    reading: BTreeMap<Partition, Offset>,
    sequences: BTreeMap<Partition, Sequence>,
}

impl Member {
    /// Joins the group under this number, and stays in it until the process ends.
    pub fn join(client: Client<Broker>, group: Group, number: u64, rows: Rows) -> Arc<Member> {
        let (state, news) = (Mutex::default(), watch::Sender::new(0));
        let member = Arc::new(Member { client, group, number, rows, state, news });
        spawn(member.clone().attend());
        for partition in (0..PARTITIONS).map(Partition) {
            spawn(member.clone().read_ahead(partition));
        }
        member
    }

    /// Up to `limit` records of a row at or behind a place; waits a moment for the first.
    pub async fn fetch(&self, row: Partition, from: Offset, limit: usize) -> Vec<(Offset, Payload)> {
        let mut news = self.news.subscribe();
        let found = async {
            loop {
                let found = self.with(|state| state.row(row).fetch(from, limit));
                if !found.is_empty() {
                    return found;
                }
                // The sender is this member's own.
                let _ = news.changed().await;
            }
        };
        tokio::time::timeout(Duration::from_millis(FETCH_WAIT_MS), found).await.unwrap_or_default()
    }

    /// Everything of a row before `next` is done. Done too where the partition is another's now: that one does it again.
    pub async fn commit(&self, row: Partition, next: Offset) -> Outcome<(), NotAssigned> {
        let (next, places) = self.with(|state| {
            let generation = state.generation;
            let sequence = state.row(row);
            let next = sequence.done(next);
            (next, sequence.places(next, generation))
        });
        for (partition, next) in places {
            let request = Request::Commit { group: self.group, member: self.number, partition, next };
            match heard::committed(self.client.ask(request).await) {
                Outcome::Done(()) | Outcome::Refused(NotAssigned) => {}
                // Kept or not: asked again, an older place than the kept one changes nothing.
                Outcome::Unknown => return Outcome::Unknown,
            }
        }
        self.with(|state| state.row(row).forget(next));
        self.tell();
        Outcome::Done(())
    }

    /// Keeps a record of a row among the dead letters.
    pub async fn set_aside(&self, row: Partition, number: Offset) -> Outcome<(), NotAssigned> {
        match self.with(|state| state.row(row).place(number)) {
            Some((partition, offset)) => self.bury(partition, offset).await,
            // Done before.
            None => Outcome::Done(()),
        }
    }

    async fn bury(&self, partition: Partition, offset: Offset) -> Outcome<(), NotAssigned> {
        heard::set_aside(self.client.ask(Request::SetAside { group: self.group, partition, offset }).await)
    }

    async fn attend(self: Arc<Member>) {
        loop {
            let generation = self.with(|state| state.generation);
            let request = Request::Attend { group: self.group, member: self.number, generation };
            match self.client.ask_within(request, ATTENDANCE).await {
                Outcome::Done(Reply::Assigned { generation: current, partitions }) if current != generation => {
                    // A partition that stays is begun anew: another member may have had it in between, and kept places of
                    // a group may have gone back.
                    self.with(|state| {
                        state.generation = current;
                        state.reading = partitions.into_iter().collect();
                    });
                    self.tell();
                }
                Outcome::Done(Reply::Assigned { .. }) => {}
                Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    async fn read_ahead(self: Arc<Member>, partition: Partition) {
        let mut news = self.news.subscribe();
        loop {
            let Some((generation, from)) = self.with(|state| state.wanted(self.rows.row_of(partition), partition))
            else {
                // The sender is this member's own.
                let _ = news.changed().await;
                continue;
            };
            let (group, limit) = (self.group, FETCH_RECORDS_MAX);
            match self.client.ask(Request::Fetch { group, partition, from, limit }).await {
                Outcome::Done(Reply::Records(records)) => self.take(generation, partition, records).await,
                // A read changes nothing.
                Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    async fn take(&self, generation: u64, partition: Partition, records: Vec<(Offset, Payload)>) {
        let row = self.rows.row_of(partition);
        let mut hidden = false;
        for (offset, payload) in records {
            let unreadable = self.rows == Rows::OfTopic && payload == Payload::Poison;
            while unreadable && self.bury(partition, offset).await != Outcome::Done(()) {
                tokio::time::sleep(AGAIN).await;
            }
            hidden |= unreadable;
            let taken = self.with(|state| state.push(generation, row, partition, offset, payload, unreadable));
            if !taken {
                return;
            }
        }
        self.tell();
        if hidden {
            // Where nobody was given anything before it, nobody will commit it either.
            let first = self.with(|state| state.row(row).first_given());
            let _ = self.commit(row, first).await;
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().expect("no holder of this lock panics"))
    }

    fn tell(&self) {
        self.news.send_modify(|news| *news += 1);
    }
}

impl Rows {
    /// The row that a partition's records go into.
    fn row_of(self, partition: Partition) -> Partition {
        match self {
            Rows::OfPartitions => partition,
            Rows::OfTopic => Partition(0),
        }
    }
}

impl State {
    fn row(&mut self, row: Partition) -> &mut Sequence {
        self.sequences.entry(row).or_default()
    }

    /// What to read next of a partition: nothing while it is another's, or while too much of its row is open.
    fn wanted(&mut self, row: Partition, partition: Partition) -> Option<(u64, Offset)> {
        let from = *self.reading.get(&partition)?;
        (self.row(row).len() < KEPT_MAX).then_some((self.generation, from))
    }

    /// Takes a record that was read under this assignment; `false` when there is another one by now.
    fn push(
        &mut self,
        generation: u64,
        row: Partition,
        partition: Partition,
        offset: Offset,
        payload: Payload,
        unreadable: bool,
    ) -> bool {
        if generation != self.generation {
            return false;
        }
        self.reading.insert(partition, offset.next());
        self.row(row).push(generation, partition, offset, (!unreadable).then_some(payload));
        true
    }
}
