//! One server of shards: memories, logs and the delay queue, as the shipped scripts mean them.
//!
//! Its replica and its file on the disk are a prefix of its commands: they lack the newest ones. So a node keeps an older
//! copy of itself and the commands since; who is promoted or started again takes the copy and some of these.

mod reading;
pub mod shared_cache;
pub mod store;

use super::conditions::Conditions;
use super::embedded::{DurableReply, DurableRequest};
use super::{ServiceEffect, ServiceEvent};
use crate::fault::FaultKind;
use crate::plan::Acknowledge;
use doorbuster_core::delay::queue::{Completion, Task, Token};
use doorbuster_core::forwarder::tail::LogPage;
use doorbuster_core::ids::{Epoch, OrderId, ReservationId, Seq, ServerId, ShardId, SkuId, UserId};
use doorbuster_core::ledger::load::{Chunk, LoadRefusal};
use doorbuster_core::ledger::page::Record;
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem};
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::{Counter, Fence, Fenced, Meta, ShardState};
use doorbuster_core::machine::Machine;
use doorbuster_core::rng::Rng;
use doorbuster_core::settler::ShardChange;
use doorbuster_core::time::{Mono, Now, Wall};
use reading::{AckWait, LogWait};
use shared_cache::{CacheNews, CacheReply, CacheRequest};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use store::Store;

/// Commands that a replica may lack at most: older ones are everywhere.
const TRAIL_MAX: usize = 48;

/// What is asked of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Rule 1; answered when the acceptances are as durable as the level says.
    Reserve { shard: ShardId, fence: Fence, items: Vec<ReserveItem>, level: Acknowledge },
    /// Rules 5 and 6.
    Settle { shard: ShardId, changes: Vec<ShardChange> },
    /// Rule 7.
    Withdraw { shard: ShardId, fence: Fence, sku: SkuId, quantity: u64 },
    /// Stop and resume.
    SetState { shard: ShardId, fence: Fence, paused: bool },
    /// Ends an epoch on this server, if it is the named one.
    Seal { shard: ShardId, server: ServerId, epoch: Epoch },
    /// A chunk of a load.
    Load { shard: ShardId, fence: Fence, chunk: Chunk },
    /// The end of a load.
    Open { shard: ShardId, fence: Fence, chunks: u32, paused: bool },
    /// Who serves, and what it remembers.
    Inspect(ShardId),
    /// A buyer's record.
    LookUp { shard: ShardId, user: UserId, id: ReservationId },
    /// Entries behind a place; waits a moment for the first.
    ReadLog { shard: ShardId, fence: Fence, after: Option<Seq>, limit: usize },
    /// Entries up to this one are durable elsewhere.
    Ack { shard: ShardId, fence: Fence, seq: Seq },
    /// Removes entries that are decided and old.
    Trim { shard: ShardId, fence: Fence, decided: Seq, age_ms: u64 },
    /// Puts tasks into the delay queue.
    Schedule(Vec<Task>),
    /// Takes due tasks.
    Claim { token: Token, limit: usize, lease_ms: u64 },
    /// Returns tasks whose lease has ended.
    Recover(usize),
    /// Ends claims.
    Complete(Vec<Completion>),
    /// Of the cache that all processes share.
    Cache(CacheRequest),
    /// Of a server's own log, which only a server with a disk has.
    Durable(DurableRequest),
}

/// What a server tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Of a batch.
    Reserved(Result<Vec<ItemReply>, Fenced>),
    /// One per change.
    Settled(Vec<Settlement>),
    /// The entry that tells of it.
    Withdrawn(Result<Option<Seq>, Fenced>),
    /// The state after it.
    StateSet(Result<ShardState, Fenced>),
    /// The last entry; absent when the memory is another.
    Sealed(Option<Seq>),
    /// Of a chunk.
    Loaded(Result<(), LoadRefusal>),
    /// Of the end of a load.
    Opened(Result<(), LoadRefusal>),
    /// Of an inspection.
    View { server: ServerId, meta: Option<Meta>, counters: Vec<(SkuId, Counter)> },
    /// Of a look-up, and whether the durable log has the record.
    Record { record: Option<Record>, durable: bool },
    /// Of the log.
    Page(Result<LogPage, Fenced>),
    /// Of a mark.
    Acked(Result<(), Fenced>),
    /// Of a claim.
    Claimed(Vec<OrderId>),
    /// Of a recovery.
    Recovered(usize),
    /// Of the shared cache.
    Cache(CacheReply),
    /// Of a server's own log.
    Durable(DurableReply),
    /// Of everything that has nothing to tell.
    Kept,
    /// Refused before anything happened: OOM, MISCONF, READONLY, LOADING, BUSY.
    Error,
    /// Too few replicas took it in time, or the connection went.
    Unknown,
}

