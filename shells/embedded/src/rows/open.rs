//! Opening the rows: made whole or not at all, recognised before anything is touched, checked against their mark.

use super::belt::{self, Lost};
use super::journal::{self, Journals};
use super::key;
use super::mark::Mark;
use super::read::{self, ReadError};
use super::store::Shelf;
use super::write;
use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What the rows are written as; another number is another version of the platform.
const FORMAT: u32 = 2;
/// What the key-value store has in its directory from its creation on. It makes them anew where they are missing, and
/// with them an empty store, so they are looked for first.
const PARTS: [&str; 2] = ["version", "keyspaces"];

/// Why the rows were not opened.
#[derive(Debug, Error)]
pub enum OpenRowsError {
    /// Another store of this or another process has them open.
    #[error("{path}: the rows are in use")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The key-value store refused.
    #[error("{path}: the rows cannot be opened: {error}")]
    Store {
        /// The directory.
        path: PathBuf,
        /// What the store said.
        error: fjall::Error,
    },
    /// The system refused.
    #[error("{path}: {error}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A part is gone.
    #[error("{path}: is missing: the rows are damaged, restore them from a copy")]
    Missing {
        /// The part.
        path: PathBuf,
    },
    /// The mark beside the rows does not say anything.
    #[error("{path}: holds no number: the mark of the rows is damaged, restore it with its rows from a copy")]
    Mark {
        /// The file.
        path: PathBuf,
    },
    /// A journal of the key-value store is not what was written.
    #[error("{path}: is not what was synced: the rows are damaged or of an older copy; nothing has been changed")]
    Journal {
        /// The file.
        path: PathBuf,
    },
    /// Commits are missing at the end.
    #[error("{path}: ends at commit {found}, but {synced} was synced: the rows are damaged or of an older copy")]
    EndLost {
        /// The directory.
        path: PathBuf,
        /// The last commit that is there.
        found: u64,
        /// The last one that was synced.
        synced: u64,
    },
    /// Commits are missing before others.
    #[error("{path}: commits about number {missing} are gone: the rows are damaged, restore them from a copy")]
    MiddleLost {
        /// The directory.
        path: PathBuf,
        /// The first number that should have left a tick and has not.
        missing: u64,
    },
    /// The rows are of another format.
    #[error("{path}: the rows are of format {found}, and this version reads format {FORMAT}")]
    Format {
        /// The directory.
        path: PathBuf,
        /// What stands there.
        found: u32,
    },
    /// A row does not parse.
    #[error("{path}: {error}")]
    Read {
        /// The directory.
        path: PathBuf,
        /// Which way.
        error: ReadError,
    },
}

/// Makes the rows where there are none, and does not open them. Repeating a killed creation begins it again: the rows
/// appear by the last rename, their mark before them.
pub fn create(directory: &Path) -> Result<(), OpenRowsError> {
    if directory.exists() {
        return Ok(());
    }
    let unfinished = directory.with_extension("new");
    let io = |error| OpenRowsError::Io { path: unfinished.clone(), error };
    // A mark that demands commits is of rows that are gone.
    let mark = Mark::path(directory);
    if mark.exists() && open_mark(directory)?.last().number > 0 {
        return Err(OpenRowsError::Missing { path: directory.to_owned() });
    }
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(io)?;
    }
    let shelf = open_at(&unfinished)?;
    let refused = |error| OpenRowsError::Store { path: unfinished.clone(), error };
    shelf.rows.insert(key::format(), write::encode(&FORMAT)).map_err(refused)?;
    shelf.database.persist(PersistMode::SyncAll).map_err(refused)?;
    drop(shelf);
    Mark::create(directory).map_err(|error| OpenRowsError::Io { path: mark, error })?;
    fs::rename(&unfinished, directory).map_err(io)?;
    let parent = directory.parent().unwrap_or(Path::new("."));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(io)
}

/// Looks whether the parts of made rows are there, without touching them.
pub fn check_parts(directory: &Path) -> Result<(), OpenRowsError> {
    let parts = PARTS.map(|part| directory.join(part));
    for part in [directory.to_owned(), Mark::path(directory)].into_iter().chain(parts) {
        if !part.exists() {
            return Err(OpenRowsError::Missing { path: part });
        }
    }
    Ok(())
}

/// Open rows, and what their writer goes on from.
pub struct Opened {
    pub shelf: Shelf,
    pub mark: Mark,
    pub journals: Journals,
    /// Of the last group of commits.
    pub number: u64,
}

/// Opens made rows, with their mark and the number of their last commit.
pub fn open(directory: &Path) -> Result<Opened, OpenRowsError> {
    check_parts(directory)?;
    let mark = open_mark(directory)?;
    let io = |error| OpenRowsError::Io { path: directory.to_owned(), error };
    if let Some(active) = mark.last().active
        && let Some(path) = journal::damaged(directory, active, &mark.last().sealed).map_err(io)?
    {
        return Err(OpenRowsError::Journal { path });
    }
    let shelf = open_at(directory)?;
    let path = directory.to_owned();
    let unread = |error| OpenRowsError::Read { path: path.clone(), error };
    match belt::check(&shelf, &mark).map_err(unread)? {
        Ok(number) => {
            let found: Option<u32> =
                read::one(&shelf.database.snapshot(), &shelf.rows, &key::format()).map_err(unread)?;
            if found != Some(FORMAT) {
                return Err(OpenRowsError::Format { path, found: found.unwrap_or(0) });
            }
            let journals = Journals::follow(directory).map_err(io)?;
            Ok(Opened { shelf, mark, journals, number })
        }
        Err(Lost::End { found, synced }) => Err(OpenRowsError::EndLost { path, found, synced }),
        Err(Lost::Middle { missing }) => Err(OpenRowsError::MiddleLost { path, missing }),
    }
}

fn open_mark(directory: &Path) -> Result<Mark, OpenRowsError> {
    let path = Mark::path(directory);
    match Mark::open(directory) {
        Ok(Some(mark)) => Ok(mark),
        Ok(None) => Err(OpenRowsError::Mark { path }),
        Err(error) => Err(OpenRowsError::Io { path, error }),
    }
}

fn open_at(path: &Path) -> Result<Shelf, OpenRowsError> {
    let refused = |error| match error {
        fjall::Error::Locked => OpenRowsError::InUse { path: path.to_owned() },
        error => OpenRowsError::Store { path: path.to_owned(), error },
    };
    let database = Database::builder(path).open().map_err(refused)?;
    let rows = database.keyspace("rows", KeyspaceCreateOptions::default).map_err(refused)?;
    let outbox = database.keyspace("outbox", KeyspaceCreateOptions::default).map_err(refused)?;
    Ok(Shelf { database, rows, outbox })
}
