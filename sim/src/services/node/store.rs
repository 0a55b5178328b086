//! What one server holds, and every command on it as one atomic step.

use super::shared_cache::{CacheReply, CacheRequest};
use super::{Reply, Request};
use doorbuster_core::cache::shared::SharedCache;
use doorbuster_core::delay::queue::Queue;
use doorbuster_core::forwarder::tail::LogPage;
use doorbuster_core::ids::{Epoch, Nonce, Seq, ServerId, ShardId};
use doorbuster_core::ledger::entry::Entry;
use doorbuster_core::ledger::page::Record;
use doorbuster_core::ledger::reserve::ItemReply;
use doorbuster_core::ledger::shard::{Fence, Fenced, Shard, ShardState};
use doorbuster_core::oracle::probe::Probe;
use doorbuster_core::settler::ShardChange;
use doorbuster_core::time::Wall;
use std::collections::{BTreeMap, VecDeque};

/// Everything on one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Who serves it.
    pub identity: ServerId,
    shards: BTreeMap<ShardId, Slice>,
    /// The delay queue of all shards here.
    pub queue: Queue,
    /// Products for all processes.
    pub cache: SharedCache,
    /// Acceptances that were made here, ever.
    pub accepted: u64,
}

/// One shard's three keys.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Slice {
    shard: Shard,
    log: VecDeque<(Wall, Entry)>,
}

impl Store {
    /// Nothing, on this server.
    pub fn empty(identity: ServerId) -> Store {
        Store { identity, shards: BTreeMap::new(), queue: Queue::default(), cache: SharedCache::default(), accepted: 0 }
    }

    /// Another server serves it now.
    pub fn identify(&mut self, identity: ServerId) {
        self.identity = identity;
        for slice in self.shards.values_mut() {
            slice.shard.server = identity;
        }
    }

    /// The memory of a shard, if anything was ever written to it here.
    pub fn shard(&self, shard: ShardId) -> Option<&Shard> {
        self.shards.get(&shard).map(|slice| &slice.shard)
    }

    /// Entries of a shard's log.
    pub fn entries(&self, shard: ShardId) -> impl Iterator<Item = &Entry> {
        self.shards.get(&shard).into_iter().flat_map(|slice| slice.log.iter().map(|(_, entry)| entry))
    }

    fn slice(&mut self, shard: ShardId) -> &mut Slice {
        let identity = self.identity;
        let empty = || Slice { shard: Shard::empty(identity), log: VecDeque::new() };
        self.shards.entry(shard).or_insert_with(empty)
    }

    fn fenced(&self, shard: ShardId, fence: Fence) -> Result<&Slice, Fenced> {
        let slice = self.shards.get(&shard).ok_or(Fenced)?;
        let meta = slice.shard.meta().ok_or(Fenced)?;
        let own = (slice.shard.server, meta.epoch, meta.nonce) == (fence.server, fence.epoch, fence.nonce);
        if own { Ok(slice) } else { Err(Fenced) }
    }

    /// Entries behind a place, and how far the memory is.
    pub fn read_log(&self, shard: ShardId, fence: Fence, after: Option<Seq>, limit: usize) -> Result<LogPage, Fenced> {
        let slice = self.fenced(shard, fence)?;
        let meta = slice.shard.meta().ok_or(Fenced)?;
        let after = after.unwrap_or(meta.acked);
        let behind = slice.log.iter().map(|(_, entry)| entry).filter(|entry| entry.seq > after);
        Ok(LogPage {
            entries: behind.take(limit).cloned().collect(),
            last: meta.seq,
            acked: meta.acked,
            sealed: meta.state == ShardState::Sealed,
        })
    }

    /// Whether an acceptance of this epoch is marked as durable in the memory of that very epoch.
    pub fn is_marked(&self, shard: ShardId, epoch: Epoch, seq: Seq) -> bool {
        let meta = self.shards.get(&shard).and_then(|slice| slice.shard.meta());
        meta.is_some_and(|meta| epoch == meta.epoch && seq <= meta.acked)
    }

    /// Whether a record that stands in the memory is durable: marked so, or of an earlier epoch, from which only a load
    /// brings records. It says nothing of a record that is not there: the epoch may have ended without it.
    pub fn is_durable(&self, shard: ShardId, epoch: Epoch, seq: Seq) -> bool {
        let meta = self.shards.get(&shard).and_then(|slice| slice.shard.meta());
        self.is_marked(shard, epoch, seq) || meta.is_some_and(|meta| epoch < meta.epoch)
    }

