//! The shards' servers over the scripts.

mod durable;
mod units;

use crate::directory::Directory;
use crate::route::Routes;
use crate::script::Answered;
use crate::servers::{Purpose, Servers};
use crate::trouble::Trouble;
use async_trait::async_trait;
use doorbuster_core::database::rows::AckLevel;
use doorbuster_core::ids::{Epoch, ReservationId, Seq, ServerId, ShardId, SkuId, UserId};
use doorbuster_core::ledger::load::{Chunk, LoadRefusal};
use doorbuster_core::ledger::page::Record;
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem};
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::{Fence, Fenced, ShardState};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::settler::ShardChange;
use doorbuster_lua::call::Call;
use doorbuster_lua::reply::Reply;
use doorbuster_runtime::ports::ledger::{Ledger, NotServed, ServerView};
use std::sync::Arc;

/// The shards' servers. A batch has at most `doorbuster_core::limits::BATCH_MAX` reservations: more would block the
/// server for other shards.
///
/// Calls of one caller to one shard leave over one connection, in their order; reservations of a sale that waits for
/// replicas have one of their own. `may_know` is always true: what this process has not seen accepted another one may
/// have, so only the shard can tell a stranger from a buyer who repeats a key. An edge could do better only if it heard
/// of every acceptance of its shards before the buyer did, which costs each acceptance a message to every edge; what it
/// would save is one batched look into the memory per sold-out click, 3 us of a server.
pub struct RedisLedger {
    servers: Arc<Servers>,
    directory: Arc<dyn Directory>,
    routes: Routes,
}

impl RedisLedger {
    /// Over these servers; the directory tells what a sale's 202 promises.
    pub fn new(servers: Arc<Servers>, directory: Arc<dyn Directory>) -> RedisLedger {
        RedisLedger { servers, directory, routes: Routes::default() }
    }

    async fn fenced(
        &self,
        shard: ShardId,
        purpose: Purpose,
        fence: Fence,
        make: impl FnOnce(doorbuster_lua::identity::ScriptFence) -> Call,
    ) -> Result<Answered<Reply>, Trouble> {
        let keys = self.routes.keys(shard);
        self.servers.run_fenced(&keys, purpose, fence, make).await
    }

    async fn load_step(
        &self,
        shard: ShardId,
        fence: Fence,
        make: impl FnOnce(doorbuster_lua::identity::ScriptFence) -> Call,
    ) -> Outcome<(), LoadRefusal> {
        match self.fenced(shard, Purpose::Ledger, fence, make).await {
            Ok(Answered { value: Reply::Loaded(Ok(())), .. }) => Outcome::Done(()),
            Ok(Answered { value: Reply::Loaded(Err(refusal)), .. }) => Outcome::Refused(refusal),
            Ok(Answered { value, .. }) => unreachable!("a step of a load is not answered with {value:?}"),
            Err(Trouble::Fenced) => Outcome::Refused(LoadRefusal::WrongServer),
            // Nothing was applied, but that is no verdict of the memory: like a lost answer, it ends the loader's run.
            Err(Trouble::Nothing(_) | Trouble::Unknown(_)) => Outcome::Unknown,
        }
    }
}

/// What a caller under a fence is told. It reads the row again when nothing was applied, as after a fence: that costs a
/// read and a pause, and the row is where the way out will stand.
fn refused<T>(trouble: &Trouble) -> Outcome<T, Fenced> {
    match trouble {
        Trouble::Fenced | Trouble::Nothing(_) => Outcome::Refused(Fenced),
        Trouble::Unknown(_) => Outcome::Unknown,
    }
}

/// What a caller without a fence is told.
fn not_served<T>(trouble: &Trouble) -> Outcome<T, NotServed> {
    match trouble {
        Trouble::Fenced | Trouble::Nothing(_) => Outcome::Refused(NotServed),
        Trouble::Unknown(_) => Outcome::Unknown,
    }
}

