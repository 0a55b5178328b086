//! Where servers are installed: each installation is whole or not there, and two programs do not make the same one twice.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::stop;

/// How long another program may take to install what this one needs too: as long as this one might.
const LOCK_MAX: Duration = Duration::from_secs(15 * 60);
/// How often a lock is asked for again.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A directory of installations, locks and the state of what runs.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// What an installation is made from. Another text is another installation, so an old one is never taken for a new one.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The server and its version, as they stand in a file name.
    pub name: String,
    /// Everything that decides what is installed.
    pub text: String,
}

impl Cache {
    /// In the place for what can be got again: `$XDG_CACHE_HOME` or `~/.cache`, and there `doorbuster`.
    pub fn of_user() -> Result<Cache, String> {
        let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
        base.map(|base| Cache::at(&base.join("doorbuster")))
            .ok_or("neither XDG_CACHE_HOME nor HOME names a path".into())
    }

    /// In this directory, which is made when something is put there.
    pub fn at(root: &Path) -> Cache {
        Cache { root: root.to_owned() }
    }

    /// Below it lies what is known of the servers that run.
    pub fn run_directory(&self) -> PathBuf {
        self.root.join("run")
    }

    /// The installation of this recipe, which `make` makes in an empty directory if it is not there yet.
    ///
    /// `make` runs under a lock of the recipe's name, and what it made appears under its final name in one step: a
    /// directory of that name is always whole, whoever was killed while making it.
    pub fn install<Error: From<String>>(
        &self,
        recipe: &Recipe,
        make: impl FnOnce(&Path) -> Result<(), Error>,
    ) -> Result<PathBuf, Error> {
        let name = format!("{}-{:08x}", recipe.name, crc32c::crc32c(recipe.text.as_bytes()));
        let whole = self.root.join("installed").join(&name);
        if whole.is_dir() {
            return Ok(whole);
        }
        let _lock = self.lock(&name)?;
        if whole.is_dir() {
            return Ok(whole);
        }
        // Only the holder of the lock makes this directory, so what is in it was left by one that was killed.
        let begun = self.root.join("begun").join(&name);
        remove(&begun)?;
        create(&begun)?;
        eprintln!("installing {} in {}, once", recipe.name, self.root.display());
        make(&begun)?;
        // A rename can reach the disk before the files that it moves: after a power cut they would be there and empty.
        write_through(&begun)?;
        create(&self.root.join("installed"))?;
        fs::rename(&begun, &whole).map_err(|error| format!("{}: {error}", whole.display()))?;
        Ok(whole)
    }

    /// Holds a named lock of this directory until the value is dropped, or this program ends in whatever way.
    pub fn lock(&self, name: &str) -> Result<File, String> {
        let began = Instant::now();
        loop {
            if let Some(lock) = self.try_lock(name)? {
                return Ok(lock);
            }
            if let Some(signal) = stop::asked() {
                return Err(format!("got signal {signal} while another program held the lock `{name}`"));
            }
            if began.elapsed() >= LOCK_MAX {
                return Err(format!("another program has held the lock `{name}` for {} s", LOCK_MAX.as_secs()));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// The named lock, or none if another program or thread holds it.
    pub fn try_lock(&self, name: &str) -> Result<Option<File>, String> {
        let directory = self.root.join("locks");
        create(&directory)?;
        let path = directory.join(name);
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        // Never removed: a lock on a file that is no longer there would exclude nobody.
        let file = File::options().create(true).append(true).open(&path).map_err(told)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(told(error)),
        }
    }
}

/// Makes a directory and those above it.
pub fn create(directory: &Path) -> Result<(), String> {
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))
}

/// Removes a directory with all that is in it; one that is not there is what is wanted.
pub fn remove(directory: &Path) -> Result<(), String> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {error}", directory.display())),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes one file whole.
pub fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn write_through(directory: &Path) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", directory.display());
    for entry in fs::read_dir(directory).map_err(told)? {
        let path = entry.map_err(told)?.path();
        if path.is_dir() {
            write_through(&path)?;
        } else {
            File::open(&path).and_then(|file| file.sync_all()).map_err(told)?;
        }
    }
    File::open(directory).and_then(|file| file.sync_all()).map_err(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn recipe(text: &str) -> Recipe {
        Recipe { name: "thing-1".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn what_was_made_halfway_is_never_used_and_made_again() {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::at(place.path());
        let fails = |directory: &Path| {
            write(&directory.join("half"), "half")?;
            Err("the power went".to_owned())
        };
        assert_eq!(cache.install(&recipe("a"), fails), Err("the power went".to_owned()));
        let made: PathBuf = cache.install(&recipe("a"), |directory| write(&directory.join("all"), "all")).unwrap();
        assert!(made.join("all").is_file());
        assert!(!made.join("half").exists());
    }

    #[test]
    fn a_recipe_is_made_once_and_another_text_is_another_installation() {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::at(place.path());
        let nothing = |_: &Path| Ok::<(), String>(());
        let first = cache.install(&recipe("a"), nothing).unwrap();
        let again = cache.install(&recipe("a"), |_| Err("it is there".to_owned())).unwrap();
        assert_eq!(first, again);
        assert_ne!(cache.install(&recipe("b"), nothing).unwrap(), first);
    }

    #[test]
    fn two_that_want_the_same_at_once_make_it_once() {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::at(place.path());
        let made = AtomicUsize::new(0);
        let install = || {
            let count = |_: &Path| {
                made.fetch_add(1, Ordering::Relaxed);
                Ok::<(), String>(())
            };
            cache.install(&recipe("a"), count).unwrap()
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(install);
            assert_eq!(install(), other.join().unwrap());
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_lock_excludes_until_it_is_dropped() {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::at(place.path());
        let held = cache.try_lock("one").unwrap();
        assert!(held.is_some());
        assert!(cache.try_lock("one").unwrap().is_none());
        assert!(cache.try_lock("two").unwrap().is_some());
        drop(held);
        assert!(cache.try_lock("one").unwrap().is_some());
    }
}
