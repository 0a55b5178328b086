use doorbuster_core::time::Wall;

use super::parse::{integer, is, range_start, stream_id, unknown_option};
use super::streams::entry_reply;
use crate::hosts::redis::Bytes;
use crate::hosts::redis::context::Context;
use crate::hosts::redis::reply::{Reply, texts};
use crate::hosts::redis::store::{Group, Pending, StreamId, Write};

/// So many entries are looked at for one that is answered: the server's own bound on one call's work.
const LOOKS_PER_ANSWER: usize = 10;

/// What XAUTOCLAIM answers at most where the client does not say.
const COUNT_DEFAULT: usize = 100;

/// The group, which has to exist.
///
/// # Errors
/// It does not, or the key is no stream.
pub fn existing_group<'context>(context: &'context Context, key: &[u8], name: &[u8]) -> Result<&'context Group, Reply> {
    context.stream(key)?.and_then(|stream| stream.groups.get(name)).ok_or_else(|| {
        let (key, name) = (String::from_utf8_lossy(key), String::from_utf8_lossy(name));
        Reply::error(format!("NOGROUP No such key '{key}' or consumer group '{name}'"))
    })
}

/// Who takes entries, of what, and how.
struct Claim {
    key: Bytes,
    group: Bytes,
    consumer: Bytes,
    /// Entries that were given less long ago stay where they are, in milliseconds.
    idle_min_ms: u64,
    delivered_at: Wall,
    deliveries: Option<u64>,
    force: bool,
    only_ids: bool,
}

impl Claim {
    fn parse(context: &Context, words: &[Bytes], command: &str) -> Result<Claim, Reply> {
        existing_group(context, &words[1], &words[2])?;
        let invalid = || Reply::error(format!("ERR Invalid min-idle-time argument for {command}"));
        let idle_min_ms = integer(&words[4]).map_err(|_| invalid())?;
        Ok(Claim {
            key: words[1].clone(),
            group: words[2].clone(),
            consumer: words[3].clone(),
            idle_min_ms: u64::try_from(idle_min_ms).unwrap_or(0),
            delivered_at: context.wall(),
            deliveries: None,
            force: false,
            only_ids: false,
        })
    }

    /// Whether `pending` was given long enough ago.
    fn reaches(&self, pending: &Pending, now: Wall) -> bool {
        now.0.saturating_sub(pending.delivered_at.0) >= self.idle_min_ms
    }

    fn take(&self, context: &mut Context, id: StreamId, before: u64) -> Reply {
        self.see_consumer(context);
        let counted = if self.only_ids { before } else { before + 1 };
        context.write(Write::Deliver {
            key: self.key.clone(),
            group: self.group.clone(),
            consumer: self.consumer.clone(),
            id,
            delivered_at: self.delivered_at,
            deliveries: self.deliveries.unwrap_or(counted),
        });
        let fields = match context.value(&self.key) {
            Some(crate::hosts::redis::store::Value::Stream(stream)) => &stream.entries[&id],
            _ => unreachable!("only entries that are there are taken"),
        };
        if self.only_ids { Reply::bulk(id.to_string()) } else { entry_reply(id, fields) }
    }

    fn drop(&self, context: &mut Context, id: StreamId) {
        context.write(Write::Acknowledge { key: self.key.clone(), group: self.group.clone(), id });
    }

    fn see_consumer(&self, context: &mut Context) {
        let (key, group, consumer) = (self.key.clone(), self.group.clone(), self.consumer.clone());
        let at = context.wall();
        context.write(Write::SeeConsumer { key, group, consumer, at });
    }
}

