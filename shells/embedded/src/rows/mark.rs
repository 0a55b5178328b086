//! The belt of the rows: a file beside them that says up to which commit they were synced, and what their journals hold.
//!
//! The key-value store opens without a word after some kinds of damage. So every group of commits writes its number into
//! the rows, this file remembers the last number that was synced with the checksums of the journals at that moment, and
//! an opening that finds less, or something else, refuses. The checksums are compared before the store is touched.

use super::journal::{Front, Journals, SEALED_MAX};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Two places in different sectors, written in turn: a torn write of one leaves the other.
const SLOT_BYTES: usize = 512;
const FRONT_BYTES: usize = 20;
/// A checksum, the number, and as many fronts as there are.
const NOTE_BYTES_MAX: usize = 4 + 8 + 1 + (1 + SEALED_MAX) * FRONT_BYTES;
/// Notes between two syncs of this file. What was noted since is lost only with the power, never with the process.
const SYNC_EVERY: u64 = 1024;

const _: () = assert!(NOTE_BYTES_MAX <= SLOT_BYTES, "a note is torn as a whole or not at all");

/// What was synced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// The number of the last group of commits.
    pub number: u64,
    /// The journal that was written then; absent before the first group.
    pub active: Option<Front>,
    /// The journals before it.
    pub sealed: Vec<Front>,
}

/// The open mark.
pub struct Mark {
    file: File,
    last: Note,
    synced: u64,
}

impl Mark {
    /// Where the mark of these rows stands.
    pub fn path(rows: &Path) -> PathBuf {
        rows.with_extension("mark")
    }

    /// Makes a mark that demands nothing, all or nothing.
    pub fn create(rows: &Path) -> io::Result<()> {
        let unfinished = rows.with_extension("mark.new");
        let mut file = File::create(&unfinished)?;
        let mut bytes = encode(&Note::default()).to_vec();
        bytes.resize(2 * SLOT_BYTES, 0);
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, Mark::path(rows))
    }

    /// Opens the mark; `None` when neither place holds a note.
    pub fn open(rows: &Path) -> io::Result<Option<Mark>> {
        let file = OpenOptions::new().read(true).write(true).open(Mark::path(rows))?;
        let read = |slot: u64| {
            let mut bytes = [0; SLOT_BYTES];
            file.read_exact_at(&mut bytes, slot * SLOT_BYTES as u64).ok()?;
            decode(&bytes)
        };
        let newest = [read(0), read(1)].into_iter().flatten().max_by_key(|note| note.number);
        Ok(newest.map(|last| Mark { file, synced: last.number, last }))
    }

    /// What the rows must have.
    pub fn last(&self) -> &Note {
        &self.last
    }

    /// The rows are synced up to this number, with these journals.
    pub fn note(&mut self, number: u64, journals: &Journals) -> io::Result<()> {
        assert!(number > self.last.number, "commits are numbered upwards");
        self.last = Note { number, active: Some(journals.active), sealed: journals.sealed.clone() };
        self.file.write_all_at(&encode(&self.last), (number % 2) * SLOT_BYTES as u64)?;
        if number - self.synced >= SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    /// What is noted survives a loss of power from now on.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.synced = self.last.number;
        Ok(())
    }
}

fn encode(note: &Note) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[4..12].copy_from_slice(&note.number.to_le_bytes());
    let fronts: Vec<&Front> = note.active.iter().chain(&note.sealed).collect();
    bytes[12] = fronts.len() as u8;
    for (place, front) in bytes[13..].chunks_exact_mut(FRONT_BYTES).zip(fronts) {
        place[..8].copy_from_slice(&front.id.to_le_bytes());
        place[8..16].copy_from_slice(&front.bytes.to_le_bytes());
        place[16..].copy_from_slice(&front.checksum.to_le_bytes());
    }
    let checksum = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<Note> {
    // An empty place has a checksum of its own, which is not zero.
    if crc32c::crc32c(&bytes[4..]).to_le_bytes() != bytes[..4] {
        return None;
    }
    let number = |at: &[u8]| u64::from_le_bytes(at.try_into().expect("eight bytes"));
    let front = |place: &[u8]| Front {
        id: number(&place[..8]),
        bytes: number(&place[8..16]),
        checksum: u32::from_le_bytes(place[16..].try_into().expect("four bytes")),
    };
    let mut fronts = bytes[13..].chunks_exact(FRONT_BYTES).take(usize::from(bytes[12])).map(front);
    Some(Note { number: number(&bytes[4..12]), active: fronts.next(), sealed: fronts.collect() })
}
