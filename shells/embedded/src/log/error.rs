//! Why a log could not be opened, written or read.

use super::Position;
use std::io;
use thiserror::Error;

/// Why a log was not opened. Nothing on the disk has been changed when one of these is returned, except by
/// [`OpenError::Io`] in the middle of a creation, which the next opening completes.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The directory holds something that this log has not made.
    #[error("this is not a log directory: it holds `{file}`, which no log has made; choose an empty directory")]
    Foreign {
        /// One of the files that are not ours.
        file: String,
    },
    /// The directory was made by another version.
    #[error("`{file}` names an unknown format: {found:?}")]
    Format {
        /// The file with the format's name.
        file: String,
        /// What stands in it, at most its first 64 bytes.
        found: String,
    },
    /// Another process has the log open.
    #[error("the log is in use: another process holds `{file}`")]
    Locked {
        /// The lock file.
        file: String,
    },
    /// A file that must be there is not.
    #[error("the log is damaged: `{file}` is missing; restore it, nothing has been changed")]
    Missing {
        /// The missing file.
        file: String,
    },
    /// A file does not hold what was synced to it.
    #[error("the log is damaged: `{file}`, byte {offset}: {what}; restore the file, nothing has been changed")]
    Damaged {
        /// The damaged file.
        file: String,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// The disk refused an operation.
    #[error("`{file}`: {error}")]
    Io {
        /// The file that it was asked of.
        file: String,
        /// The disk's answer.
        error: io::Error,
    },
}

impl OpenError {
    pub(super) fn damaged(file: &str, offset: u64, what: impl Into<String>) -> OpenError {
        OpenError::Damaged { file: file.to_owned(), offset, what: what.into() }
    }

    pub(super) fn io(file: &str) -> impl FnOnce(io::Error) -> OpenError {
        move |error| OpenError::Io { file: file.to_owned(), error }
    }
}

/// Why an append, a sync or a read failed.
#[derive(Debug, Error)]
pub enum LogError {
    /// The record alone is larger than a group may be; it was not appended.
    #[error("a record of {bytes} bytes is larger than a group may be ({bytes_max})")]
    TooLarge {
        /// The record's size with its header.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The group is full; the record was not appended. Sync, and append it again.
    #[error("the group is full: sync first")]
    GroupFull,
    /// A write or sync has failed. What was appended since the last sync is in doubt, and the process must end.
    #[error("the log has ended: `{file}`: {reason}")]
    Ended {
        /// The file whose write failed.
        file: String,
        /// The disk's answer.
        reason: String,
    },
    /// The position lies below the partition's first.
    #[error("purged: the first position is {}", first.0)]
    Purged {
        /// The lowest position that can be read.
        first: Position,
    },
    /// A file does not hold what was synced to it.
    #[error("the log is damaged: `{file}`, byte {offset}")]
    Damaged {
        /// The damaged file.
        file: String,
        /// Where in it, in bytes.
        offset: u64,
    },
    /// A read failed; nothing is known of the record.
    #[error("`{file}`: {error}")]
    Io {
        /// The file that was read.
        file: String,
        /// The disk's answer.
        error: io::Error,
    },
}
