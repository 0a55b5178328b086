use doorbuster_core::time::Wall;

use super::parse::{integer, is, unknown_option};
use crate::hosts::redis::Bytes;
use crate::hosts::redis::context::Context;
use crate::hosts::redis::reply::{Reply, texts};
use crate::hosts::redis::store::Write;

/// DEL key... and UNLINK key..., which differ only in when the memory is free again.
pub fn del(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let mut removed = 0;
    for key in &words[1..] {
        context.expire_if_due(key);
        if context.store.entry(key).is_some() {
            context.write(Write::Delete { key: key.clone() });
            removed += 1;
        }
    }
    Ok(Reply::Integer(removed))
}

/// EXISTS key...
pub fn exists(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    Ok(Reply::count(words[1..].iter().filter(|key| context.value(key).is_some()).count()))
}

/// FLUSHALL
pub fn flushall(context: &mut Context, _: &[Bytes]) -> Result<Reply, Reply> {
    context.write(Write::Flush);
    Ok(Reply::ok())
}

/// GET key
pub fn get(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    Ok(Reply::optional(context.string(&words[1])?))
}

/// SET key value [NX] [PX milliseconds | PXAT milliseconds-of-unix-time]
pub fn set(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let key = &words[1];
    let mut only_if_missing = false;
    let mut expires_at = None;
    let mut rest = words[3..].iter();
    while let Some(option) = rest.next() {
        if is(option, "NX") {
            only_if_missing = true;
        } else if is(option, "PX") || is(option, "PXAT") {
            let milliseconds = rest.next().ok_or_else(|| Reply::error(texts::SYNTAX))?;
            let invalid = || Reply::error("ERR invalid expire time in 'set' command");
            let milliseconds = u64::try_from(integer(milliseconds)?).ok().filter(|ms| *ms > 0).ok_or_else(invalid)?;
            let from = if is(option, "PX") { context.wall().0 } else { 0 };
            let at = from.checked_add(milliseconds).filter(|at| i64::try_from(*at).is_ok());
            expires_at = Some(Wall(at.ok_or_else(invalid)?));
        } else {
            unknown_option(words, option);
        }
    }
    context.expire_if_due(key);
    if only_if_missing && context.value(key).is_some() {
        return Ok(Reply::Nil);
    }
    context.write(Write::SetString { key: key.clone(), value: words[2].clone(), expires_at });
    Ok(Reply::ok())
}

/// PEXPIRE key milliseconds
pub fn pexpire(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let now = i64::try_from(context.wall().0).expect("the clock fits in 63 bits");
    let milliseconds = integer(&words[2])?;
    let at = now.checked_add(milliseconds);
    expire(context, &words[1], at.ok_or_else(|| Reply::error("ERR invalid expire time in 'pexpire' command"))?)
}

/// PEXPIREAT key milliseconds-of-unix-time
pub fn pexpireat(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let at = integer(&words[2])?;
    expire(context, &words[1], at)
}

fn expire(context: &mut Context, key: &Bytes, at: i64) -> Result<Reply, Reply> {
    context.expire_if_due(key);
    if context.value(key).is_none() {
        return Ok(Reply::Integer(0));
    }
    match u64::try_from(at).ok().map(Wall).filter(|at| *at > context.wall()) {
        Some(at) => context.write(Write::Expire { key: key.clone(), at }),
        // A time that has passed is a removal, so that replicas need not look at a clock.
        None => context.write(Write::Delete { key: key.clone() }),
    }
    Ok(Reply::Integer(1))
}

/// PTTL key
pub fn pttl(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let now = context.wall();
    let Some(entry) = context.store.entry(&words[1]).filter(|entry| !entry.is_due(now)) else {
        return Ok(Reply::Integer(-2));
    };
    let left = entry.expires_at.map(|at| i64::try_from(at.0 - now.0).expect("expiry was read from 63 bits"));
    Ok(Reply::Integer(left.unwrap_or(-1)))
}