/// One server.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it holds now.
    pub store: Store,
    /// An older copy, and the commands since.
    base: Store,
    trail: VecDeque<(Wall, Request)>,
    /// How many of these a replica has confirmed: no promotion lacks them.
    replicated: usize,
    /// Whether a replica follows it; without one nothing can be confirmed.
    pub has_replica: bool,
    /// Whether it refuses reads too while it refuses commands: LOADING and BUSY do, OOM and MISCONF do not.
    pub refuses_reads: bool,
    /// Whether copies are ever asked for.
    trails: bool,
    /// Whether it answers at all.
    pub is_up: bool,
    /// Milliseconds by which its clock is ahead.
    pub clock_ahead_ms: u64,
    ack_waits: BTreeMap<u64, AckWait>,
    log_waits: BTreeMap<u64, LogWait>,
    /// Who listens to changes of products.
    subscribers: BTreeSet<u64>,
    /// What the shared cache did; the world takes it.
    pub news: Vec<CacheNews>,
    /// What befalls it.
    pub conditions: Conditions,
}

type Effects = Vec<ServiceEffect<Reply>>;

impl Node {
    /// An empty server; without `trails` it keeps no older copy, and must not be asked for one.
    pub fn new(identity: ServerId, trails: bool, rng: Rng) -> Node {
        Node {
            store: Store::empty(identity),
            base: Store::empty(identity),
            trail: VecDeque::new(),
            replicated: 0,
            has_replica: true,
            refuses_reads: false,
            trails,
            is_up: true,
            clock_ahead_ms: 0,
            ack_waits: BTreeMap::new(),
            log_waits: BTreeMap::new(),
            subscribers: BTreeSet::new(),
            news: Vec::new(),
            conditions: Conditions::new(rng),
        }
    }

    fn clock(&self, now: Now) -> Wall {
        now.wall.after_ms(self.clock_ahead_ms)
    }

    fn asked(&mut self, now: Now, call: u64, request: Request, out: &mut Effects) {
        if !self.is_up {
            return out.push(ServiceEffect::Dropped { call });
        }
        if (request.writes() || self.refuses_reads) && self.conditions.bites(FaultKind::R6) {
            out.push(ServiceEffect::Bitten(FaultKind::R6, request.stage()));
            return out.push(ServiceEffect::Answered { call, reply: Reply::Error });
        }
        let at = self.clock(now);
        if let Request::ReadLog { .. } = &request {
            return self.read_log(now, call, request, out);
        }
        let reply =
            if let Request::Cache(asked) = &request { self.share(at, asked, out) } else { self.run(at, &request, out) };
        let reserves = if let Request::Reserve { shard, level, .. } = &request { Some((*shard, *level)) } else { None };
        match reserves {
            Some(reserves) => self.acknowledge(now, call, reserves, reply, out),
            None => out.push(ServiceEffect::Answered { call, reply }),
        }
        if request.writes() {
            self.remember(at, request);
            self.answer_waits(now, out);
        }
        if reserves.is_some_and(|(_, level)| level == Acknowledge::Replica) && self.has_replica {
            self.replicated = self.trail.len();
        }
    }

    /// Answers a batch of reservations when they are as durable as its level says.
    fn acknowledge(
        &mut self,
        now: Now,
        call: u64,
        (shard, level): (ShardId, Acknowledge),
        reply: Reply,
        out: &mut Effects,
    ) {
        match level {
            Acknowledge::Log => self.hold_until_durable(now, call, shard, reply, out),
            // Too few replicas took it: it stands here all the same.
            Acknowledge::Replica if !self.has_replica => {
                out.push(ServiceEffect::Answered { call, reply: Reply::Unknown });
            }
            Acknowledge::Replica | Acknowledge::Redis => out.push(ServiceEffect::Answered { call, reply }),
        }
    }

    fn run(&mut self, at: Wall, request: &Request, out: &mut Effects) -> Reply {
        let mut probes = Vec::new();
        let reply = self.store.run(at, request, &mut probes);
        out.extend(probes.into_iter().map(ServiceEffect::Probed));
        reply
    }

