//! A disk in memory that loses exactly what the contract of [`Disk`] allows to be lost.

use super::Disk;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard};

/// The smallest piece of a write that is lost or kept as a whole.
const SECTOR_BYTES: usize = 512;

/// A disk in memory with faults. Every choice is drawn from the caller's generator, so that a run can be repeated.
#[derive(Debug, Default)]
pub struct ModelDisk {
    state: Mutex<State>,
}

/// What a disk with faults did instead of what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The process was killed in an operation.
    Killed,
    /// A sync did not take the pages.
    SyncFailed,
    /// There was no room.
    Full,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    names_durable: BTreeMap<String, usize>,
    /// Each set of names since the last `sync_names`, in order: a loss of power falls back to any one of them.
    names_pending: Vec<BTreeMap<String, usize>>,
    syncs: u64,
    fail_sync_at: Option<u64>,
    /// Syncs that failed since the start or restart.
    syncs_failed: u64,
    hides_failures: bool,
    capacity_bytes: Option<usize>,
    operations: u64,
    stop_at: Option<u64>,
    trouble: Option<Trouble>,
}

#[derive(Debug, Default, Clone)]
struct Content {
    /// What a reader sees.
    cached: Vec<u8>,
    /// What the platter holds.
    durable: Vec<u8>,
    /// From here on nothing was written back yet. A failed sync moves it forward without writing: the system drops
    /// the pages from its books, and a later sync does not try them again.
    dirty_from: usize,
}

impl ModelDisk {
    /// An empty disk without faults.
    pub fn new() -> ModelDisk {
        ModelDisk::default()
    }

    /// The process ends and starts again with the system still up: nothing that was written is lost, all faults are lifted.
    pub fn restart(&self) {
        let mut state = self.state();
        state.fail_sync_at = None;
        state.stop_at = None;
        state.capacity_bytes = None;
        state.operations = 0;
        state.syncs = 0;
        state.syncs_failed = 0;
        state.trouble = None;
    }

    /// The power goes. `draw(bound)` returns a number below `bound` and decides which unsynced sectors, bytes and names survive.
    pub fn lose_power(&self, draw: &mut dyn FnMut(u64) -> u64) {
        let mut state = self.state();
        let pending = std::mem::take(&mut state.names_pending);
        let kept = draw(pending.len() as u64 + 1) as usize;
        if let Some(names) = kept.checked_sub(1).and_then(|index| pending.into_iter().nth(index)) {
            state.names_durable = names;
        }
        state.names = state.names_durable.clone();
        for file in &mut state.files {
            file.lose_power(draw);
        }
        drop(state);
        self.restart();
    }

    /// The n-th sync of a file from now on fails, counted from 1.
    pub fn fail_sync(&self, nth: u64) {
        let mut state = self.state();
        state.fail_sync_at = Some(state.syncs + nth);
    }

    /// From now on a sync that fails says that it did not: what a caller sees that does not look.
    pub fn hide_failures(&self) {
        self.state().hides_failures = true;
    }

    /// The number of syncs that failed since the start or restart.
    pub fn syncs_failed(&self) -> u64 {
        self.state().syncs_failed
    }

    /// The process is killed in its n-th operation from now on, counted from 0: a killed append has written half of
    /// its bytes, every other killed operation has done nothing, and all that follow fail.
    pub fn stop_at(&self, nth: u64) {
        let mut state = self.state();
        state.stop_at = Some(state.operations + nth);
    }

    /// All files together hold at most so many bytes; an append beyond it writes what fits and fails.
    pub fn limit_capacity(&self, bytes: usize) {
        self.state().capacity_bytes = Some(bytes);
    }

    /// Applies `change` to a file's bytes as they are on the platter: rot that no write caused.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn rot(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let file = state.find(name).expect("a test names a file that exists");
        change(&mut state.files[file].cached);
        let content = &mut state.files[file];
        content.durable = content.cached.clone();
        content.dirty_from = content.durable.len();
    }

    /// All files and their bytes, to be compared before and after.
    pub fn snapshot(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        let content = |file: &usize| state.files[*file].cached.clone();
        state.names.iter().map(|(name, file)| (name.clone(), content(file))).collect()
    }

    /// The last thing that went wrong since the start or restart.
    pub fn trouble(&self) -> Option<Trouble> {
        self.state().trouble
    }

    /// The number of operations that change the disk since the start or restart.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics under this lock")
    }
}

