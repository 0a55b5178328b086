//! The memory of all shards and the log that makes it durable, one group of calls at a time and without a thread.
//!
//! A group is decided call by call, synced once, and only then answered: whoever steps it, the thread of a process or a
//! simulated one, cannot answer earlier.

use super::call::{Answer, Call};
use super::known::Known;
use super::thread::PARTITION;
use crate::log::{Log, LogError, LogReader, Position};
use doorbuster_core::ids::{Epoch, ReservationId, ServerId, ShardId, UserId};
use doorbuster_core::ledger::entry::{Entry, EntryKind, Intent};
use doorbuster_core::ledger::page::Record;
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::{Fence, Shard, ShardState};
use doorbuster_core::settler::ShardChange;
use doorbuster_core::time::Wall;
use doorbuster_runtime::ports::ledger::{NotServed, ServerView};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Calls that share one sync: two flights of every lane of a large sale, and what settles beside them.
pub const GROUP_CALLS_MAX: usize = 512;

/// An answer that waits for the sync of its group.
type Release = Box<dyn FnOnce() + Send>;

/// See the module.
pub struct Shards {
    log: Log,
    server: ServerId,
    shards: BTreeMap<ShardId, Shard>,
    /// Every id that one of the shards remembers, and some that they have forgotten.
    known: Arc<Known>,
}

/// A group that was run: what it appended is durable, and nobody has been told yet.
#[must_use = "the callers wait for their answers"]
pub struct Ran {
    /// The last position that readers may see, when the group appended anything.
    pub synced: Option<Position>,
    /// Changes of settlers in it.
    pub settled: u64,
    releases: Vec<Release>,
}

impl Ran {
    /// Answers every call of the group.
    pub fn release(self) {
        self.releases.into_iter().for_each(|release| release());
    }
}

impl Shards {
    /// Empty memories of this server over an open log.
    pub fn new(log: Log, server: ServerId) -> Shards {
        Shards { log, server, shards: BTreeMap::new(), known: Arc::new(Known::new()) }
    }

    /// Decides a group of calls, at most [`GROUP_CALLS_MAX`], in their order, and syncs what they append.
    ///
    /// # Errors
    /// A write or a sync failed. What is on the disk is unknown then, none of the answers may leave (they are dropped),
    /// and the process must end.
    pub fn run(&mut self, now: Wall, group: &mut Vec<Call>) -> Result<Ran, LogError> {
        let mut ran = Ran { synced: None, settled: 0, releases: Vec::with_capacity(group.len()) };
        let mut appended = false;
        for call in group.drain(..) {
            appended |= self.perform(now, call, &mut ran)?;
        }
        if appended {
            self.log.sync()?;
            self.shards.values_mut().for_each(acknowledge);
            ran.synced = Some(self.log.last(PARTITION));
        }
        Ok(ran)
    }

    /// Syncs, marks and closes the log: the next start then notices even a lost last record.
    ///
    /// # Errors
    /// As [`Log::close`].
    pub fn close(self) -> Result<(), LogError> {
        self.log.close()
    }

    /// The memory of a shard, if anybody ever asked for it here.
    pub fn shard(&self, shard: ShardId) -> Option<&Shard> {
        self.shards.get(&shard)
    }

    /// A reader of the log beside this writer.
    pub fn reader(&self) -> LogReader {
        self.log.reader()
    }

    /// Which ids the shards may know.
    pub(super) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known)
    }

    /// Decides one call; true when it appended to the log.
    fn perform(&mut self, now: Wall, call: Call, ran: &mut Ran) -> Result<bool, LogError> {
        let mut appended = false;
        match call {
            Call::Reserve(shard, fence, items, answer) => {
                let reply = self.memory(shard).reserve(fence, now, &items);
                if let Some(entry) = reply.as_ref().ok().and_then(|batch| batch.entry.as_ref()) {
                    self.know(entry);
                    self.append(&Intent::Entry(shard, entry.clone()))?;
                    appended = true;
                }
                ran.hold(answer, reply.map(|batch| batch.replies));
            }
            Call::Settle(shard, changes, answer) => {
                let memory = self.memory(shard);
                let settled = changes.iter().map(|change| settle(memory, change)).collect();
                ran.settled += changes.len() as u64;
                ran.hold(answer, settled);
            }
            Call::Withdraw(shard, fence, sku, quantity, answer) => {
                let entry = self.memory(shard).withdraw(fence, sku, quantity);
                if let Ok(Some(entry)) = &entry {
                    self.append(&Intent::Entry(shard, entry.clone()))?;
                    appended = true;
                }
                ran.hold(answer, entry.map(|entry| entry.map(|entry| entry.seq)));
            }
            Call::SetState(shard, fence, paused, answer) => {
                ran.hold(answer, self.memory(shard).set_state(fence, paused));
            }
            Call::Seal(shard, server, epoch, answer) => {
                let memory = self.memory(shard);
                let last = if memory.server == server { memory.seal(epoch) } else { None };
                ran.hold(answer, last);
            }
            Call::Load(shard, fence, chunk, answer) => {
                chunk.records.iter().for_each(|(_, record)| self.known.add(record.id));
                ran.hold(answer, self.memory(shard).load(fence, &chunk));
            }
            Call::Open(shard, fence, chunks, paused, answer) => {
                ran.hold(answer, self.memory(shard).open(fence, chunks, paused));
            }
            Call::Inspect(shard, answer) => ran.hold(answer, view(self.memory(shard))),
            Call::LookUp(shard, user, id, answer) => {
                // Held like every answer: what it tells is synced before it is told.
                ran.hold(answer, seen(self.memory(shard), &user, id));
            }
            Call::AppendSeal(shard, epoch, answer) => {
                self.append_seal(shard, epoch)?;
                appended = true;
                ran.hold(answer, ());
            }
            Call::Purge(before) => self.log.purge(PARTITION, Position(before))?,
        }
        Ok(appended)
    }

    fn memory(&mut self, shard: ShardId) -> &mut Shard {
        let server = self.server;
        self.shards.entry(shard).or_insert_with(|| Shard::empty(server))
    }

    fn know(&self, entry: &Entry) {
        if let EntryKind::Reserved(reservations) = &entry.kind {
            reservations.iter().for_each(|reservation| self.known.add(reservation.id));
        }
    }

    fn append_seal(&mut self, shard: ShardId, epoch: Epoch) -> Result<(), LogError> {
        // This is the log's only writer: a memory that is sealed first can write nothing behind the seal.
        self.memory(shard).seal(epoch);
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

impl Ran {
    fn hold<T: Send + 'static>(&mut self, answer: Answer<T>, value: T) {
        self.releases.push(Box::new(move || {
            // A caller that has gone away asks again.
            let _ = answer.send(value);
        }));
    }
}

/// What this server has written is durable now.
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
