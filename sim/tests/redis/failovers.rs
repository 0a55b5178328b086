use doorbuster_sim::hosts::redis::resp::encode_request;
use doorbuster_sim::hosts::redis::{RedisHost, Reply, SyncPolicy, forty_digits, replicate};
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use crate::client::{Client, answer, at, identity};
use crate::crashes::change;

/// A primary with a client, and a replica that has all that the primary has.
fn pair() -> (Client, RedisHost) {
    let mut primary = Client::new(SyncPolicy::Always);
    let mut replica = RedisHost::new(identity(2), SyncPolicy::Always);
    replica.follow("primary");
    replicate(&mut primary.host, &mut replica, "replica", usize::MAX, at(0));
    (primary, replica)
}

proptest! {
    #[test]
    fn a_replica_is_a_prefix_of_its_primary(
        changes in vec((any::<u8>(), any::<u8>(), 0_usize..4), 1..40),
    ) {
        let (mut primary, mut replica) = pair();
        let mut dumps = vec![primary.host.dump()];
        for (choice, number, copied) in changes {
            primary.ask(&change(choice, number));
            if primary.host.facts().offset as usize + 1 > dumps.len() {
                dumps.push(primary.host.dump());
            }
            let before = replica.facts().offset;
            replicate(&mut primary.host, &mut replica, "replica", copied, at(0));
            let offset = replica.facts().offset;
            prop_assert!(offset >= before && offset <= primary.host.facts().offset);
            prop_assert_eq!(replica.dump(), dumps[offset as usize].clone());
        }
        replicate(&mut primary.host, &mut replica, "replica", usize::MAX, at(0));
        prop_assert_eq!(replica.store(), primary.host.store());
    }

    #[test]
    fn after_a_split_the_old_primary_throws_away_what_the_new_one_lacks(
        common in vec((any::<u8>(), any::<u8>()), 0..10),
        old in vec((any::<u8>(), any::<u8>()), 0..10),
        new in vec((any::<u8>(), any::<u8>()), 0..10),
    ) {
        let (mut first, mut second) = pair();
        common.iter().for_each(|(choice, number)| drop(first.ask(&change(*choice, *number))));
        replicate(&mut first.host, &mut second, "replica", usize::MAX, at(0));
        second.promote(forty_digits([7, 7, 7]));
        let mut second = Client::of(second);
        // Nobody told the first one: it goes on and acknowledges.
        for (choice, number) in &old {
            prop_assert!(!first.ask(&change(*choice, *number)).is_error());
        }
        for (choice, number) in &new {
            prop_assert!(!second.ask(&change(*choice, *number)).is_error());
        }
        first.host.follow("second");
        replicate(&mut second.host, &mut first.host, "first", usize::MAX, at(0));
        prop_assert_eq!(first.host.store(), second.host.store());
        let id = |host: &RedisHost| host.facts().identity.replication_id.clone();
        prop_assert_eq!(id(&first.host), id(&second.host));
    }
}

#[test]
fn a_promotion_changes_the_history_and_not_the_process() {
    let (mut primary, mut replica) = pair();
    primary.ask(&["SET", "a", "1"]);
    replicate(&mut primary.host, &mut replica, "replica", usize::MAX, at(0));
    primary.ask(&["SET", "a", "2"]);
    let before = replica.facts().identity.clone();
    assert_eq!(before.replication_id, primary.host.facts().identity.replication_id);
    replica.promote(forty_digits([7, 7, 7]));
    let after = replica.facts().identity.clone();
    assert_eq!(before.run_id, after.run_id);
    assert_ne!(before.replication_id, after.replication_id);
    let mut promoted = Client::of(replica);
    assert_eq!(promoted.ask(&["GET", "a"]), Reply::bulk("1"), "the newest acknowledged write is not there");
    let Reply::Bulk(text) = promoted.ask(&["INFO", "replication"]) else { panic!("INFO is text") };
    assert!(String::from_utf8_lossy(&text).contains("role:master\r\n"));
}

