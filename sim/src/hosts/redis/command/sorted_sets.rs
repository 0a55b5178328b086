use super::parse::{float, integer, is, score_bound, unknown_option};
use crate::hosts::redis::Bytes;
use crate::hosts::redis::context::Context;
use crate::hosts::redis::reply::{Reply, texts};
use crate::hosts::redis::store::Write;

/// ZADD key [NX | XX] [GT | LT] [CH] (score member)...
pub fn zadd(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let options = words[2..].iter().take_while(|word| OPTIONS.iter().any(|option| is(word, option))).count();
    let has = |name: &str| words[2..2 + options].iter().any(|word| is(word, name));
    let pairs = &words[2 + options..];
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(Reply::error(texts::SYNTAX));
    }
    if has("NX") && has("XX") {
        return Err(Reply::error("ERR XX and NX options at the same time are not compatible"));
    }
    if (has("NX") && (has("GT") || has("LT"))) || (has("GT") && has("LT")) {
        return Err(Reply::error("ERR GT, LT, and/or NX options at the same time are not compatible"));
    }
    let scores: Vec<f64> =
        pairs.chunks_exact(2).map(|pair| float(&pair[0], texts::NOT_A_FLOAT)).collect::<Result<_, _>>()?;
    let key = &words[1];
    context.expire_if_due(key);
    context.sorted_set(key)?;
    let (mut added, mut changed) = (0, 0);
    for (member, score) in pairs.chunks_exact(2).map(|pair| &pair[1]).zip(scores) {
        let before = context.sorted_set(key)?.and_then(|members| members.score(member));
        let wanted = match before {
            None => !has("XX"),
            Some(before) => {
                let held_back = (has("GT") && score < before) || (has("LT") && score > before);
                before != score && !has("NX") && !held_back
            }
        };
        if wanted {
            added += i64::from(before.is_none());
            changed += 1;
            context.write(Write::SetScore { key: key.clone(), member: member.clone(), score });
        }
    }
    Ok(Reply::Integer(if has("CH") { changed } else { added }))
}

const OPTIONS: &[&str] = &["NX", "XX", "GT", "LT", "CH"];

/// ZREM key member...
pub fn zrem(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let key = &words[1];
    context.expire_if_due(key);
    let mut removed = 0;
    for member in &words[2..] {
        if context.sorted_set(key)?.is_some_and(|members| members.score(member).is_some()) {
            context.write(Write::RemoveMember { key: key.clone(), member: member.clone() });
            removed += 1;
        }
    }
    Ok(Reply::Integer(removed))
}

/// ZSCORE key member
pub fn zscore(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let score = context.sorted_set(&words[1])?.and_then(|members| members.score(&words[2]));
    Ok(score.map_or(Reply::Nil, Reply::Double))
}

/// ZCARD key
pub fn zcard(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    Ok(Reply::count(context.sorted_set(&words[1])?.map_or(0, |members| members.len())))
}

/// ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]
pub fn zrangebyscore(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    by_score(context, words, Shape::parse(words, true)?)
}

/// ZRANGE key start stop [BYSCORE] [REV] [LIMIT offset count] [WITHSCORES]
pub fn zrange(context: &mut Context, words: &[Bytes]) -> Result<Reply, Reply> {
    let shape = Shape::parse(words, false)?;
    if shape.by_score { by_score(context, words, shape) } else { by_rank(context, words, shape) }
}

/// What a range is to look like.
struct Shape {
    by_score: bool,
    reversed: bool,
    with_scores: bool,
    offset: i64,
    count: Option<usize>,
}

impl Shape {
    fn parse(words: &[Bytes], by_score: bool) -> Result<Shape, Reply> {
        let mut shape = Shape { by_score, reversed: false, with_scores: false, offset: 0, count: None };
        let mut limited = false;
        let mut rest = words[4..].iter();
        while let Some(option) = rest.next() {
            if is(option, "WITHSCORES") {
                shape.with_scores = true;
            } else if is(option, "BYSCORE") && !by_score {
                shape.by_score = true;
            } else if is(option, "REV") && !by_score {
                shape.reversed = true;
            } else if is(option, "LIMIT") {
                let (Some(offset), Some(count)) = (rest.next(), rest.next()) else {
                    return Err(Reply::error(texts::SYNTAX));
                };
                shape.offset = integer(offset)?;
                shape.count = usize::try_from(integer(count)?).ok();
                limited = true;
            } else {
                unknown_option(words, option);
            }
        }
        if limited && !shape.by_score {
            let text = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
            return Err(Reply::error(text));
        }
        Ok(shape)
    }

    fn reply<'set>(&self, members: impl Iterator<Item = (&'set Bytes, f64)>) -> Reply {
        if self.with_scores {
            let pair = |(member, score): (&Bytes, f64)| (Reply::bulk(member.clone()), Reply::Double(score));
            return Reply::Array(members.map(pair).flat_map(|(member, score)| [member, score]).collect());
        }
        Reply::Array(members.map(|(member, _)| Reply::bulk(member.clone())).collect())
    }
}

fn by_score(context: &mut Context, words: &[Bytes], shape: Shape) -> Result<Reply, Reply> {
    let (low, high) = if shape.reversed { (&words[3], &words[2]) } else { (&words[2], &words[3]) };
    let (low, high) = (score_bound(low)?, score_bound(high)?);
    let members = context.sorted_set(&words[1])?;
    let Ok(offset) = usize::try_from(shape.offset) else { return Ok(Reply::Array(Vec::new())) };
    let mut reached: Vec<(&Bytes, f64)> = members.into_iter().flat_map(|members| members.between(low, high)).collect();
    if shape.reversed {
        reached.reverse();
    }
    Ok(shape.reply(reached.into_iter().skip(offset).take(shape.count.unwrap_or(usize::MAX))))
}

fn by_rank(context: &mut Context, words: &[Bytes], shape: Shape) -> Result<Reply, Reply> {
    let (start, stop) = (integer(&words[2])?, integer(&words[3])?);
    let Some(members) = context.sorted_set(&words[1])? else { return Ok(Reply::Array(Vec::new())) };
    let length = i64::try_from(members.len()).expect("a length fits in 63 bits");
    let from_end = |rank: i64| if rank < 0 { rank.saturating_add(length) } else { rank };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(length - 1));
    let Ok(taken) = usize::try_from(stop - start + 1) else { return Ok(Reply::Array(Vec::new())) };
    let skipped = usize::try_from(start).expect("not below zero");
    let mut reached: Vec<(&Bytes, f64)> = members.iter().collect();
    if shape.reversed {
        reached.reverse();
    }
    Ok(shape.reply(reached.into_iter().skip(skipped).take(taken)))
}
