//! The change stream of the outbox: records in the order of commits, in partitions that split and merge.

use doorbuster_core::database::event::Event;
use doorbuster_core::relay::partitions::{Child, CommitTime, PartitionState, Partitions, StreamToken};
use doorbuster_core::relay::{ChangePage, Place};
use doorbuster_core::time::Wall;
use std::collections::{BTreeMap, BTreeSet};

/// Partitions that may live at once: a stream that only splits would cost the more the longer it runs.
const LEAVES_MAX: usize = 6;

/// The stream, and the rows that tell how far it is relayed.
#[derive(Clone, Debug)]
pub struct Stream {
    branches: BTreeMap<StreamToken, Branch>,
    tokens: u64,
    last: CommitTime,
    /// Whether the next commit may have the last one's time: never behind a heartbeat or a split.
    may_tie: bool,
    /// Partitions that somebody has read.
    begun: BTreeSet<StreamToken>,
    /// How far each partition is relayed: rows of the same database.
    pub relayed: Partitions,
}

/// One partition: a range of hashed subjects.
#[derive(Clone, Debug)]
struct Branch {
    low: u64,
    high: u64,
    records: Vec<(CommitTime, Event)>,
    end: Option<Vec<Child>>,
}

impl Default for Stream {
    fn default() -> Stream {
        let root = Child { token: StreamToken(1), parents: BTreeSet::new(), start: CommitTime(0) };
        let mut relayed = Partitions::default();
        relayed.announce(&root);
        let branch = Branch { low: 0, high: u64::MAX, records: Vec::new(), end: None };
        let branches = [(root.token, branch)].into();
        Stream { branches, tokens: 1, last: CommitTime(0), may_tie: false, begun: BTreeSet::new(), relayed }
    }
}

/// FNV-1a: only spreads subjects over partitions.
fn spread(subject: &str) -> u64 {
    let hash = subject
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash ^ (hash << 29)
}

impl Stream {
    /// Appends one transaction's events; `tie` gives it the time of the one before, where that may be.
    ///
    /// Returns where each stands now.
    pub fn append(&mut self, at: Wall, tie: bool, events: &[Event]) -> Vec<(StreamToken, CommitTime)> {
        if events.is_empty() {
            return Vec::new();
        }
        if !(tie && self.may_tie) {
            // A commit time that falls behind the wall clock still follows the one before it.
            let earliest = CommitTime(self.last.0 + 1);
            self.last = if tie { earliest } else { earliest.max(CommitTime(at.0 * 1000)) };
        }
        self.may_tie = true;
        let mut places = Vec::with_capacity(events.len());
        for event in events {
            let place = spread(&event.subject());
            let leaf = self.branches.iter_mut().find(|(_, b)| b.end.is_none() && (b.low..=b.high).contains(&place));
            let (token, branch) = leaf.expect("the leaves cover every subject");
            branch.records.push((self.last, event.clone()));
            places.push((*token, self.last));
        }
        places
    }

    /// What goes before this partition, as the partitions that ended tell it; only when nobody has asked before.
    pub fn first_read(&mut self, token: StreamToken) -> Option<BTreeSet<StreamToken>> {
        if !self.branches.contains_key(&token) || !self.begun.insert(token) {
            return None;
        }
        let bears = |branch: &Branch| branch.end.iter().flatten().any(|child| child.token == token);
        Some(self.branches.iter().filter(|(_, branch)| bears(branch)).map(|(parent, _)| *parent).collect())
    }

    /// A page behind `from`; `silent` shows no record, and heartbeats only up to the first one that is held back.
    pub fn read(&mut self, at: Wall, token: StreamToken, from: Place, limit: usize, silent: bool) -> ChangePage {
        let Some(branch) = self.branches.get(&token) else {
            return ChangePage { records: Vec::new(), through: None, next: from, end: None };
        };
        let begin = begin(branch, from);
        if silent && (begin < branch.records.len() || branch.end.is_some()) {
            return ChangePage { records: Vec::new(), through: None, next: from, end: None };
        }
        let records: Vec<(CommitTime, Event)> = branch.records[begin..].iter().take(limit).cloned().collect();
        let whole = begin + records.len() == branch.records.len();
        let next = match records.last() {
            Some((time, _)) => {
                let first = branch.records.partition_point(|(other, _)| other < time);
                Place::Behind(*time, (begin + records.len() - first) as u32)
            }
            None => from,
        };
        let end = branch.end.clone().filter(|_| whole);
        let through = (whole && end.is_none()).then(|| self.beat(at));
        ChangePage { records, through, next, end }
    }

