use super::ConnectionCommand as Connection;
use super::{Flags, Run, Specification, claims, groups, hashes, inspect, keys, server, sorted_sets, streams};
use crate::hosts::redis::Bytes;

/// Commands whose second word belongs to their name.
const CONTAINERS: &[&str] = &["CLIENT", "CONFIG", "SCRIPT", "XGROUP", "XINFO"];

/// The longest name, containers included, is well below this; a longer word is no command.
const NAME_MAX: usize = 40;

const READ: Flags =
    Flags { writes: false, may_grow: false, in_script: true, when_loading: false, when_stale: false, when_busy: false };
const WRITE: Flags = Flags { writes: true, ..READ };
const GROW: Flags = Flags { may_grow: true, ..WRITE };
const ANY_TIME: Flags = Flags { when_loading: true, when_stale: true, ..READ };
const CLIENT: Flags = Flags { in_script: false, ..ANY_TIME };
const SCRIPT: Flags = Flags { in_script: false, when_stale: true, ..READ };
const GREETING: Flags = Flags { when_busy: true, ..CLIENT };
const LIVE_CLIENT: Flags = Flags { in_script: false, ..READ };

const fn row(name: &'static str, arity: i32, flags: Flags, run: Run) -> Specification {
    Specification { name, arity, flags, run }
}

/// Every command, in the order of the names. The flags are those of Redis 7.0.
pub static TABLE: &[Specification] = &[
    row("CLIENT|SETINFO", 4, CLIENT, Run::Data(server::client_setinfo)),
    row("CLIENT|SETNAME", 3, CLIENT, Run::Connection(Connection::SetName)),
    row("CONFIG|GET", -3, CLIENT, Run::Data(server::config_get)),
    row("DEL", -2, WRITE, Run::Data(keys::del)),
    row("EVAL", -3, SCRIPT, Run::Connection(Connection::Eval)),
    row("EVALSHA", -3, SCRIPT, Run::Connection(Connection::EvalSha)),
    row("EXISTS", -2, READ, Run::Data(keys::exists)),
    row("FLUSHALL", -1, WRITE, Run::Data(keys::flushall)),
    row("GET", 2, READ, Run::Data(keys::get)),
    row("HDEL", -3, WRITE, Run::Data(hashes::hdel)),
    row("HELLO", -1, GREETING, Run::Connection(Connection::Hello)),
    row("HGET", 3, READ, Run::Data(hashes::hget)),
    row("HGETALL", 2, READ, Run::Data(hashes::hgetall)),
    row("HINCRBY", 4, GROW, Run::Data(hashes::hincrby)),
    row("HLEN", 2, READ, Run::Data(hashes::hlen)),
    row("HMGET", -3, READ, Run::Data(hashes::hmget)),
    row("HSCAN", -3, READ, Run::Data(hashes::hscan)),
    row("HSET", -4, GROW, Run::Data(hashes::hset)),
    row("INFO", -1, ANY_TIME, Run::Data(server::info)),
    row("PEXPIRE", 3, WRITE, Run::Data(keys::pexpire)),
    row("PEXPIREAT", 3, WRITE, Run::Data(keys::pexpireat)),
    row("PING", -1, READ, Run::Data(server::ping)),
    row("PTTL", 2, READ, Run::Data(keys::pttl)),
    row("PUBLISH", 3, ANY_TIME, Run::Data(server::publish)),
    row("ROLE", 1, CLIENT, Run::Data(server::role)),
    row("SCRIPT|EXISTS", -3, LIVE_CLIENT, Run::Connection(Connection::ScriptExists)),
    row("SCRIPT|FLUSH", -2, LIVE_CLIENT, Run::Connection(Connection::ScriptFlush)),
    row("SCRIPT|LOAD", 3, SCRIPT, Run::Connection(Connection::ScriptLoad)),
    row("SET", -3, GROW, Run::Data(keys::set)),
    row("SUBSCRIBE", -2, CLIENT, Run::Connection(Connection::Subscribe)),
    row("TIME", 1, ANY_TIME, Run::Data(server::time)),
    row("UNLINK", -2, WRITE, Run::Data(keys::del)),
    row("UNSUBSCRIBE", -1, CLIENT, Run::Connection(Connection::Unsubscribe)),
    row("WAIT", 3, LIVE_CLIENT, Run::Connection(Connection::Wait)),
    row("XACK", -4, WRITE, Run::Data(groups::xack)),
    row("XADD", -5, GROW, Run::Data(streams::xadd)),
    row("XAUTOCLAIM", -6, WRITE, Run::Data(claims::xautoclaim)),
    row("XCLAIM", -6, WRITE, Run::Data(claims::xclaim)),
    row("XGROUP|CREATE", -5, GROW, Run::Data(groups::xgroup_create)),
    row("XINFO|CONSUMERS", 4, READ, Run::Data(inspect::xinfo_consumers)),
    row("XINFO|GROUPS", 3, READ, Run::Data(inspect::xinfo_groups)),
    row("XINFO|STREAM", -3, READ, Run::Data(inspect::xinfo_stream)),
    row("XLEN", 2, READ, Run::Data(streams::xlen)),
    row("XPENDING", -3, READ, Run::Data(inspect::xpending)),
    row("XRANGE", -4, READ, Run::Data(streams::xrange)),
    row("XREADGROUP", -7, WRITE, Run::Data(groups::xreadgroup)),
    row("XREVRANGE", -4, READ, Run::Data(streams::xrevrange)),
    row("XTRIM", -4, WRITE, Run::Data(streams::xtrim)),
    row("ZADD", -4, GROW, Run::Data(sorted_sets::zadd)),
    row("ZCARD", 2, READ, Run::Data(sorted_sets::zcard)),
    row("ZRANGE", -4, READ, Run::Data(sorted_sets::zrange)),
    row("ZRANGEBYSCORE", -4, READ, Run::Data(sorted_sets::zrangebyscore)),
    row("ZREM", -3, WRITE, Run::Data(sorted_sets::zrem)),
    row("ZSCORE", 3, READ, Run::Data(sorted_sets::zscore)),
];

