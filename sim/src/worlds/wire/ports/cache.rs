//! An edge's ports as its cache uses them, watched: the shipped adapters, and a line to the oracle before and after.

use crate::fault::FaultKind;
use crate::worlds::wire::catalog::Reader;
use async_trait::async_trait;
use doorbuster_core::cache::Value;
use doorbuster_core::cache::shared::{FillRefusal, Floored, Found};
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{ProductId, ShardId, Version};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use doorbuster_runtime::drive::Stop;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::cache::{Listen, Notice, SharedCache};
use doorbuster_runtime::ports::store::{Due, Snapshot, Store};
use std::convert::Infallible;
use std::sync::Arc;

/// The shared cache.
pub struct WatchedCache {
    inner: Arc<dyn SharedCache>,
    reader: Arc<Reader>,
}

impl WatchedCache {
    /// Over this adapter.
    pub fn new(inner: Arc<dyn SharedCache>, reader: Arc<Reader>) -> WatchedCache {
        WatchedCache { inner, reader }
    }
}

#[async_trait]
impl SharedCache for WatchedCache {
    async fn read(&self, product: ProductId) -> Outcome<Found, Infallible> {
        self.inner.read(product).await
    }

    async fn fill(
        &self,
        product: ProductId,
        version: Version,
        value: Value,
        asked_at: Wall,
    ) -> Outcome<(), FillRefusal> {
        self.reader.fill_leaves(product, version, asked_at);
        self.inner.fill(product, version, value, asked_at).await
    }

    async fn floor(&self, changes: Vec<(ProductId, Version)>) -> Outcome<Vec<Floored>, Unavailable> {
        self.inner.floor(changes).await
    }

    async fn announce(&self, changes: Vec<(ProductId, Version)>) -> Outcome<(), Unavailable> {
        self.inner.announce(changes).await
    }

    fn listen(&self, stop: Stop) -> Box<dyn Listen> {
        Box::new(WatchedListener { inner: self.inner.listen(stop), reader: self.reader.clone() })
    }
}

struct WatchedListener {
    inner: Box<dyn Listen>,
    reader: Arc<Reader>,
}

#[async_trait]
impl Listen for WatchedListener {
    async fn next(&mut self) -> Option<Notice> {
        loop {
            let notice = self.inner.next().await?;
            match notice {
                Notice::Invalidated(..) if self.reader.is_lost() => {
                    self.reader.scene().take_effect(FaultKind::R8, "a floor, not told");
                    continue;
                }
                Notice::Invalidated(key, version) => self.reader.told(key, version),
                Notice::Reconnected => self.reader.purged(),
            }
            return Some(notice);
        }
    }
}

/// The database, of which a cache reads one product at a time.
pub struct WatchedStore {
    inner: Arc<dyn Store>,
    reader: Arc<Reader>,
    env: SharedEnv,
}

impl WatchedStore {
    /// Over this adapter.
    pub fn new(inner: Arc<dyn Store>, reader: Arc<Reader>, env: SharedEnv) -> WatchedStore {
        WatchedStore { inner, reader, env }
    }
}

#[async_trait]
impl Store for WatchedStore {
    async fn apply(&self, command: Command) -> Outcome<Reply, Refusal> {
        self.inner.apply(command).await
    }

    async fn read(&self, reads: Reads) -> Result<Rows, Unavailable> {
        let Some(key) = reads.products.first().copied() else { return self.inner.read(reads).await };
        let load = self.reader.load_starts(key, self.env.now().mono);
        let rows = self.inner.read(reads).await;
        let version = rows.as_ref().ok().and_then(|rows| rows.products.get(&key)).map(|row| row.version);
        self.reader.load_ends(key, load, version);
        rows
    }

    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Unavailable> {
        self.inner.snapshot().await
    }

    async fn due(
        &self,
        shard: ShardId,
        before: Wall,
        after: Option<Due>,
        limit: usize,
    ) -> Result<Vec<Due>, Unavailable> {
        self.inner.due(shard, before, after, limit).await
    }
}
