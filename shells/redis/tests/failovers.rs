//! Servers that are replaced by others, or by older copies of themselves.

mod support;

use doorbuster_core::database::rows::AckLevel;
use doorbuster_core::ids::{Epoch, Seq};
use doorbuster_core::ledger::load::LoadRefusal;
use doorbuster_core::ledger::reserve::ItemReply;
use doorbuster_core::ledger::shard::Fenced;
use doorbuster_core::outcome::Outcome;
use doorbuster_redis::config::RedisConfig;
use doorbuster_redis::dial::Dial;
use doorbuster_redis::log::RedisShardLog;
use doorbuster_redis::servers::Servers;
use doorbuster_runtime::contract::{Memory, World};
use doorbuster_runtime::env::SystemEnv;
use doorbuster_runtime::ports::ledger::{Ledger, ServerView};
use doorbuster_runtime::ports::shard_log::ShardLog;
use std::sync::Arc;
use support::{MovingName, Server, config, ledger, servers, until};

/// Asks until somebody says for certain.
async fn certain<T, R>(ask: impl AsyncFn() -> Outcome<T, R>) -> Result<T, R> {
    for _ in 0..500 {
        match ask().await {
            Outcome::Done(value) => return Ok(value),
            Outcome::Refused(refusal) => return Err(refusal),
            Outcome::Unknown => tokio::time::sleep(support::LOOK_PAUSE).await,
        }
    }
    panic!("nobody ever knew");
}

async fn seen(ledger: &dyn Ledger, world: World) -> ServerView {
    for _ in 0..500 {
        if let Outcome::Done(view) = ledger.inspect(world.shard(0)).await {
            return view;
        }
        tokio::time::sleep(support::LOOK_PAUSE).await;
    }
    panic!("no server was ever seen");
}

fn moving(name: &MovingName, server: &Server) -> Arc<Servers> {
    Servers::new(config(server), Arc::new(name.clone()) as Arc<dyn Dial>, SystemEnv::shared())
}

#[tokio::test]
async fn a_promoted_replica_is_another_server() {
    let (Some(mut first), Some(second)) = (Server::start("promotion"), Server::start("promotion")) else { return };
    let name = MovingName::of(&first);
    let (world, ledger) = (World::named("promoted"), ledger(&moving(&name, &first), AckLevel::Redis));
    let shard = world.shard(0);
    // First the replica: a server that gets its first one draws another replication id.
    second.follow(&first).await;
    let fence = Memory::of(10).open(&ledger, shard, 1).await;
    let items = vec![world.item(1, 1, &[(0, 1)])];
    assert!(matches!(ledger.reserve(shard, fence, items.clone()).await, Outcome::Done(_)));
    until("the replica has the unit", || has_entry(&second, &world)).await;

    first.kill();
    second.tell(&["REPLICAOF", "NO", "ONE"]);
    name.move_to(&second);
    let view = seen(&ledger, world).await;
    assert_ne!(view.server, fence.server, "the copy has another identity");
    assert_eq!(view.meta.map(|meta| (meta.epoch, meta.seq)), Some((Epoch(1), Seq(1))), "and the same memory");
    assert_eq!(certain(async || ledger.reserve(shard, fence, items.clone()).await).await, Err(Fenced));
    let load = certain(async || ledger.load(shard, fence, Memory::of(10).chunk()).await).await;
    assert_eq!(load, Err(LoadRefusal::WrongServer));

    let next = Memory::of(10).open(&ledger, shard, 2).await;
    let replies = certain(async || ledger.reserve(shard, next, items.clone()).await).await.expect("it sells again");
    assert!(matches!(replies[0], ItemReply::Accepted(accepted) if accepted.epoch == Epoch(2)));
}

fn has_entry(server: &Server, world: &World) -> bool {
    let key = format!("{{{}:0:0}}:x", world.sale);
    server.tell(&["XLEN", &key]) == redis::Value::Int(1)
}

#[tokio::test]
async fn a_server_that_gets_its_first_replica_is_another_one() {
    let (Some(first), Some(second)) = (Server::start("first replica"), Server::start("first replica")) else { return };
    let (world, ledger) = (World::named("alone"), ledger(&servers(config(&first)), AckLevel::Redis));
    let shard = world.shard(0);
    let fence = Memory::of(10).open(&ledger, shard, 1).await;
    second.follow(&first).await;
    let items = vec![world.item(1, 1, &[(0, 1)])];
    assert_eq!(certain(async || ledger.reserve(shard, fence, items.clone()).await).await, Err(Fenced));
    assert_ne!(seen(&ledger, world).await.server, fence.server, "which the keeper sees, and ends the epoch");
    let next = Memory::of(10).open(&ledger, shard, 2).await;
    assert!(certain(async || ledger.reserve(shard, next, items.clone()).await).await.is_ok());
    second.tell(&["REPLICAOF", "NO", "ONE"]);
    second.follow(&first).await;
    assert!(
        certain(async || ledger.reserve(shard, next, items.clone()).await).await.is_ok(),
        "later ones change nothing"
    );
}