#[async_trait]
impl Ledger for RedisLedger {
    async fn reserve(&self, shard: ShardId, fence: Fence, items: Vec<ReserveItem>) -> Outcome<Vec<ItemReply>, Fenced> {
        let begun = self.servers.connector.env.now().mono;
        // Without it nobody knows what a 202 would promise: nothing is asked.
        let Ok(level) = self.directory.ack(shard.sale).await else { return Outcome::Refused(Fenced) };
        let purpose = match level {
            AckLevel::Redis | AckLevel::Log => Purpose::Ledger,
            AckLevel::Replica => Purpose::Lane(shard),
        };
        match self.fenced(shard, purpose, fence, |own| Call::Reserve(own, items)).await {
            Ok(Answered { value: Reply::Reserved(answer), connection }) => {
                let taken = durable::Taken { shard, fence, purpose, connection, begun };
                match self.await_durable(level, &taken, &answer.replies).await {
                    true => Outcome::Done(answer.replies),
                    // Taken, but not yet as durable as promised: the same keys ask again and wait again.
                    false => Outcome::Unknown,
                }
            }
            Ok(Answered { value, .. }) => unreachable!("a batch is not answered with {value:?}"),
            Err(trouble) => refused(&trouble),
        }
    }

    async fn settle(&self, shard: ShardId, changes: Vec<ShardChange>) -> Outcome<Vec<Settlement>, NotServed> {
        self.settle_all(shard, &changes).await
    }

    async fn withdraw(&self, shard: ShardId, fence: Fence, sku: SkuId, quantity: u64) -> Outcome<Option<Seq>, Fenced> {
        match self.fenced(shard, Purpose::Ledger, fence, |own| Call::Withdraw(own, sku, quantity)).await {
            Ok(Answered { value: Reply::Withdrawn(withdrawal), .. }) => Outcome::Done(withdrawal.map(|it| it.seq)),
            Ok(Answered { value, .. }) => unreachable!("a withdrawal is not answered with {value:?}"),
            Err(trouble) => refused(&trouble),
        }
    }

    async fn set_state(&self, shard: ShardId, fence: Fence, paused: bool) -> Outcome<ShardState, Fenced> {
        match self.fenced(shard, Purpose::Ledger, fence, |own| Call::SetState(own, paused)).await {
            Ok(Answered { value: Reply::State(state), .. }) => Outcome::Done(state),
            Ok(Answered { value, .. }) => unreachable!("a change of state is not answered with {value:?}"),
            Err(trouble) => refused(&trouble),
        }
    }

    async fn seal(&self, shard: ShardId, server: ServerId, epoch: Epoch) -> Outcome<Option<Seq>, NotServed> {
        // The script compares server and epoch only: whoever ends an epoch ends it under any nonce.
        let fence = Fence { server, epoch, nonce: Default::default() };
        match self.fenced(shard, Purpose::Ledger, fence, Call::Seal).await {
            Ok(Answered { value: Reply::Sealed(last), .. }) => Outcome::Done(last),
            Ok(Answered { value, .. }) => unreachable!("a seal is not answered with {value:?}"),
            Err(trouble) => not_served(&trouble),
        }
    }

    async fn load(&self, shard: ShardId, fence: Fence, chunk: Chunk) -> Outcome<(), LoadRefusal> {
        self.load_step(shard, fence, |own| Call::Load(own, chunk)).await
    }

    async fn open(&self, shard: ShardId, fence: Fence, chunks: u32, paused: bool) -> Outcome<(), LoadRefusal> {
        self.load_step(shard, fence, |fence| Call::Open { fence, chunks, paused }).await
    }

    async fn inspect(&self, shard: ShardId) -> Outcome<ServerView, NotServed> {
        self.inspect_memory(shard).await
    }

    async fn look_up(&self, shard: ShardId, user: UserId, id: ReservationId) -> Outcome<Option<Record>, NotServed> {
        self.look_up_page(shard, &user, id).await
    }
}
