//! What the scripts mean, together: core's models behind the same calls.

use crate::call::Call;
use crate::identity::{ReplicationId, ScriptFence};
use crate::log::LogEntry;
use crate::reply::{Reply, Withdrawal};
use crate::reserve::BatchAnswer;
use doorbuster_core::admission::rate::{Arrival, Rate};
use doorbuster_core::cache::shared::SharedCache;
use doorbuster_core::delay::queue::{Queue, Task};
use doorbuster_core::ids::{Seq, SkuId};
use doorbuster_core::ledger::entry::{Entry, EntryKind};
use doorbuster_core::ledger::load::{Chunk, LoadRefusal};
use doorbuster_core::ledger::reserve::ReserveItem;
use doorbuster_core::ledger::shard::{Fenced, Shard};
use doorbuster_core::time::{Mono, Now, Wall};
use std::collections::BTreeMap;

/// Entries that one `trim` removes at most: a call stays short.
pub const TRIM_ENTRIES_MAX: u64 = 4_096;

/// One server's memory of one shard, and of what belongs to no shard.
#[derive(Clone, Debug)]
pub struct Model {
    /// The server's.
    pub replication_id: ReplicationId,
    /// The ledger.
    pub shard: Shard,
    /// The stream, oldest first.
    pub log: Vec<LogEntry>,
    /// The delay queue.
    pub queue: Queue,
    /// The shared cache.
    pub cache: SharedCache,
    /// Idle names stay here; a server forgets them, which changes no answer.
    arrivals: BTreeMap<String, Arrival>,
}

impl Model {
    /// An empty server.
    pub fn empty(replication_id: ReplicationId) -> Model {
        Model {
            replication_id,
            shard: Shard::empty(replication_id.server_id()),
            log: Vec::new(),
            queue: Queue::default(),
            cache: SharedCache::default(),
            arrivals: BTreeMap::new(),
        }
    }

    /// A restart or a promotion: the memory stays, the identity does not.
    pub fn rename(&mut self, replication_id: ReplicationId) {
        self.replication_id = replication_id;
        self.shard.server = replication_id.server_id();
    }

    /// Runs one call at this time of the server's clock.
    ///
    /// # Panics
    /// Where core's model does: a call that breaks its contract, such as an `ack` beyond the log.
    pub fn apply(&mut self, call: &Call, now: Now) -> Reply {
        let wall = now.wall;
        match call {
            Call::Reserve(fence, items) => self.reserve(fence, wall, items),
            Call::Settle(changes) => {
                let settle =
                    |change: &crate::settle::GiveBack| self.shard.settle(change.epoch, &change.user, change.id);
                Reply::Settled(changes.iter().map(settle).collect())
            }
            Call::Grant(grants) => {
                let grant = |grant: &crate::grant::Grant| {
                    self.shard.grant(grant.epoch, grant.sku, grant.quantity, grant.grant_seq)
                };
                Reply::Settled(grants.iter().map(grant).collect())
            }
            Call::Withdraw(fence, sku, quantity) => self.withdraw(fence, wall, *sku, *quantity),
            Call::Seal(fence) if fence.replication_id != self.replication_id => Reply::Fenced,
            Call::Seal(fence) => Reply::Sealed(self.shard.seal(fence.epoch)),
            Call::Load(fence, chunk) => Reply::Loaded(self.load(fence, chunk)),
            Call::Open { fence, chunks, paused } => Reply::Loaded(self.shard.open(fence.of_model(), *chunks, *paused)),
            Call::SetState(fence, paused) => {
                self.shard.set_state(fence.of_model(), *paused).map_or(Reply::Fenced, Reply::State)
            }
            Call::Ack { fence, last, pending: _ } => {
                self.shard.ack(fence.of_model(), *last).map_or(Reply::Fenced, Reply::Acked)
            }
            Call::Trim { fence, decided, age_ms } => self.trim(fence, wall, *decided, *age_ms),
            Call::DelaySchedule(_) | Call::DelayClaim { .. } | Call::DelayComplete(_) | Call::DelayRecover(_) => {
                self.delay(call, wall)
            }
            Call::CacheFill { product, version, value, asked_at } => {
                let verdict = self.cache.fill(*product, *version, value.clone(), *asked_at, wall);
                Reply::Filled { now: wall, verdict }
            }
            Call::CacheFloor(product, version) => {
                Reply::Floored { now: wall, floored: self.cache.floor(*product, *version, wall) }
            }
            Call::RateLimit(name, rate) => self.limit(now.mono, name, *rate),
        }
    }

