//! The acknowledgement levels: when a 202 may leave.

mod support;

use doorbuster_core::database::rows::AckLevel;
use doorbuster_core::ids::Seq;
use doorbuster_core::ledger::reserve::ItemReply;
use doorbuster_core::outcome::Outcome;
use doorbuster_redis::config::RedisConfig;
use doorbuster_redis::log::RedisShardLog;
use doorbuster_runtime::contract::{Memory, World};
use doorbuster_runtime::ports::ledger::Ledger;
use doorbuster_runtime::ports::shard_log::ShardLog;
use support::{Server, config, ledger, servers, until};

fn hasty(server: &Server) -> RedisConfig {
    RedisConfig { answer_ms: 300, reserve_ms: 300, replica_wait_ms: 100, ..config(server) }
}

#[tokio::test]
async fn a_reservation_waits_for_a_replica() {
    let (Some(server), Some(replica)) = (Server::start("replica"), Server::start("replica")) else { return };
    let world = World::named("replica");
    let (shard, ledger) = (world.shard(0), ledger(&servers(hasty(&server)), AckLevel::Replica));
    replica.follow(&server).await;
    let fence = Memory::of(1).open(&ledger, shard, 1).await;
    replica.tell(&["REPLICAOF", "NO", "ONE"]);
    until("the replica is gone", || server.info().contains("connected_slaves:0")).await;
    let (first, late) = (vec![world.item(1, 1, &[(0, 1)])], vec![world.item(2, 1, &[(0, 1)])]);
    let (user, id, strange) = (first[0].user.clone(), first[0].id, late[0].id);
    assert_eq!(ledger.reserve(shard, fence, first.clone()).await, Outcome::Unknown, "no replica has it");
    assert_eq!(ledger.look_up(shard, user.clone(), id).await, Outcome::Unknown, "nor is anybody told of it");
    assert_eq!(
        ledger.look_up(shard, user.clone(), strange).await,
        Outcome::Done(None),
        "what is not there is not awaited"
    );
    let refused = ledger.reserve(shard, fence, late).await;
    assert!(
        matches!(refused, Outcome::Done(replies) if matches!(replies[0], ItemReply::Refused(_))),
        "a refusal waits for nobody"
    );
    replica.follow(&server).await;
    let again = ledger.reserve(shard, fence, first).await;
    assert!(
        matches!(again, Outcome::Done(replies) if matches!(replies[0], ItemReply::Replayed(_))),
        "the key finds out"
    );
    let mut found = Outcome::Unknown;
    for _ in 0..support::LOOKS_MAX {
        found = ledger.look_up(shard, user.clone(), id).await;
        if found != Outcome::Unknown {
            break;
        }
    }
    assert!(matches!(found, Outcome::Done(Some(_))), "the replica has it now: {found:?}");
}

#[tokio::test]
async fn a_replayed_reservation_waits_for_a_replica_on_another_connection_too() {
    let (Some(server), Some(replica)) = (Server::start("a slow replica"), Server::start("a slow replica")) else {
        return;
    };
    let world = World::named("slow");
    let (shard, ledger) = (world.shard(0), ledger(&servers(hasty(&server)), AckLevel::Replica));
    replica.follow(&server).await;
    let fence = Memory::of(1).open(&ledger, shard, 1).await;
    let items = vec![world.item(1, 1, &[(0, 1)])];
    replica.pause(true);
    assert_eq!(ledger.reserve(shard, fence, items.clone()).await, Outcome::Unknown, "the replica stands still");
    server.tell(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    for _ in 0..3 {
        let again = ledger.reserve(shard, fence, items.clone()).await;
        assert!(!matches!(again, Outcome::Done(_)), "the replica still does not have it: {again:?}");
    }
    replica.pause(false);
    let mut replied = Outcome::Unknown;
    for _ in 0..support::LOOKS_MAX {
        replied = ledger.reserve(shard, fence, items.clone()).await;
        if matches!(replied, Outcome::Done(_)) {
            break;
        }
        tokio::time::sleep(support::LOOK_PAUSE).await;
    }
    assert!(matches!(replied, Outcome::Done(replies) if matches!(replies[0], ItemReply::Replayed(_))));
}

#[tokio::test]
async fn a_reservation_waits_for_the_durable_log() {
    let Some(server) = Server::start("the durable log") else { return };
    let world = World::named("durable");
    let servers = servers(hasty(&server));
    let (shard, ledger) = (world.shard(0), ledger(&servers, AckLevel::Log));
    let log = RedisShardLog::new(servers, 7);
    let fence = Memory::of(5).open(&ledger, shard, 1).await;
    let first = vec![world.item(1, 1, &[(0, 1)])];
    assert_eq!(ledger.reserve(shard, fence, first.clone()).await, Outcome::Unknown, "nobody has marked it");
    let forwarding = async {
        let mut mark = 0;
        while mark < 2 {
            let Outcome::Done(page) = log.read(shard, fence, None, 10).await else { continue };
            let Some(last) = page.entries.last() else { continue };
            mark = last.seq.0;
            assert_eq!(log.ack(shard, fence, Seq(mark)).await, Outcome::Done(()));
        }
    };
    let (user, id) = (first[0].user.clone(), first[0].id);
    assert_eq!(ledger.look_up(shard, user.clone(), id).await, Outcome::Unknown, "nor is anybody told of it");
    let second = ledger.reserve(shard, fence, vec![world.item(2, 1, &[(0, 1)])]);
    let (replies, ()) = tokio::join!(second, forwarding);
    assert!(matches!(replies, Outcome::Done(replies) if matches!(replies[0], ItemReply::Accepted(_))));
    let found = ledger.look_up(shard, user, id).await;
    assert!(matches!(found, Outcome::Done(Some(_))), "it was marked since: {found:?}");
    let again = ledger.reserve(shard, fence, first).await;
    assert!(matches!(again, Outcome::Done(replies) if matches!(replies[0], ItemReply::Replayed(_))));
}
