//! How servers are found: a cluster by its slots, a master by its Sentinel.

mod support;

use doorbuster_core::database::rows::AckLevel;
use doorbuster_core::ledger::reserve::ItemReply;
use doorbuster_core::outcome::Outcome;
use doorbuster_redis::config::{Mode, RedisConfig};
use doorbuster_redis::discover::slot_of;
use doorbuster_runtime::contract::{Memory, World};
use doorbuster_runtime::ports::ledger::Ledger;
use support::{Server, config, ledger, servers, until};

const HALF: u16 = 8_192;

#[tokio::test]
async fn shards_live_where_their_slots_are() {
    let (Some(low), Some(high)) = (Server::start_node("a cluster"), Server::start_node("a cluster")) else { return };
    low.tell(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]);
    high.tell(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]);
    let bus = bus_of(&high);
    low.tell(&["CLUSTER", "MEET", "127.0.0.1", &high.port.to_string(), &bus]);
    let ready = |server: &Server| format!("{:?}", server.tell(&["CLUSTER", "INFO"])).contains("cluster_state:ok");
    until("the cluster is whole", || ready(&low) && ready(&high)).await;

    let ledger = ledger(&servers(RedisConfig { mode: Mode::Cluster, ..config(&low) }), AckLevel::Redis);
    let mut halves = [0, 0];
    for name in ["a", "b", "c", "d", "e", "f"] {
        let world = World::named(name);
        let fence = Memory::of(5).open(&ledger, world.shard(0), 1).await;
        let item = world.item(1, 1, &[(0, 1)]);
        let reserved = ledger.reserve(world.shard(0), fence, vec![item]).await;
        assert!(matches!(reserved, Outcome::Done(replies) if matches!(replies[0], ItemReply::Accepted(_))));
        let key = format!("{{{name}:0:0}}:m");
        let (own, other) = if slot_of(&key) < HALF { (&low, &high) } else { (&high, &low) };
        halves[usize::from(slot_of(&key) >= HALF)] += 1;
        assert_eq!(own.tell(&["EXISTS", &key]), redis::Value::Int(1), "{key} is where its slot is");
        assert!(other.ask(&["EXISTS", &key]).is_err(), "{key} is nowhere else");
    }
    assert!(halves[0] > 0 && halves[1] > 0, "both servers have shards: {halves:?}");
}

fn bus_of(server: &Server) -> String {
    let redis::Value::Array(settings) = server.tell(&["CONFIG", "GET", "cluster-port"]) else { panic!("a setting") };
    match &settings[1] {
        redis::Value::BulkString(port) => String::from_utf8(port.clone()).expect("a number"),
        other => panic!("a number, not {other:?}"),
    }
}

#[tokio::test]
async fn a_new_master_is_found_through_its_sentinel() {
    let (Some(mut first), Some(second)) = (Server::start("Sentinel"), Server::start("Sentinel")) else { return };
    second.follow(&first).await;
    let Some(sentinel) = Server::start_sentinel("Sentinel", &first) else { return };
    let of_main = RedisConfig { mode: Mode::Sentinel, master_name: Some("main".to_owned()), ..config(&sentinel) };
    let (world, ledger) = (World::named("watched"), ledger(&servers(of_main), AckLevel::Redis));
    let fence = Memory::of(5).open(&ledger, world.shard(0), 1).await;
    until("the replica is known", || {
        format!("{:?}", sentinel.tell(&["SENTINEL", "REPLICAS", "main"])).contains(&second.port.to_string())
    })
    .await;
    first.kill();
    let mut found = None;
    until("the replica is the master", || second.info().contains("role:master")).await;
    for _ in 0..500 {
        match ledger.inspect(world.shard(0)).await {
            Outcome::Done(view) => found = Some(view),
            Outcome::Refused(_) | Outcome::Unknown => tokio::time::sleep(support::LOOK_PAUSE).await,
        }
        if found.is_some() {
            break;
        }
    }
    let view = found.expect("the new master is found");
    assert_ne!(view.server, fence.server);
    Memory::of(5).open(&ledger, world.shard(0), 2).await;
}
