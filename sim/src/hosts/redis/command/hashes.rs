use super::parse::{digits, integer, is, unknown_option};
use crate::hosts::redis::Bytes;
use crate::hosts::redis::context::Context;
use crate::hosts::redis::reply::{Reply, texts};
use crate::hosts::redis::store::Write;

/// Up to so many fields the server keeps a hash in one piece and a scan answers all of it at once.
const ONE_PIECE_FIELDS_MAX: usize = 512;

/// A longer field or value ends the one piece too.
const ONE_PIECE_BYTES_MAX: usize = 64;

/// HGET key field
pub fn hget(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let fields = context.hash(&words[1])?;
    Ok(Reply::optional(fields.and_then(|fields| fields.get(&words[2]))))
}

/// HMGET key field...
pub fn hmget(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let fields = context.hash(&words[1])?;
    let value = |field: &Bytes| Reply::optional(fields.and_then(|fields| fields.get(field)));
    Ok(Reply::Array(words[2..].iter().map(value).collect()))
}

/// HGETALL key
pub fn hgetall(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let fields = context.hash(&words[1])?;
    let pairs = fields.into_iter().flatten();
    Ok(Reply::Map(pairs.map(|(field, value)| (Reply::bulk(field.clone()), Reply::bulk(value.clone()))).collect()))
}

/// HLEN key
pub fn hlen(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    Ok(Reply::count(context.hash(&words[1])?.map_or(0, |fields| fields.len())))
}

/// HSET key (field value)...
pub fn hset(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    if !words.len().is_multiple_of(2) {
        return Err(Reply::error("ERR wrong number of arguments for 'hset' command"));
    }
    let key = &words[1];
    context.expire_if_due(key);
    context.hash(key)?;
    let mut added = 0;
    for pair in words[2..].chunks_exact(2) {
        let known = context.hash(key)?.is_some_and(|fields| fields.contains_key(&pair[0]));
        added += i64::from(!known);
        context.write(Write::SetField { key: key.clone(), field: pair[0].clone(), value: pair[1].clone() });
    }
    Ok(Reply::Integer(added))
}

/// HDEL key field...
pub fn hdel(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let key = &words[1];
    context.expire_if_due(key);
    let mut removed = 0;
    for field in &words[2..] {
        if context.hash(key)?.is_some_and(|fields| fields.contains_key(field)) {
            context.write(Write::RemoveField { key: key.clone(), field: field.clone() });
            removed += 1;
        }
    }
    Ok(Reply::Integer(removed))
}

/// HINCRBY key field increment
pub fn hincrby(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let increment = integer(&words[3])?;
    let (key, field) = (&words[1], &words[2]);
    context.expire_if_due(key);
    let before = match context.hash(key)?.and_then(|fields| fields.get(field)) {
        Some(value) => integer(value).map_err(|_| Reply::error("ERR hash value is not an integer"))?,
        None => 0,
    };
    let overflow = || Reply::error("ERR increment or decrement would overflow");
    let after = before.checked_add(increment).ok_or_else(overflow)?;
    context.write(Write::SetField { key: key.clone(), field: field.clone(), value: after.to_string().into_bytes() });
    Ok(Reply::Integer(after))
}

/// HSCAN key cursor [COUNT count]
///
/// A field that is there from the first call to the last is answered at least once, whatever else comes and goes:
/// the cursor is a place in the order of the fields' hashes, which no other field can shift.
pub fn hscan(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let cursor =
        std::str::from_utf8(&words[2]).ok().and_then(digits).ok_or_else(|| Reply::error("ERR invalid cursor"))?;
    let mut count = 10;
    let mut rest = words[3..].iter();
    while let Some(option) = rest.next() {
        if !is(option, "COUNT") {
            unknown_option(words, option);
        }
        let given = integer(rest.next().ok_or_else(|| Reply::error(texts::SYNTAX))?)?;
        count = usize::try_from(given).ok().filter(|count| *count > 0).ok_or_else(|| Reply::error(texts::SYNTAX))?;
    }
    let Some(fields) = context.hash(&words[1])? else {
        return Ok(Reply::Array(vec![Reply::bulk("0"), Reply::Array(Vec::new())]));
    };
    let short = |(field, value): (&Bytes, &Bytes)| field.len().max(value.len()) <= ONE_PIECE_BYTES_MAX;
    let one_piece = fields.len() <= ONE_PIECE_FIELDS_MAX && fields.iter().all(short);
    let mut reached: Vec<(u64, &Bytes, &Bytes)> = fields
        .iter()
        .map(|(field, value)| (place(field), field, value))
        .filter(|(place, _, _)| one_piece || *place >= cursor)
        .collect();
    reached.sort_unstable();
    let end = if one_piece { reached.len() } else { whole_places(&reached, count) };
    let next = reached.get(end).map_or(0, |(place, _, _)| *place);
    let answered = reached[..end]
        .iter()
        .flat_map(|(_, field, value)| [Reply::optional(Some(field)), Reply::optional(Some(value))]);
    Ok(Reply::Array(vec![Reply::bulk(next.to_string()), Reply::Array(answered.collect())]))
}

/// Where to stop so that fields of one place are never torn apart: the cursor cannot name the second of them.
fn whole_places(reached: &[(u64, &Bytes, &Bytes)], count: usize) -> usize {
    let mut end = count.min(reached.len());
    while end < reached.len() && end > 0 && reached[end].0 == reached[end - 1].0 {
        end += 1;
    }
    end
}

/// FNV-1a, with zero left to mean the end of the scan.
fn place(field: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    field.iter().fold(0xcbf2_9ce4_8422_2325, mix).max(1)
}
