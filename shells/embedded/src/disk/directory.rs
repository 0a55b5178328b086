//! A directory of the local file system as a [`Disk`].

use super::Disk;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A log appends to its last segment and to its mark, and for a moment to a new one of either.
const HANDLES_MAX: usize = 4;

/// A directory that holds nothing but one store's files.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// The files that were appended to last, at most [`HANDLES_MAX`].
    appended: Mutex<Vec<(String, Arc<File>)>>,
}

/// Why a directory could not be locked.
#[derive(Debug)]
pub enum LockError {
    /// Another process, or another store in this one, holds it.
    Held,
    /// The lock file could not be opened or locked.
    Io(io::Error),
}

impl Directory {
    /// Opens the directory, making it and its parents where they are missing.
    ///
    /// # Errors
    /// Whatever the file system answers.
    pub fn open(path: &Path) -> io::Result<Directory> {
        let absolute = std::path::absolute(path)?;
        let missing: Vec<&Path> = absolute.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
        fs::create_dir_all(&absolute)?;
        // A new directory's name is in its parent, and survives a loss of power only when that one is synced.
        for created in missing {
            if let Some(parent) = created.parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        Ok(Directory { path: absolute, appended: Mutex::new(Vec::new()) })
    }

    /// Locks the directory for as long as the returned file lives; the system releases it when the process ends, however it ends.
    ///
    /// # Errors
    /// [`LockError::Held`] at once when another holds it.
    pub fn lock(&self, name: &str) -> Result<File, LockError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.path.join(name))
            .map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(LockError::Held),
            Err(TryLockError::Error(error)) => Err(LockError::Io(error)),
        }
    }

    fn appendable(&self, name: &str) -> io::Result<Arc<File>> {
        let mut appended = self.appended.lock().expect("no code panics under this lock");
        if let Some((_, file)) = appended.iter().find(|(held, _)| held == name) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(OpenOptions::new().append(true).open(self.path.join(name))?);
        if appended.len() == HANDLES_MAX {
            appended.remove(0);
        }
        appended.push((name.to_owned(), Arc::clone(&file)));
        Ok(file)
    }

    /// A handle follows its file through a rename, so it must not answer to a name that has changed hands.
    fn forget(&self, name: &str) {
        self.appended.lock().expect("no code panics under this lock").retain(|(held, _)| held != name);
    }
}

impl Disk for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<()> {
        self.forget(name);
        File::create(self.path.join(name)).map(drop)
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        (&*self.appendable(name)?).write_all(bytes)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.appendable(name)?.sync_data()
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.path.join(name))?.len())
    }

    fn read(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut file = File::open(self.path.join(name))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut filled = 0;
        while filled < into.len() {
            match file.read(&mut into[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.forget(from);
        self.forget(to);
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.forget(name);
        fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}