    /// Runs one command; the same command on the same content does the same.
    pub fn run(&mut self, at: Wall, request: &Request, probes: &mut Vec<Probe>) -> Reply {
        match request {
            Request::Reserve { .. }
            | Request::Settle { .. }
            | Request::Withdraw { .. }
            | Request::SetState { .. }
            | Request::Inspect(_)
            | Request::LookUp { .. }
            | Request::ReadLog { .. } => self.sell(at, request, probes),
            Request::Seal { .. } | Request::Load { .. } | Request::Open { .. } => self.climb(request, probes),
            Request::Ack { .. } | Request::Trim { .. } => self.tend(at, request, probes),
            Request::Schedule(_) | Request::Claim { .. } | Request::Recover(_) | Request::Complete(_) => {
                self.delay(at, request, probes)
            }
            Request::Cache(request) => Reply::Cache(self.share(at, request)),
            // This server's log is read by a forwarder: it has no other.
            Request::Durable(_) => Reply::Error,
        }
    }

    fn sell(&mut self, at: Wall, request: &Request, probes: &mut Vec<Probe>) -> Reply {
        match request {
            Request::Reserve { shard, fence, items, .. } => {
                let slice = self.slice(*shard);
                let Ok(batch) = slice.shard.reserve(*fence, at, items) else { return Reply::Reserved(Err(Fenced)) };
                slice.log.extend(batch.entry.map(|entry| (at, entry)));
                let accepted = |reply: &&ItemReply| matches!(reply, ItemReply::Accepted(_));
                self.accepted += batch.replies.iter().filter(accepted).count() as u64;
                Reply::Reserved(Ok(batch.replies))
            }
            Request::Settle { shard, changes } => {
                let slice = self.slice(*shard);
                Reply::Settled(changes.iter().map(|change| settle(&mut slice.shard, *shard, change, probes)).collect())
            }
            Request::Withdraw { shard, fence, sku, quantity } => {
                let slice = self.slice(*shard);
                let withdrawn = slice.shard.withdraw(*fence, *sku, *quantity);
                Reply::Withdrawn(withdrawn.map(|entry| {
                    let seq = entry.as_ref().map(|entry| entry.seq);
                    slice.log.extend(entry.map(|entry| (at, entry)));
                    seq
                }))
            }
            Request::SetState { shard, fence, paused } => {
                Reply::StateSet(self.slice(*shard).shard.set_state(*fence, *paused))
            }
            Request::Inspect(shard) => {
                let shard = self.shards.get(shard).map(|slice| &slice.shard);
                let counters = shard.map_or(Vec::new(), |shard| shard.counters().collect());
                Reply::View { server: self.identity, meta: shard.and_then(|shard| shard.meta().copied()), counters }
            }
            Request::LookUp { shard, user, id } => {
                let memory = self.shards.get(shard).map(|slice| &slice.shard);
                // A memory that is missing or half loaded does not know what it has forgotten: "no record" would be a lie.
                let meta = memory.and_then(|memory| memory.meta());
                if meta.is_none_or(|meta| meta.state == ShardState::Loading) {
                    return Reply::Error;
                }
                let record = memory.and_then(|memory| memory.look_up(user, *id).cloned());
                let durable = |record: &Record| self.is_durable(*shard, record.acceptance.epoch, record.acceptance.seq);
                let durable = record.as_ref().is_some_and(durable);
                Reply::Record { record, durable }
            }
            Request::ReadLog { shard, fence, after, limit } => {
                Reply::Page(self.read_log(*shard, *fence, *after, *limit))
            }
            other => unreachable!("{} is dealt with elsewhere", other.stage()),
        }
    }

    fn share(&mut self, at: Wall, request: &CacheRequest) -> CacheReply {
        match request {
            CacheRequest::Read(product) => CacheReply::Found(self.cache.read(*product, at)),
            CacheRequest::Fill { product, version, value, asked_at, .. } => {
                CacheReply::Filled(self.cache.fill(*product, *version, value.clone(), *asked_at, at))
            }
            CacheRequest::Floor(product, version) => {
                self.cache.expire(at);
                CacheReply::Floored(self.cache.floor(*product, *version, at))
            }
            CacheRequest::Announce(..) | CacheRequest::Subscribe(_) | CacheRequest::Ping(_) => CacheReply::Kept,
        }
    }

