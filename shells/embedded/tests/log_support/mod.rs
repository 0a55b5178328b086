//! What the tests of the log share.
#![allow(dead_code, reason = "each test binary uses its own part of it")]

use doorbuster_embedded::disk::{Disk, ModelDisk};
use doorbuster_embedded::log::{Log, OpenError, Options, Partition, Position, Record};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Small sizes, so that a few records fill a segment.
pub fn small() -> Options {
    Options { segment_bytes: 8 << 10, group_bytes_max: 64 << 10, mark_every_groups: 1024 }
}

/// Steele, Lea and Flood: Fast Splittable Pseudorandom Number Generators, 2014.
pub struct Draws(pub u64);

impl Draws {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// A payload that only this record has; every third holds runs of zeros, which look like unwritten sectors.
pub fn payload(partition: u32, position: u64, bytes: usize) -> Vec<u8> {
    let mut draws = Draws(u64::from(partition) << 40 | position);
    let zeros = position.is_multiple_of(3);
    let byte = |index: usize| if zeros && index % 2048 > 100 { 0 } else { draws.below(256) as u8 };
    (0..bytes).map(byte).collect()
}

/// Every readable record of a partition, read in small pieces.
pub fn all(log: &Log, partition: u32) -> Vec<Record> {
    let partition = Partition(partition);
    let (mut next, last) = (log.first(partition), log.last(partition));
    let mut records = Vec::new();
    while next <= last {
        let read = log.read(partition, next, 3000).unwrap();
        assert!(!read.is_empty(), "position {} is not above the last, {}", next.0, last.0);
        next = Position(next.0 + read.len() as u64);
        records.extend(read);
    }
    records
}

/// How a process ended that had written and synced everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Closed,
    Killed,
    /// The power went before the trail behind the mark was written back.
    PowerLost,
}

pub const ENDS: [End; 3] = [End::Closed, End::Killed, End::PowerLost];

/// The bytes of one group of [`written`], padding included.
pub const GROUP_BYTES: usize = 1024;

/// The groups of [`written`] that the mark itself knows: those in the first segment.
pub const MARKED: usize = 8;

/// Twelve groups of one record each in two partitions, all synced: eight in the first segment, four in the second.
pub fn written(end: End) -> Arc<ModelDisk> {
    let disk = Arc::new(ModelDisk::new());
    let mut log = open(&disk).unwrap();
    for position in 1..=6 {
        for partition in 1..=2 {
            log.append(Partition(partition), 1, position, &payload(partition, position, 900)).unwrap();
            log.sync().unwrap();
        }
    }
    match end {
        End::Closed => log.close().unwrap(),
        End::Killed => {}
        End::PowerLost => disk.rot("mark", |bytes| bytes.truncate(bytes.len() - 4 * 12)),
    }
    disk
}

/// A disk with the same files, all of them synced.
pub fn copy(files: &BTreeMap<String, Vec<u8>>) -> Arc<ModelDisk> {
    let disk = ModelDisk::new();
    for (name, bytes) in files {
        disk.create(name).unwrap();
        disk.append(name, bytes).unwrap();
        disk.sync(name).unwrap();
    }
    disk.sync_names().unwrap();
    Arc::new(disk)
}

pub fn open(disk: &Arc<ModelDisk>) -> Result<Log, OpenError> {
    Log::open_on(Arc::clone(disk) as Arc<dyn Disk>, small())
}

/// How many of the records of [`written`] are there: panics on a gap and on anything that was not appended.
pub fn intact(log: &Log) -> usize {
    let mut count = 0;
    for partition in 1..=2 {
        for (record, position) in all(log, partition).iter().zip(1..) {
            assert_eq!((record.position.0, record.seq, record.epoch), (position, position, 1));
            assert_eq!(record.payload, payload(partition, position, 900));
            count += 1;
        }
    }
    count
}