impl Content {
    fn lose_power(&mut self, draw: &mut dyn FnMut(u64) -> u64) {
        let start = self.durable.len();
        let unsynced = self.cached.len() - start;
        let kept = draw(unsynced as u64 + 1) as usize;
        self.cached.truncate(start + kept);
        // A page that a failed sync has dropped is not written later either.
        let dropped_end = self.dirty_from.clamp(start, start + kept);
        self.cached[start..dropped_end].fill(0);
        let mut sector = start;
        while sector < self.cached.len() {
            let end = ((sector / SECTOR_BYTES + 1) * SECTOR_BYTES).min(self.cached.len());
            if draw(4) == 0 {
                self.cached[sector..end].fill(0);
            }
            sector = end;
        }
        self.durable = self.cached.clone();
        self.dirty_from = self.durable.len();
    }

    fn sync(&mut self) {
        let dropped_end = self.dirty_from.max(self.durable.len());
        self.durable.resize(dropped_end, 0);
        self.durable.extend_from_slice(&self.cached[dropped_end..]);
        self.dirty_from = self.durable.len();
    }
}

impl State {
    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Counts an operation and says whether the process is killed in it.
    fn stops(&mut self) -> bool {
        let stopped = self.stop_at.is_some_and(|at| self.operations >= at);
        self.operations += 1;
        if stopped {
            self.trouble = Some(Trouble::Killed);
        }
        stopped
    }

    fn change_names(&mut self, change: impl FnOnce(&mut BTreeMap<String, usize>)) -> io::Result<()> {
        if self.stops() {
            return Err(killed());
        }
        change(&mut self.names);
        self.names_pending.push(self.names.clone());
        Ok(())
    }
}

fn killed() -> io::Error {
    io::Error::other("the process is gone")
}

impl Disk for ModelDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        let file = state.files.len();
        state.files.push(Content::default());
        state.change_names(|names| {
            names.insert(name.to_owned(), file);
        })
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let file = state.find(name)?;
        let first_stop = state.stop_at.is_some_and(|at| state.operations == at);
        if state.stops() {
            let half = if first_stop { bytes.len() / 2 } else { 0 };
            state.files[file].cached.extend_from_slice(&bytes[..half]);
            return Err(killed());
        }
        let used: usize = state.names.values().map(|file| state.files[*file].cached.len()).sum();
        let free = state.capacity_bytes.map_or(usize::MAX, |capacity| capacity.saturating_sub(used));
        let fits = bytes.len().min(free);
        state.files[file].cached.extend_from_slice(&bytes[..fits]);
        if fits < bytes.len() {
            state.trouble = Some(Trouble::Full);
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        let file = state.find(name)?;
        if state.stops() {
            return Err(killed());
        }
        state.syncs += 1;
        if state.fail_sync_at == Some(state.syncs) {
            let content = &mut state.files[file];
            content.dirty_from = content.cached.len();
            state.syncs_failed += 1;
            if state.hides_failures {
                return Ok(());
            }
            state.trouble = Some(Trouble::SyncFailed);
            return Err(io::Error::other("the device did not take the pages"));
        }
        state.files[file].sync();
        Ok(())
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        let state = self.state();
        Ok(state.files[state.find(name)?].cached.len() as u64)
    }

    fn read(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let state = self.state();
        let bytes = &state.files[state.find(name)?].cached;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let count = into.len().min(bytes.len() - start);
        into[..count].copy_from_slice(&bytes[start..start + count]);
        Ok(count)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let file = state.find(from)?;
        state.change_names(|names| {
            names.remove(from);
            names.insert(to.to_owned(), file);
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.find(name)?;
        state.change_names(|names| {
            names.remove(name);
        })
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.stops() {
            return Err(killed());
        }
        state.names_durable = state.names.clone();
        state.names_pending.clear();
        Ok(())
    }
}
