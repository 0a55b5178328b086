//! Settlements in portions, and what is read of a memory.

use super::{RedisLedger, not_served};
use crate::connection::{ask_identity, read_identity};
use crate::script::{Answered, judge};
use crate::servers::Purpose;
use crate::trouble::Trouble;
use doorbuster_core::ids::{ReservationId, ShardId, UserId};
use doorbuster_core::ledger::page::Record;
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::limits::SETTLEMENTS_MAX;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::settler::ShardChange;
use doorbuster_lua::call::Call;
use doorbuster_lua::dump::decode_memory;
use doorbuster_lua::grant::Grant;
use doorbuster_lua::record::decode_page;
use doorbuster_lua::reply::Reply;
use doorbuster_lua::settle::GiveBack;
use doorbuster_lua::value::{ReplyError, Value};
use doorbuster_runtime::ports::ledger::{NotServed, ServerView};
use redis::Pipeline;

impl RedisLedger {
    /// One call per row of changes of one kind, one after the other. A portion that fails makes all of it unknown unless
    /// nothing was sent: what was settled before is settled again without effect.
    pub(super) async fn settle_all(
        &self,
        shard: ShardId,
        changes: &[ShardChange],
    ) -> Outcome<Vec<Settlement>, NotServed> {
        let keys = self.routes.keys(shard);
        let mut settled = Vec::with_capacity(changes.len());
        for call in portions(changes) {
            match self.servers.run(&keys, Purpose::Ledger, &call, self.servers.answer()).await {
                Ok(Answered { value: Reply::Settled(answers), .. }) => settled.extend(answers),
                Ok(Answered { value, .. }) => unreachable!("settlements are not answered with {value:?}"),
                Err(trouble) if settled.is_empty() => return not_served(&trouble),
                Err(_) => return Outcome::Unknown,
            }
        }
        Outcome::Done(settled)
    }

    /// The memory first, then who answered: a server that was demoted in between says so.
    pub(super) async fn inspect_memory(&self, shard: ShardId) -> Outcome<ServerView, NotServed> {
        let keys = self.routes.keys(shard);
        let mut questions = Pipeline::new();
        questions.cmd("HGETALL").arg(&keys.memory);
        ask_identity(&mut questions);
        // Whoever looks wants to know which server is the master now.
        self.servers.doubt();
        let asked = match self.servers.ask(&keys.memory, Purpose::Ledger, &questions, self.servers.answer()).await {
            Ok(asked) => asked,
            Err(trouble) => return not_served(&trouble),
        };
        let [memory, server, replication] = &asked.value[..] else { unreachable!("one reply per question") };
        let Ok(identity) = read_identity(server, replication) else {
            asked.connection.hang_up();
            return Outcome::Refused(NotServed);
        };
        if identity != *asked.connection.identity() {
            asked.connection.hang_up();
        }
        match self.read(&asked, memory, decode_memory) {
            Ok((meta, counters)) => {
                let counters = counters.into_iter().collect();
                Outcome::Done(ServerView { server: identity.server_id(), meta, counters })
            }
            Err(trouble) => not_served(&trouble),
        }
    }

    pub(super) async fn look_up_page(
        &self,
        shard: ShardId,
        user: &UserId,
        id: ReservationId,
    ) -> Outcome<Option<Record>, NotServed> {
        let keys = self.routes.keys(shard);
        let mut questions = Pipeline::new();
        questions.cmd("HGET").arg(&keys.users).arg(user.as_str());
        let page = match self.servers.ask(&keys.users, Purpose::Ledger, &questions, self.servers.answer()).await {
            Ok(asked) if asked.value[0] == Value::Nil => Ok(Vec::new()),
            Ok(asked) => self.read(&asked, &asked.value[0], |value| decode_page(value.bytes()?)),
            Err(trouble) => Err(trouble),
        };
        match page {
            Ok(records) => Outcome::Done(records.into_iter().find(|record| record.id == id)),
            Err(trouble) => not_served(&trouble),
        }
    }

    fn read<T>(
        &self,
        asked: &Answered<Vec<Value>>,
        value: &Value,
        decode: impl FnOnce(&Value) -> Result<T, ReplyError>,
    ) -> Result<T, Trouble> {
        judge(&asked.connection, value, "reading a memory")?;
        decode(value).map_err(|error| {
            tracing::error!(%error, "a memory that cannot be read");
            Trouble::Unknown(error.to_string())
        })
    }
}

/// Calls that make these changes in their order.
fn portions(changes: &[ShardChange]) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for change in changes {
        match (change, calls.last_mut()) {
            (ShardChange::GiveBack { epoch, user, id }, last) => {
                let change = GiveBack { epoch: *epoch, user: user.clone(), id: *id };
                match last {
                    Some(Call::Settle(portion)) if portion.len() < SETTLEMENTS_MAX => portion.push(change),
                    Some(_) | None => calls.push(Call::Settle(vec![change])),
                }
            }
            (ShardChange::Grant { epoch, sku, quantity, grant_seq }, last) => {
                let grant = Grant { epoch: *epoch, sku: *sku, quantity: *quantity, grant_seq: *grant_seq };
                match last {
                    Some(Call::Grant(portion)) if portion.len() < SETTLEMENTS_MAX => portion.push(grant),
                    Some(_) | None => calls.push(Call::Grant(vec![grant])),
                }
            }
        }
    }
    calls
}