/// The command that these words begin with.
///
/// # Errors
/// The name, where the table has none of it.
pub fn specification(words: &[Bytes]) -> Result<&'static Specification, String> {
    let mut name = [0_u8; NAME_MAX];
    let first = words.first().map_or(&[][..], Vec::as_slice);
    let unknown = || {
        let shown: Vec<String> = words.iter().take(2).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        shown.join(" ")
    };
    let mut length = append(&mut name, 0, first).ok_or_else(unknown)?;
    if let Some(second) = words.get(1)
        && CONTAINERS.iter().any(|container| container.as_bytes() == &name[..length])
    {
        length = append(&mut name, length, b"|").ok_or_else(unknown)?;
        length = append(&mut name, length, second).ok_or_else(unknown)?;
    }
    let found = TABLE.binary_search_by(|row| row.name.as_bytes().cmp(&name[..length]));
    found.map(|index| &TABLE[index]).map_err(|_| unknown())
}

fn append(name: &mut [u8; NAME_MAX], at: usize, word: &[u8]) -> Option<usize> {
    let end = at + word.len();
    let place = name.get_mut(at..end)?;
    place.copy_from_slice(word);
    place.make_ascii_uppercase();
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::{Bytes, TABLE, specification};

    #[test]
    fn the_table_is_in_order_because_it_is_searched_by_halves() {
        assert!(TABLE.is_sorted_by(|one, other| one.name < other.name));
    }

    #[test]
    fn a_name_is_found_in_any_case_and_with_its_second_word() {
        let words: Vec<Bytes> = vec![b"xGroup".to_vec(), b"create".to_vec(), b"key".to_vec()];
        assert_eq!(specification(&words).map(|found| found.name), Ok("XGROUP|CREATE"));
        assert_eq!(specification(&[b"KEYS".to_vec(), b"*".to_vec()]).map(|found| found.name), Err("KEYS *".to_owned()));
    }
}
