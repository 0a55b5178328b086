//! The belt of the rows: a file beside them that says up to which commit they were synced.
//!
//! The key-value store opens without a word after some kinds of damage (a flipped byte in the header of a journal
//! record drops that record and all behind it; a missing journal is not missed). So every group of commits writes its
//! number into the rows, this file remembers the last number that was synced, and an opening that finds a lower one refuses.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Two places in different sectors, written in turn: a torn write of one leaves the other.
const SLOT_BYTES: u64 = 512;
/// The number and its checksum.
const NOTE_BYTES: usize = 12;
/// Notes between two syncs of this file. What was noted since is lost only with the power, never with the process.
const SYNC_EVERY: u64 = 1024;

/// The open mark.
pub struct Mark {
    file: File,
    noted: u64,
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
        let mut bytes = vec![0; 2 * SLOT_BYTES as usize];
        bytes[..NOTE_BYTES].copy_from_slice(&encode(0));
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, Mark::path(rows))
    }

    /// Opens the mark; `None` when neither place holds a note.
    pub fn open(rows: &Path) -> io::Result<Option<Mark>> {
        let file = OpenOptions::new().read(true).write(true).open(Mark::path(rows))?;
        let read = |slot: u64| {
            let mut bytes = [0; NOTE_BYTES];
            file.read_exact_at(&mut bytes, slot * SLOT_BYTES).ok()?;
            decode(bytes)
        };
        let noted = read(0).max(read(1));
        Ok(noted.map(|noted| Mark { file, noted, synced: noted }))
    }

    /// The number that the rows must have reached.
    pub fn noted(&self) -> u64 {
        self.noted
    }

    /// The rows are synced up to this number.
    pub fn note(&mut self, number: u64) -> io::Result<()> {
        assert!(number > self.noted, "commits are numbered upwards");
        self.file.write_all_at(&encode(number), (number % 2) * SLOT_BYTES)?;
        self.noted = number;
        if number - self.synced >= SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    /// What is noted survives a loss of power from now on.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.synced = self.noted;
        Ok(())
    }
}

fn encode(number: u64) -> [u8; NOTE_BYTES] {
    let mut bytes = [0; NOTE_BYTES];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..].copy_from_slice(&crc32c::crc32c(&number.to_le_bytes()).to_le_bytes());
    bytes
}

fn decode(bytes: [u8; NOTE_BYTES]) -> Option<u64> {
    let number = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
    (encode(number) == bytes).then_some(number)
}
