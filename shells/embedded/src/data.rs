//! The data directory: whose it is, and what stands in it.
//!
//! ```text
//! doorbuster.format    one line: this is ours, of which format, and whether its creation was completed
//! dev.key              the key of development tokens and receipts, mode 0600
//! log/                 intents
//! rows/                everything else
//! rows.mark            up to which commit the rows were synced
//! *.new                unfinished; takes its place by a rename
//! ```
//!
//! Nothing foreign is ever written to: a directory with other content and without the first file is refused. The
//! directory itself is locked, not a file in it, so that finding out who owns it leaves no trace.

use crate::log::{Log, OpenError, Options};
use crate::rows::{OpenRowsError, RowsStore, check_rows, create_rows};
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::Unavailable;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

const FORMAT_FILE: &str = "doorbuster.format";
const KEY_FILE: &str = "dev.key";
const LOG: &str = "log";
const ROWS: &str = "rows";
const CREATING: &str = "doorbuster data directory, format 1, creating\n";
const COMPLETE: &str = "doorbuster data directory, format 1, complete\n";
/// The key is four times 64 bits in hexadecimal digits.
const KEY_DIGITS: usize = 64;

/// An open data directory.
pub struct DataDirectory {
    /// The log of intents.
    pub log: Log,
    /// The rows; their writer holds the directory's lock.
    pub rows: RowsStore,
    /// The secret of development tokens and receipts.
    pub dev_key: Vec<u8>,
}

