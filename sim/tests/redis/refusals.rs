use doorbuster_sim::hosts::redis::{Reply, SyncPolicy, Trouble};

use crate::client::Client;

fn code(reply: Reply) -> String {
    match reply {
        Reply::Error(text) => text.split(' ').next().unwrap_or_default().to_owned(),
        _ => "answered".to_owned(),
    }
}

fn codes(trouble: Trouble, commands: &[&[&str]]) -> Vec<String> {
    let mut client = Client::new(SyncPolicy::Always);
    client.ask(&["SET", "s", "1"]);
    client.host.set_trouble(trouble);
    let codes = commands.iter().map(|words| code(client.ask(words))).collect();
    client.host.set_trouble(Trouble::default());
    assert_eq!(client.ask(&["SET", "s", "2"]), Reply::ok(), "the trouble is over");
    codes
}

const COMMANDS: &[&[&str]] = &[
    &["GET", "s"],
    &["SET", "s", "2"],
    &["DEL", "other"],
    &["EVAL", "return redis.call('GET', 's')", "0"],
    &["EVAL", "return redis.call('SET', 's', '3')", "0"],
    &["EVAL", "redis.call('DEL', 's') return redis.call('SET', 's', '3')", "0"],
    &["HELLO"],
    &["INFO", "server"],
    &["PING"],
];

#[test]
fn each_trouble_refuses_what_the_real_server_refuses() {
    let ok = "answered";
    let cases = [
        (Trouble { memory_full: true, ..Trouble::default() }, [ok, "OOM", ok, ok, "OOM", ok, ok, ok, ok]),
        (
            Trouble { disk_refuses: true, ..Trouble::default() },
            [ok, "MISCONF", "MISCONF", ok, "MISCONF", "MISCONF", ok, ok, ok],
        ),
        (
            Trouble { loading: true, ..Trouble::default() },
            ["LOADING", "LOADING", "LOADING", "LOADING", "LOADING", "LOADING", ok, ok, "LOADING"],
        ),
        (
            Trouble { busy: true, ..Trouble::default() },
            ["BUSY", "BUSY", "BUSY", "BUSY", "BUSY", "BUSY", ok, "BUSY", "BUSY"],
        ),
    ];
    for (trouble, expected) in cases {
        assert_eq!(codes(trouble, COMMANDS), expected, "{trouble:?}");
    }
}

#[test]
fn a_replica_without_its_primary_serves_or_refuses_as_it_is_told() {
    let mut client = Client::new(SyncPolicy::Always);
    client.ask(&["SET", "s", "1"]);
    client.host.follow("other");
    assert_eq!(client.ask(&["GET", "s"]), Reply::bulk("1"));
    client.host.set_trouble(Trouble { refuses_stale_reads: true, ..Trouble::default() });
    let codes: Vec<String> = COMMANDS.iter().map(|words| code(client.ask(words))).collect();
    let ok = "answered";
    let down = "MASTERDOWN";
    assert_eq!(codes, [down, "READONLY", "READONLY", down, down, down, ok, ok, down]);
}
