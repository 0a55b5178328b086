//! The creation of a log, and whose directory it is.

use super::error::OpenError;
use super::mark::{self, Mark};
use super::segment::{self, SegmentHeader};
use crate::disk::Disk;
use std::collections::BTreeMap;
use std::io;

/// The lock file. It holds nothing and proves nothing.
pub const LOCK: &str = "log.lock";
const FORMAT: &str = "format";
const FORMAT_NEW: &str = "format.new";
const FORMAT_LINE: &str = "doorbuster log, format 1\n";
/// A segment before it has its name.
pub const SEGMENT_NEW: &str = "segment.new";

/// What a directory is, by the names in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Empty,
    /// A creation of ours that was interrupted.
    Unfinished,
    /// A log.
    Log,
}

/// Says what the directory is, from its names, without touching it.
pub fn recognise(disk: &dyn Disk) -> Result<Found, OpenError> {
    let names = disk.list().map_err(OpenError::io("."))?;
    let has = |name: &str| names.iter().any(|held| held == name);
    if has(FORMAT) {
        return Ok(Found::Log);
    }
    let first = segment::name(1);
    let made_before_format = [LOCK, FORMAT_NEW, SEGMENT_NEW, mark::NAME, mark::NAME_NEW, first.as_str()];
    let ours = |name: &&String| made_before_format.contains(&name.as_str()) || segment::number(name).is_some();
    if let Some(foreign) = names.iter().find(|name| !ours(name)) {
        return Err(OpenError::Foreign { file: foreign.clone() });
    }
    if has(FORMAT_NEW) && names.iter().all(|name| made_before_format.contains(&name.as_str())) {
        return Ok(Found::Unfinished);
    }
    if names.iter().all(|name| name == LOCK) {
        return Ok(Found::Empty);
    }
    // Our files without the one that is made first and renamed last: somebody has taken it away.
    Err(OpenError::Missing { file: FORMAT.to_owned() })
}

/// Makes an empty log, or completes the making of one: each step may be done twice.
///
/// 1. `format.new` appears: from now on the directory is known as ours.
/// 2. The first segment and the mark appear, each by a rename of a synced file.
/// 3. `format.new` becomes `format`: from now on it is a log, and records may be in it.
pub fn create(disk: &dyn Disk, found: Found) -> Result<(), OpenError> {
    let first = SegmentHeader { number: 1, previous_bytes: 0, group: 1, next: BTreeMap::new() };
    let header = first.encode();
    if found == Found::Unfinished {
        let held = disk.length(&segment::name(1)).unwrap_or(0);
        if held > header.len() as u64 {
            return Err(OpenError::Missing { file: FORMAT.to_owned() });
        }
    }
    let mark = Mark { lowest_segment: 1, highest_segment: 1, group: 0, positions: BTreeMap::new() };
    let steps = || -> io::Result<()> {
        disk.create(FORMAT_NEW)?;
        disk.append(FORMAT_NEW, FORMAT_LINE.as_bytes())?;
        disk.sync(FORMAT_NEW)?;
        disk.sync_names()?;
        install_segment(disk, 1, &header)?;
        mark.write(disk)?;
        disk.rename(FORMAT_NEW, FORMAT)?;
        disk.sync_names()
    };
    steps().map_err(OpenError::io(FORMAT))
}

/// Makes a segment appear under its name with these bytes in it, all or nothing, and durably.
pub fn install_segment(disk: &dyn Disk, number: u64, bytes: &[u8]) -> io::Result<()> {
    disk.create(SEGMENT_NEW)?;
    disk.append(SEGMENT_NEW, bytes)?;
    disk.sync(SEGMENT_NEW)?;
    disk.rename(SEGMENT_NEW, &segment::name(number))?;
    disk.sync_names()
}

/// Reads the line in `format`.
pub fn check_format(disk: &dyn Disk) -> Result<(), OpenError> {
    let mut bytes = [0; 64];
    let count = disk.read(FORMAT, 0, &mut bytes).map_err(OpenError::io(FORMAT))?;
    if &bytes[..count] == FORMAT_LINE.as_bytes() {
        return Ok(());
    }
    let found = String::from_utf8_lossy(&bytes[..count]).into_owned();
    Err(OpenError::Format { file: FORMAT.to_owned(), found })
}
