//! What the server's thread is asked for, each with the place for its answer.

use doorbuster_core::ids::{Epoch, ReservationId, Seq, ServerId, ShardId, SkuId, UserId};
use doorbuster_core::ledger::load::{Chunk, LoadRefusal};
use doorbuster_core::ledger::page::Record;
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem};
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::{Fence, Fenced, ShardState};
use doorbuster_core::settler::ShardChange;
use doorbuster_runtime::ports::ledger::{NotServed, ServerView};
use tokio::sync::oneshot;

/// Where an answer goes.
pub type Answer<T> = oneshot::Sender<T>;

/// One call to one shard.
pub enum Call {
    Reserve(ShardId, Fence, Vec<ReserveItem>, Answer<Result<Vec<ItemReply>, Fenced>>),
    Settle(ShardId, Vec<ShardChange>, Answer<Vec<Settlement>>),
    Withdraw(ShardId, Fence, SkuId, u64, Answer<Result<Option<Seq>, Fenced>>),
    SetState(ShardId, Fence, bool, Answer<Result<ShardState, Fenced>>),
    Seal(ShardId, ServerId, Epoch, Answer<Option<Seq>>),
    Load(ShardId, Fence, Chunk, Answer<Result<(), LoadRefusal>>),
    Open(ShardId, Fence, u32, bool, Answer<Result<(), LoadRefusal>>),
    Inspect(ShardId, Answer<ServerView>),
    LookUp(ShardId, UserId, ReservationId, Answer<Result<Option<Record>, NotServed>>),
    /// Puts the seal of an epoch into the log, behind everything of that epoch.
    AppendSeal(ShardId, Epoch, Answer<()>),
    /// Gives up log records before this position.
    Purge(u64),
}
