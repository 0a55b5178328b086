use std::collections::VecDeque;
use std::rc::Rc;

use doorbuster_core::time::Mono;

use super::Bytes;
use super::store::{Store, Write};

/// What one command or script did: applied whole or not at all, by a restart and by a replica alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Changes, in order.
    pub writes: Vec<Write>,
    /// Messages, channel and text: replicas pass them on, the disk does not keep them.
    pub messages: Vec<(Bytes, Bytes)>,
}

/// When the log of changes reaches the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// There is no log: a restart begins with nothing.
    Off,
    /// Once a second: a crash loses up to the last second.
    EverySecond,
    /// Before each answer.
    #[default]
    Always,
}

/// Between two syncs of [`SyncPolicy::EverySecond`], in milliseconds.
pub const SYNC_EVERY_MS: u64 = 1_000;

/// Records that wait for a sync at most; the server too syncs early rather than fall behind without end.
const UNSYNCED_MAX: usize = 1_000_000;

/// The log of changes on a disk: what is certain as the data set that it amounts to, and the rest as records.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    policy: SyncPolicy,
    synced: Store,
    unsynced: VecDeque<Rc<Record>>,
    synced_at: Mono,
}

/// What a crash leaves of the records that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// So many of them happened to reach the disk all the same.
    pub kept: usize,
    /// Whether a part of the next one did. The restart cuts it off, since half a record is none.
    pub torn: bool,
}

/// What a restart found.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The data set.
    pub store: Store,
    /// Records that are gone, a torn one included.
    pub lost: usize,
    /// Whether the end of the log was torn and cut off.
    pub truncated: bool,
}

impl Crash {
    /// Nothing survives but what was synced.
    pub const HARD: Crash = Crash { kept: 0, torn: false };
}

impl Disk {
    /// An empty disk.
    pub fn new(policy: SyncPolicy) -> Disk {
        Disk { policy, ..Disk::default() }
    }

    /// When the log reaches the disk.
    pub fn policy(&self) -> SyncPolicy {
        self.policy
    }

    /// How many records a crash may lose.
    pub fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// When the next sync is due, if something waits for one.
    pub fn sync_at(&self) -> Option<Mono> {
        (!self.unsynced.is_empty()).then(|| self.synced_at.after_ms(SYNC_EVERY_MS))
    }

    /// Appends what a command did; with [`SyncPolicy::Always`] it is certain on return.
    pub fn append(&mut self, record: &Rc<Record>) {
        if record.writes.is_empty() || self.policy == SyncPolicy::Off {
            return;
        }
        self.unsynced.push_back(Rc::clone(record));
        if self.policy == SyncPolicy::Always || self.unsynced.len() > UNSYNCED_MAX {
            self.sync();
        }
    }

    /// Syncs if a second has passed.
    pub fn tick(&mut self, now: Mono) {
        if now >= self.synced_at.after_ms(SYNC_EVERY_MS) {
            self.sync();
            self.synced_at = now;
        }
    }

    /// Makes everything certain.
    pub fn sync(&mut self) {
        for record in self.unsynced.drain(..) {
            record.writes.iter().for_each(|write| self.synced.apply(write));
        }
    }

    /// Puts a whole data set in the place of the log: what a replica does with its primary's.
    pub fn replace(&mut self, store: &Store) {
        self.unsynced.clear();
        if self.policy != SyncPolicy::Off {
            self.synced = store.clone();
        }
    }

    /// The power fails and comes back: the synced records and the first `kept` of the others are read again.
    pub fn crash(&mut self, crash: Crash) -> Recovered {
        let kept = crash.kept.min(self.unsynced.len());
        let lost = self.unsynced.len() - kept;
        self.unsynced.truncate(kept);
        self.sync();
        Recovered { store: self.synced.clone(), lost, truncated: crash.torn && lost > 0 }
    }
}
