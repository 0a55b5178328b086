use doorbuster_sim::hosts::redis::{Crash, Reply, SyncPolicy};
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use crate::client::{Client, at, identity};

/// One command that changes something, out of a few small numbers; some of them are scripts of several writes.
pub fn change(choice: u8, number: u8) -> Vec<String> {
    let (key, value) = (format!("k{}", number % 3), number.to_string());
    let words: Vec<&str> = match choice % 7 {
        0 => vec!["HSET", "h", &key, &value],
        1 => vec!["HDEL", "h", &key],
        2 => vec!["ZADD", "z", &value, &key],
        3 => vec!["SET", "s", &value],
        4 => vec!["XADD", "x", "*", "f", &value],
        5 => vec!["DEL", "h", "s"],
        _ => {
            let both = "redis.call('HINCRBY', 'a', 'n', 1) redis.call('HINCRBY', 'b', 'n', 1) return 1";
            vec!["EVAL", both, "0"]
        }
    };
    words.into_iter().map(str::to_owned).collect()
}

proptest! {
    #[test]
    fn a_crash_leaves_a_prefix_of_the_commands_that_holds_all_that_was_synced(
        changes in vec((any::<u8>(), any::<u8>(), any::<bool>()), 1..30),
        kept in 0_usize..10,
        torn in any::<bool>(),
    ) {
        let mut client = Client::new(SyncPolicy::EverySecond);
        let mut dumps = vec![client.host.dump()];
        let mut synced = 0;
        let mut second = 0;
        for (choice, number, sync) in changes {
            client.ask(&change(choice, number));
            if client.host.facts().offset as usize + 1 > dumps.len() {
                dumps.push(client.host.dump());
            }
            if sync {
                second += 1;
                client.host.tick(at(second * 1_000));
                synced = dumps.len() - 1;
            }
        }
        let unsynced = client.host.unsynced();
        prop_assert_eq!(unsynced, dumps.len() - 1 - synced);
        let lost = client.host.restart(identity(2), Crash { kept, torn });
        prop_assert_eq!(lost, unsynced.saturating_sub(kept));
        prop_assert!(lost <= unsynced);
        prop_assert_eq!(client.host.dump(), dumps[dumps.len() - 1 - lost].clone());
    }

    #[test]
    fn with_a_sync_before_each_answer_no_answered_command_is_lost(
        changes in vec((any::<u8>(), any::<u8>()), 1..30),
    ) {
        let mut client = Client::new(SyncPolicy::Always);
        changes.iter().for_each(|(choice, number)| drop(client.ask(&change(*choice, *number))));
        let before = client.host.dump();
        prop_assert_eq!(client.host.restart(identity(2), Crash::HARD), 0);
        prop_assert_eq!(client.host.dump(), before);
    }
}

#[test]
fn a_restart_changes_both_ids_and_forgets_scripts_and_connections() {
    let mut client = Client::new(SyncPolicy::Always);
    let sha = client.ask(&["SCRIPT", "LOAD", "return 1"]);
    let Reply::Bulk(sha) = sha else { panic!("a script has a name") };
    let before = client.host.facts().identity.clone();
    client.host.restart(identity(2), Crash::HARD);
    let after = client.host.facts().identity.clone();
    assert_ne!(before.run_id, after.run_id);
    assert_ne!(before.replication_id, after.replication_id);
    assert_eq!(client.host.connections().count(), 0);
    let mut client = Client::of(client.host);
    let asked: [&[u8]; 3] = [b"EVALSHA", &sha, b"0"];
    assert_eq!(client.ask(&asked), Reply::error("NOSCRIPT No matching script. Please use EVAL."));
}

#[test]
fn a_script_that_fails_in_the_middle_leaves_what_it_wrote() {
    let mut client = Client::new(SyncPolicy::Always);
    let reply = client.ask(&["EVAL", "redis.call('SET', 'a', '1') redis.call('HGET', 'a', 'f')", "0"]);
    assert!(matches!(reply, Reply::Error(text) if text.starts_with("WRONGTYPE")));
    client.host.restart(identity(2), Crash::HARD);
    assert_eq!(client.host.dump(), "a = 1\n");
}

#[test]
fn without_a_log_a_restart_begins_with_nothing() {
    let mut client = Client::new(SyncPolicy::Off);
    client.ask(&["SET", "a", "1"]);
    client.host.restart(identity(2), Crash::HARD);
    assert_eq!(client.host.dump(), "");
}
