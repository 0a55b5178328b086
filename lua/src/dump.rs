//! Everything that a server holds of one shard, read back, to be compared with a model.

use crate::delay::decode_owner;
use crate::load::decode_counter;
use crate::log::{LogEntry, decode_entry};
use crate::model::Model;
use crate::record::decode_page;
use crate::reply::decode_state;
use crate::value::{ReplyError, Value};
use doorbuster_core::delay::queue::Token;
use doorbuster_core::ids::{Epoch, Nonce, OrderId, Seq, SkuId, UserId};
use doorbuster_core::ledger::page::Record;
use doorbuster_core::ledger::shard::{Counter, Meta, Window};
use doorbuster_core::time::Wall;
use std::collections::{BTreeMap, BTreeSet};

/// The state of one shard, of a model or of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    /// The head; absent when the memory is missing.
    pub meta: Option<Meta>,
    /// Counters by SKU.
    pub counters: BTreeMap<SkuId, Counter>,
    /// Pages by user.
    pub pages: BTreeMap<UserId, Vec<Record>>,
    /// The log, oldest first.
    pub log: Vec<LogEntry>,
    /// The delay queue: order, due time or end of the lease, the claim on it.
    pub tasks: BTreeSet<(OrderId, Wall, Option<Token>)>,
}

/// What a server answers to the questions of a dump: HGETALL, XRANGE - +, ZRANGE 0 -1 WITHSCORES.
#[derive(Clone, Debug)]
pub struct RawDump {
    /// HGETALL of `m`.
    pub memory: Value,
    /// HGETALL of `u`.
    pub users: Value,
    /// XRANGE of `x`.
    pub log: Value,
    /// ZRANGE of `ready`.
    pub ready: Value,
    /// ZRANGE of `processing`.
    pub processing: Value,
    /// HGETALL of `owner`.
    pub owner: Value,
}

impl Dump {
    /// Of a model.
    pub fn of_model(model: &Model) -> Dump {
        let pages = model.shard.pages().map(|(user, page)| (user.clone(), page.records().to_vec()));
        Dump {
            meta: model.shard.meta().copied(),
            counters: model.shard.counters().collect(),
            pages: pages.collect(),
            log: model.log.clone(),
            tasks: model.queue.tasks().collect(),
        }
    }

    /// Of a server.
    pub fn decode(raw: &RawDump) -> Result<Dump, ReplyError> {
        let (meta, counters) = decode_memory(&raw.memory)?;
        let mut pages = BTreeMap::new();
        for (user, page) in raw.users.pairs()? {
            let user = UserId::parse(user.text()?).map_err(ReplyError::meaning)?;
            pages.insert(user, decode_page(page.bytes()?)?);
        }
        let log = raw.log.array()?.iter().map(decode_entry).collect::<Result<_, _>>()?;
        Ok(Dump { meta, counters, pages, log, tasks: decode_tasks(raw)? })
    }
}

/// What HGETALL of `m` answers: the head, unless the memory is missing, and the counters.
pub fn decode_memory(memory: &Value) -> Result<(Option<Meta>, BTreeMap<SkuId, Counter>), ReplyError> {
    let mut head: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut counters = BTreeMap::new();
    for (field, value) in memory.pairs()? {
        let field = field.text()?;
        match field.strip_prefix("sku:") {
            Some(name) => {
                let sku = SkuId::parse(name).map_err(ReplyError::meaning)?;
                counters.insert(sku, decode_counter(value.bytes()?)?);
            }
            None => drop(head.insert(field, value)),
        }
    }
    if head.is_empty() && counters.is_empty() {
        return Ok((None, counters));
    }
    let field = |name: &str| head.get(name).copied().ok_or_else(|| ReplyError::meaning(format!("no field {name}")));
    let number = |name: &str| field(name)?.number::<u64>();
    let meta = Meta {
        epoch: Epoch(number("epoch")?),
        nonce: Nonce(number("nonce")?),
        state: decode_state(field("state")?.bytes()?)?,
        seq: Seq(number("seq")?),
        acked: Seq(number("acked")?),
        window: Window { starts_at: Wall(number("starts_at")?), ends_at: Wall(number("ends_at")?) },
        limit: field("limit")?.number()?,
        chunks: field("chunks")?.number()?,
    };
    Ok((Some(meta), counters))
}

fn decode_tasks(raw: &RawDump) -> Result<BTreeSet<(OrderId, Wall, Option<Token>)>, ReplyError> {
    let order = |value: &Value| value.text()?.parse::<OrderId>().map_err(ReplyError::meaning);
    let mut owners = BTreeMap::new();
    for (member, owner) in raw.owner.pairs()? {
        owners.insert(order(member)?, decode_owner(owner.bytes()?)?);
    }
    let mut tasks = BTreeSet::new();
    for (place, claimed) in [(&raw.ready, false), (&raw.processing, true)] {
        for (member, score) in place.pairs()? {
            let order = order(member)?;
            // S13: a task is in exactly one place, and its owner says which.
            let token = owners.remove(&order).ok_or_else(|| ReplyError::meaning(format!("{order} without owner")))?;
            if token.is_some() != claimed {
                return Err(ReplyError::meaning(format!("{order} in the wrong place")));
            }
            tasks.insert((order, Wall(score.number()?), token));
        }
    }
    match owners.keys().next() {
        None => Ok(tasks),
        Some(order) => Err(ReplyError::meaning(format!("{order} is in no place"))),
    }
}