    fn remember(&mut self, at: Wall, request: Request) {
        if !self.trails {
            return;
        }
        self.trail.push_back((at, request));
        while self.trail.len() > TRAIL_MAX {
            let (at, request) = self.trail.pop_front().expect("it was just counted");
            self.replicated = self.replicated.saturating_sub(1);
            self.base.run(at, &request, &mut Vec::new());
        }
    }

    /// What a replica has when the newest `lost` commands that nobody waited for did not reach it; also how many it lacks.
    pub fn replica(&self, lost: usize) -> (Store, usize) {
        self.copy(lost.min(self.trail.len() - self.replicated))
    }

    /// What the file has when the newest `lost` commands did not reach it; also how many it lacks.
    pub fn copy(&self, lost: usize) -> (Store, usize) {
        assert!(self.trails, "a plan without such faults keeps no copies");
        let kept = self.trail.len().saturating_sub(lost);
        let mut store = self.base.clone();
        for (at, request) in self.trail.iter().take(kept) {
            store.run(*at, request, &mut Vec::new());
        }
        (store, self.trail.len() - kept)
    }

    /// Serves this content under a new identity. Returns the calls that wait here: their connections are gone.
    pub fn take_over(&mut self, mut store: Store, identity: ServerId) -> Vec<u64> {
        store.identify(identity);
        self.base = store.clone();
        self.store = store;
        self.trail.clear();
        self.replicated = 0;
        self.has_replica = true;
        self.is_up = true;
        self.hang_up()
    }

    /// Forgets everything and keeps its identity, as FLUSHALL does.
    pub fn flush(&mut self) {
        let identity = self.store.identity;
        self.store = Store::empty(identity);
        self.base = self.store.clone();
        self.trail.clear();
        self.replicated = 0;
    }

    /// It is gone: whoever waits for it learns nothing.
    pub fn go_down(&mut self) -> Vec<u64> {
        self.is_up = false;
        self.hang_up()
    }

    fn hang_up(&mut self) -> Vec<u64> {
        let calls = self.ack_waits.keys().chain(self.log_waits.keys()).copied().collect();
        self.ack_waits.clear();
        self.log_waits.clear();
        self.subscribers.clear();
        calls
    }
}

impl Machine for Node {
    type Event = ServiceEvent<Request>;
    type Effect = ServiceEffect<Reply>;

    fn step(&mut self, now: Now, event: Self::Event, out: &mut Effects) {
        match event {
            ServiceEvent::Asked { call, request } => self.asked(now, call, request, out),
            ServiceEvent::Woken => self.answer_waits(now, out),
        }
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        let acks = self.ack_waits.values().map(|wait| (wait.until, "a buyer waits for the durable log"));
        let logs = self.log_waits.values().map(|wait| (wait.until, "a reader of a log waits"));
        acks.chain(logs).min()
    }
}

impl Request {
    /// Whether it may change something: only such a command is replicated, and only such a one is refused by OOM.
    pub fn writes(&self) -> bool {
        match self {
            Request::Inspect(_) | Request::LookUp { .. } | Request::ReadLog { .. } => false,
            Request::Cache(request) => request.writes(),
            Request::Reserve { .. }
            | Request::Settle { .. }
            | Request::Withdraw { .. }
            | Request::SetState { .. }
            | Request::Seal { .. }
            | Request::Load { .. }
            | Request::Open { .. }
            | Request::Ack { .. }
            | Request::Trim { .. }
            | Request::Schedule(_)
            | Request::Claim { .. }
            | Request::Recover(_)
            | Request::Complete(_)
            | Request::Durable(_) => true,
        }
    }

    /// What is in flight while it is.
    pub fn stage(&self) -> &'static str {
        match self {
            Request::Reserve { .. } => "a reservation",
            Request::Settle { .. } => "settled, not given back",
            Request::Withdraw { .. } => "a withdrawal",
            Request::SetState { .. } => "a pause of the sale",
            Request::Seal { .. } => "an epoch ends",
            Request::Load { .. } | Request::Open { .. } => "a load",
            Request::Inspect(_) | Request::LookUp { .. } => "a look at a memory",
            Request::ReadLog { .. } => "reserved, not read",
            Request::Ack { .. } | Request::Trim { .. } => "published, not acknowledged",
            Request::Schedule(_) => "told, not scheduled",
            Request::Claim { .. } | Request::Recover(_) => "due, not claimed",
            Request::Complete(_) => "cancelled, not completed",
            Request::Cache(request) => request.stage(),
            Request::Durable(request) => request.stage(),
        }
    }
}
