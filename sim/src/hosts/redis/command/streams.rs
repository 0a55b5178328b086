use super::parse::{digits, integer, is, range_end, range_start, stream_id, unknown_option};
use crate::hosts::redis::Bytes;
use crate::hosts::redis::context::Context;
use crate::hosts::redis::reply::{Reply, texts};
use crate::hosts::redis::store::{Stream, StreamId, Write};

/// XADD key [NOMKSTREAM] id (field value)...
pub fn xadd(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let only_if_there = is(&words[2], "NOMKSTREAM");
    let at = if only_if_there { 3 } else { 2 };
    for option in ["MAXLEN", "MINID"] {
        if is(&words[at], option) {
            unknown_option(words, &words[at]);
        }
    }
    let wanted = NewId::parse(&words[at])?;
    let fields = &words[at + 1..];
    if fields.is_empty() || !fields.len().is_multiple_of(2) {
        return Err(Reply::error("ERR wrong number of arguments for 'xadd' command"));
    }
    if matches!(wanted, NewId::Exact(StreamId::MIN)) {
        return Err(Reply::error("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let key = &words[1];
    context.expire_if_due(key);
    let stream = context.stream(key)?;
    if stream.is_none() && only_if_there {
        return Ok(Reply::Nil);
    }
    let last_id = stream.map_or(StreamId::MIN, |stream| stream.last_id);
    if last_id == StreamId::MAX {
        return Err(Reply::error("ERR The stream has exhausted the last possible ID, unable to add more items"));
    }
    let small = "ERR The ID specified in XADD is equal or smaller than the target stream top item";
    let id = wanted.above(last_id, context.wall().0).ok_or_else(|| Reply::error(small))?;
    context.write(Write::Append { key: key.clone(), id, fields: fields.to_vec() });
    Ok(Reply::bulk(id.to_string()))
}

/// What the client says of a new entry's id.
enum NewId {
    /// The whole of it.
    Exact(StreamId),
    /// The first part; the server counts.
    Millisecond(u64),
    /// Nothing: the server's clock and count.
    Automatic,
}

impl NewId {
    fn parse(word: &[u8]) -> Result<NewId, Reply> {
        if word == b"*" {
            return Ok(NewId::Automatic);
        }
        let Some(ms) = word.strip_suffix(b"-*") else { return stream_id(word, 0).map(NewId::Exact) };
        let ms = std::str::from_utf8(ms).ok().and_then(digits);
        ms.map(NewId::Millisecond).ok_or_else(|| Reply::error(texts::BAD_STREAM_ID))
    }

    fn above(&self, last: StreamId, now_ms: u64) -> Option<StreamId> {
        match self {
            NewId::Exact(id) => Some(*id).filter(|id| *id > last),
            NewId::Millisecond(ms) if *ms == last.ms => last.next().filter(|id| id.ms == *ms),
            NewId::Millisecond(ms) => Some(StreamId { ms: *ms, sequence: 0 }).filter(|id| *id > last),
            NewId::Automatic if now_ms > last.ms => Some(StreamId { ms: now_ms, sequence: 0 }),
            // The clock stands or went back: ids grow all the same.
            NewId::Automatic => last.next(),
        }
    }
}

/// XLEN key
pub fn xlen(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    Ok(Reply::count(context.stream(&words[1])?.map_or(0, |stream| stream.entries.len())))
}

/// XRANGE key start end [COUNT count]
pub fn xrange(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let (from, to, count) = (range_start(&words[2])?, range_end(&words[3])?, range_count(words)?);
    let Some(stream) = context.stream(&words[1])? else { return Ok(Reply::Array(Vec::new())) };
    if count == 0 {
        return Ok(Reply::NilArray);
    }
    Ok(Reply::Array(stream.between(from, to).take(count).map(|(id, fields)| entry_reply(*id, fields)).collect()))
}

/// XREVRANGE key end start [COUNT count]
pub fn xrevrange(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let (from, to, count) = (range_start(&words[3])?, range_end(&words[2])?, range_count(words)?);
    let Some(stream) = context.stream(&words[1])? else { return Ok(Reply::Array(Vec::new())) };
    if count == 0 {
        return Ok(Reply::NilArray);
    }
    let entries = stream.between(from, to).rev().take(count);
    Ok(Reply::Array(entries.map(|(id, fields)| entry_reply(*id, fields)).collect()))
}

fn range_count(words: &[Bytes]) -> Result<usize, Reply> {
    match &words[4..] {
        [] => Ok(usize::MAX),
        [option, count] if is(option, "COUNT") => Ok(usize::try_from(integer(count)?).unwrap_or(0)),
        _ => Err(Reply::error(texts::SYNTAX)),
    }
}

/// XTRIM key MINID [=] id
///
/// An approximate trim is not offered: how much it leaves depends on how the real server packs its memory.
pub fn xtrim(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let id = match &words[2..] {
        [strategy, ..] if is(strategy, "MAXLEN") => unknown_option(words, strategy),
        [_, sign, ..] if sign == b"~" => unknown_option(words, sign),
        [strategy, id] | [strategy, _, id] if is(strategy, "MINID") => stream_id(id, 0)?,
        _ => return Err(Reply::error(texts::SYNTAX)),
    };
    let key = &words[1];
    context.expire_if_due(key);
    let removed = context.stream(key)?.map_or(0, |stream| stream.entries.range(..id).count());
    if removed > 0 {
        context.write(Write::TrimBelow { key: key.clone(), id });
    }
    Ok(Reply::count(removed))
}

/// One entry: its id and its fields.
pub fn entry_reply(id: StreamId, fields: &[Bytes]) -> Reply {
    let fields = fields.iter().map(|field| Reply::bulk(field.clone())).collect();
    Reply::Array(vec![Reply::bulk(id.to_string()), Reply::Array(fields)])
}

/// The entry of this id, or its id alone where the stream has it no more.
pub fn entry_or_tombstone(stream: &Stream, id: StreamId) -> Reply {
    match stream.entries.get(&id) {
        Some(fields) => entry_reply(id, fields),
        None => Reply::Array(vec![Reply::bulk(id.to_string()), Reply::NilArray]),
    }
}
