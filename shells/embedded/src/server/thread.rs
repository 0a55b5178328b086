//! The server's thread: takes what waits, decides it, syncs once, and only then answers.

use super::call::{Answer, Call};
use super::known::Known;
use crate::log::{Log, LogError, Partition, Position};
use crate::panic::ProcessEnds;
use doorbuster_core::ids::{Epoch, ReservationId, ServerId, ShardId, UserId};
use doorbuster_core::ledger::entry::{Entry, EntryKind, Intent};
use doorbuster_core::ledger::page::Record;
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::{Fence, Shard, ShardState};
use doorbuster_core::settler::ShardChange;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::ledger::{NotServed, ServerView};
use doorbuster_runtime::telemetry::{Metric, Telemetry};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// All shards share one partition: one process has one intake, and one partition is one order of everything.
pub const PARTITION: Partition = Partition(0);
/// Calls that share one sync: two flights of every lane of a large sale, and what settles beside them.
const GROUP_CALLS_MAX: usize = 512;

/// An answer that waits for the sync of its group.
type Release = Box<dyn FnOnce() + Send>;

/// The memory of all shards, and the log that makes it durable.
pub struct ServerThread {
    pub log: Log,
    pub server: ServerId,
    pub env: SharedEnv,
    pub telemetry: Arc<Telemetry>,
    /// The last position that readers may see.
    pub synced: watch::Sender<u64>,
    pub shards: BTreeMap<ShardId, Shard>,
    /// Every id that one of the shards remembers, and some that they have forgotten.
    pub known: Arc<Known>,
}

impl ServerThread {
    /// Runs until every caller is gone. A failed write or sync ends the process: what is on the disk is unknown then,
    /// and no answer that depends on it may leave.
    #[allow(clippy::disallowed_methods, reason = "the log blocks: its one writer owns its one thread")]
    pub fn start(mut self, mut calls: mpsc::Receiver<Call>) -> std::thread::JoinHandle<()> {
        let body = move || {
            let _panics = ProcessEnds;
            let mut group = Vec::with_capacity(GROUP_CALLS_MAX);
            while calls.blocking_recv_many(&mut group, GROUP_CALLS_MAX) > 0 {
                if let Err(error) = self.run(&mut group) {
                    eprintln!("doorbuster: the log cannot be written, ending: {error}");
                    std::process::exit(crate::EXIT_STORAGE);
                }
            }
            // The next start then notices even a lost last record.
            if let Err(error) = self.log.close() {
                eprintln!("doorbuster: the log could not be closed: {error}");
            }
        };
        let thread = std::thread::Builder::new().name("shards".to_owned()).spawn(body);
        thread.expect("the system has a thread for the shards")
    }

    fn run(&mut self, group: &mut Vec<Call>) -> Result<(), LogError> {
        let mut releases: Vec<Release> = Vec::with_capacity(group.len());
        let mut appended = false;
        for call in group.drain(..) {
            appended |= self.perform(call, &mut releases)?;
        }
        if appended {
            self.log.sync()?;
            self.shards.values_mut().for_each(acknowledge);
            self.telemetry.add(Metric::Syncs, 1);
            self.synced.send_replace(self.log.last(PARTITION).0);
        }
        releases.into_iter().for_each(|release| release());
        Ok(())
    }

