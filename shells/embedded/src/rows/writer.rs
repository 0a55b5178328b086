//! The one writer: commands are decided one after the other, and a group of them shares a sync.

use super::belt;
use super::journal::Journals;
use super::mark::Mark;
use super::outbox::{self, Ends};
use super::read::{self, ReadError};
use super::store::{Job, Shelf};
use super::write;
use crate::panic::ProcessEnds;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::decide::{Decision, decide, reads};
use doorbuster_core::database::tables::View;
use doorbuster_runtime::env::SharedEnv;
use fjall::PersistMode;
use std::fs::File;
use std::io;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

/// Commands that share one sync: bounds how long the first of them waits for the last.
const GROUP_MAX: usize = 64;

/// What readers may see: the state behind the last group whose answers may leave.
#[derive(Clone)]
pub struct Visible {
    /// Where the topics end.
    pub ends: Ends,
    /// The rows.
    pub snapshot: fjall::Snapshot,
}

/// The thread that writes.
pub struct Writer {
    pub shelf: Shelf,
    pub env: SharedEnv,
    pub mark: Mark,
    pub journals: Journals,
    /// The number of the last group.
    pub number: u64,
    /// Whether anything was written that is not synced under a number.
    pub uncounted: bool,
    pub ends: Ends,
    /// Where the topics begin, as far as this process has trimmed them.
    pub trimmed: Ends,
    pub visible: watch::Sender<Visible>,
    /// Held for as long as anything may be written.
    pub lock: Option<File>,
}

/// Why a group was not written, or perhaps was.
#[derive(Debug, Error)]
enum CommitError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the store failed: {0}")]
    Store(#[from] fjall::Error),
    #[error("the mark failed: {0}")]
    Mark(#[from] io::Error),
}

type Answer = (oneshot::Sender<Result<Reply, Refusal>>, Result<Reply, Refusal>);

impl Writer {
    #[allow(clippy::disallowed_methods, reason = "the store blocks: its one writer owns its one thread")]
    pub fn start(mut self, mut jobs: mpsc::Receiver<Job>) {
        let body = move || {
            let _panics = ProcessEnds;
            let mut group = Vec::with_capacity(GROUP_MAX);
            while jobs.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
                if let Err(error) = self.commit(&mut group) {
                    // What was written is unknown, and nobody may be told anything of it: the process ends,
                    // and the next one begins from what is on the disk.
                    eprintln!("doorbuster: the rows cannot be written, ending: {error}");
                    std::process::exit(crate::EXIT_STORAGE);
                }
            }
            self.close();
        };
        let thread = std::thread::Builder::new().name("rows".to_owned()).spawn(body);
        drop(thread.expect("the system has a thread for the writer"));
    }

    fn commit(&mut self, group: &mut Vec<Job>) -> Result<(), CommitError> {
        let mut answers: Vec<Answer> = Vec::with_capacity(group.len());
        let (mut must_sync, mut synced) = (false, Vec::new());
        self.uncounted = true;
        for job in group.drain(..) {
            match job {
                Job::Sync(answer) => {
                    must_sync = true;
                    synced.push(answer);
                }
                Job::Advance(key, value) => {
                    let known: Option<u64> = read::one(&self.shelf.database.snapshot(), &self.shelf.rows, &key)?;
                    if known.is_none_or(|known| known < value) {
                        self.shelf.rows.insert(key, write::encode(&value))?;
                    }
                }
                Job::Put(key, value) => self.shelf.rows.insert(key, value)?,
                Job::Trim(topic, before) => outbox::trim(&self.shelf, topic, &mut self.trimmed, before)?,
                Job::Apply(command, answer) => {
                    // Intake is durable by the log: lost rows are decided again, to the same result.
                    must_sync |= !matches!(command, Command::Intake(_));
                    answers.push((answer, self.apply(&command)?));
                }
            }
        }
        if must_sync || !answers.is_empty() {
            self.count()?;
        }
        if must_sync {
            self.sync()?;
        }
        // Only now may anyone see the rows or act upon the events: an effect must not outlive its cause.
        self.visible.send_replace(Visible { ends: self.ends, snapshot: self.shelf.database.snapshot() });
        for answer in synced {
            let _ = answer.send(());
        }
        for (answer, result) in answers {
            // A caller that has gone away asks again.
            let _ = answer.send(result);
        }
        Ok(())
    }

    /// Behind the group's commits: whoever finds this number finds all of them.
    fn count(&mut self) -> Result<(), CommitError> {
        self.number += 1;
        let mut batch = self.shelf.database.batch();
        belt::stage(&mut batch, &self.shelf, self.number);
        Ok(batch.commit()?)
    }

    fn sync(&mut self) -> Result<(), CommitError> {
        self.shelf.database.persist(PersistMode::SyncData)?;
        self.uncounted = false;
        self.journals.advance()?;
        Ok(self.mark.note(self.number, &self.journals)?)
    }

    fn apply(&mut self, command: &Command) -> Result<Result<Reply, Refusal>, CommitError> {
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
        self.ends = write::stage(&mut batch, keyspaces, &view, change, self.ends)?;
        batch.commit()?;
        Ok(Ok(reply))
    }

    /// The next opening then notices whatever is missing, what nobody waited for included.
    fn close(mut self) {
        if self.uncounted
            && let Err(error) = self.count().and_then(|()| self.sync()).and_then(|()| Ok(self.mark.sync()?))
        {
            eprintln!("doorbuster: the rows could not be closed: {error}");
        }
        // The store first, the directory's lock last.
        drop(self.shelf);
        drop(self.lock);
    }
}
