//! The page and the table say what the scripts do.

use doorbuster_lua::readme::readme;
use doorbuster_lua::script::{ALL, Fencing, STRUCT_FORMATS, Script};
use std::collections::BTreeSet;
use std::path::PathBuf;

#[test]
fn the_page_is_made_from_the_table() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, readme()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == readme(), "README.md is stale: BLESS=1 cargo test -p doorbuster-lua --test readme");
}

#[test]
fn the_table_has_every_script() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let files: BTreeSet<String> = files.map(|name| name.into_string().unwrap()).collect();
    let table: BTreeSet<String> = ALL.iter().map(|script| format!("{}.lua", script.name)).collect();
    assert_eq!(files, table);
    assert!(ALL.iter().all(|script| Script::named(script.name).is_some_and(|found| found.source == script.source)));
}

#[test]
fn the_table_names_every_command_key_and_argument() {
    for script in ALL {
        let called: BTreeSet<&str> =
            script.source.split("call('").skip(1).filter_map(|rest| rest.split('\'').next()).collect();
        assert_eq!(called, script.commands.iter().copied().collect(), "{}", script.name);
        for (word, known) in [("KEYS[", script.keys.len()), ("ARGV[", script.arguments.len())] {
            let numbers = script.source.split(word).skip(1).filter_map(|rest| rest.split(']').next());
            let highest = numbers.filter_map(|number| number.parse().ok()).max().unwrap_or(0);
            // Arguments that come once per item are counted by an index.
            let per_item = highest == 0 && script.source.contains("ARGV[3 * index - 2]");
            assert!(highest == known || per_item, "{}: {word}{highest}], the table has {known}", script.name);
        }
    }
}

#[test]
fn the_table_names_every_format_of_struct() {
    for script in ALL {
        let quoted = script.source.split('\'').filter(|text| text.starts_with('>'));
        for format in quoted {
            let mut rest = &format[1..];
            while !rest.is_empty() {
                let known = STRUCT_FORMATS[1..].iter().filter(|known| rest.starts_with(**known));
                let longest = known.max_by_key(|known| known.len());
                rest = &rest[longest.unwrap_or_else(|| panic!("{}: {format}", script.name)).len()..];
            }
        }
    }
}

/// One comparison, written the same way everywhere: who reads one has read all.
#[test]
fn fences_are_word_for_word_the_same() {
    let server = "call('INFO', 'replication'), 'master_replid:' .. ARGV[1], 1, true) then\n  return ";
    for script in ALL {
        let answer = match script.fence {
            Fencing::Memory | Fencing::Server => "redis.error_reply('FENCED another server')\nend\n",
            Fencing::Answered => "'WRONG_SERVER'\nend\n",
            Fencing::PerChange | Fencing::None(_) => {
                assert!(!script.source.contains("INFO"), "{}", script.name);
                continue;
            }
        };
        let (before, after) = script.source.split_once(server).expect(script.name);
        assert!(after.starts_with(answer), "{}", script.name);
        assert!(!before.contains("call('"), "{}: nothing comes before the fence", script.name);
        let memory = "~= ARGV[2] or m[2] ~= ARGV[3] then\n  return redis.error_reply('FENCED another memory')\nend\n";
        assert_eq!(script.source.contains(memory), script.fence == Fencing::Memory, "{}", script.name);
    }
}

#[test]
fn scripts_are_deterministic_and_compute_before_they_write() {
    const WRITES: [&str; 11] =
        ["XADD", "HSET", "HDEL", "ZADD", "ZREM", "SET", "UNLINK", "XACK", "XTRIM", "DEL", "INCR"];
    const READS: [&str; 5] = ["HMGET", "HGETALL", "GET", "ZRANGEBYSCORE", "TIME"];
    for script in ALL {
        for banned in ["math.random", "cjson", "pairs(", "KEYS[#", "redis.pcall", "loadstring"] {
            let lines = script.source.lines().filter(|line| line.replace("ipairs(", "").contains(banned));
            assert_eq!(lines.count(), 0, "{}: {banned}", script.name);
        }
        let of = |command: &str| format!("call('{command}'");
        let first_write = WRITES.iter().filter_map(|command| script.source.find(&of(command))).min();
        let last_read = READS.iter().filter_map(|command| script.source.rfind(&of(command))).max();
        assert!(first_write > last_read, "{}: a read behind a write", script.name);
        assert!(script.writes && first_write.is_some(), "{}", script.name);
    }
}
