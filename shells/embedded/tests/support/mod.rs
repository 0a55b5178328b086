//! What the tests of the embedded platform share: a data directory, opened again and again.
#![allow(dead_code, reason = "each test binary uses its own part of it")]

use doorbuster_core::database::command::Command;
use doorbuster_core::ids::{Epoch, Seq, SkuId};
use doorbuster_core::intake::IntakeBatch;
use doorbuster_core::ledger::entry::{Entry, EntryKind, Intent, Reserved};
use doorbuster_core::ledger::reserve::ReserveItem;
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::Ending;
use doorbuster_core::time::Wall;
use doorbuster_embedded::data::{DataDirectory, OpenDataError};
use doorbuster_embedded::rows::{OpenRowsError, RowsFeed, RowsStore};
use doorbuster_embedded::server::{LogIntents, MemoryDelayQueue, ShardServer};
use doorbuster_runtime::contract::clock::SteppedEnv;
use doorbuster_runtime::contract::{NewWorld, Start, Subject, World};
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::drain::Drain;
use doorbuster_runtime::ports::group::Group;
use doorbuster_runtime::ports::store::Store;
use doorbuster_runtime::ports::{Offset, Partition};
use doorbuster_runtime::telemetry::Telemetry;
use std::cell::RefCell;
use std::fs::File;
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

/// Returns when no thread of this process holds the directory any more.
pub fn released(path: &Path) {
    for _ in 0..OPENS_MAX {
        if File::open(path).expect("the directory is there").try_lock().is_ok() {
            return;
        }
        pause();
    }
    panic!("{} stays in use", path.display());
}

/// Copies a file, or a directory with everything in it.
pub fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        std::fs::copy(from, to).expect("a file can be copied");
        return;
    }
    std::fs::create_dir_all(to).expect("a directory can be made");
    for entry in std::fs::read_dir(from).expect("a directory can be read") {
        let entry = entry.expect("a directory can be read");
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

/// The sale that the tests of directories sell.
pub fn world() -> World {
    World::named("kept")
}

/// Opens the directory, sells so many single units through the ports, cancels every second order, and lets go.
pub fn sell(path: &Path, count: usize) {
    let embedded = embed(path, 11);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (world, store) = (world(), &embedded.rows);
        world.create(store, NewWorld { stock: 1_000_000, ..NewWorld::default() }).await;
        let shard = world.shard(0);
        let sold =
            store.snapshot().await.expect("a snapshot").orders(shard, None, usize::MAX).await.expect("orders").len();
        for number in sold..sold + count {
            let seq = Seq(number as u64 + 1);
            let item = world.item(number, 1, &[(0, 1)]);
            let entry = entry(Epoch(1), seq, item.clone());
            embedded.intents.drain(shard, Epoch(0), None).await;
            store.apply(Command::Intake(IntakeBatch { shard, intents: vec![Intent::Entry(shard, entry)] })).await;
            if number % 2 == 0 {
                let order = OrderCommand::Cancel { order: world.order(&item), user: None, ending: Ending::Operator };
                store.apply(Command::Order(order)).await;
            }
        }
        let last = embedded.intents.assigned(0).await.expect("one partition").partitions[0].1;
        embedded.intents.commit(Partition(0), Offset(last.0 + count as u64)).await;
    });
}

fn entry(epoch: Epoch, seq: Seq, item: ReserveItem) -> Entry {
    let ReserveItem { id, user, body, basket } = item;
    let reserved = Reserved { id, user, body, basket, reserved_at: Wall(1) };
    Entry { epoch, seq, kind: EntryKind::Reserved(vec![reserved]) }
}

/// What it sells.
pub fn sku() -> SkuId {
    SkuId::parse("sku-0").expect("a name")
}

/// Opens rows that a thread of this process may still hold.
pub fn open_rows(path: &Path) -> RowsStore {
    for _ in 0..OPENS_MAX {
        match RowsStore::open(path, SteppedEnv::shared(1)) {
            Ok(rows) => return rows,
            Err(OpenRowsError::InUse { .. }) => pause(),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("{} stays in use", path.display());
}
