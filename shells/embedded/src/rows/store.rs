//! One writer for all rows: commands are decided one after the other, and a group of them shares a sync.

use super::feed::Ends as FeedEnds;
use super::key;
use super::outbox::{Batch, Ends, TopicCode};
use super::read::{self, ReadError};
use super::snapshot::RowsSnapshot;
use super::write;
use async_trait::async_trait;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::decide::{Decision, decide, reads};
use doorbuster_core::database::event::Topic;
use doorbuster_core::database::tables::{Reads, Rows, View};
use doorbuster_core::ids::{ShardId, Version};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::store::{Due, Snapshot, Store};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

/// Commands that wait for the writer: the sum of what all roles may have in flight; more would only wait here.
const WAITING_MAX: usize = 1024;
/// Commands that share one sync: bounds how long the first of them waits for the last.
const GROUP_MAX: usize = 64;
/// What the rows are written as; another number is another version of the platform.
const FORMAT: u32 = 1;

/// The rows of the embedded platform.
#[derive(Clone)]
pub struct RowsStore {
    pub(super) shelf: Shelf,
    env: SharedEnv,
    commands: mpsc::Sender<Job>,
    pub(super) ends: watch::Receiver<FeedEnds>,
}

/// The open store: cheap to clone, safe to read from every thread.
#[derive(Clone)]
pub(super) struct Shelf {
    pub database: Database,
    pub rows: Keyspace,
    pub outbox: Keyspace,
}

/// What the writer is asked for.
enum Job {
    Apply(Command, oneshot::Sender<Result<Reply, Refusal>>),
    Put(Vec<u8>, Vec<u8>),
    Sync(oneshot::Sender<()>),
}

/// Why the rows were not opened.
#[derive(Debug, Error)]
pub enum OpenRowsError {
    /// The key-value store refused.
    #[error("{path}: the rows cannot be opened: {error}")]
    Store {
        /// The directory.
        path: PathBuf,
        /// What the store said.
        error: fjall::Error,
    },
    /// The directory could not be moved to its place.
    #[error("{path}: {error}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The rows are of another format.
    #[error("{path}: the rows are of format {found}, and this version reads format {FORMAT}")]
    Format {
        /// The directory.
        path: PathBuf,
        /// What stands there.
        found: u32,
    },
    /// A row does not parse.
    #[error("{path}: {error}")]
    Read {
        /// The directory.
        path: PathBuf,
        /// Which way.
        error: ReadError,
    },
}

impl RowsStore {
    /// Opens the rows in `directory`, or makes them where there is none. The writer is a thread of its own.
    pub fn open(directory: &Path, env: SharedEnv) -> Result<RowsStore, OpenRowsError> {
        let shelf = Shelf::open(directory)?;
        let ends = shelf.ends().map_err(|error| OpenRowsError::Read { path: directory.to_owned(), error })?;
        let (commands, jobs) = mpsc::channel(WAITING_MAX);
        let (visible, visible_ends) = watch::channel(FeedEnds(ends));
        let writer = Writer { shelf: shelf.clone(), env: env.clone(), ends, visible };
        writer.start(jobs);
        Ok(RowsStore { shelf, env, commands, ends: visible_ends })
    }

    /// Keeps a number beside the rows, without waiting for its sync: a lost one is an older one.
    pub(super) async fn put(&self, key: Vec<u8>, value: u64) -> Result<(), Unavailable> {
        self.commands.send(Job::Put(key, write::encode(&value))).await.map_err(|_| stopped())
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
        self.put(key::intents_offset(), offset).await
    }
}

impl RowsStore {
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
    /// A creation that is killed half-way leaves only `rows.new`, which the next start begins again.
    fn open(directory: &Path) -> Result<Shelf, OpenRowsError> {
        let path = directory.to_owned();
        if !directory.exists() {
            let unfinished = directory.with_extension("new");
            let io = |error| OpenRowsError::Io { path: unfinished.clone(), error };
            if unfinished.exists() {
                std::fs::remove_dir_all(&unfinished).map_err(io)?;
            }
            drop(Shelf::open_at(&unfinished, true)?);
            std::fs::rename(&unfinished, directory).map_err(io)?;
            let parent = directory.parent().unwrap_or(Path::new("."));
            std::fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(io)?;
        }
        let shelf = Shelf::open_at(&path, false)?;
        let found: Option<u32> = read::one(&shelf.database.snapshot(), &shelf.rows, &key::format())
            .map_err(|error| OpenRowsError::Read { path: path.clone(), error })?;
        match found {
            Some(FORMAT) => Ok(shelf),
            other => Err(OpenRowsError::Format { path, found: other.unwrap_or(0) }),
        }
    }

