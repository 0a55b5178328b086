//! Replication: a replica is a copy of a prefix of its primary's records.
//!
//! Who copies from whom, how much and when is decided outside; nothing here waits. A server that is told nothing of
//! its own deposition goes on as a primary and acknowledges writes, until it is made to follow: then it throws away
//! what the other does not have.

use std::collections::VecDeque;
use std::rc::Rc;

use doorbuster_core::time::Now;

use super::facts::Role;
use super::host::{Output, RedisHost};
use super::persistence::Record;
use super::reply::texts;
use super::store::Store;

/// Records that a primary keeps for replicas that lag; one that lags further copies the whole data set.
const BACKLOG_RECORDS_MAX: usize = 16_384;

/// The newest records of a server, for replicas that have all before them.
#[derive(Clone, Debug, Default)]
pub struct Backlog {
    records: VecDeque<Rc<Record>>,
    /// The offset behind the newest record.
    end: u64,
}

/// What a primary sends to a replica.
#[derive(Clone, Debug)]
pub enum Offer {
    /// The records behind what the replica has.
    Records {
        /// The history that they belong to.
        replication_id: String,
        /// What the replica has to have before the first of them.
        from: u64,
        /// In order.
        records: Vec<Rc<Record>>,
    },
    /// Everything, because the replica has another history or lags too far.
    Whole {
        /// The history.
        replication_id: String,
        /// Its length so far.
        offset: u64,
        /// The data set at that point.
        store: Store,
    },
}

impl Backlog {
    /// Nothing yet, at `offset`.
    pub fn starting_at(offset: u64) -> Backlog {
        Backlog { records: VecDeque::new(), end: offset }
    }

    /// Keeps one more record.
    pub fn push(&mut self, record: Rc<Record>) {
        self.records.push_back(record);
        self.end += 1;
        if self.records.len() > BACKLOG_RECORDS_MAX {
            self.records.pop_front();
        }
    }

    /// At most `records_max` records behind `offset`, if they are still here.
    pub fn after(&self, offset: u64, records_max: usize) -> Option<Vec<Rc<Record>>> {
        let missing = usize::try_from(self.end.checked_sub(offset)?).ok()?;
        let first = self.records.len().checked_sub(missing)?;
        Some(self.records.iter().skip(first).take(records_max).cloned().collect())
    }
}

impl RedisHost {
    /// What to send to a replica that has `offset` records of the history `replication_id`.
    pub fn offer(&self, replication_id: &str, offset: u64, records_max: usize) -> Offer {
        let facts = self.facts();
        let own = facts.identity.replication_id == replication_id;
        let continued = facts.previous.as_ref().is_some_and(|(id, end)| id == replication_id && offset <= *end);
        let records = if own || continued { self.backlog().after(offset, records_max) } else { None };
        let replication_id = facts.identity.replication_id.clone();
        match records {
            Some(records) => Offer::Records { replication_id, from: offset, records },
            None => Offer::Whole { replication_id, offset: facts.offset, store: self.store().clone() },
        }
    }

    /// Takes what the primary sent; answers the offset to acknowledge. An offer that does not fit, because it was
    /// under way while something else came, changes nothing.
    pub fn accept(&mut self, offer: Offer) -> (u64, Vec<Output>) {
        let Role::Replica { link_up, .. } = &mut self.facts_mut().role else {
            return (self.facts().offset, Vec::new());
        };
        *link_up = true;
        match offer {
            Offer::Records { replication_id, from, records } if from == self.facts().offset => {
                self.facts_mut().identity.replication_id = replication_id;
                records.into_iter().for_each(|record| self.apply_from_primary(record));
            }
            Offer::Records { .. } => {}
            Offer::Whole { replication_id, offset, store } => {
                self.replace_store(store, offset);
                self.facts_mut().identity.replication_id = replication_id;
                self.facts_mut().previous = None;
            }
        }
        (self.facts().offset, self.take_outputs())
    }

    /// A replica has acknowledged so much: answers those who wait for it.
    pub fn acknowledged(&mut self, replica: &str, offset: u64) -> Vec<Output> {
        let replicas = &mut self.facts_mut().replicas;
        match replicas.iter_mut().find(|(name, _)| name == replica) {
            // A late acknowledgement never takes back an earlier one.
            Some((_, known)) => *known = (*known).max(offset),
            None => replicas.push((replica.to_owned(), offset)),
        }
        self.answer_waiting_for_replicas();
        self.take_outputs()
    }

    /// A replica's connection is gone.
    pub fn replica_lost(&mut self, replica: &str) {
        self.facts_mut().replicas.retain(|(name, _)| name != replica);
    }

    /// A replica's connection to its primary is gone; it serves what it has, or refuses, as its settings say.
    pub fn primary_lost(&mut self) {
        if let Role::Replica { link_up, .. } = &mut self.facts_mut().role {
            *link_up = false;
        }
    }

    /// Makes a primary of it: its history goes on under a new id, which the caller draws.
    pub fn promote(&mut self, replication_id: String) {
        let facts = self.facts_mut();
        let before = std::mem::replace(&mut facts.identity.replication_id, replication_id);
        facts.previous = Some((before, facts.offset));
        facts.role = Role::Primary;
        facts.replicas.clear();
    }

    /// Makes a replica of it. Blocked clients get an error and lose their connections; all others keep theirs, with
    /// the same ids, and subscribers notice nothing. Its own newer writes go with the first offer.
    pub fn follow(&mut self, primary: &str) -> Vec<Output> {
        self.facts_mut().role = Role::Replica { of: primary.to_owned(), link_up: false };
        self.facts_mut().replicas.clear();
        self.unblock_all(texts::UNBLOCKED);
        self.take_outputs()
    }
}

/// Copies the next `records_max` records, or everything where the histories differ, and acknowledges them: one round
/// of what two servers do over their connection. Gives both servers' outputs, the primary's first.
pub fn replicate(
    primary: &mut RedisHost,
    replica: &mut RedisHost,
    name: &str,
    records_max: usize,
    now: Now,
) -> (Vec<Output>, Vec<Output>) {
    let facts = replica.facts();
    let offer = primary.offer(&facts.identity.replication_id, facts.offset, records_max);
    replica.set_time(now);
    let (offset, outputs) = replica.accept(offer);
    (primary.acknowledged(name, offset), outputs)
}
