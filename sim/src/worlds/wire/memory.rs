//! What a simulated server remembers of a shard, read back for the oracle.

use super::redis::Server;
use crate::hosts::redis::resp::{ReplyDecoder, encode_request};
use crate::hosts::redis::store::Value as Stored;
use crate::hosts::redis::{RedisHost, Reply};
use doorbuster_core::ids::{ServerId, ShardId, SkuId};
use doorbuster_core::ledger::page::RecordState;
use doorbuster_core::ledger::shard::{Counter, Meta};
use doorbuster_core::oracle::audit::{CounterLine, DelayLine, DelayPlace, MemoryLine};
use doorbuster_core::time::Now;
use doorbuster_lua::dump::{Dump, RawDump, decode_memory};
use doorbuster_lua::identity::{Identity, ReplicationId};
use doorbuster_lua::keys::ShardKeys;
use doorbuster_lua::value::Value;
use doorbuster_redis::tag_of;
use std::collections::BTreeMap;

/// What a memory begins with.
pub type Head = (Meta, BTreeMap<SkuId, Counter>);

/// The server as a shard's row names it.
pub fn server_id(server: &Server) -> ServerId {
    let mut server = server.borrow_mut();
    let own = &server.host().facts().identity;
    let replication_id = ReplicationId::parse(&own.replication_id).expect("forty digits");
    Identity { run_id: own.run_id.clone(), replication_id }.server_id()
}

/// The head and the counters of a shard's memory, read without asking anybody; an error where a script has written what
/// none may.
pub fn head(host: &RedisHost, shard: ShardId, now: Now) -> Result<Option<Head>, String> {
    let keys = ShardKeys::tagged(&tag_of(shard));
    let Some(Stored::Hash(fields)) = host.store().value(keys.memory.as_bytes(), now.wall) else { return Ok(None) };
    let pairs = fields.iter().flat_map(|(field, value)| [Value::Bytes(field.clone()), Value::Bytes(value.clone())]);
    let decoded = decode_memory(&Value::Array(pairs.collect()));
    let (meta, counters) = decoded.map_err(|error| format!("{shard}: {error}"))?;
    Ok(meta.map(|meta| (meta, counters)))
}

/// Everything that the server holds of a shard; an error where a script has written what none may.
pub fn dump(server: &Server, shard: ShardId, now: Now) -> Result<Dump, String> {
    let keys = ShardKeys::tagged(&tag_of(shard));
    let raw = RawDump {
        memory: ask(server, &["HGETALL", &keys.memory], now),
        users: ask(server, &["HGETALL", &keys.users], now),
        log: ask(server, &["XRANGE", &keys.log, "-", "+"], now),
        ready: ask(server, &["ZRANGE", &keys.ready, "0", "-1", "WITHSCORES"], now),
        processing: ask(server, &["ZRANGE", &keys.processing, "0", "-1", "WITHSCORES"], now),
        owner: ask(server, &["HGETALL", &keys.owner], now),
    };
    Dump::decode(&raw).map_err(|error| format!("{shard}: {error}"))
}

/// The memory's line of an audit.
pub fn line(server: &Server, shard: ShardId, dump: &Dump) -> Option<MemoryLine> {
    let meta = dump.meta?;
    Some(MemoryLine {
        k: shard.k,
        server: server_id(server),
        nonce: meta.nonce,
        epoch: meta.epoch,
        state: meta.state,
        seq: meta.seq,
        acked: meta.acked,
        counters: dump.counters.iter().map(|(sku, counter)| CounterLine::of(*sku, counter)).collect(),
        scan: scan(dump),
    })
}

/// The delay queue's lines.
pub fn delays(dump: &Dump) -> impl Iterator<Item = DelayLine> + '_ {
    dump.tasks.iter().map(|(order, due_at, token)| DelayLine {
        order: *order,
        place: if token.is_some() { DelayPlace::Processing } else { DelayPlace::Ready },
        due_at: *due_at,
        owner: token.map(|token| token.0),
    })
}

/// Whether the live units of the pages are what the counters say.
fn scan(dump: &Dump) -> Option<String> {
    let mut live: BTreeMap<SkuId, u64> = BTreeMap::new();
    for record in dump.pages.values().flatten().filter(|record| record.state == RecordState::Live) {
        for line in record.basket.lines() {
            *live.entry(line.sku).or_default() += u64::from(line.quantity);
        }
    }
    let wrong = dump.counters.iter().find(|(sku, counter)| live.get(sku).copied().unwrap_or(0) != counter.live);
    wrong.map(|(sku, counter)| format!("{sku}: pages hold {:?}, the counter says {counter:?}", live.get(sku)))
}

/// Asks over a connection of nobody's. Only what reads and does not wait.
fn ask(server: &Server, words: &[&str], now: Now) -> Value {
    let mut mounted = server.borrow_mut();
    let connection = mounted.host().connect();
    let outputs = mounted.host().receive(connection, &encode_request(words), now);
    let mut decoder = ReplyDecoder::default();
    outputs.iter().filter(|output| output.connection == connection).for_each(|output| decoder.push(&output.bytes));
    mounted.host().disconnect(connection);
    mounted.route(outputs);
    value_of(decoder.decode().expect("the host speaks the protocol").expect("a question is answered at once"))
}

fn value_of(reply: Reply) -> Value {
    let pairs = |pairs: Vec<(Reply, Reply)>| {
        Value::Array(pairs.into_iter().flat_map(|(name, value)| [value_of(name), value_of(value)]).collect())
    };
    match reply {
        Reply::Status(text) | Reply::Text(text) => Value::Bytes(text.into_bytes()),
        Reply::Error(text) => Value::Error(text),
        Reply::Integer(number) => Value::Integer(number),
        Reply::Bulk(bytes) => Value::Bytes(bytes),
        Reply::Nil | Reply::NilArray => Value::Nil,
        Reply::Array(items) | Reply::Push(items) => Value::Array(items.into_iter().map(value_of).collect()),
        Reply::Map(items) | Reply::Pairs(items) => pairs(items),
        Reply::Double(number) => Value::Bytes(number.to_string().into_bytes()),
    }
}