/// Why a data directory was not opened. Nothing in it was changed, except what the parts say of themselves.
#[derive(Debug, Error)]
pub enum OpenDataError {
    /// It has content that is not ours.
    #[error("{path}: not a doorbuster data directory, and not empty: name an empty or missing directory with --data")]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// Another process works with it.
    #[error("{path}: another doorbuster is running in this directory: stop it, or name another directory with --data")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// Its first file says something else.
    #[error("{path}: says {found:?}, expected {COMPLETE:?}: another version's directory, or damaged")]
    Format {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// A part of a completed directory is gone.
    #[error("{path}: is missing: the data directory is damaged, restore it from a copy")]
    Missing {
        /// The part.
        path: PathBuf,
    },
    /// The key is not one that was made here.
    #[error("{path}: is not a key of {KEY_DIGITS} hexadecimal digits: damaged, restore it from a copy")]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// The log refused.
    #[error("{path}: {error}")]
    Log {
        /// The log's directory.
        path: PathBuf,
        /// What it said.
        error: OpenError,
    },
    /// The rows refused.
    #[error(transparent)]
    Rows(OpenRowsError),
    /// The rows could be opened and not read.
    #[error("{path}: {error}")]
    Unreadable {
        /// The rows' directory.
        path: PathBuf,
        /// What they said.
        error: Unavailable,
    },
    /// The rows have decided more of the log than there is.
    #[error("{path}: ends at record {last}, but the rows have decided up to {decided}: the log was cut or replaced")]
    LogBehindRows {
        /// The log's directory.
        path: PathBuf,
        /// Its last record.
        last: u64,
        /// What the rows know.
        decided: u64,
    },
}

impl DataDirectory {
    /// Opens the directory, or makes it where there is none or an empty one. A creation that was killed is completed.
    pub fn open(path: &Path, env: &SharedEnv) -> Result<DataDirectory, OpenDataError> {
        fs::create_dir_all(path).map_err(io_error(path))?;
        let complete = is_complete(path)?;
        let lock = lock(path)?;
        // Asked again: the last owner may have completed the creation between the look and the lock.
        if !complete && !is_complete(path)? {
            create(path, env)?;
        }
        check_parts(path)?;
        let dev_key = read_dev_key(path)?;
        let log = open_log(path)?;
        let rows = RowsStore::open_locked(&path.join(ROWS), env.clone(), Some(lock)).map_err(rows_error(path))?;
        let decided = rows.intents_offset();
        let decided = decided.map_err(|error| OpenDataError::Unreadable { path: path.join(ROWS), error })?;
        let last = log.last(crate::server::PARTITION).0;
        if decided > last {
            return Err(OpenDataError::LogBehindRows { path: path.join(LOG), last, decided });
        }
        Ok(DataDirectory { log, rows, dev_key })
    }
}

/// The development key of an existing data directory: what signs tokens.
pub fn read_dev_key(path: &Path) -> Result<Vec<u8>, OpenDataError> {
    let file = path.join(KEY_FILE);
    let key = fs::read(&file).map_err(io_error(&file))?;
    // Whoever knows the key is an operator: an empty or cut one would let everybody in.
    let whole = key.len() == KEY_DIGITS && key.iter().all(u8::is_ascii_hexdigit);
    if whole { Ok(key) } else { Err(OpenDataError::Key { path: file }) }
}

fn lock(path: &Path) -> Result<File, OpenDataError> {
    let directory = File::open(path).map_err(io_error(path))?;
    match directory.try_lock() {
        Ok(()) => Ok(directory),
        Err(TryLockError::WouldBlock) => Err(OpenDataError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io_error(path)(error)),
    }
}

fn is_complete(path: &Path) -> Result<bool, OpenDataError> {
    let file = path.join(FORMAT_FILE);
    match fs::read(&file) {
        Ok(text) if text == COMPLETE.as_bytes() => Ok(true),
        Ok(text) if text == CREATING.as_bytes() => Ok(false),
        Ok(found) => {
            let found = String::from_utf8_lossy(&found).chars().take(80).collect();
            Err(OpenDataError::Format { path: file, found })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let ours = unfinished(FORMAT_FILE);
            for entry in fs::read_dir(path).map_err(io_error(path))? {
                if entry.map_err(io_error(path))?.file_name().to_str() != Some(ours.as_str()) {
                    return Err(OpenDataError::Foreign { path: path.to_owned() });
                }
            }
            Ok(false)
        }
        Err(error) => Err(io_error(&file)(error)),
    }
}

/// Each step can be repeated: nothing is promised to anybody before the last one.
fn create(path: &Path, env: &SharedEnv) -> Result<(), OpenDataError> {
    write_whole(path, FORMAT_FILE, CREATING)?;
    if !path.join(KEY_FILE).exists() {
        let secret: String = (0..4).map(|_| format!("{:016x}", env.entropy())).collect();
        write_whole(path, KEY_FILE, &secret)?;
    }
    drop(open_log(path)?);
    create_rows(&path.join(ROWS)).map_err(rows_error(path))?;
    write_whole(path, FORMAT_FILE, COMPLETE)
}

/// The stores make anew what they do not find: in a completed directory that would hide a loss.
fn check_parts(path: &Path) -> Result<(), OpenDataError> {
    for part in [path.join(KEY_FILE), path.join(LOG), path.join(LOG).join("format")] {
        if !part.exists() {
            return Err(OpenDataError::Missing { path: part });
        }
    }
    check_rows(&path.join(ROWS)).map_err(rows_error(path))
}

fn open_log(path: &Path) -> Result<Log, OpenDataError> {
    Log::open(&path.join(LOG), Options::default()).map_err(|error| match error {
        OpenError::Locked { .. } => OpenDataError::InUse { path: path.to_owned() },
        error => OpenDataError::Log { path: path.join(LOG), error },
    })
}

fn rows_error(path: &Path) -> impl FnOnce(OpenRowsError) -> OpenDataError {
    let path = path.to_owned();
    |error| match error {
        OpenRowsError::InUse { .. } => OpenDataError::InUse { path },
        OpenRowsError::Missing { path } => OpenDataError::Missing { path },
        error => OpenDataError::Rows(error),
    }
}

fn unfinished(name: &str) -> String {
    format!("{name}.new")
}

/// A file that is there whole or not at all, for its owner's eyes only.
fn write_whole(path: &Path, name: &str, text: &str) -> Result<(), OpenDataError> {
    let unfinished = path.join(unfinished(name));
    // A leftover of a killed creation may have other rights.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(&unfinished)(error)),
        Ok(()) | Err(_) => {}
    }
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
    let mut file = created.map_err(io_error(&unfinished))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io_error(&unfinished))?;
    fs::rename(&unfinished, path.join(name)).map_err(io_error(&unfinished))?;
    File::open(path).and_then(|directory| directory.sync_all()).map_err(io_error(path))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> OpenDataError {
    let path = path.to_owned();
    move |error| OpenDataError::Io { path, error }
}
