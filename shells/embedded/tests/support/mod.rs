//! What the tests of the embedded platform share: a data directory, opened again and again.
#![allow(dead_code, reason = "each test binary uses its own part of it")]

use doorbuster_embedded::data::{DataDirectory, OpenDataError};
use doorbuster_embedded::rows::{RowsFeed, RowsStore};
use doorbuster_embedded::server::{LogIntents, MemoryDelayQueue, ShardServer};
use doorbuster_runtime::contract::clock::SteppedEnv;
use doorbuster_runtime::contract::{Start, Subject};
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::telemetry::Telemetry;
use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

/// Tries to open a directory whose last owner is just ending its threads.
const OPENS_MAX: u32 = 500;

/// The embedded ports over one directory.
pub struct Embedded {
    pub rows: RowsStore,
    pub feed: RowsFeed,
    pub ledger: ShardServer,
    pub intents: LogIntents,
    pub delay: MemoryDelayQueue,
    pub env: Arc<SteppedEnv>,
    pub server: JoinHandle<()>,
}

/// Opens a directory that may still be held by threads of this process that are about to end.
pub fn open(path: &Path, env: &SharedEnv) -> DataDirectory {
    for _ in 0..OPENS_MAX {
        match DataDirectory::open(path, env) {
            Ok(data) => return data,
            Err(OpenDataError::InUse { .. }) => pause(),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("{} stays in use", path.display());
}

#[allow(clippy::disallowed_methods, reason = "waits for threads of this very process to end; nothing is measured")]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

/// Opens the ports.
pub fn embed(path: &Path, seed: u64) -> Embedded {
    let env = SteppedEnv::shared(seed);
    let shared: SharedEnv = env.clone();
    let (data, telemetry) = (open(path, &shared), Telemetry::shared());
    let (ledger, intents, server) = ShardServer::start(data.log, data.rows.clone(), shared.clone(), telemetry.clone());
    let (feed, delay) = (RowsFeed::new(data.rows.clone()), MemoryDelayQueue::new(shared, telemetry));
    Embedded { rows: data.rows, feed, ledger, intents, delay, env, server }
}

/// Directories for a suite: a fresh one, or the last one again.
#[derive(Default)]
pub struct Directories {
    current: RefCell<Option<Arc<TempDir>>>,
    opened: RefCell<u64>,
}

impl Directories {
    /// A subject over the wanted directory.
    pub fn subject<P>(&self, start: Start, port: impl FnOnce(&Embedded) -> P) -> Subject<P> {
        if start == Start::Fresh {
            *self.current.borrow_mut() = Some(Arc::new(tempfile::tempdir().expect("a directory can be made")));
        }
        *self.opened.borrow_mut() += 1;
        let directory = self.current.borrow().clone().expect("there is one to open again");
        let embedded = embed(directory.path(), *self.opened.borrow());
        Subject { port: port(&embedded), clock: embedded.env.clone(), keep: Box::new(directory) }
    }
}