    fn reserve(&mut self, fence: &ScriptFence, now: Wall, items: &[ReserveItem]) -> Reply {
        let Ok(batch) = self.shard.reserve(fence.of_model(), now, items) else { return Reply::Fenced };
        let seq = batch.entry.as_ref().map(|entry| entry.seq);
        self.log.extend(batch.entry.map(|entry| LogEntry { written_at: now, entry }));
        Reply::Reserved(BatchAnswer { now, seq, replies: batch.replies })
    }

    fn withdraw(&mut self, fence: &ScriptFence, now: Wall, sku: SkuId, quantity: u64) -> Reply {
        match self.shard.withdraw(fence.of_model(), sku, quantity) {
            Err(Fenced) => Reply::Fenced,
            Ok(None) => Reply::Withdrawn(None),
            Ok(Some(entry)) => {
                let withdrawal = Withdrawal { now, seq: entry.seq, quantity: withdrawn(&entry) };
                self.log.push(LogEntry { written_at: now, entry });
                Reply::Withdrawn(Some(withdrawal))
            }
        }
    }

    fn load(&mut self, fence: &ScriptFence, chunk: &Chunk) -> Result<(), LoadRefusal> {
        let identity = |shard: &Shard| shard.meta().map(|meta| (meta.epoch, meta.nonce));
        let before = self.shard.clone();
        let loaded = self.shard.load(fence.of_model(), chunk);
        let fresh = identity(&before) != identity(&self.shard);
        if fresh {
            self.log.clear();
        }
        if loaded == Err(LoadRefusal::Unbalanced) {
            // Core's model keeps the records before the one that does not fit; a script writes none of the chunk.
            self.shard = before;
            if fresh {
                let head_alone = Chunk { number: 0, head: chunk.head.clone(), records: Vec::new() };
                self.shard.load(fence.of_model(), &head_alone).expect("the same head was taken before");
            }
        }
        loaded
    }

    fn trim(&mut self, fence: &ScriptFence, now: Wall, decided: Seq, age_ms: u64) -> Reply {
        let meta = self.shard.meta().copied();
        let fence = fence.of_model();
        let ours = meta.is_some_and(|meta| meta.epoch == fence.epoch && meta.nonce == fence.nonce);
        if !ours || fence.server != self.shard.server {
            return Reply::Fenced;
        }
        let Some(first) = self.log.first().map(|oldest| oldest.entry.seq.0) else {
            return Reply::Trimmed { now, removed: 0 };
        };
        let past = decided.0.min(first + TRIM_ENTRIES_MAX - 1) + 1;
        let candidates = &self.log[..self.log.len().min(past.saturating_sub(first) as usize)];
        let removed = candidates.partition_point(|entry| entry.written_at.after_ms(age_ms) <= now);
        self.log.drain(..removed);
        Reply::Trimmed { now, removed: removed as u64 }
    }

    fn delay(&mut self, call: &Call, now: Wall) -> Reply {
        let queue = &mut self.queue;
        match call {
            Call::DelaySchedule(tasks) => {
                Reply::Scheduled(tasks.iter().map(|task: &Task| queue.schedule(*task)).collect())
            }
            Call::DelayClaim { limit, token, lease_ms } => {
                Reply::Claimed { now, orders: queue.claim(now, *limit, *token, *lease_ms) }
            }
            Call::DelayComplete(completions) => {
                let completed = completions.iter().map(|completion| queue.complete(now, *completion)).collect();
                Reply::Completed { now, completed }
            }
            Call::DelayRecover(limit) => Reply::Recovered { now, count: queue.recover(now, *limit) as u64 },
            other => panic!("{} is no call of the delay queue", other.script().name),
        }
    }

    fn limit(&mut self, now: Mono, name: &str, rate: Rate) -> Reply {
        let arrival = self.arrivals.get(name).copied().unwrap_or_default();
        let verdict = match rate.decide(arrival, now) {
            Ok((arrival, verdict)) => {
                self.arrivals.insert(name.to_owned(), arrival);
                verdict
            }
            Err(refused) => refused,
        };
        Reply::Limited { now, verdict }
    }
}

fn withdrawn(entry: &Entry) -> u64 {
    match &entry.kind {
        EntryKind::Withdrawn { quantity, .. } => *quantity,
        EntryKind::Reserved(_) => panic!("a withdrawal logs a withdrawal"),
    }
}
