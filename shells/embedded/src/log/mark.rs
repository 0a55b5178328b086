//! The mark: the least that must be found at the next opening.
//!
//! It detects what the segments cannot tell of themselves: that the last of them is missing, that the last was cut
//! short at the end of a group, that a whole group at the end reads as zeros, that the first is missing. It cannot
//! detect the loss of groups at the end that were synced after it, if the loss looks like a torn write: the file cut
//! short, or zeros from the first lost group's first sector on. The trail behind the mark narrows this to what was
//! synced in the last seconds before a loss of power; after a kill it covers everything but a group whose entry the
//! kill prevented, which nobody was told of.

use super::error::OpenError;
use super::sector::{self, Numbers};
use super::segment::FORMAT;
use super::{Partition, Position};
use crate::disk::Disk;
use std::collections::BTreeMap;
use std::io;

/// The mark's file.
pub const NAME: &str = "mark";
/// The mark before it has its name.
pub const NAME_NEW: &str = "mark.new";
/// Magic, format, the content's length.
const HEAD_PREFIX_BYTES: usize = 16;
/// A group's number and its checksum.
const TRAIL_BYTES: usize = 12;
const MAGIC: u64 = u64::from_le_bytes(*b"DBmarkfl");

/// What was durable when the mark was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The segments that must be there.
    pub lowest_segment: u64,
    pub highest_segment: u64,
    /// The number of the last group that was known to be synced.
    pub group: u64,
    /// For each partition its first readable and its last synced position.
    pub positions: BTreeMap<Partition, (Position, Position)>,
}

impl Mark {
    /// Writes the mark aside and puts it in the old one's place.
    pub fn write(&self, disk: &dyn Disk) -> io::Result<()> {
        disk.create(NAME_NEW)?;
        disk.append(NAME_NEW, &self.encode())?;
        disk.sync(NAME_NEW)?;
        disk.rename(NAME_NEW, NAME)?;
        disk.sync_names()
    }

    /// Notes behind the mark that a later group is synced: without a sync, so that it costs next to nothing. It
    /// survives a kill at once, and a loss of power some seconds later.
    pub fn append_trail(disk: &dyn Disk, group: u64) -> io::Result<()> {
        let mut entry = Vec::with_capacity(TRAIL_BYTES);
        entry.extend_from_slice(&group.to_le_bytes());
        sector::seal(&mut entry);
        disk.append(NAME, &entry)
    }

    /// Reads the mark and what stands behind it.
    pub fn read(disk: &dyn Disk) -> Result<Mark, OpenError> {
        let length = disk.length(NAME).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => OpenError::Missing { file: NAME.to_owned() },
            _ => OpenError::Io { file: NAME.to_owned(), error },
        })?;
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| OpenError::damaged(NAME, 0, "it is too long"))?];
        let count = disk.read(NAME, 0, &mut bytes).map_err(OpenError::io(NAME))?;
        Mark::decode(&bytes[..count]).ok_or_else(|| OpenError::damaged(NAME, 0, "its checksum is wrong"))
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&MAGIC.to_le_bytes());
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        let content_bytes = 24 + 20 * self.positions.len();
        bytes.extend_from_slice(&(content_bytes as u32).to_le_bytes());
        bytes.extend_from_slice(&self.lowest_segment.to_le_bytes());
        bytes.extend_from_slice(&self.highest_segment.to_le_bytes());
        bytes.extend_from_slice(&self.group.to_le_bytes());
        for (partition, (first, last)) in &self.positions {
            bytes.extend_from_slice(&partition.0.to_le_bytes());
            bytes.extend_from_slice(&first.0.to_le_bytes());
            bytes.extend_from_slice(&last.0.to_le_bytes());
        }
        sector::seal(&mut bytes);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Mark> {
        let mut numbers = Numbers(bytes);
        if numbers.eight()? != MAGIC || numbers.four()? != FORMAT {
            return None;
        }
        let head_bytes = HEAD_PREFIX_BYTES + numbers.four()? as usize + 4;
        let (head, trail) = bytes.split_at_checked(head_bytes)?;
        let mut numbers = Numbers(&sector::unseal(head)?[HEAD_PREFIX_BYTES..]);
        let (lowest_segment, highest_segment, group) = (numbers.eight()?, numbers.eight()?, numbers.eight()?);
        let mut positions = BTreeMap::new();
        while !numbers.0.is_empty() {
            let partition = Partition(numbers.four()?);
            positions.insert(partition, (Position(numbers.eight()?), Position(numbers.eight()?)));
        }
        // An entry that was not written, or is broken, proves nothing.
        let noted = trail.chunks_exact(TRAIL_BYTES).filter_map(|entry| Numbers(sector::unseal(entry)?).eight());
        let group = noted.fold(group, u64::max);
        Some(Mark { lowest_segment, highest_segment, group, positions })
    }
}