#[tokio::test]
async fn a_demoted_server_takes_nothing_and_is_another_one_when_it_is_promoted_again() {
    let (Some(first), Some(second)) = (Server::start("demotion"), Server::start("demotion")) else { return };
    let (world, ledger) = (World::named("demoted"), ledger(&servers(config(&first)), AckLevel::Redis));
    let shard = world.shard(0);
    second.follow(&first).await;
    let fence = Memory::of(10).open(&ledger, shard, 1).await;
    let open = redis::Value::BulkString(b"open".to_vec());
    until("the replica has the memory", || second.tell(&["HGET", "{demoted:0:0}:m", "state"]) == open).await;
    second.tell(&["REPLICAOF", "NO", "ONE"]);
    first.follow(&second).await;
    let items = vec![world.item(1, 1, &[(0, 1)])];
    for _ in 0..5 {
        let refused = certain(async || ledger.reserve(shard, fence, items.clone()).await).await;
        assert_eq!(refused, Err(Fenced), "a replica takes nothing");
    }
    assert!(!matches!(ledger.inspect(shard).await, Outcome::Done(_)), "a replica does not serve the shard");

    first.tell(&["REPLICAOF", "NO", "ONE"]);
    let view = seen(&ledger, world).await;
    assert_ne!(view.server, fence.server, "the same process is another server now");
    assert_eq!(view.counters[0].1.live, 0, "nothing was taken in between");
    assert_eq!(certain(async || ledger.reserve(shard, fence, items.clone()).await).await, Err(Fenced));
}

#[tokio::test]
async fn a_fence_of_a_server_that_a_connection_does_not_know_yet_is_found() {
    let (Some(first), Some(second)) = (Server::start("split brain"), Server::start("split brain")) else { return };
    let name = MovingName::of(&first);
    let (world, ledger) = (World::named("split"), ledger(&moving(&name, &first), AckLevel::Redis));
    let shard = world.shard(0);
    Memory::of(10).open(&ledger, shard, 1).await;
    // Somebody else has opened the shard on the other server, while the old one still serves this connection.
    let elsewhere = support::ledger(&servers(config(&second)), AckLevel::Redis);
    let fence = Memory::of(10).open(&elsewhere, shard, 2).await;
    name.move_to(&second);
    let items = vec![world.item(1, 1, &[(0, 1)])];
    let replies = certain(async || ledger.reserve(shard, fence, items.clone()).await).await.expect("it is followed");
    assert!(matches!(replies[0], ItemReply::Accepted(_)));
    assert_eq!(seen(&elsewhere, world).await.counters[0].1.live, 1);
}

#[tokio::test]
async fn a_reader_that_waits_in_a_server_that_is_demoted_is_let_go() {
    let (Some(first), Some(second)) = (Server::start("let go"), Server::start("let go")) else { return };
    let patient = RedisConfig { block_ms: 5_000, ..config(&first) };
    let servers = servers(patient);
    let (world, ledger) = (World::named("let-go"), ledger(&servers, AckLevel::Redis));
    let log = RedisShardLog::new(servers, 1);
    let shard = world.shard(0);
    second.follow(&first).await;
    let fence = Memory::of(10).open(&ledger, shard, 1).await;
    let empty = certain(async || log.read(shard, fence, None, 10).await).await.expect("the fence is the memory's");
    assert!(empty.entries.is_empty());
    let demoting = async {
        until("the reader waits", || first.info().contains("blocked_clients:1")).await;
        second.tell(&["REPLICAOF", "NO", "ONE"]);
        first.tell(&["REPLICAOF", "127.0.0.1", &second.port.to_string()]);
    };
    let (page, ()) = tokio::join!(log.read(shard, fence, Some(Seq(0)), 10), demoting);
    assert_eq!(page, Outcome::Unknown, "what it was given is not known");
    let acked = log.ack(shard, fence, Seq(0)).await;
    assert!(!matches!(acked, Outcome::Done(())), "a replica's log has no marks to be set: {acked:?}");
}
