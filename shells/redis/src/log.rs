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
    /// What it knows of each shard's log, also after its partition went to another forwarder. Bounded by all shards.
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

    /// How far the group gave to this reader; forgotten until the read that asks has ended well. The mark stands.
    fn take_given(&self, shard: ShardId, fence: Fence) -> Option<Seq> {
        let mut known = self.known.lock().expect("no holder of this lock panics");
        known.get_mut(&shard).filter(|known| known.fence == fence)?.given.take()
    }

    fn keep_known(&self, shard: ShardId, new: Known) {
        let mut known = self.known.lock().expect("no holder of this lock panics");
        // Marks that were set while the read was under way are newer than what it saw.
        let old = known.get(&shard).filter(|old| old.fence == new.fence);
        let acked = old.map_or(new.acked, |old| old.acked.max(new.acked));
        known.insert(shard, Known { acked, ..new });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RedisConfig;
    use crate::dial::TcpDial;
    use doorbuster_core::ids::{Epoch, Nonce, SaleId, ServerId};
    use doorbuster_runtime::contract::clock::SteppedEnv;

    #[tokio::test]
    async fn a_read_under_way_does_not_take_the_mark_away() {
        let servers = Servers::new(RedisConfig::default(), Arc::new(TcpDial), SteppedEnv::shared(1));
        let log = RedisShardLog::new(servers, 1);
        let shard = ShardId { sale: SaleId::parse("marked").unwrap(), k: 0 };
        let fence = Fence { server: ServerId(1), epoch: Epoch(1), nonce: Nonce(1) };
        let seen = Known { fence, given: Some(Seq(9)), acked: Seq(3) };
        log.keep_known(shard, seen);
        assert_eq!(log.take_given(shard, fence), Some(Seq(9)));
        assert_eq!(log.take_given(shard, fence), None, "another read reads by place");
        // Nobody is asked: there is no server.
        assert_eq!(log.mark(shard, fence).await, Ok(Seq(3)));
        log.keep_known(shard, Known { acked: Seq(7), ..seen });
        log.keep_known(shard, Known { acked: Seq(5), ..seen });
        assert_eq!(log.mark(shard, fence).await, Ok(Seq(7)), "a mark never goes back");
        let later = Fence { epoch: Epoch(2), ..fence };
        assert_eq!(log.take_given(shard, later), None);
        log.keep_known(shard, Known { fence: later, given: None, acked: Seq(0) });
        assert_eq!(log.mark(shard, later).await, Ok(Seq(0)), "another memory has its own");
    }
}
