//! The shards' server of a platform that is one process with one disk: its memory, and the log that makes it durable.
//!
//! The server is the product's own, stepped without its thread, over the product's own log and a disk that loses what a
//! disk may lose. It stands behind the feature `disk`: a build without it knows such plans and cannot run them.

#[cfg(feature = "disk")]
mod convert;
#[cfg(feature = "disk")]
mod server;

use super::node;
use super::{ServiceEffect, ServiceEvent};
use crate::seed::Seed;
use doorbuster_core::ids::{Epoch, ServerId, ShardId};
use doorbuster_core::inbox::{Offset, Record};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::ledger::shard::Shard;
use doorbuster_core::oracle::probe::Probe;
use doorbuster_core::time::{Mono, Now};

/// What is asked of the log, beside what is asked of every server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DurableRequest {
    /// Puts the seal of an epoch behind all of it.
    AppendSeal {
        /// Whose.
        shard: ShardId,
        /// Which ends.
        epoch: Epoch,
    },
    /// Where intake goes on.
    Attend,
    /// Synced records; waits a moment for the first.
    Fetch {
        /// First record wanted.
        from: Offset,
        /// Most records.
        limit: usize,
    },
    /// Keeps intake's place.
    Commit {
        /// First record that is not done.
        next: Offset,
    },
    /// Keeps a record that is no intent beside the rows.
    SetAside {
        /// Which.
        offset: Offset,
    },
}

/// What the log tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DurableReply {
    /// First record that is not known to be done.
    Place(Offset),
    /// Of a fetch.
    Records(Vec<Record<Intent>>),
    /// Of everything that has nothing to tell.
    Kept,
}

impl DurableRequest {
    /// What is in flight while it is.
    pub fn stage(&self) -> &'static str {
        match self {
            DurableRequest::AppendSeal { .. } => "an epoch ends",
            DurableRequest::Attend => "an attendance",
            DurableRequest::Fetch { .. } => "published, not read",
            DurableRequest::Commit { .. } => "done, not committed",
            DurableRequest::SetAside { .. } => "a dead letter",
        }
    }
}

/// What becomes of the disk when the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing: the system goes on.
    Nothing,
    /// The power goes, and with it everything that was not synced.
    Unsynced,
    /// The power goes, and of what was not synced any part survives.
    Torn,
}

/// What a disk did instead of what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFailure {
    /// It stopped with its process.
    Killed,
    /// It did not take the pages.
    SyncFailed,
    /// It had no room.
    Full,
}

/// Why a start did not come to an open log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenRefusal {
    /// The disk failed in it; the next start tries again.
    Disk(DiskFailure),
    /// What stands there is not what was synced: the platform never comes back by itself.
    Lost(String),
}

/// A step of the epoch ladder that this server took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// A seal is durable, and its keeper has not heard so.
    Sealed,
    /// A chunk of a load was taken.
    Loaded,
    /// A memory was opened.
    Opened,
}

/// The server and its disk. The disk outlives the server.
pub trait DurableServer {
    /// A request arrives, or a time comes. Requests are those about a shard or the log.
    fn step(&mut self, now: Now, event: ServiceEvent<node::Request>, out: &mut Vec<ServiceEffect<node::Reply>>);

    /// When its time comes next.
    fn wake_at(&self) -> Option<(Mono, &'static str)>;

    /// Starts on what the disk has, under this identity, with empty memories.
    ///
    /// # Errors
    /// See [`OpenRefusal`].
    fn open(&mut self, identity: ServerId) -> Result<Vec<Probe>, OpenRefusal>;

    /// Whether it serves.
    fn is_up(&self) -> bool;

    /// The process is gone. Returns the calls that waited here, and whether the disk lost anything.
    fn go_down(&mut self, loss: Loss) -> (Vec<u64>, bool);

    /// How the disk failed in the last step, if it did: the process must end. It says so once.
    fn ended(&mut self) -> Option<DiskFailure>;

    /// Steps of the ladder since somebody asked.
    fn rungs(&mut self) -> Vec<Rung>;

    /// The memory of a shard.
    fn shard(&self, shard: ShardId) -> Option<&Shard>;

    /// Every intent that was ever synced, in its order.
    fn intents(&self) -> &[Intent];

    /// Synced records that intake has not done.
    fn lag(&self) -> u64;

    /// Intake's place goes back by so many records. Whether it did.
    fn rewind(&mut self, records: u64) -> bool;

    /// The process is killed in the n-th operation on its disk from now on, counted from 0.
    fn stop_at(&mut self, operation: u64);

    /// The n-th sync from now on fails, counted from 1.
    fn fail_sync(&mut self, nth: u64);

    /// Whether a sync failed since the start, told or not.
    fn sync_failed(&self) -> bool;

    /// Failed syncs are not told of: the planted bug of a log that does not look.
    fn hide_failures(&mut self);

    /// The disk has room for so many bytes more.
    fn fill(&mut self, bytes_left: usize);

    /// The disk does what it is asked for again.
    fn calm(&mut self);
}

/// The platform's server over an empty disk; nothing in a build without the feature `disk`.
pub fn server(seed: Seed) -> Option<Box<dyn DurableServer>> {
    #[cfg(feature = "disk")]
    return Some(Box::new(server::Server::new(seed)));
    #[cfg(not(feature = "disk"))]
    {
        let _unused = seed;
        None
    }
}
