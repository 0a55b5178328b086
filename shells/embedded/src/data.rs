//! The data directory: whose it is, and what stands in it.
//!
//! ```text
//! doorbuster.format    one line: this is ours, of which format, and whether its creation was completed
//! dev.key              the key of development tokens and receipts, mode 0600
//! log/                 intents
//! rows/                everything else
//! ```
//!
//! Nothing foreign is ever written to: a directory with other content and without the first file is refused.

use crate::log::{Log, OpenError, Options};
use crate::rows::{OpenRowsError, RowsStore};
use doorbuster_runtime::env::SharedEnv;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

const FORMAT_FILE: &str = "doorbuster.format";
const KEY_FILE: &str = "dev.key";
const CREATING: &str = "doorbuster data directory, format 1, creating\n";
const COMPLETE: &str = "doorbuster data directory, format 1, complete\n";

/// An open data directory.
pub struct DataDirectory {
    /// The log of intents.
    pub log: Log,
    /// The rows.
    pub rows: RowsStore,
    /// The secret of development tokens and receipts.
    pub dev_key: Vec<u8>,
}

/// Why a data directory was not opened. Nothing in it was changed.
#[derive(Debug, Error)]
pub enum OpenDataError {
    /// It has content that is not ours.
    #[error("{path}: not a doorbuster data directory, and not empty: name an empty or missing directory with --data")]
    Foreign {
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
    /// The system refused.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// The log refused.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The rows refused.
    #[error(transparent)]
    Rows(#[from] OpenRowsError),
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
        if !is_complete(path)? {
            create(path, env)?;
        }
        for part in [KEY_FILE, "log", "rows"] {
            let part = path.join(part);
            if !part.exists() {
                return Err(OpenDataError::Missing { path: part });
            }
        }
        let data = open_parts(path, env)?;
        let (last, decided) = (data.log.last(crate::server::PARTITION).0, data.rows.intents_offset().unwrap_or(0));
        if decided > last {
            return Err(OpenDataError::LogBehindRows { path: path.join("log"), last, decided });
        }
        Ok(data)
    }
}

/// The development key of an existing data directory: what signs tokens.
pub fn read_dev_key(path: &Path) -> Result<Vec<u8>, OpenDataError> {
    let file = path.join(KEY_FILE);
    fs::read(&file).map_err(io_error(&file))
}

fn is_complete(path: &Path) -> Result<bool, OpenDataError> {
    let file = path.join(FORMAT_FILE);
    match fs::read_to_string(&file) {
        Ok(text) if text == COMPLETE => Ok(true),
        Ok(text) if text == CREATING => Ok(false),
        Ok(found) => Err(OpenDataError::Format { path: file, found: found.chars().take(80).collect() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let empty = match fs::read_dir(path) {
                Ok(mut entries) => entries.all(|entry| entry.is_ok_and(|entry| entry.file_name().to_str() == Some(unfinished().as_str()))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => true,
                Err(error) => return Err(io_error(path)(error)),
            };
            if empty { Ok(false) } else { Err(OpenDataError::Foreign { path: path.to_owned() }) }
        }
        Err(error) => Err(io_error(&file)(error)),
    }
}

/// Each step can be repeated: nothing is promised to anybody before the last one.
fn create(path: &Path, env: &SharedEnv) -> Result<(), OpenDataError> {
    fs::create_dir_all(path).map_err(io_error(path))?;
    write_format(path, CREATING)?;
    let key = path.join(KEY_FILE);
    if !key.exists() {
        let secret: String = (0..4).map(|_| format!("{:016x}", env.entropy())).collect();
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key).map_err(io_error(&key))?;
        file.write_all(secret.as_bytes()).and_then(|()| file.sync_all()).map_err(io_error(&key))?;
    }
    drop(open_parts(path, env)?);
    write_format(path, COMPLETE)
}

fn open_parts(path: &Path, env: &SharedEnv) -> Result<DataDirectory, OpenDataError> {
    let log = Log::open(&path.join("log"), Options::default())?;
    let rows = RowsStore::open(&path.join("rows"), env.clone())?;
    Ok(DataDirectory { log, rows, dev_key: read_dev_key(path)? })
}

fn unfinished() -> String {
    format!("{FORMAT_FILE}.new")
}

fn write_format(path: &Path, text: &str) -> Result<(), OpenDataError> {
    let unfinished = path.join(unfinished());
    let mut file = File::create(&unfinished).map_err(io_error(&unfinished))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io_error(&unfinished))?;
    fs::rename(&unfinished, path.join(FORMAT_FILE)).map_err(io_error(&unfinished))?;
    File::open(path).and_then(|directory| directory.sync_all()).map_err(io_error(path))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> OpenDataError {
    let path = path.to_owned();
    move |error| OpenDataError::Io { path, error }
}
