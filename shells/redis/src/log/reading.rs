//! How a page of a log is read: by place, or as the group gives it.

use super::{GROUP, Known, RedisShardLog};
use crate::connection::Connection;
use crate::script::{Answered, judge};
use crate::servers::Purpose;
use crate::trouble::Trouble;
use crate::value::code;
use doorbuster_core::forwarder::tail::LogPage;
use doorbuster_core::ids::{Epoch, Seq, ShardId};
use doorbuster_core::ledger::entry::Entry;
use doorbuster_core::ledger::shard::{Fence, ShardState};
use doorbuster_lua::log::{decode_entry, decode_id, entry_id};
use doorbuster_lua::reply::decode_state;
use doorbuster_lua::value::{ReplyError, Value};
use redis::{Cmd, Pipeline};
use std::time::Duration;

/// Pending entries of one call that takes them over.
const CLAIM_PAGE: usize = 128;
/// Calls of one takeover: more pending entries than the lanes of a process can make in the time of a drain. What is left
/// keeps its old reader's name, and is read all the same.
const CLAIM_CALLS_MAX: usize = 64;

/// What a memory's head says of its log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub last: Seq,
    pub acked: Seq,
    pub sealed: bool,
}

impl RedisShardLog {
    pub(super) async fn page(
        &self,
        shard: ShardId,
        fence: Fence,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<LogPage, Trouble> {
        let given = self.take_given(shard, fence);
        match after {
            Some(place) if given == Some(place) => self.next(shard, fence, place, limit).await,
            Some(place) => self.by_place(shard, fence, place, limit).await,
            None => {
                let head = self.head(shard, fence).await?;
                self.take_over(shard, fence, head.acked).await?;
                self.by_place(shard, fence, head.acked, limit).await
            }
        }
    }

    /// The head of the fence's memory.
    pub(super) async fn head(&self, shard: ShardId, fence: Fence) -> Result<Head, Trouble> {
        Ok(self.ask(shard, fence, None).await?.0)
    }

    /// The head, and behind it what one more command answers, which therefore is no older.
    async fn ask(
        &self,
        shard: ShardId,
        fence: Fence,
        command: Option<Cmd>,
    ) -> Result<(Head, Answered<Option<Value>>), Trouble> {
        let keys = self.routes.keys(shard);
        let mut commands = Pipeline::new();
        commands.cmd("HMGET").arg(&keys.memory).arg(&["epoch", "nonce", "seq", "acked", "state"]);
        if let Some(command) = command {
            commands.add_command(command);
        }
        let answer = self.servers.answer();
        let asked = self.servers.ask_fenced(&keys, Purpose::Log, fence, &commands, answer).await?;
        let Answered { value: mut replies, connection } = asked;
        let second = (replies.len() > 1).then(|| replies.pop()).flatten();
        judge(&connection, &replies[0], "reading a log's head")?;
        Ok((read_head(fence, &replies[0])?, Answered { value: second, connection }))
    }

    /// Entries as they stand behind a place.
    async fn by_place(&self, shard: ShardId, fence: Fence, place: Seq, limit: usize) -> Result<LogPage, Trouble> {
        let keys = self.routes.keys(shard);
        let mut command = Cmd::new();
        command.arg("XRANGE").arg(&keys.log).arg(entry_id(fence.epoch, place.next())).arg("+").arg("COUNT").arg(limit);
        let (head, found) = self.ask(shard, fence, Some(command)).await?;
        let found_there = found.value.expect("both were asked");
        judge(&found.connection, &found_there, "reading a log by place")?;
        let entries = read_entries(fence, &found_there)?;
        // A page that is not full reached the end: from there on the group tells what is new.
        let end = entries.last().map_or(place, |entry| entry.seq);
        let given = (entries.len() < limit).then_some(end);
        self.keep_known(shard, Known { fence, given, acked: head.acked });
        Ok(page_of(head, entries))
    }

    /// What the group gives behind a place up to which it gave everything, waiting for it if there is nothing.
    async fn next(&self, shard: ShardId, fence: Fence, place: Seq, limit: usize) -> Result<LogPage, Trouble> {
        let (head, given) = self.ask(shard, fence, Some(self.group_read(shard, limit, None))).await?;
        let reply = given.value.expect("both were asked");
        let mut given = self.read_given(shard, fence, &given.connection, reply).await?;
        if given.is_empty() && head.last <= place && !head.sealed {
            given = self.await_news(shard, fence, limit).await?;
        }
        self.let_go(shard, fence, &given, head.acked).await?;
        let entries: Vec<Entry> = given.into_iter().filter(|entry| entry.seq > place).collect();
        let begins = entries.first().map(|entry| entry.seq);
        // The next entry was given to somebody else, or its reply was lost: it still stands in its place.
        if begins.unwrap_or(head.last) > place && begins != Some(place.next()) {
            return self.by_place(shard, fence, place, limit).await;
        }
        let end = entries.last().map_or(place, |entry| entry.seq);
        self.keep_known(shard, Known { fence, given: Some(end), acked: head.acked });
        Ok(page_of(head, entries))
    }

    /// Waits on a connection of its own, where it holds nobody up.
    async fn await_news(&self, shard: ShardId, fence: Fence, limit: usize) -> Result<Vec<Entry>, Trouble> {
        let keys = self.routes.keys(shard);
        let block_ms = self.servers.config.block_ms;
        let mut commands = Pipeline::new();
        commands.add_command(self.group_read(shard, limit, Some(block_ms)));
        let answer = Duration::from_millis(block_ms) + self.servers.answer();
        let asked = self.servers.ask_fenced(&keys, Purpose::News(shard), fence, &commands, answer).await?;
        let Answered { value: mut replies, connection } = asked;
        self.read_given(shard, fence, &connection, replies.pop().expect("one reply per command")).await
    }

    fn group_read(&self, shard: ShardId, limit: usize, block_ms: Option<u64>) -> Cmd {
        let mut command = Cmd::new();
        command.arg("XREADGROUP").arg("GROUP").arg(GROUP).arg(&self.consumer).arg("COUNT").arg(limit);
        if let Some(block_ms) = block_ms {
            command.arg("BLOCK").arg(block_ms);
        }
        command.arg("STREAMS").arg(&self.routes.keys(shard).log).arg(">");
        command
    }

    /// Entries that a group gave. A load empties the log and its groups with it: then there is one again, which has given
    /// nothing.
    async fn read_given(
        &self,
        shard: ShardId,
        fence: Fence,
        connection: &Connection,
        reply: Value,
    ) -> Result<Vec<Entry>, Trouble> {
        if code(&reply) == Some("NOGROUP") {
            self.make_group(shard).await?;
            return Ok(Vec::new());
        }
        judge(connection, &reply, "reading what a group gives")?;
        match &reply {
            Value::Nil => Ok(Vec::new()),
            Value::Array(streams) => {
                let stream = streams.first().ok_or(ReplyError::Truncated).and_then(Value::array);
                match stream {
                    Ok([_, entries]) => read_entries(fence, entries),
                    Ok(_) | Err(_) => Err(undecodable("a group's answer")),
                }
            }
            Value::Integer(_) | Value::Bytes(_) | Value::Error(_) => Err(undecodable("a group's answer")),
        }
    }

    /// What the group gave although it is marked already was read by place before: it is nobody's to forward.
    async fn let_go(&self, shard: ShardId, fence: Fence, given: &[Entry], acked: Seq) -> Result<(), Trouble> {
        let marked = given.iter().map(|entry| entry.seq).filter(|seq| *seq <= acked);
        self.strike(shard, marked.map(|seq| entry_id(fence.epoch, seq)).collect()).await
    }

    /// Takes entries off the pending list.
    async fn strike(&self, shard: ShardId, ids: Vec<String>) -> Result<(), Trouble> {
        if ids.is_empty() {
            return Ok(());
        }
        let keys = self.routes.keys(shard);
        let mut commands = Pipeline::new();
        commands.cmd("XACK").arg(&keys.log).arg(GROUP).arg(&ids);
        self.servers.ask(&keys.log, Purpose::Log, &commands, self.servers.answer()).await?;
        Ok(())
    }

    async fn make_group(&self, shard: ShardId) -> Result<(), Trouble> {
        let keys = self.routes.keys(shard);
        let mut commands = Pipeline::new();
        commands.cmd("XGROUP").arg("CREATE").arg(&keys.log).arg(GROUP).arg("0").arg("MKSTREAM");
        let asked = self.servers.ask(&keys.log, Purpose::Log, &commands, self.servers.answer()).await?;
        match code(&asked.value[0]) {
            Some("BUSYGROUP") => Ok(()),
            Some(_) | None => judge(&asked.connection, &asked.value[0], "making a log's group"),
        }
    }

    /// The pending entries of whoever read before become this reader's, in the order of their seqs; those that are
    /// marked are nobody's any more.
    async fn take_over(&self, shard: ShardId, fence: Fence, acked: Seq) -> Result<(), Trouble> {
        self.make_group(shard).await?;
        let keys = self.routes.keys(shard);
        let mut start = "0-0".to_owned();
        for _ in 0..CLAIM_CALLS_MAX {
            let mut commands = Pipeline::new();
            commands.cmd("XAUTOCLAIM").arg(&keys.log).arg(GROUP).arg(&self.consumer).arg(0).arg(&start);
            commands.arg("COUNT").arg(CLAIM_PAGE).arg("JUSTID");
            let asked = self.servers.ask(&keys.log, Purpose::Log, &commands, self.servers.answer()).await?;
            judge(&asked.connection, &asked.value[0], "taking over a log's entries")?;
            let (next, claimed) = read_claimed(&asked.value[0]).ok_or_else(|| undecodable("a takeover's answer"))?;
            let marked = claimed.into_iter().filter(|(epoch, seq)| *epoch == fence.epoch && *seq <= acked);
            self.strike(shard, marked.map(|(epoch, seq)| entry_id(epoch, seq)).collect()).await?;
            if next == "0-0" {
                break;
            }
            start = next;
        }
        Ok(())
    }
}

/// XAUTOCLAIM with JUSTID: where to go on, and what was claimed.
fn read_claimed(reply: &Value) -> Option<(String, Vec<(Epoch, Seq)>)> {
    let [next, claimed, ..] = reply.array().ok()? else { return None };
    let ids = claimed.array().ok()?.iter().map(|id| decode_id(id.text().ok()?).ok());
    Some((next.text().ok()?.to_owned(), ids.collect::<Option<_>>()?))
}

fn page_of(head: Head, entries: Vec<Entry>) -> LogPage {
    LogPage { entries, last: head.last, acked: head.acked, sealed: head.sealed }
}

fn read_head(fence: Fence, fields: &Value) -> Result<Head, Trouble> {
    let parts = fields.array().map_err(|_| undecodable("a log's head"))?;
    let Some((state, [epoch, nonce, last, acked])) = parts.split_last() else {
        return Err(undecodable("a log's head"));
    };
    // A memory that is missing is another one.
    let number = |value: &Value| value.number::<u64>().map_err(|_| Trouble::Fenced);
    if (number(epoch)?, number(nonce)?) != (fence.epoch.0, fence.nonce.0) {
        return Err(Trouble::Fenced);
    }
    let state = decode_state(state.bytes().map_err(|_| Trouble::Fenced)?).map_err(|_| undecodable("a state"))?;
    Ok(Head { last: Seq(number(last)?), acked: Seq(number(acked)?), sealed: state == ShardState::Sealed })
}

fn read_entries(fence: Fence, entries: &Value) -> Result<Vec<Entry>, Trouble> {
    let entries = entries.array().map_err(|_| undecodable("a log's page"))?;
    let decoded = entries.iter().map(decode_entry).collect::<Result<Vec<_>, _>>();
    let decoded = decoded.map_err(|error| undecodable(&error.to_string()))?;
    Ok(decoded.into_iter().map(|found| found.entry).filter(|entry| entry.epoch == fence.epoch).collect())
}

fn undecodable(what: &str) -> Trouble {
    tracing::error!(what, "a log that cannot be read");
    Trouble::Unknown(format!("{what} cannot be read"))
}
