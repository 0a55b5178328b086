//! What stands in the key-value store's journals, as checksums: its own opening passes over some damage in silence,
//! cuts the file there, and takes rows of another age for the newest ones.
//!
//! A journal is written from its front to its end and holds zeros behind it; each batch ends with a byte that is not
//! zero. So everything up to the last byte that is not zero is final, and its checksum can be carried on.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes of one look: a group of commits is smaller as a rule.
const LOOK_BYTES: usize = 16 << 10;
/// Journals that are watched beside the one that is written: the store keeps at most 8 full ones.
pub const SEALED_MAX: usize = 14;

/// A journal's front that is final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Front {
    /// Which journal.
    pub id: u64,
    /// How many of its first bytes.
    pub bytes: u64,
    /// CRC32C of them.
    pub checksum: u32,
}

/// The journals of an open store, followed by their only writer.
pub struct Journals {
    rows: PathBuf,
    file: File,
    /// The one that is written.
    pub active: Front,
    /// Those before it that the store still has, oldest first.
    pub sealed: Vec<Front>,
}

impl Journals {
    /// Reads what the store has; it must be open and idle.
    pub fn follow(rows: &Path) -> io::Result<Journals> {
        let mut ids = ids(rows)?;
        let id = ids.pop().ok_or(io::ErrorKind::NotFound)?;
        let mut sealed = Vec::new();
        for id in ids {
            sealed.push(whole(rows, id)?);
        }
        let active = whole(rows, id)?;
        Ok(Journals { rows: rows.to_owned(), file: File::open(path(rows, id))?, active, sealed })
    }

    /// Takes in what was written and synced since.
    pub fn advance(&mut self) -> io::Result<()> {
        extend(&self.file, &mut self.active)?;
        while path(&self.rows, self.active.id + 1).exists() {
            // Nothing is written to a journal once the next one is there.
            extend(&self.file, &mut self.active)?;
            self.sealed.push(self.active);
            self.sealed.retain(|front| path(&self.rows, front.id).exists());
            if self.sealed.len() > SEALED_MAX {
                self.sealed.remove(0);
            }
            let id = self.active.id + 1;
            self.file = File::open(path(&self.rows, id))?;
            self.active = Front { id, ..Front::default() };
            extend(&self.file, &mut self.active)?;
        }
        Ok(())
    }
}

/// The first journal that is not what it was, or that cannot have left; the store is closed.
pub fn damaged(rows: &Path, active: Front, sealed: &[Front]) -> io::Result<Option<PathBuf>> {
    let newest = ids(rows)?.last().copied();
    for front in sealed.iter().chain([&active]) {
        let path = path(rows, front.id);
        if !path.exists() {
            // The store takes old journals away, and never the newest.
            if newest.is_none_or(|newest| newest <= front.id) {
                return Ok(Some(path));
            }
            continue;
        }
        if checksum_of(&path, front.bytes)? != Some(front.checksum) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn path(rows: &Path, id: u64) -> PathBuf {
    rows.join(format!("{id}.jnl"))
}

fn ids(rows: &Path) -> io::Result<Vec<u64>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(rows)? {
        let name = entry?.file_name();
        ids.extend(name.to_str().and_then(|name| name.strip_suffix(".jnl")).and_then(|id| id.parse::<u64>().ok()));
    }
    ids.sort_unstable();
    Ok(ids)
}

fn whole(rows: &Path, id: u64) -> io::Result<Front> {
    let mut front = Front { id, ..Front::default() };
    extend(&File::open(path(rows, id))?, &mut front)?;
    Ok(front)
}

/// Carries the checksum on to the last byte that is not zero, as far as looks without a gap find any.
fn extend(file: &File, front: &mut Front) -> io::Result<()> {
    let mut look = [0; LOOK_BYTES];
    loop {
        let count = file.read_at(&mut look, front.bytes)?;
        let Some(last) = look[..count].iter().rposition(|byte| *byte != 0) else { return Ok(()) };
        front.checksum = crc32c::crc32c_append(front.checksum, &look[..=last]);
        front.bytes += last as u64 + 1;
    }
}

/// `None` when the file is shorter.
fn checksum_of(path: &Path, bytes: u64) -> io::Result<Option<u32>> {
    let (file, mut look) = (File::open(path)?, vec![0; 1 << 20]);
    let (mut done, mut checksum) = (0, 0);
    while done < bytes {
        let wanted = look.len().min((bytes - done) as usize);
        let count = file.read_at(&mut look[..wanted], done)?;
        if count == 0 {
            return Ok(None);
        }
        checksum = crc32c::crc32c_append(checksum, &look[..count]);
        done += count as u64;
    }
    Ok(Some(checksum))
}
