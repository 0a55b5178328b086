use doorbuster_core::time::Wall;

use super::parse::{integer, is, stream_id, unknown_option};
use super::streams::{entry_or_tombstone, entry_reply};
use crate::hosts::redis::Bytes;
use crate::hosts::redis::context::Context;
use crate::hosts::redis::reply::{Reply, texts};
use crate::hosts::redis::store::{Group, StreamId, Write};

/// XGROUP CREATE key group id [MKSTREAM]
pub fn xgroup_create(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let (key, group) = (&words[2], &words[3]);
    let make = match &words[5..] {
        [] => false,
        [option] if is(option, "MKSTREAM") => true,
        [option, ..] => unknown_option(words, option),
    };
    context.expire_if_due(key);
    let stream = context.stream(key)?;
    if stream.is_none() && !make {
        return Err(Reply::error(
            "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
             MKSTREAM option to create an empty stream automatically.",
        ));
    }
    let last_delivered = match words[4].as_slice() {
        b"$" => stream.map_or(StreamId::MIN, |stream| stream.last_id),
        id => stream_id(id, 0)?,
    };
    if stream.is_some_and(|stream| stream.groups.contains_key(group)) {
        return Err(Reply::error("BUSYGROUP Consumer Group name already exists"));
    }
    context.write(Write::CreateGroup { key: key.clone(), group: group.clone(), last_delivered });
    Ok(Reply::ok())
}

/// XACK key group id...
pub fn xack(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let (key, group) = (&words[1], &words[2]);
    context.expire_if_due(key);
    if context.stream(key)?.and_then(|stream| stream.groups.get(group)).is_none() {
        return Ok(Reply::Integer(0));
    }
    let ids: Vec<StreamId> = words[3..].iter().map(|id| stream_id(id, 0)).collect::<Result<_, _>>()?;
    let mut acknowledged = 0;
    for id in ids {
        let held = context.stream(key)?.is_some_and(|stream| stream.groups[group].pending.contains_key(&id));
        if held {
            context.write(Write::Acknowledge { key: key.clone(), group: group.clone(), id });
            acknowledged += 1;
        }
    }
    Ok(Reply::Integer(acknowledged))
}

/// A parsed XREADGROUP.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRead {
    /// The group.
    pub group: Bytes,
    /// The reader.
    pub consumer: Bytes,
    /// At most so many entries of each stream; zero is no limit.
    pub count: usize,
    /// How long to wait where there is nothing, in milliseconds; zero is for ever, `None` is not at all.
    pub block_ms: Option<u64>,
    /// The streams, and above which id of the reader's own history; `None` asks for what nobody was given yet.
    pub streams: Vec<(Bytes, Option<StreamId>)>,
}

/// XREADGROUP as a script calls it: it never waits.
pub fn xreadgroup(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let read = parse_group_read(context, words)?;
    if read.block_ms.is_some() {
        return Err(Reply::error("ERR xreadgroup command is not allowed with BLOCK option from scripts"));
    }
    Ok(perform_group_read(context, &read)?.unwrap_or(Reply::NilArray))
}

/// Reads the words XREADGROUP GROUP group consumer [COUNT count] [BLOCK ms] STREAMS key... id...
///
/// # Errors
/// A word is wrong, a key is no stream, or a group is missing.
pub fn parse_group_read(context: &Context, words: &[Bytes]) -> Result<GroupRead, Reply> {
    let mut read =
        GroupRead { group: Bytes::new(), consumer: Bytes::new(), count: 0, block_ms: None, streams: Vec::new() };
    let mut at = 1;
    while let Some(option) = words.get(at) {
        let next = words.get(at + 1).ok_or_else(|| Reply::error(texts::SYNTAX));
        if is(option, "STREAMS") {
            break;
        } else if is(option, "GROUP") {
            read.group = next?.clone();
            read.consumer = words.get(at + 2).ok_or_else(|| Reply::error(texts::SYNTAX))?.clone();
            at += 1;
        } else if is(option, "COUNT") {
            read.count = usize::try_from(integer(next?)?).unwrap_or(0);
        } else if is(option, "BLOCK") {
            read.block_ms = Some(timeout_ms(next?)?);
        } else {
            unknown_option(words, option);
        }
        at += 2;
    }
    let rest = words.get(at + 1..).unwrap_or_default();
    if rest.is_empty() || !rest.len().is_multiple_of(2) {
        return Err(Reply::error(
            "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
        ));
    }
    let (keys, ids) = rest.split_at(rest.len() / 2);
    for (key, id) in keys.iter().zip(ids) {
        group_of(context, key, &read.group)?;
        read.streams.push((key.clone(), history_start(id)?));
    }
    Ok(read)
}