    fn climb(&mut self, request: &Request, probes: &mut Vec<Probe>) -> Reply {
        match request {
            Request::Seal { shard, server, epoch } => {
                let own = *server == self.identity;
                Reply::Sealed(if own { self.slice(*shard).shard.seal(*epoch) } else { None })
            }
            Request::Load { shard, fence, chunk } => {
                let slice = self.slice(*shard);
                let before = slice.shard.meta().map(|meta| meta.nonce);
                let loaded = slice.shard.load(*fence, chunk);
                // The first chunk empties the three keys, the log too.
                if slice.shard.meta().map(|meta| meta.nonce) != before {
                    slice.log.clear();
                }
                Reply::Loaded(loaded)
            }
            Request::Open { shard, fence, chunks, paused } => {
                let slice = self.slice(*shard);
                let selling = |shard: &Shard| {
                    shard.meta().is_some_and(|meta| matches!(meta.state, ShardState::Open | ShardState::Stopped))
                };
                let before = selling(&slice.shard);
                let opened = slice.shard.open(*fence, *chunks, *paused);
                if !before && selling(&slice.shard) {
                    let (epoch, nonce): (Epoch, Nonce) = (fence.epoch, fence.nonce);
                    probes.push(Probe::EpochOpened { shard: *shard, epoch, nonce });
                }
                Reply::Opened(opened)
            }
            other => unreachable!("{} is dealt with elsewhere", other.stage()),
        }
    }

    fn tend(&mut self, at: Wall, request: &Request, probes: &mut Vec<Probe>) -> Reply {
        match request {
            Request::Ack { shard, fence, seq } => {
                if self.fenced(*shard, *fence).is_err() {
                    return Reply::Acked(Err(Fenced));
                }
                let slice = self.slice(*shard);
                let before = slice.shard.meta().map_or(0, |meta| meta.acked.0);
                let acked = slice.shard.ack(*fence, *seq);
                for seq in before + 1..=seq.0 {
                    probes.push(Probe::EntryAcked { shard: *shard, epoch: fence.epoch, seq: Seq(seq) });
                }
                Reply::Acked(acked.map(|_| ()))
            }
            Request::Trim { shard, fence, decided, age_ms } => {
                if self.fenced(*shard, *fence).is_ok() {
                    let slice = self.slice(*shard);
                    slice.log.retain(|(written, entry)| entry.seq > *decided || written.after_ms(*age_ms) > at);
                }
                Reply::Kept
            }
            other => unreachable!("{} is dealt with elsewhere", other.stage()),
        }
    }

    fn delay(&mut self, at: Wall, request: &Request, probes: &mut Vec<Probe>) -> Reply {
        let reply = match request {
            Request::Schedule(tasks) => {
                for task in tasks {
                    self.queue.schedule(*task);
                    probes.push(Probe::TaskScheduled { task: task.order });
                }
                Reply::Kept
            }
            Request::Claim { token, limit, lease_ms } => {
                let claimed = self.queue.claim(at, *limit, *token, *lease_ms);
                probes.extend(claimed.iter().map(|task| Probe::Claimed { task: *task, token: token.0 }));
                Reply::Claimed(claimed)
            }
            Request::Recover(limit) => {
                let claimed = |queue: &Queue| {
                    let tasks = queue.tasks().filter(|(_, _, token)| token.is_some());
                    tasks.map(|(order, _, _)| order).collect::<std::collections::BTreeSet<_>>()
                };
                let before = if self.queue.processing() > 0 { claimed(&self.queue) } else { Default::default() };
                let count = self.queue.recover(at, *limit);
                if count > 0 {
                    let after = claimed(&self.queue);
                    probes.extend(before.difference(&after).map(|task| Probe::Recovered { task: *task }));
                }
                Reply::Recovered(count)
            }
            Request::Complete(completions) => {
                for completion in completions {
                    let accepted = self.queue.complete(at, *completion).is_ok();
                    let (task, token) = (completion.order, completion.token.0);
                    probes.push(Probe::Completed { task, token, accepted });
                }
                Reply::Kept
            }
            other => unreachable!("{} is dealt with elsewhere", other.stage()),
        };
        self.queue.check();
        reply
    }
}

fn settle(
    shard: &mut Shard,
    of: ShardId,
    change: &ShardChange,
    probes: &mut Vec<Probe>,
) -> doorbuster_core::ledger::settle::Settlement {
    match change {
        ShardChange::GiveBack { epoch, user, id } => {
            let live = |shard: &Shard| {
                let record = shard.look_up(user, *id);
                record.is_some_and(|record| record.state == doorbuster_core::ledger::page::RecordState::Live)
            };
            let before = live(shard);
            let settlement = shard.settle(*epoch, user, *id);
            if before && !live(shard) {
                probes.push(Probe::UnitsReleased { shard: of, server: shard.server, epoch: *epoch, id: *id });
            }
            settlement
        }
        ShardChange::Grant { epoch, sku, quantity, grant_seq } => shard.grant(*epoch, *sku, *quantity, *grant_seq),
    }
}
