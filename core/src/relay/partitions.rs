//! The partitions of a change stream and how far each is relayed: rows of the same database.
//!
//! S19: a partition is begun only after all its parents are finished, and its watermark stands only where everything
//! up to it is published. A restart reads from the watermark, inclusive: duplicates, never gaps.

use crate::database::rows::Lease;
use crate::limits::LEASE_MS;
use crate::time::Wall;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Names a partition of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamToken(pub u64);

/// Microseconds of a commit, by the database's own order of commits; several transactions may share one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommitTime(pub u64);

/// A partition that the stream announces: one parent after a split or move, several after a merge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Child {
    /// Which.
    pub token: StreamToken,
    /// All of its parents.
    pub parents: BTreeSet<StreamToken>,
    /// Its first commit time.
    pub start: CommitTime,
}

/// How far a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartitionState {
    /// Announced.
    Created,
    /// Being relayed.
    Running,
    /// Relayed to its end.
    Finished,
}

/// One partition's row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PartitionRow {
    /// Which.
    pub token: StreamToken,
    /// Read before it.
    pub parents: BTreeSet<StreamToken>,
    /// Its first commit time.
    pub start: CommitTime,
    /// Everything up to here is published.
    pub watermark: CommitTime,
    /// How far it is.
    pub state: PartitionState,
    /// Who relays it: keeps two relays from doing the same work; only duplicates depend on it.
    pub lease: Option<Lease>,
}

/// One transaction on a partition's row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PartitionChange {
    /// Takes the lease and begins, or goes on after another relay.
    Begin,
    /// Everything up to here is published; keeps the lease.
    Advance(CommitTime),
    /// Everything is published; announces what follows.
    Finish(Vec<Child>),
}

/// Why a change was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartitionRefusal {
    /// No such partition.
    Missing,
    /// Its parents are not all finished.
    ParentsUnfinished,
    /// It was relayed to its end.
    Finished,
    /// Another relay holds the lease.
    LeaseHeld,
}

/// All partitions of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Partitions {
    rows: BTreeMap<StreamToken, PartitionRow>,
}

impl Partitions {
    /// Adds a partition, unless it is known: after a merge each parent announces the same child.
    pub fn announce(&mut self, child: &Child) {
        self.rows.entry(child.token).or_insert_with(|| PartitionRow {
            token: child.token,
            parents: child.parents.clone(),
            start: child.start,
            watermark: child.start,
            state: PartitionState::Created,
            lease: None,
        });
    }

    /// Up to `limit` partitions that `owner` may relay now, oldest first; `at` is the database's clock.
    pub fn ready(&self, owner: u64, at: Wall, limit: usize) -> Vec<PartitionRow> {
        let open = |row: &&PartitionRow| row.state != PartitionState::Finished && self.parents_finished(row);
        let free = |row: &&PartitionRow| row.lease.is_none_or(|lease| lease.owner == owner || lease.until <= at);
        let mut ready: Vec<&PartitionRow> = self.rows.values().filter(open).filter(free).collect();
        ready.sort_by_key(|row| (row.start, row.token));
        ready.into_iter().take(limit).cloned().collect()
    }

    /// Applies a change; returns the row after it.
    pub fn apply(
        &mut self,
        owner: u64,
        at: Wall,
        token: StreamToken,
        change: &PartitionChange,
    ) -> Result<PartitionRow, PartitionRefusal> {
        let row = self.rows.get(&token).ok_or(PartitionRefusal::Missing)?;
        if row.state == PartitionState::Finished {
            return Err(PartitionRefusal::Finished);
        }
        if !self.parents_finished(row) {
            return Err(PartitionRefusal::ParentsUnfinished);
        }
        if row.lease.is_some_and(|lease| lease.owner != owner && lease.until > at) {
            return Err(PartitionRefusal::LeaseHeld);
        }
        let row = self.rows.get_mut(&token).expect("it was just found");
        row.lease = Some(Lease { owner, until: at.after_ms(LEASE_MS) });
        match change {
            PartitionChange::Begin => row.state = PartitionState::Running,
            // A late, doubled advance is lower and changes nothing.
            PartitionChange::Advance(watermark) => row.watermark = row.watermark.max(*watermark),
            PartitionChange::Finish(_) => (row.state, row.lease) = (PartitionState::Finished, None),
        }
        let row = row.clone();
        if let PartitionChange::Finish(children) = change {
            for child in children {
                self.announce(child);
            }
        }
        Ok(row)
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &PartitionRow> {
        self.rows.values()
    }

    /// The row of one partition.
    pub fn row(&self, token: StreamToken) -> Option<&PartitionRow> {
        self.rows.get(&token)
    }

    /// S19 over all rows: what is begun has only finished parents, and no watermark stands before its start.
    pub fn scan(&self) -> Result<(), String> {
        for row in self.rows.values() {
            if row.state != PartitionState::Created && !self.parents_finished(row) {
                return Err(format!("S19 is broken: {:?} was begun before its parents were finished", row.token));
            }
            if row.watermark < row.start {
                return Err(format!("S19 is broken: the watermark of {:?} stands before its start", row.token));
            }
        }
        Ok(())
    }

    /// A parent without a row is one that nobody has announced yet: it is not finished.
    fn parents_finished(&self, row: &PartitionRow) -> bool {
        let finished = |parent| self.rows.get(parent).is_some_and(|row| row.state == PartitionState::Finished);
        row.parents.iter().all(finished)
    }
}