    fn open_at(path: &Path, creating: bool) -> Result<Shelf, OpenRowsError> {
        let refused = |error| OpenRowsError::Store { path: path.to_owned(), error };
        let database = Database::builder(path).open().map_err(refused)?;
        let rows = database.keyspace("rows", KeyspaceCreateOptions::default).map_err(refused)?;
        let outbox = database.keyspace("outbox", KeyspaceCreateOptions::default).map_err(refused)?;
        if creating {
            rows.insert(key::format(), write::encode(&FORMAT)).map_err(refused)?;
            database.persist(PersistMode::SyncAll).map_err(refused)?;
        }
        Ok(Shelf { database, rows, outbox })
    }

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

/// The thread that writes.
struct Writer {
    shelf: Shelf,
    env: SharedEnv,
    ends: Ends,
    visible: watch::Sender<FeedEnds>,
}

impl Writer {
    #[allow(clippy::disallowed_methods, reason = "the store blocks: its one writer owns its one thread")]
    fn start(mut self, mut jobs: mpsc::Receiver<Job>) {
        std::thread::Builder::new()
            .name("rows".to_owned())
            .spawn(move || {
                let mut group = Vec::with_capacity(GROUP_MAX);
                while jobs.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
                    if let Err(error) = self.commit(&mut group) {
                        // What was written is unknown, and nobody may be told anything of it: the process ends,
                        // and the next one begins from what is on the disk.
                        eprintln!("doorbuster: the rows cannot be written, ending: {error}");
                        std::process::exit(crate::EXIT_STORAGE);
                    }
                }
            })
            .expect("the system has a thread for the writer");
    }

    fn commit(&mut self, group: &mut Vec<Job>) -> Result<(), ReadError> {
        let mut answers = Vec::with_capacity(group.len());
        let mut must_sync = false;
        let mut synced = Vec::new();
        for job in group.drain(..) {
            match job {
                Job::Sync(answer) => {
                    must_sync = true;
                    synced.push(answer);
                }
                Job::Put(key, value) => self.shelf.rows.insert(key, value)?,
                Job::Apply(command, answer) => {
                    // Intake is durable by the log: lost rows are decided again, to the same result.
                    must_sync |= !matches!(command, Command::Intake(_));
                    answers.push((answer, self.apply(&command)?));
                }
            }
        }
        if must_sync {
            self.shelf.database.persist(PersistMode::SyncData)?;
        }
        // Only now may anyone act upon the events: an effect must not outlive its cause.
        self.visible.send_if_modified(|ends| std::mem::replace(&mut ends.0, self.ends) != self.ends);
        for answer in synced {
            let _ = answer.send(());
        }
        for (answer, result) in answers {
            // A caller that has gone away asks again.
            let _ = answer.send(result);
        }
        Ok(())
    }

    fn apply(&mut self, command: &Command) -> Result<Result<Reply, Refusal>, ReadError> {
        let snapshot = self.shelf.database.snapshot();
        let mut view = View::default();
        loop {
            let wanted = reads(command, &view);
            if wanted.is_empty() {
                break;
            }
            let rows = read::rows(&snapshot, &self.shelf.rows, &wanted)?;
            view.absorb(wanted, rows);
        }
        let Decision { change, reply } = match decide(&view, command, self.env.now().wall) {
            Ok(decision) => decision,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut batch = self.shelf.database.batch();
        let keyspaces = (&self.shelf.rows, &self.shelf.outbox);
        self.ends = write::stage(&mut batch, keyspaces, &view, change, self.ends);
        batch.commit()?;
        Ok(Ok(reply))
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
        read::rows(&self.shelf.database.snapshot(), &self.shelf.rows, &reads).map_err(unavailable)
    }

    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Unavailable> {
        Ok(Arc::new(RowsSnapshot::new(self.shelf.clone(), self.env.now().wall)))
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
        let found = read::scan(&self.shelf.database.snapshot(), &self.shelf.rows, &prefix, from, limit);
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