#[test]
fn a_replica_serves_reads_and_refuses_writes_from_clients_and_scripts() {
    let (mut primary, mut replica) = pair();
    primary.ask(&["SET", "a", "1"]);
    replicate(&mut primary.host, &mut replica, "replica", usize::MAX, at(0));
    let mut replica = Client::of(replica);
    let refused = Reply::error("READONLY You can't write against a read only replica.");
    assert_eq!(replica.ask(&["GET", "a"]), Reply::bulk("1"));
    assert_eq!(replica.ask(&["SET", "a", "2"]), refused);
    let reply = replica.ask(&["EVAL", "return redis.call('SET', 'a', '2')", "0"]);
    assert!(matches!(reply, Reply::Error(text) if text.starts_with("READONLY ") && text.contains(" script: ")));
    assert_eq!(replica.ask(&["EVAL", "return redis.call('GET', 'a')", "0"]), Reply::bulk("1"));
}

#[test]
fn a_demotion_unblocks_readers_and_leaves_subscribers_alone() {
    let (mut primary, _replica) = pair();
    primary.ask(&["XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"]);
    let listener = primary.host.connect();
    primary.host.receive(listener, &encode_request(&["SUBSCRIBE", "c"]), at(0));
    let read = ["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"];
    assert_eq!(primary.tell(&read), None);
    let outputs = primary.host.follow("other");
    let text = "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";
    assert_eq!(answer(&outputs, primary.connection), Some(Reply::error(text)));
    assert!(outputs.iter().all(|output| output.close && output.connection == primary.connection));
    assert_eq!(primary.host.connections().collect::<Vec<_>>(), vec![listener]);
}

#[test]
fn wait_counts_the_replicas_that_have_what_was_written() {
    let (mut primary, mut replica) = pair();
    primary.ask(&["SET", "a", "1"]);
    assert_eq!(primary.ask(&["WAIT", "0", "100"]), Reply::Integer(0));
    assert_eq!(primary.tell(&["WAIT", "1", "100"]), None);
    let (outputs, _) = replicate(&mut primary.host, &mut replica, "replica", usize::MAX, at(1));
    assert_eq!(primary.take(&outputs), Some(Reply::Integer(1)));
    assert_eq!(primary.ask(&["WAIT", "1", "100"]), Reply::Integer(1));
    primary.ask(&["SET", "a", "2"]);
    assert_eq!(primary.tell(&["WAIT", "1", "100"]), None);
    let outputs = primary.host.tick(at(100));
    assert_eq!(primary.take(&outputs), Some(Reply::Integer(0)), "too few in time is an answer and no error");
}

#[test]
fn wait_after_a_read_covers_what_another_connection_wrote() {
    let (mut primary, mut replica) = pair();
    let reader = primary.host.connect();
    primary.ask(&["SET", "a", "1"]);
    primary.host.receive(reader, &encode_request(&["GET", "a"]), at(0));
    let waiting = primary.host.receive(reader, &encode_request(&["WAIT", "1", "100"]), at(0));
    assert_eq!(answer(&waiting, reader), None, "no replica has what was read");
    let (outputs, _) = replicate(&mut primary.host, &mut replica, "replica", usize::MAX, at(1));
    assert_eq!(answer(&outputs, reader), Some(Reply::Integer(1)));
}

#[test]
fn the_script_cache_survives_a_whole_copy() {
    let (mut primary, mut replica) = pair();
    primary.ask(&["SET", "a", "1"]);
    let reader = replica.connect();
    replica.receive(reader, &encode_request(&["SCRIPT", "LOAD", "return 1"]), at(0));
    replica.restart(identity(5), doorbuster_sim::hosts::redis::Crash::HARD);
    let mut replica = Client::of(replica);
    replica.ask(&["SCRIPT", "LOAD", "return 1"]);
    replicate(&mut primary.host, &mut replica.host, "replica", usize::MAX, at(0));
    assert_eq!(replica.ask(&["GET", "a"]), Reply::bulk("1"));
    let sha = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
    assert_eq!(replica.ask(&["EVALSHA", sha, "0"]), Reply::Integer(1));
}