/// XCLAIM key group consumer idle-min-ms id... [IDLE ms] [TIME ms] [RETRYCOUNT count] [FORCE] [JUSTID]
pub fn xclaim(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    context.expire_if_due(&words[1]);
    let mut claim = Claim::parse(context, words, "XCLAIM")?;
    let ids: Vec<StreamId> = words[5..].iter().map_while(|word| stream_id(word, 0).ok()).collect();
    let mut rest = words[5 + ids.len()..].iter();
    while let Some(option) = rest.next() {
        let mut value = || integer(rest.next().ok_or_else(|| Reply::error(texts::SYNTAX))?);
        if is(option, "FORCE") {
            claim.force = true;
        } else if is(option, "JUSTID") {
            claim.only_ids = true;
        } else if is(option, "IDLE") {
            claim.delivered_at = context.wall().before_ms(u64::try_from(value()?).unwrap_or(0));
        } else if is(option, "TIME") {
            claim.delivered_at = Wall(u64::try_from(value()?).unwrap_or(0)).min(context.wall());
        } else if is(option, "RETRYCOUNT") {
            claim.deliveries = u64::try_from(value()?).ok();
        } else {
            let option = String::from_utf8_lossy(option);
            return Err(Reply::error(format!("ERR Unrecognized XCLAIM option '{option}'")));
        }
    }
    let now = context.wall();
    let mut taken = Vec::new();
    for id in ids {
        let pending = existing_group(context, &claim.key, &claim.group)?.pending.get(&id).cloned();
        let is_there = context.stream(&claim.key)?.is_some_and(|stream| stream.entries.contains_key(&id));
        match pending {
            Some(_) if !is_there => claim.drop(context, id),
            Some(pending) if claim.reaches(&pending, now) => taken.push(claim.take(context, id, pending.deliveries)),
            None if is_there && claim.force => taken.push(claim.take(context, id, 0)),
            Some(_) | None => {}
        }
    }
    Ok(Reply::Array(taken))
}

/// XAUTOCLAIM key group consumer idle-min-ms start [COUNT count] [JUSTID]
pub fn xautoclaim(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    context.expire_if_due(&words[1]);
    let invalid = || Reply::error("ERR Invalid min-idle-time argument for XAUTOCLAIM");
    integer(&words[4]).map_err(|_| invalid())?;
    let start = range_start(&words[5])?;
    let mut count = COUNT_DEFAULT;
    let mut only_ids = false;
    let mut rest = words[6..].iter();
    while let Some(option) = rest.next() {
        if is(option, "JUSTID") {
            only_ids = true;
        } else if is(option, "COUNT") {
            let given = integer(rest.next().ok_or_else(|| Reply::error(texts::SYNTAX))?)?;
            let positive = usize::try_from(given).ok().filter(|count| *count > 0);
            count = positive.ok_or_else(|| Reply::error("ERR COUNT must be > 0"))?;
        } else {
            unknown_option(words, option);
        }
    }
    let claim = Claim { only_ids, ..Claim::parse(context, words, "XAUTOCLAIM")? };
    sweep(context, &claim, start, count)
}

fn sweep(context: &mut Context, claim: &Claim, start: StreamId, mut count: usize) -> Result<Reply, Reply> {
    let now = context.wall();
    let pending = &existing_group(context, &claim.key, &claim.group)?.pending;
    let looked_at = count.saturating_mul(LOOKS_PER_ANSWER);
    let mut seen: Vec<(StreamId, Pending)> =
        pending.range(start..).take(looked_at.saturating_add(1)).map(|(id, pending)| (*id, pending.clone())).collect();
    let mut beyond = if seen.len() > looked_at { seen.pop().map(|(id, _)| id) } else { None };
    let (mut taken, mut gone) = (Vec::new(), Vec::new());
    for (id, pending) in seen {
        if count == 0 {
            beyond = Some(id);
            break;
        }
        if !context.stream(&claim.key)?.is_some_and(|stream| stream.entries.contains_key(&id)) {
            claim.drop(context, id);
            gone.push(Reply::bulk(id.to_string()));
            count -= 1;
        } else if claim.reaches(&pending, now) {
            taken.push(claim.take(context, id, pending.deliveries));
            count -= 1;
        }
    }
    let cursor = Reply::bulk(beyond.unwrap_or(StreamId::MIN).to_string());
    Ok(Reply::Array(vec![cursor, Reply::Array(taken), Reply::Array(gone)]))
}
