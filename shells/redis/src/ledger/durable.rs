//! When a 202 may leave: as durable as the sale promises.

use super::RedisLedger;
use crate::connection::Connection;
use crate::servers::Purpose;
use doorbuster_core::database::rows::AckLevel;
use doorbuster_core::ids::{Seq, ShardId};
use doorbuster_core::ledger::reserve::ItemReply;
use doorbuster_core::ledger::shard::Fence;
use doorbuster_core::time::Mono;
use doorbuster_lua::value::Value;
use redis::Pipeline;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks at the memory's mark: a lane has at most two batches that wait, and a look costs the server a
/// microsecond.
const MARK_POLL: Duration = Duration::from_millis(5);

/// A batch that its shard has taken.
pub struct Taken {
    pub shard: ShardId,
    pub fence: Fence,
    pub purpose: Purpose,
    /// The one on which it was taken.
    pub connection: Arc<Connection>,
    pub begun: Mono,
}

impl RedisLedger {
    /// Whether these acceptances, replays included, became durable in time: the first answer of a replayed one may have
    /// been lost because it was not.
    pub async fn await_durable(&self, level: AckLevel, taken: &Taken, replies: &[ItemReply]) -> bool {
        let Some(last) = last_of_epoch(taken.fence, replies) else { return true };
        let waiting = async {
            match level {
                AckLevel::Redis => true,
                AckLevel::Replica => self.await_replica(taken).await,
                AckLevel::Log => self.await_mark(taken, last).await,
            }
        };
        let now = self.servers.connector.env.now().mono;
        let spent = Duration::from_micros(now.0.saturating_sub(taken.begun.0));
        let left = Duration::from_millis(self.servers.config.reserve_ms).saturating_sub(spent);
        tokio::time::timeout(left, waiting).await.unwrap_or(false)
    }

    /// WAIT counts replicas that have everything which the server had written when this connection's last call ended:
    /// entries of earlier calls too, whoever sent them.
    async fn await_replica(&self, taken: &Taken) -> bool {
        let keys = self.routes.keys(taken.shard);
        let wait_ms = self.servers.config.replica_wait_ms;
        let mut commands = Pipeline::new();
        commands.cmd("WAIT").arg(1).arg(wait_ms);
        let Ok(link) = self.servers.link(&keys.memory, taken.purpose).await else { return false };
        let answer = Duration::from_millis(wait_ms) + self.servers.answer();
        // On another connection WAIT would count from nothing.
        match link.send(&commands, Some(&taken.connection), answer).await {
            Ok((replies, _)) => matches!(replies[..], [Value::Integer(1..)]),
            // It was taken, and whether a replica has it nobody knows.
            Err(_) => false,
        }
    }

    /// The forwarder marks entries in the memory when the durable log has them. A mark under this epoch and nonce is true
    /// wherever it is read: a copy of the memory on another server is never marked under them.
    async fn await_mark(&self, taken: &Taken, last: Seq) -> bool {
        let keys = self.routes.keys(taken.shard);
        let mut commands = Pipeline::new();
        commands.cmd("HMGET").arg(&keys.memory).arg(&["epoch", "nonce", "acked"]);
        loop {
            let Ok(asked) = self.servers.ask(&keys.memory, taken.purpose, &commands, self.servers.answer()).await
            else {
                return false;
            };
            let Some([epoch, nonce, acked]) = numbers(&asked.value[0]) else { return false };
            if (epoch, nonce) != (taken.fence.epoch.0, taken.fence.nonce.0) {
                return false;
            }
            if acked >= last.0 {
                return true;
            }
            tokio::time::sleep(MARK_POLL).await;
        }
    }
}

/// The last entry of the fence's epoch among the acceptances. Those of earlier epochs came with the load, from orders
/// that the database has.
fn last_of_epoch(fence: Fence, replies: &[ItemReply]) -> Option<Seq> {
    let place = |reply: &ItemReply| match reply {
        ItemReply::Accepted(acceptance) | ItemReply::Replayed(acceptance) => {
            (acceptance.epoch == fence.epoch).then_some(acceptance.seq)
        }
        ItemReply::Refused(_) => None,
    };
    replies.iter().filter_map(place).max()
}

/// Fields of a hash that are numbers; nothing when one is missing.
fn numbers<const N: usize>(fields: &Value) -> Option<[u64; N]> {
    let fields = fields.array().ok()?;
    let numbers: Vec<u64> = fields.iter().map_while(|field| field.number().ok()).collect();
    numbers.try_into().ok()
}
