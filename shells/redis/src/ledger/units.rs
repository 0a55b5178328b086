//! Settlements in portions, and what is read of a memory.

use super::{RedisLedger, not_served};
use crate::connection::{ask_identity, read_identity};
use crate::script::{Answered, judge};
use crate::servers::Purpose;
use crate::trouble::Trouble;
use doorbuster_core::database::rows::AckLevel;
use doorbuster_core::ids::{Epoch, ReservationId, Seq, ShardId, UserId};
use doorbuster_core::ledger::page::Record;
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::ShardState;
use doorbuster_core::limits::SETTLEMENTS_MAX;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::settler::ShardChange;
use doorbuster_lua::call::Call;
use doorbuster_lua::dump::decode_memory;
use doorbuster_lua::grant::Grant;
use doorbuster_lua::record::decode_page;
use doorbuster_lua::reply::{Reply, decode_state};
use doorbuster_lua::settle::GiveBack;
use doorbuster_lua::value::{ReplyError, Value};
use doorbuster_runtime::ports::ledger::{NotServed, ServerView};
use redis::Pipeline;
use std::time::Duration;

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
        self.servers.doubt_an_old_answer();
        let asked = match self.servers.ask(&keys.memory, Purpose::Ledger, &questions, self.servers.answer()).await {
            Ok(asked) => asked,
            Err(trouble) => return not_served(&trouble),
        };
        let [memory, server, replication] = &asked.value[..] else { unreachable!("one reply per question") };
        let found = read_identity(server, replication);
        if found.as_ref() != Ok(asked.connection.identity()) {
            // Whoever looks wants to know which server is the master now.
            self.servers.doubt();
            asked.connection.hang_up();
        }
        let Ok(identity) = found else { return Outcome::Refused(NotServed) };
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
        let Ok(level) = self.directory.ack(shard.sale).await else { return Outcome::Refused(NotServed) };
        let mut questions = Pipeline::new();
        questions.cmd("HGET").arg(&keys.users).arg(user.as_str());
        // Behind the page, so that a page of a memory that was lost is not taken for an empty one.
        questions.cmd("HMGET").arg(&keys.memory).arg(&["state", "epoch", "acked"]);
        let (mut purpose, mut answer) = (Purpose::Ledger, self.servers.answer());
        if level == AckLevel::Replica {
            let wait_ms = self.servers.config.replica_wait_ms;
            // Counts replicas that have all which the page has shown.
            questions.cmd("WAIT").arg(1).arg(wait_ms);
            (purpose, answer) = (Purpose::Lane(shard), answer + Duration::from_millis(wait_ms));
        }
        let asked = match self.servers.ask(&keys.users, purpose, &questions, answer).await {
            Ok(asked) => asked,
            Err(trouble) => return not_served(&trouble),
        };
        let head = match self.read(&asked, &asked.value[1], decode_head) {
            Ok(head) => head,
            Err(trouble) => return not_served(&trouble),
        };
        let Some(head) = head else { return Outcome::Refused(NotServed) };
        let records = match &asked.value[0] {
            Value::Nil => Ok(Vec::new()),
            page => self.read(&asked, page, |value| decode_page(value.bytes()?)),
        };
        match records.map(|records| records.into_iter().find(|record| record.id == id)) {
            // Its own 202 has not left yet: a failover may still lose it.
            Ok(Some(record)) if awaits(level, &head, &asked.value, &record) => Outcome::Unknown,
            Ok(record) => Outcome::Done(record),
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

/// Whether a record is not yet as durable as its 202 promises.
fn awaits(level: AckLevel, head: &Head, replies: &[Value], record: &Record) -> bool {
    match level {
        AckLevel::Redis => false,
        AckLevel::Log => head.awaits(record),
        AckLevel::Replica => !matches!(replies, [_, _, Value::Integer(1..)]),
    }
}

/// What a memory says of itself beside a page.
struct Head {
    epoch: Epoch,
    acked: Seq,
}

impl Head {
    /// Whether the durable log may lack this acceptance. Those of older epochs were decided by the rebuild.
    fn awaits(&self, record: &Record) -> bool {
        record.acceptance.epoch == self.epoch && record.acceptance.seq > self.acked
    }
}

/// `None` where the memory is missing or not whole.
fn decode_head(fields: &Value) -> Result<Option<Head>, ReplyError> {
    match fields.array()? {
        [Value::Nil, ..] => Ok(None),
        [state, epoch, acked] => {
            let head = Head { epoch: Epoch(epoch.number()?), acked: Seq(acked.number()?) };
            Ok((decode_state(state.bytes()?)? != ShardState::Loading).then_some(head))
        }
        _ => Err(ReplyError::Type("three fields of a memory")),
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
