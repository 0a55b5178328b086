use doorbuster_core::time::Wall;

use super::claims::existing_group;
use super::groups::timeout_ms;
use super::parse::{integer, is, range_end, range_start, unknown_option};
use super::streams::entry_reply;
use crate::hosts::redis::Bytes;
use crate::hosts::redis::context::Context;
use crate::hosts::redis::reply::{Reply, texts};
use crate::hosts::redis::store::{Group, Stream, StreamId};

/// XPENDING key group [[IDLE idle-min-ms] start end count [consumer]]
pub fn xpending(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let group = || existing_group(context, &words[1], &words[2]);
    let (idle_min_ms, rest) = match &words[3..] {
        [] => return Ok(summary(group()?)),
        [option, ms, rest @ ..] if is(option, "IDLE") => (timeout_ms(ms)?, rest),
        rest => (0, rest),
    };
    let (start, end, count, consumer) = match rest {
        [start, end, count] => (start, end, count, None),
        [start, end, count, consumer] => (start, end, count, Some(consumer)),
        _ => return Err(Reply::error(texts::SYNTAX)),
    };
    let count = usize::try_from(integer(count)?).unwrap_or(0);
    let (start, end) = (range_start(start)?, range_end(end)?);
    let now = context.wall();
    let idle = |delivered_at: Wall| now.0.saturating_sub(delivered_at.0);
    let empty = start > end;
    let rows = group()?
        .pending
        .range(start..=end.max(start))
        .filter(|_| !empty)
        .filter(|(_, pending)| consumer.is_none_or(|consumer| *consumer == pending.consumer))
        .filter(|(_, pending)| idle(pending.delivered_at) >= idle_min_ms)
        .take(count)
        .map(|(id, pending)| {
            Reply::Array(vec![
                Reply::bulk(id.to_string()),
                Reply::bulk(pending.consumer.clone()),
                number(idle(pending.delivered_at)),
                number(pending.deliveries),
            ])
        });
    Ok(Reply::Array(rows.collect()))
}

fn summary(group: &Group) -> Reply {
    let (Some(first), Some(last)) = (group.pending.keys().next(), group.pending.keys().next_back()) else {
        return Reply::Array(vec![Reply::Integer(0), Reply::Nil, Reply::Nil, Reply::NilArray]);
    };
    let held = |consumer: &Bytes| {
        let count = group.pending.values().filter(|pending| pending.consumer == *consumer).count();
        (count > 0).then(|| Reply::Array(vec![Reply::bulk(consumer.clone()), Reply::bulk(count.to_string())]))
    };
    Reply::Array(vec![
        Reply::count(group.pending.len()),
        Reply::bulk(first.to_string()),
        Reply::bulk(last.to_string()),
        Reply::Array(group.consumers.keys().filter_map(held).collect()),
    ])
}

/// XINFO STREAM key. The two fields that count the nodes of the server's tree are those of one node.
pub fn xinfo_stream(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    if let [_, _, _, option, ..] = words {
        unknown_option(words, option);
    }
    let stream = existing_stream(context, &words[2])?;
    let end =
        |entry: Option<(&StreamId, &Vec<Bytes>)>| entry.map_or(Reply::Nil, |(id, fields)| entry_reply(*id, fields));
    let nodes = i64::from(!stream.entries.is_empty());
    Ok(fields(vec![
        ("length", Reply::count(stream.entries.len())),
        ("radix-tree-keys", Reply::Integer(nodes)),
        ("radix-tree-nodes", Reply::Integer(nodes + 1)),
        ("last-generated-id", Reply::bulk(stream.last_id.to_string())),
        ("max-deleted-entry-id", Reply::bulk(StreamId::MIN.to_string())),
        ("entries-added", number(stream.entries_added)),
        ("recorded-first-entry-id", Reply::bulk(stream.first_id().unwrap_or(StreamId::MIN).to_string())),
        ("groups", Reply::count(stream.groups.len())),
        ("first-entry", end(stream.entries.first_key_value())),
        ("last-entry", end(stream.entries.last_key_value())),
    ]))
}

/// XINFO GROUPS key
pub fn xinfo_groups(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let stream = existing_stream(context, &words[2])?;
    let row = |(name, group): (&Bytes, &Group)| {
        fields(vec![
            ("name", Reply::bulk(name.clone())),
            ("consumers", Reply::count(group.consumers.len())),
            ("pending", Reply::count(group.pending.len())),
            ("last-delivered-id", Reply::bulk(group.last_delivered.to_string())),
            ("entries-read", group.entries_read.map_or(Reply::Nil, number)),
            ("lag", stream.lag(group).map_or(Reply::Nil, number)),
        ])
    };
    Ok(Reply::Array(stream.groups.iter().map(row).collect()))
}

/// XINFO CONSUMERS key group
pub fn xinfo_consumers(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let stream = existing_stream(context, &words[2])?;
    let group = stream.groups.get(&words[3]).ok_or_else(|| {
        let (key, group) = (String::from_utf8_lossy(&words[2]), String::from_utf8_lossy(&words[3]));
        Reply::error(format!("NOGROUP No such consumer group '{group}' for key name '{key}'"))
    })?;
    let now = context.wall();
    let row = |(name, seen_at): (&Bytes, &Wall)| {
        let held = group.pending.values().filter(|pending| pending.consumer == *name).count();
        fields(vec![
            ("name", Reply::bulk(name.clone())),
            ("pending", Reply::count(held)),
            ("idle", number(now.0.saturating_sub(seen_at.0))),
        ])
    };
    Ok(Reply::Array(group.consumers.iter().map(row).collect()))
}

fn existing_stream<'context>(context: &'context Context, key: &[u8]) -> Result<&'context Stream, Reply> {
    context.stream(key)?.ok_or_else(|| Reply::error("ERR no such key"))
}

fn fields(fields: Vec<(&str, Reply)>) -> Reply {
    Reply::Map(fields.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect())
}

fn number(count: u64) -> Reply {
    Reply::Integer(i64::try_from(count).expect("a count fits in 63 bits"))
}
