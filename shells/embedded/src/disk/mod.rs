//! The disk as a port: what the log may assume of it, and nothing more.

mod directory;
mod model;

pub use directory::{Directory, LockError};
pub use model::{ModelDisk, Trouble};

use std::io;

/// A flat set of append-only files.
///
/// The contract is what a local file system gives at its weakest:
///
/// - Appended bytes are readable at once, but survive a loss of power only after [`Disk::sync`] of that file has
///   returned. Before that any 512-byte sector of the unsynced suffix may be missing: it then reads as zeros, or the
///   file is shorter, down to the byte.
/// - A synced byte stays as it is.
/// - A failed append may have written any prefix of the bytes.
/// - After a failed sync the suffix is in doubt for ever: it may read well until the power goes, and a later sync that
///   succeeds says nothing about it.
/// - Creations, renames and removals are each atomic, happen in order, and survive a loss of power only after
///   [`Disk::sync_names`]. Syncing a file's bytes says nothing about its name.
pub trait Disk: Send + Sync {
    /// The names of all files, sorted.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes an empty file; a file of this name is emptied.
    fn create(&self, name: &str) -> io::Result<()>;

    /// Writes at the end of an existing file.
    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything appended to the file would survive a loss of power.
    fn sync(&self, name: &str) -> io::Result<()>;

    /// The file's length in bytes.
    fn length(&self, name: &str) -> io::Result<u64>;

    /// Fills `into` from `offset` as far as the file reaches and returns the number of bytes read.
    fn read(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Gives a file another name; a file that had it is replaced.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes a file away.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Returns when every creation, rename and removal so far would survive a loss of power.
    fn sync_names(&self) -> io::Result<()>;
}
