//! The shards' logs over their streams.
//!
//! The memory's mark says what is still to be forwarded; the group's list of pending entries says who works on them. A
//! forwarder that begins takes the pending entries of the dead one over and reads from the mark, by place. From then on
//! the group gives it what is new, on a connection that may wait. Whenever the group gives something else than the next
//! entry - a reply was lost, another forwarder is at work, entries are sent again - it reads by place once more.

mod reading;

use crate::route::Routes;
use crate::script::Answered;
use crate::servers::{Purpose, Servers};
use crate::trouble::Trouble;
use async_trait::async_trait;
use doorbuster_core::forwarder::tail::LogPage;
use doorbuster_core::ids::{Seq, ShardId};
use doorbuster_core::ledger::shard::{Fence, Fenced};
use doorbuster_core::outcome::Outcome;
use doorbuster_lua::call::{ACK_ENTRIES_MAX, Call};
use doorbuster_lua::reply::Reply;
use doorbuster_runtime::ports::shard_log::ShardLog;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The consumer group of every shard's log.
pub const GROUP: &str = "forwarders";

/// The shards' logs as one forwarder reads them.
pub struct RedisShardLog {
    servers: Arc<Servers>,
    routes: Routes,
    /// Its name in the group.
    consumer: String,
    /// What it knows of each shard's log. Bounded by the shards of its partitions.
    known: Mutex<BTreeMap<ShardId, Known>>,
}

/// What a reader knows of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    fence: Fence,
    /// The group has given everything up to here to this reader, and it was passed on.
    given: Option<Seq>,
    /// The memory's mark.
    acked: Seq,
}

impl RedisShardLog {
    /// For the forwarder with this owner's number.
    pub fn new(servers: Arc<Servers>, owner: u64) -> RedisShardLog {
        RedisShardLog { servers, routes: Routes::default(), consumer: format!("{owner:016x}"), known: Mutex::default() }
    }

    /// What is known of the fence's memory; it is forgotten until the read that asks has ended well.
    fn take_known(&self, shard: ShardId, fence: Fence) -> Option<Known> {
        let known = self.known.lock().expect("no holder of this lock panics").remove(&shard);
        known.filter(|known| known.fence == fence)
    }

    fn keep_known(&self, shard: ShardId, known: Known) {
        self.known.lock().expect("no holder of this lock panics").insert(shard, known);
    }

    /// The mark behind which entries may be on the pending list.
    async fn mark(&self, shard: ShardId, fence: Fence) -> Result<Seq, Trouble> {
        let known = self.known.lock().expect("no holder of this lock panics").get(&shard).copied();
        match known.filter(|known| known.fence == fence) {
            Some(known) => Ok(known.acked),
            None => Ok(self.head(shard, fence).await?.acked),
        }
    }

    async fn ack_all(&self, shard: ShardId, fence: Fence, last: Seq) -> Result<(), Trouble> {
        let mark = self.mark(shard, fence).await?;
        let mut begin = mark.next();
        loop {
            let end = Seq(last.0.min(begin.0 + ACK_ENTRIES_MAX - 1));
            // At or below the mark nothing is pending any more: the call only tells whether the fence holds.
            let pending = (begin <= end).then_some((GROUP, begin));
            let keys = self.routes.keys(shard);
            let make = |fence| Call::Ack { fence, last: end, pending };
            let acked = match self.servers.run_fenced(&keys, Purpose::Log, fence, make).await? {
                Answered { value: Reply::Acked(acked), .. } => acked,
                Answered { value, .. } => unreachable!("a mark is not answered with {value:?}"),
            };
            let mut known = self.known.lock().expect("no holder of this lock panics");
            if let Some(known) = known.get_mut(&shard).filter(|known| known.fence == fence) {
                known.acked = acked;
            }
            if end >= last {
                return Ok(());
            }
            begin = end.next();
        }
    }
}

fn outcome<T>(result: Result<T, Trouble>) -> Outcome<T, Fenced> {
    match result {
        Ok(value) => Outcome::Done(value),
        Err(Trouble::Fenced) => Outcome::Refused(Fenced),
        // Nothing was applied, but the memory is not known to be another: a drain must not end for it.
        Err(Trouble::Nothing(_) | Trouble::Unknown(_)) => Outcome::Unknown,
    }
}

#[async_trait]
impl ShardLog for RedisShardLog {
    async fn read(&self, shard: ShardId, fence: Fence, after: Option<Seq>, limit: usize) -> Outcome<LogPage, Fenced> {
        outcome(self.page(shard, fence, after, limit).await)
    }

    async fn ack(&self, shard: ShardId, fence: Fence, seq: Seq) -> Outcome<(), Fenced> {
        outcome(self.ack_all(shard, fence, seq).await)
    }

    async fn trim(&self, shard: ShardId, fence: Fence, decided: Seq, age_ms: u64) -> Outcome<u64, Fenced> {
        let keys = self.routes.keys(shard);
        let make = |fence| Call::Trim { fence, decided, age_ms };
        match self.servers.run_fenced(&keys, Purpose::Log, fence, make).await {
            Ok(Answered { value: Reply::Trimmed { removed, .. }, .. }) => Outcome::Done(removed),
            Ok(Answered { value, .. }) => unreachable!("a trim is not answered with {value:?}"),
            Err(trouble) => outcome(Err(trouble)),
        }
    }
}