    /// Decides one call; true when it appended to the log.
    fn perform(&mut self, call: Call, releases: &mut Vec<Release>) -> Result<bool, LogError> {
        let now = self.env.now().wall;
        let mut appended = false;
        match call {
            Call::Reserve(shard, fence, items, answer) => {
                let reply = self.shard(shard).reserve(fence, now, &items);
                if let Some(entry) = reply.as_ref().ok().and_then(|batch| batch.entry.as_ref()) {
                    self.know(entry);
                    self.append(&Intent::Entry(shard, entry.clone()))?;
                    appended = true;
                }
                hold(releases, answer, reply.map(|batch| batch.replies));
            }
            Call::Settle(shard, changes, answer) => {
                let memory = self.shard(shard);
                let settled = changes.iter().map(|change| settle(memory, change)).collect();
                self.telemetry.add(Metric::Settled, changes.len() as u64);
                hold(releases, answer, settled);
            }
            Call::Withdraw(shard, fence, sku, quantity, answer) => {
                let entry = self.shard(shard).withdraw(fence, sku, quantity);
                if let Ok(Some(entry)) = &entry {
                    self.append(&Intent::Entry(shard, entry.clone()))?;
                    appended = true;
                }
                hold(releases, answer, entry.map(|entry| entry.map(|entry| entry.seq)));
            }
            Call::SetState(shard, fence, paused, answer) => {
                hold(releases, answer, self.shard(shard).set_state(fence, paused));
            }
            Call::Seal(shard, server, epoch, answer) => {
                let memory = self.shard(shard);
                let last = if memory.server == server { memory.seal(epoch) } else { None };
                hold(releases, answer, last);
            }
            Call::Load(shard, fence, chunk, answer) => {
                chunk.records.iter().for_each(|(_, record)| self.known.add(record.id));
                hold(releases, answer, self.shard(shard).load(fence, &chunk));
            }
            Call::Open(shard, fence, chunks, paused, answer) => {
                hold(releases, answer, self.shard(shard).open(fence, chunks, paused));
            }
            Call::Inspect(shard, answer) => hold(releases, answer, view(self.shard(shard))),
            Call::LookUp(shard, user, id, answer) => {
                // Held like every answer: what it tells is synced before it is told.
                hold(releases, answer, seen(self.shard(shard), &user, id));
            }
            Call::AppendSeal(shard, epoch, answer) => {
                self.append_seal(shard, epoch)?;
                appended = true;
                hold(releases, answer, ());
            }
            Call::Purge(before) => self.log.purge(PARTITION, Position(before))?,
        }
        Ok(appended)
    }

    fn shard(&mut self, shard: ShardId) -> &mut Shard {
        let server = self.server;
        self.shards.entry(shard).or_insert_with(|| Shard::empty(server))
    }

    fn know(&self, entry: &Entry) {
        if let EntryKind::Reserved(reservations) = &entry.kind {
            reservations.iter().for_each(|reservation| self.known.add(reservation.id));
        }
    }

    fn append_seal(&mut self, shard: ShardId, epoch: Epoch) -> Result<(), LogError> {
        // This thread is the log's only writer: a memory that is sealed first can write nothing behind the seal.
        self.shard(shard).seal(epoch);
        self.append(&Intent::Seal(shard, epoch))
    }

    fn append(&mut self, intent: &Intent) -> Result<(), LogError> {
        let (epoch, seq) = match intent {
            Intent::Entry(_, entry) => (entry.epoch.0, entry.seq.0),
            Intent::Seal(_, epoch) => (epoch.0, 0),
        };
        let bytes = postcard::to_stdvec(intent).expect("an intent holds nothing that the format cannot tell");
        match self.log.append(PARTITION, epoch, seq, &bytes) {
            // More calls than one group holds: what there is of it becomes durable first. No answer has left yet.
            Err(LogError::GroupFull) => {
                self.log.sync()?;
                self.log.append(PARTITION, epoch, seq, &bytes)?;
            }
            appended => drop(appended?),
        }
        Ok(())
    }
}

fn hold<T: Send + 'static>(releases: &mut Vec<Release>, answer: Answer<T>, value: T) {
    releases.push(Box::new(move || {
        // A caller that has gone away asks again.
        let _ = answer.send(value);
    }));
}

/// What this thread has written is durable now.
fn acknowledge(shard: &mut Shard) {
    let Some(meta) = shard.meta().copied() else { return };
    let fence = Fence { server: shard.server, epoch: meta.epoch, nonce: meta.nonce };
    shard.ack(fence, meta.seq).expect("a memory agrees with its own head");
}

fn settle(memory: &mut Shard, change: &ShardChange) -> Settlement {
    match change {
        ShardChange::GiveBack { epoch, user, id } => memory.settle(*epoch, user, *id),
        ShardChange::Grant { epoch, sku, quantity, grant_seq } => memory.grant(*epoch, *sku, *quantity, *grant_seq),
    }
}

/// What a whole memory says of a reservation.
fn seen(shard: &Shard, user: &UserId, id: ReservationId) -> Result<Option<Record>, NotServed> {
    match shard.meta() {
        Some(meta) if meta.state != ShardState::Loading => Ok(shard.look_up(user, id).cloned()),
        Some(_) | None => Err(NotServed),
    }
}

fn view(shard: &Shard) -> ServerView {
    ServerView { server: shard.server, meta: shard.meta().copied(), counters: shard.counters().collect() }
}
