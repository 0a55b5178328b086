//! The rows behind the port of the database: commands go to the one writer, reads to the last state that it made visible.

use super::key;
use super::open::{self, OpenRowsError, Opened};
use super::outbox::{Batch, Ends, TopicCode};
use super::read::{self, ReadError};
use super::snapshot::RowsSnapshot;
use super::writer::{Visible, Writer};
use async_trait::async_trait;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::event::Topic;
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{ShardId, Version};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::store::{Due, Snapshot, Store};
use fjall::{Database, Keyspace};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Commands that wait for the writer: the sum of what all roles may have in flight; more would only wait here.
const WAITING_MAX: usize = 1024;

/// The rows of the embedded platform.
#[derive(Clone)]
pub struct RowsStore {
    pub(super) shelf: Shelf,
    env: SharedEnv,
    commands: mpsc::Sender<Job>,
    pub(super) visible: watch::Receiver<Visible>,
}

/// The open store: cheap to clone, safe to read from every thread.
#[derive(Clone)]
pub struct Shelf {
    pub database: Database,
    pub rows: Keyspace,
    pub outbox: Keyspace,
}

/// What the writer is asked for.
pub enum Job {
    Apply(Command, oneshot::Sender<Result<Reply, Refusal>>),
    /// A number that only grows.
    Advance(Vec<u8>, u64),
    Put(Vec<u8>, Vec<u8>),
    /// Removes outbox batches that end before this offset.
    Trim(Topic, u64),
    Sync(oneshot::Sender<()>),
}

impl RowsStore {
    /// Opens the rows in `directory`, or makes them where there is none. The writer is a thread of its own.
    pub fn open(directory: &Path, env: SharedEnv) -> Result<RowsStore, OpenRowsError> {
        open::create(directory)?;
        RowsStore::open_locked(directory, env, None)
    }

    /// Opens rows that were made; the writer keeps the lock until it has ended.
    pub(crate) fn open_locked(
        directory: &Path,
        env: SharedEnv,
        lock: Option<File>,
    ) -> Result<RowsStore, OpenRowsError> {
        let Opened { shelf, mark, journals, number } = open::open(directory)?;
        let ends = shelf.ends().map_err(|error| OpenRowsError::Read { path: directory.to_owned(), error })?;
        let (commands, jobs) = mpsc::channel(WAITING_MAX);
        let (visible, seen) = watch::channel(Visible { ends, snapshot: shelf.database.snapshot() });
        let (of, env_of) = (shelf.clone(), env.clone());
        Writer {
            shelf: of,
            env: env_of,
            mark,
            journals,
            number,
            uncounted: false,
            ends,
            trimmed: Ends::EMPTY,
            visible,
            lock,
        }
        .start(jobs);
        Ok(RowsStore { shelf, env, commands, visible: seen })
    }

    /// The last state whose answers may have left: never one that a loss of power could take back.
    pub(super) fn snapshot_now(&self) -> fjall::Snapshot {
        self.visible.borrow().snapshot.clone()
    }

    /// Moves a number beside the rows forward, without waiting for its sync: a lost one is an older one. One that is
    /// not ahead of what stands there changes nothing: commits of one reader may overtake each other.
    pub(super) async fn advance(&self, key: Vec<u8>, value: u64) -> Result<(), Unavailable> {
        self.commands.send(Job::Advance(key, value)).await.map_err(|_| stopped())
    }

    /// A number kept beside the rows.
    pub(super) fn number(&self, key: &[u8]) -> Result<u64, Unavailable> {
        let found = read::one(&self.shelf.database.snapshot(), &self.shelf.rows, key).map_err(unavailable)?;
        Ok(found.unwrap_or(0))
    }

    /// How far intake has come in the log.
    pub fn intents_offset(&self) -> Result<u64, Unavailable> {
        self.number(&key::intents_offset())
    }

    /// Keeps how far intake has come; written behind the rows of everything before it, so never ahead of them.
    pub async fn put_intents_offset(&self, offset: u64) -> Result<(), Unavailable> {
        self.advance(key::intents_offset(), offset).await
    }
}

impl RowsStore {
    /// Gives up a portion of what stands before this offset in the topic, without waiting for it.
    pub(super) async fn trim(&self, topic: Topic, before: u64) -> Result<(), Unavailable> {
        self.commands.send(Job::Trim(topic, before)).await.map_err(|_| stopped())
    }

    /// Makes everything that was decided durable.
    pub(crate) async fn sync(&self) -> Result<(), Unavailable> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Job::Sync(answer)).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())
    }

    /// Keeps the bytes of a log record that is no intent.
    pub async fn put_dead_letter(&self, offset: u64, bytes: Vec<u8>) -> Result<(), Unavailable> {
        self.commands.send(Job::Put(key::dead_letter(offset), bytes)).await.map_err(|_| stopped())
    }
}

pub(super) fn unavailable(error: impl std::fmt::Display) -> Unavailable {
    Unavailable(error.to_string())
}

fn stopped() -> Unavailable {
    Unavailable("the rows' writer has stopped".to_owned())
}

impl Shelf {
    /// Where each topic ends, from its last batch.
    fn ends(&self) -> Result<Ends, ReadError> {
        let mut ends = Ends::EMPTY;
        for topic in Topic::ALL {
            let Some(last) = self.outbox.prefix([topic.code()]).next_back() else { continue };
            let (key, value) = last.into_inner()?;
            let first = u64::from_be_bytes(key[1..9].try_into().expect("an outbox key is a byte and a number"));
            let batch: Batch = postcard::from_bytes(&value)?;
            ends.advance(topic, first + batch.events.len() as u64 - 1);
        }
        Ok(ends)
    }
}

#[async_trait]
impl Store for RowsStore {
    async fn apply(&self, command: Command) -> Outcome<Reply, Refusal> {
        let (answer, answered) = oneshot::channel();
        if self.commands.send(Job::Apply(command, answer)).await.is_err() {
            return Outcome::Unknown;
        }
        match answered.await {
            Ok(Ok(reply)) => Outcome::Done(reply),
            Ok(Err(refusal)) => Outcome::Refused(refusal),
            // The writer ended after taking the command: written or not, and every command may be repeated.
            Err(_) => Outcome::Unknown,
        }
    }

    async fn read(&self, reads: Reads) -> Result<Rows, Unavailable> {
        read::rows(&self.snapshot_now(), &self.shelf.rows, &reads).map_err(unavailable)
    }

    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Unavailable> {
        Ok(Arc::new(RowsSnapshot::new(self.shelf.clone(), self.snapshot_now(), self.env.now().wall)))
    }

    async fn due(
        &self,
        shard: ShardId,
        before: Wall,
        after: Option<Due>,
        limit: usize,
    ) -> Result<Vec<Due>, Unavailable> {
        let from = after.map_or_else(|| key::due_from(shard, Wall(0)), key::after_due);
        let prefix = key::of_shard(key::Table::Due, shard);
        let found = read::scan(&self.snapshot_now(), &self.shelf.rows, &prefix, from, limit);
        let mut due = Vec::new();
        for (key, version) in found.map_err(unavailable)? {
            let (expires_at, order) = key::parse_due(shard, &key).ok_or_else(|| unavailable("a key of no order"))?;
            if expires_at < before {
                due.push(Due { expires_at, order, version: Version(version) });
            }
        }
        Ok(due)
    }
}