    /// Whether records or an end stand behind this place.
    pub fn has_more(&self, token: StreamToken, from: Place) -> bool {
        self.branches
            .get(&token)
            .is_some_and(|branch| begin(branch, from) < branch.records.len() || branch.end.is_some())
    }

    /// No later record is at or before this time.
    pub(super) fn beat(&mut self, at: Wall) -> CommitTime {
        self.last = self.last.max(CommitTime(at.0 * 1000));
        self.may_tie = false;
        self.last
    }

    /// Splits a partition in two, or merges two neighbours when `merge` says so and there are two; `pick` chooses.
    pub fn reshape(&mut self, merge: bool, pick: u64) -> bool {
        let mut leaves: Vec<(u64, StreamToken)> =
            self.branches.iter().filter(|(_, b)| b.end.is_none()).map(|(token, b)| (b.low, *token)).collect();
        leaves.sort_unstable();
        let index = (pick as usize) % leaves.len();
        if merge && leaves.len() > 1 {
            let index = index.min(leaves.len() - 2);
            self.merge(leaves[index].1, leaves[index + 1].1);
            return true;
        }
        if leaves.len() >= LEAVES_MAX {
            return false;
        }
        self.split(leaves[index].1)
    }

    fn split(&mut self, parent: StreamToken) -> bool {
        let branch = &self.branches[&parent];
        let (low, high) = (branch.low, branch.high);
        if low == high {
            return false;
        }
        let middle = low + (high - low) / 2;
        let children: Vec<Child> =
            [(low, middle), (middle + 1, high)].into_iter().map(|range| self.bear([parent].into(), range)).collect();
        self.branches.get_mut(&parent).expect("it was just read").end = Some(children);
        true
    }

    fn merge(&mut self, left: StreamToken, right: StreamToken) {
        let range = (self.branches[&left].low, self.branches[&right].high);
        let child = self.bear([left, right].into(), range);
        for parent in [left, right] {
            self.branches.get_mut(&parent).expect("it is a leaf").end = Some(vec![child.clone()]);
        }
    }

    fn bear(&mut self, parents: BTreeSet<StreamToken>, (low, high): (u64, u64)) -> Child {
        self.tokens += 1;
        self.may_tie = false;
        let token = StreamToken(self.tokens);
        self.branches.insert(token, Branch { low, high, records: Vec::new(), end: None });
        Child { token, parents, start: CommitTime(self.last.0 + 1) }
    }

    /// Records that are not known to be relayed.
    pub fn unsent(&self) -> u64 {
        let unsent = |token: &StreamToken, branch: &Branch| match self.relayed.row(*token) {
            Some(row) if row.state == PartitionState::Finished => 0,
            Some(row) => branch.records.iter().filter(|(time, _)| *time > row.watermark).count(),
            None => branch.records.len(),
        };
        self.branches.iter().map(|(token, branch)| unsent(token, branch) as u64).sum()
    }

    /// Whether every partition that ended is relayed to its end, so that only live ones are left.
    pub fn only_leaves_are_open(&self) -> bool {
        self.branches
            .iter()
            .filter(|(_, branch)| branch.end.is_some())
            .all(|(token, _)| self.relayed.row(*token).is_some_and(|row| row.state == PartitionState::Finished))
    }
}

fn begin(branch: &Branch, from: Place) -> usize {
    match from {
        Place::From(time) => branch.records.partition_point(|(other, _)| *other < time),
        Place::Behind(time, count) => {
            let first = branch.records.partition_point(|(other, _)| *other < time);
            (first + count as usize).min(branch.records.len())
        }
    }
}
