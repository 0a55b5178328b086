use doorbuster_sim::hosts::redis::resp::encode_request;
use doorbuster_sim::hosts::redis::{Reply, SyncPolicy};

use crate::client::{Client, answer, at};

fn with_group() -> Client {
    let mut client = Client::new(SyncPolicy::Always);
    client.ask(&["XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"]);
    client
}

fn blocking_read(client: &mut Client, wait_ms: &str) {
    let words = ["XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "BLOCK", wait_ms, "STREAMS", "s", ">"];
    assert_eq!(client.tell(&words), None);
}

#[test]
fn blocked_readers_are_served_in_the_order_in_which_they_came() {
    let mut first = with_group();
    blocking_read(&mut first, "0");
    let second = first.host.connect();
    let read = ["XREADGROUP", "GROUP", "g", "d", "COUNT", "1", "BLOCK", "0", "STREAMS", "s", ">"];
    assert!(first.host.receive(second, &encode_request(&read), at(1)).is_empty());
    let writer = first.host.connect();
    let outputs = first.host.receive(writer, &encode_request(&["XADD", "s", "1-1", "a", "1"]), at(2));
    assert!(answer(&outputs, first.connection).is_some());
    assert!(answer(&outputs, second).is_none());
    let outputs = first.host.receive(writer, &encode_request(&["XADD", "s", "1-2", "a", "1"]), at(2));
    assert!(answer(&outputs, second).is_some());
}

#[test]
fn a_blocked_reader_gives_up_at_its_time_and_goes_on_with_what_it_sent() {
    let mut client = with_group();
    blocking_read(&mut client, "100");
    assert_eq!(client.tell(&["PING"]), None);
    assert_eq!(client.host.wake_at(), Some(at(100).mono));
    assert!(client.host.tick(at(99)).is_empty());
    let outputs = client.host.tick(at(100));
    assert_eq!(client.take(&outputs), Some(Reply::NilArray));
    assert_eq!(client.take(&[]), Some(Reply::Status("PONG".to_owned())));
}

#[test]
fn a_blocked_reader_learns_that_its_stream_is_gone() {
    for command in [&["DEL", "s"][..], &["FLUSHALL"], &["SET", "s", "1"]] {
        let mut client = with_group();
        blocking_read(&mut client, "0");
        let other = client.host.connect();
        let outputs = client.host.receive(other, &encode_request(command), at(1));
        assert_eq!(client.take(&outputs), Some(Reply::error("UNBLOCKED the stream key no longer exists")));
    }
}

#[test]
fn a_message_reaches_those_who_listen_now_and_nobody_later() {
    let mut client = Client::new(SyncPolicy::Always);
    let listener = client.host.connect();
    assert_eq!(client.ask(&["PUBLISH", "c", "early"]), Reply::Integer(0));
    client.host.receive(listener, &encode_request(&["SUBSCRIBE", "c"]), at(0));
    let outputs = client.host.receive(client.connection, &encode_request(&["PUBLISH", "c", "m"]), at(0));
    let message = ["message", "c", "m"].map(Reply::bulk);
    assert_eq!(answer(&outputs, listener), Some(Reply::Array(message.into())));
    assert_eq!(answer(&outputs, client.connection), Some(Reply::Integer(1)));
    let outputs = client.host.receive(listener, &encode_request(&["GET", "a"]), at(0));
    let refused = answer(&outputs, listener).expect("an answer");
    assert!(matches!(refused, Reply::Error(text) if text.starts_with("ERR Can't execute 'get': only ")));
    assert_eq!(client.host.cut_subscribers(), 1, "who listens is cut off, and nobody else");
    assert_eq!(client.ask(&["PUBLISH", "c", "late"]), Reply::Integer(0));
    assert_eq!(client.host.cut_subscribers(), 0);
}

#[test]
fn keys_go_at_their_time_by_the_servers_own_clock() {
    let mut client = Client::new(SyncPolicy::Always);
    client.ask(&["SET", "a", "1", "PX", "100"]);
    client.now = at(99);
    assert_eq!(client.ask(&["PTTL", "a"]), Reply::Integer(1));
    client.now = at(100);
    assert_eq!(client.ask(&["GET", "a"]), Reply::Nil);
    assert_eq!(client.host.dump(), "");
    assert_eq!(client.ask(&["SET", "a", "2", "NX"]), Reply::ok());
}
