//! The `intents` log: append-only, partitioned, one record and one sync per group commit.
//!
//! One thread owns the [`Log`] and appends; any number of [`LogReader`]s read what is synced. What is written where:
//!
//! ```text
//! format                    a line that says whose directory this is; its appearance ends the creation
//! log.lock                  held by the one process that has the log open
//! segment-0000000001.log    a header of whole sectors, then groups of whole sectors
//! mark                      the least that must be found at the next opening, and a trail of what was synced since
//! *.new                     unfinished, never read; takes its place by a rename
//! ```
//!
//! A group is what one sync makes durable. The next group is written only after that sync has returned, so a group
//! that stands behind another proves that the other was durable once: damage before it is never a torn write.
//! Only the last group can be torn, and a torn write has a shape (too short, or whole sectors of zeros); everything else is damage,
//! and damage is refused.

mod create;
mod error;
mod group;
mod index;
mod mark;
mod reader;
mod recover;
mod sector;
mod segment;
mod writer;

pub use error::{LogError, OpenError};
pub use reader::LogReader;
pub use writer::Log;

/// One ordered stream of records: one per (sale, shard). The caller hands out the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u32);

/// A record's place in its partition: contiguous from 1, over all epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// One record as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The place that the log gave it.
    pub position: Position,
    /// The epoch of the shard that wrote it.
    pub epoch: u64,
    /// Its number within the epoch.
    pub seq: u64,
    /// The caller's bytes.
    pub payload: Vec<u8>,
}

/// Sizes of a log. They may differ from one opening to the next.
#[derive(Debug, Clone)]
pub struct Options {
    /// A segment that has reached so many bytes gets a successor: the unit in which space is freed, and what an opening reads at once.
    pub segment_bytes: u64,
    /// The most that may be appended between two syncs: it bounds the memory of the writer.
    pub group_bytes_max: usize,
    /// After so many groups the mark is written again. It costs two more syncs, so that 1,024 make it about 0.2 % of the work.
    pub mark_every_groups: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { segment_bytes: 64 << 20, group_bytes_max: 16 << 20, mark_every_groups: 1024 }
    }
}