/// A time to wait in milliseconds.
///
/// # Errors
/// It is no number, or below zero.
pub fn timeout_ms(word: &[u8]) -> Result<u64, Reply> {
    let ms = integer(word).map_err(|_| Reply::error("ERR timeout is not an integer or out of range"))?;
    u64::try_from(ms).map_err(|_| Reply::error("ERR timeout is negative"))
}

fn history_start(id: &[u8]) -> Result<Option<StreamId>, Reply> {
    match id {
        b">" => Ok(None),
        b"$" => Err(Reply::error(
            "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer \
             by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty \
             result set.",
        )),
        _ => stream_id(id, 0).map(Some),
    }
}

/// The group, which has to exist.
///
/// # Errors
/// It does not, or the key is no stream.
pub fn group_of<'context>(context: &'context Context, key: &[u8], group: &[u8]) -> Result<&'context Group, Reply> {
    let found = context.stream(key)?.and_then(|stream| stream.groups.get(group));
    found.ok_or_else(|| {
        let (key, group) = (String::from_utf8_lossy(key), String::from_utf8_lossy(group));
        Reply::error(format!("NOGROUP No such key '{key}' or consumer group '{group}' in XREADGROUP with GROUP option"))
    })
}

/// Gives the reader what there is; `None` where there is nothing and a blocking reader would wait.
///
/// # Errors
/// A key is no stream any more, or its group has gone.
pub fn perform_group_read(context: &mut Context, read: &GroupRead) -> Result<Option<Reply>, Reply> {
    let limit = if read.count == 0 { usize::MAX } else { read.count };
    let mut answers = Vec::new();
    for (key, above) in &read.streams {
        let entries = match above {
            Some(above) => read_history(context, key, read, *above, limit)?,
            None => read_new(context, key, read, limit)?,
        };
        if above.is_some() || !entries.is_empty() {
            answers.push((Reply::bulk(key.clone()), Reply::Array(entries)));
        }
    }
    Ok(if answers.is_empty() { None } else { Some(Reply::Pairs(answers)) })
}

fn see(context: &mut Context, key: &Bytes, read: &GroupRead) {
    let at = context.wall();
    let (group, consumer) = (read.group.clone(), read.consumer.clone());
    context.write(Write::SeeConsumer { key: key.clone(), group, consumer, at });
}

fn read_new(context: &mut Context, key: &Bytes, read: &GroupRead, limit: usize) -> Result<Vec<Reply>, Reply> {
    let group = group_of(context, key, &read.group)?;
    let (last, mut entries_read) = (group.last_delivered, group.entries_read);
    let stream = context.stream(key)?.expect("its group was just found");
    let mut found = Vec::new();
    for (id, fields) in stream.after(last).take(limit) {
        // Nothing is ever deleted from the middle, so a counter that is known once stays exact.
        entries_read = entries_read.map(|count| count + 1).or_else(|| stream.appended_up_to(*id));
        found.push((*id, entry_reply(*id, fields)));
    }
    let Some((last_delivered, _)) = found.last() else { return Ok(Vec::new()) };
    let (group, last_delivered) = (read.group.clone(), *last_delivered);
    see(context, key, read);
    context.write(Write::AdvanceGroup { key: key.clone(), group, last_delivered, entries_read });
    for (id, _) in &found {
        deliver(context, key, read, *id, 1);
    }
    Ok(found.into_iter().map(|(_, reply)| reply).collect())
}

fn read_history(
    context: &mut Context,
    key: &Bytes,
    read: &GroupRead,
    above: StreamId,
    limit: usize,
) -> Result<Vec<Reply>, Reply> {
    group_of(context, key, &read.group)?;
    see(context, key, read);
    let pending = &group_of(context, key, &read.group)?.pending;
    let Some(start) = above.next() else { return Ok(Vec::new()) };
    let held: Vec<(StreamId, u64)> = pending
        .range(start..)
        .filter(|(_, pending)| pending.consumer == read.consumer)
        .take(limit)
        .map(|(id, pending)| (*id, pending.deliveries))
        .collect();
    let mut replies = Vec::with_capacity(held.len());
    for (id, deliveries) in held {
        let stream = context.stream(key)?.expect("its group was just found");
        let is_there = stream.entries.contains_key(&id);
        replies.push(entry_or_tombstone(stream, id));
        if is_there {
            deliver(context, key, read, id, deliveries + 1);
        }
    }
    Ok(replies)
}

fn deliver(context: &mut Context, key: &Bytes, read: &GroupRead, id: StreamId, deliveries: u64) {
    let delivered_at: Wall = context.wall();
    let (group, consumer) = (read.group.clone(), read.consumer.clone());
    context.write(Write::Deliver { key: key.clone(), group, consumer, id, delivered_at, deliveries });
}
