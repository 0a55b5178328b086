use doorbuster_sim::hosts::redis::resp::{ReplyDecoder, RequestDecoder, Version, encode_reply, encode_request};
use doorbuster_sim::hosts::redis::{Reply, SyncPolicy};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

use crate::client::Client;

fn reply() -> impl Strategy<Value = Reply> {
    let leaf = prop_oneof![
        "[A-Za-z ]{0,12}".prop_map(Reply::Status),
        "[A-Z]{1,9} [a-z ]{0,12}".prop_map(Reply::Error),
        any::<i64>().prop_map(Reply::Integer),
        vec(any::<u8>(), 0..40).prop_map(Reply::Bulk),
        Just(Reply::Nil),
        (-1e15..1e15_f64).prop_map(Reply::Double),
        "[ -~]{0,20}".prop_map(Reply::Text),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Reply::Array),
            vec(inner.clone(), 0..6).prop_map(Reply::Push),
            vec((inner.clone(), inner), 0..4).prop_map(Reply::Map),
        ]
    })
}

/// The bytes in pieces that end at these places.
fn pieces(bytes: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut start = 0;
    ends.into_iter().map(|end| bytes[std::mem::replace(&mut start, end)..end].to_vec()).collect()
}

proptest! {
    #[test]
    fn replies_survive_the_wire_in_any_pieces(replies in vec(reply(), 1..5), cuts in vec(any::<usize>(), 0..8)) {
        let mut bytes = Vec::new();
        replies.iter().for_each(|reply| encode_reply(&mut bytes, reply, Version::Three));
        let mut decoder = ReplyDecoder::default();
        let mut decoded = Vec::new();
        for piece in pieces(&bytes, &cuts) {
            decoder.push(&piece);
            while let Some(reply) = decoder.decode().expect("what was encoded can be decoded") {
                decoded.push(reply);
            }
        }
        prop_assert_eq!(decoded, replies);
    }

    #[test]
    fn commands_survive_the_wire_in_any_pieces(
        commands in vec(vec(vec(any::<u8>(), 0..30), 1..6), 1..5),
        cuts in vec(any::<usize>(), 0..8),
    ) {
        let bytes: Vec<u8> = commands.iter().flat_map(|words| encode_request(words)).collect();
        let mut decoder = RequestDecoder::default();
        let mut decoded = Vec::new();
        for piece in pieces(&bytes, &cuts) {
            decoder.push(&piece);
            while let Some(words) = decoder.decode().expect("what was encoded can be decoded") {
                decoded.push(words);
            }
        }
        prop_assert_eq!(decoded, commands);
    }

    #[test]
    fn foreign_bytes_end_a_connection_and_not_the_server(bytes in vec(any::<u8>(), 0..200)) {
        let mut client = Client::new(SyncPolicy::Off);
        // A star begins a command; what random bytes behind one would name is no command and ends the run by intent.
        let foreign: Vec<u8> = bytes.into_iter().filter(|byte| *byte != b'*').collect();
        let outputs = client.host.receive(client.connection, &foreign, client.now);
        prop_assert_eq!(outputs.iter().any(|output| output.close), !foreign.is_empty());
    }
}

#[test]
fn a_malformed_command_is_answered_and_the_connection_closed() {
    let cases: &[(&[u8], &str)] = &[
        (b"GET a\r\n", "ERR Protocol error: expected '*', got 'G'"),
        (b"*1\r\n+PING\r\n", "ERR Protocol error: expected '$', got '+'"),
        (b"*x\r\n", "ERR Protocol error: invalid multibulk length"),
        (b"*99999999\r\n", "ERR Protocol error: invalid multibulk length"),
        (b"*1\r\n$-1\r\n", "ERR Protocol error: invalid bulk length"),
        (b"*1\r\n$4\r\nPINGxx", "ERR Protocol error: expected the end of a bulk"),
    ];
    for (bytes, text) in cases {
        let mut client = Client::new(SyncPolicy::Off);
        let outputs = client.host.receive(client.connection, bytes, client.now);
        assert!(outputs[0].close, "{text}");
        assert_eq!(client.take(&outputs), Some(Reply::error(*text)));
        assert_eq!(client.host.connections().count(), 0);
    }
}

#[test]
#[should_panic(expected = "the simulated Redis knows no command KEYS *")]
fn an_unknown_command_is_a_panic_that_names_it() {
    Client::new(SyncPolicy::Off).ask(&["KEYS", "*"]);
}

#[test]
#[should_panic(expected = "the simulated Redis knows no command randomkey")]
fn an_unknown_command_in_a_script_is_one_too() {
    Client::new(SyncPolicy::Off).ask(&["EVAL", "local ok, e = pcall(redis.call, 'randomkey') return 1", "0"]);
}
