//! The server's thread behind the ledger port.

use super::call::{Answer, Call};
use super::intents::LogIntents;
use super::known::Known;
use super::shards::Shards;
use super::thread::{PARTITION, ServerThread};
use crate::log::Log;
use crate::rows::RowsStore;
use async_trait::async_trait;
use doorbuster_core::ids::{Epoch, ReservationId, Seq, ServerId, ShardId, SkuId, UserId};
use doorbuster_core::ledger::load::{Chunk, LoadRefusal};
use doorbuster_core::ledger::page::Record;
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem};
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::{Fence, Fenced, ShardState};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::settler::ShardChange;
use doorbuster_runtime::env::{SharedEnv, entropy_wide};
use doorbuster_runtime::ports::ledger::{Ledger, NotServed, ServerView};
use doorbuster_runtime::telemetry::Telemetry;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Calls that wait for the thread; two flights of every lane fit.
const CALLS_MAX: usize = 4096;

/// The shards' server of this process.
#[derive(Clone)]
pub struct ShardServer {
    calls: mpsc::Sender<Call>,
    known: Arc<Known>,
}

impl ShardServer {
    /// Starts the thread over an open log. Every start is another server: its memory is empty, and the ladder of each
    /// shard loads it again from the rows.
    pub fn start(
        log: Log,
        store: RowsStore,
        env: SharedEnv,
        telemetry: Arc<Telemetry>,
    ) -> (ShardServer, LogIntents, std::thread::JoinHandle<()>) {
        let (calls, waiting) = mpsc::channel(CALLS_MAX);
        let (synced, visible) = watch::channel(log.last(PARTITION).0);
        let intents = LogIntents::new(log.reader(), visible, calls.clone(), store);
        let shards = Shards::new(log, ServerId(entropy_wide(env.as_ref())));
        let known = shards.known();
        let thread = ServerThread { shards, env, telemetry, synced };
        (ShardServer { calls, known }, intents, thread.start(waiting))
    }

    async fn call<T, R>(&self, call: impl FnOnce(Answer<T>) -> Call) -> Outcome<T, R> {
        ask(&self.calls, call).await.map_or(Outcome::Unknown, Outcome::Done)
    }

    async fn fallible<T, R>(&self, call: impl FnOnce(Answer<Result<T, R>>) -> Call) -> Outcome<T, R> {
        match ask(&self.calls, call).await {
            Some(Ok(value)) => Outcome::Done(value),
            Some(Err(refusal)) => Outcome::Refused(refusal),
            // The thread is gone, and with it the process, soon: what it had appended, the next start finds.
            None => Outcome::Unknown,
        }
    }
}

/// `None` when the thread has ended.
pub(super) async fn ask<T>(calls: &mpsc::Sender<Call>, call: impl FnOnce(Answer<T>) -> Call) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    calls.send(call(answer)).await.ok()?;
    answered.await.ok()
}

#[async_trait]
impl Ledger for ShardServer {
    async fn reserve(&self, shard: ShardId, fence: Fence, items: Vec<ReserveItem>) -> Outcome<Vec<ItemReply>, Fenced> {
        self.fallible(|answer| Call::Reserve(shard, fence, items, answer)).await
    }

    async fn settle(&self, shard: ShardId, changes: Vec<ShardChange>) -> Outcome<Vec<Settlement>, NotServed> {
        self.call(|answer| Call::Settle(shard, changes, answer)).await
    }

    async fn withdraw(&self, shard: ShardId, fence: Fence, sku: SkuId, quantity: u64) -> Outcome<Option<Seq>, Fenced> {
        self.fallible(|answer| Call::Withdraw(shard, fence, sku, quantity, answer)).await
    }

    async fn set_state(&self, shard: ShardId, fence: Fence, paused: bool) -> Outcome<ShardState, Fenced> {
        self.fallible(|answer| Call::SetState(shard, fence, paused, answer)).await
    }

    async fn seal(&self, shard: ShardId, server: ServerId, epoch: Epoch) -> Outcome<Option<Seq>, NotServed> {
        self.call(|answer| Call::Seal(shard, server, epoch, answer)).await
    }

    async fn load(&self, shard: ShardId, fence: Fence, chunk: Chunk) -> Outcome<(), LoadRefusal> {
        self.fallible(|answer| Call::Load(shard, fence, chunk, answer)).await
    }

    async fn open(&self, shard: ShardId, fence: Fence, chunks: u32, paused: bool) -> Outcome<(), LoadRefusal> {
        self.fallible(|answer| Call::Open(shard, fence, chunks, paused, answer)).await
    }

    async fn inspect(&self, shard: ShardId) -> Outcome<ServerView, NotServed> {
        self.call(|answer| Call::Inspect(shard, answer)).await
    }

    async fn look_up(&self, shard: ShardId, user: UserId, id: ReservationId) -> Outcome<Option<Record>, NotServed> {
        self.fallible(|answer| Call::LookUp(shard, user, id, answer)).await
    }

    fn may_know(&self, _shard: ShardId, id: ReservationId) -> bool {
        self.known.may_contain(id)
    }
}
