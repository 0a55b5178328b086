//! The shards' servers.

use async_trait::async_trait;
use doorbuster_core::ids::{Epoch, ReservationId, Seq, ServerId, ShardId, SkuId, UserId};
use doorbuster_core::ledger::load::{Chunk, LoadRefusal};
use doorbuster_core::ledger::page::Record;
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem};
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::{Counter, Fence, Fenced, Meta, ShardState};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::settler::ShardChange;

/// What a shard's server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerView {
    /// Who answers.
    pub server: ServerId,
    /// The head of its memory of the shard; absent when it has none.
    pub meta: Option<Meta>,
    /// Its counters.
    pub counters: Vec<(SkuId, Counter)>,
}

/// No server can be asked about this shard; nothing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NotServed;

/// The shards' servers. Each call is one atomic step on one server.
///
/// Contract: a call whose reply is lost is `Unknown` and may have been applied; repeating it is safe for every call,
/// under the same ids. Calls of one caller to one shard are applied in the order in which they were started, unless
/// one of them is `Unknown`: that one may be applied at any later time. A server may be replaced by an older copy of
/// itself at any time; its identity differs then, and a call that carries a fence is answered `Fenced`.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Rule 1. `Done` leaves only when the acceptances are as durable as the sale's acknowledgement level says.
    async fn reserve(&self, shard: ShardId, fence: Fence, items: Vec<ReserveItem>) -> Outcome<Vec<ItemReply>, Fenced>;
    /// Rules 5 and 6, for several changes in order; one answer each. Needs no fence: each change names its epoch.
    async fn settle(&self, shard: ShardId, changes: Vec<ShardChange>) -> Outcome<Vec<Settlement>, NotServed>;
    /// Rule 7; answers the entry that tells of it, or `None` when there was nothing to withdraw.
    async fn withdraw(&self, shard: ShardId, fence: Fence, sku: SkuId, quantity: u64) -> Outcome<Option<Seq>, Fenced>;
    /// Stop and resume.
    async fn set_state(&self, shard: ShardId, fence: Fence, paused: bool) -> Outcome<ShardState, Fenced>;
    /// Ends reservations of this epoch on this server and no other; `None` when the memory is of another epoch or missing.
    async fn seal(&self, shard: ShardId, server: ServerId, epoch: Epoch) -> Outcome<Option<Seq>, NotServed>;
    /// One chunk of a rebuild.
    async fn load(&self, shard: ShardId, fence: Fence, chunk: Chunk) -> Outcome<(), LoadRefusal>;
    /// Ends a rebuild.
    async fn open(&self, shard: ShardId, fence: Fence, chunks: u32, paused: bool) -> Outcome<(), LoadRefusal>;
    /// Who serves this shard now, and what it remembers.
    async fn inspect(&self, shard: ShardId) -> Outcome<ServerView, NotServed>;
    /// A user's record: what a buyer sees before the order's row exists. `Refused` where no memory is open: an absent
    /// record would say nothing there. A record is told only when it is as durable as its first answer had to be, for
    /// what a look-up has said must stay true; until then nobody knows.
    async fn look_up(&self, shard: ShardId, user: UserId, id: ReservationId) -> Outcome<Option<Record>, NotServed>;
    /// Whether the shard may remember this reservation. `false` is certain, and lets an edge refuse a sold-out click
    /// without asking: a known key must be answered as it was, also after the sell-out. An implementation that cannot
    /// tell says `true`.
    fn may_know(&self, shard: ShardId, id: ReservationId) -> bool {
        let _ = (shard, id);
        true
    }
}
