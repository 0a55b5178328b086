//! What a caller knows when a real server forgets, stops, falls silent, or is full.

mod support;

use doorbuster_core::database::rows::AckLevel;
use doorbuster_core::ids::{Epoch, Nonce, ServerId};
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem};
use doorbuster_core::ledger::shard::{Counter, Fence, Fenced};
use doorbuster_core::outcome::Outcome;
use doorbuster_redis::config::RedisConfig;
use doorbuster_redis::ledger::RedisLedger;
use doorbuster_redis::trouble::Trouble;
use doorbuster_runtime::contract::{Memory, World};
use doorbuster_runtime::ports::ledger::{Ledger, NotServed, ServerView};
use support::{Server, config, ledger, servers, until};

/// Far more tries than a connection needs to come back.
const TRIES_MAX: usize = 500;

/// A shard of its own that sells so many units.
struct Shop {
    world: World,
    ledger: RedisLedger,
    fence: Fence,
}

impl Shop {
    async fn open(config: RedisConfig, name: &str, stock: u64) -> Shop {
        let (world, ledger) = (World::named(name), ledger(&servers(config), AckLevel::Redis));
        let fence = Memory::of(stock).open(&ledger, world.shard(0), 1).await;
        Shop { world, ledger, fence }
    }

    fn item(&self, buyer: usize) -> ReserveItem {
        self.world.item(buyer, 1, &[(0, 1)])
    }

    async fn reserve(&self, buyer: usize) -> Outcome<Vec<ItemReply>, Fenced> {
        self.ledger.reserve(self.world.shard(0), self.fence, vec![self.item(buyer)]).await
    }

    /// As a lane does: asks again, after a pause, until somebody has decided.
    async fn decided(&self, buyer: usize) -> ItemReply {
        for _ in 0..TRIES_MAX {
            match self.reserve(buyer).await {
                Outcome::Done(replies) => return replies[0],
                Outcome::Refused(Fenced) | Outcome::Unknown => tokio::time::sleep(support::LOOK_PAUSE).await,
            }
        }
        panic!("buyer {buyer} was never answered");
    }

    async fn view(&self) -> ServerView {
        for _ in 0..TRIES_MAX {
            if let Outcome::Done(view) = self.ledger.inspect(self.world.shard(0)).await {
                return view;
            }
            tokio::time::sleep(support::LOOK_PAUSE).await;
        }
        panic!("the memory was never seen");
    }

    async fn counter(&self) -> Counter {
        let counter = self.view().await.counters[0].1;
        assert_eq!(counter.granted, counter.available + counter.live, "I4: {counter:?}");
        counter
    }
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_is_given_them_again() {
    let Some(server) = Server::start("forgotten scripts") else { return };
    let shop = Shop::open(config(&server), "forgotten", 10).await;
    for buyer in 0..3 {
        server.tell(&["SCRIPT", "FLUSH"]);
        let (one, two) = tokio::join!(shop.reserve(2 * buyer), shop.reserve(2 * buyer + 1));
        assert!(matches!((one, two), (Outcome::Done(_), Outcome::Done(_))), "nobody notices");
    }
    assert_eq!(shop.counter().await.live, 6);
}

#[tokio::test]
async fn connections_that_are_cut_lose_answers_and_no_units() {
    let Some(server) = Server::start("cut connections") else { return };
    let shop = Shop::open(config(&server), "cut", 1_000).await;
    let cutting = async {
        for _ in 0..20 {
            server.tell(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
            tokio::time::sleep(support::LOOK_PAUSE).await;
        }
    };
    let buying = async {
        for buyer in 0..200 {
            assert!(!matches!(shop.decided(buyer).await, ItemReply::Refused(_)), "there are units for all");
        }
    };
    tokio::join!(cutting, buying);
    assert_eq!(shop.counter().await.live, 200, "each buyer has one unit, however often the answer was lost");
}

#[tokio::test]
async fn a_silent_server_makes_a_call_unknown_and_its_key_finds_out() {
    let Some(server) = Server::start("silence") else { return };
    let patient = RedisConfig { answer_ms: 150, ..config(&server) };
    let shop = Shop::open(patient, "silent", 10).await;
    server.tell(&["CLIENT", "PAUSE", "700", "ALL"]);
    assert_eq!(shop.reserve(1).await, Outcome::Unknown, "applied or not");
    assert!(matches!(shop.reserve(2).await, Outcome::Refused(_) | Outcome::Unknown), "there is no connection either");
    let first = shop.decided(1).await;
    assert!(matches!(first, ItemReply::Accepted(_) | ItemReply::Replayed(_)));
    shop.decided(2).await;
    assert_eq!(shop.counter().await.live, 2, "a call that was applied late was applied once");
}

#[tokio::test]
async fn a_full_server_takes_nothing_and_tears_nothing() {
    let Some(server) = Server::start("a full server") else { return };
    let shop = Shop::open(config(&server), "full", 10).await;
    shop.decided(1).await;
    let before = shop.view().await;
    server.tell(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(shop.reserve(2).await, Outcome::Refused(Fenced), "it is certain that nothing was taken");
    let settled = shop.ledger.settle(shop.world.shard(0), vec![give_back(&shop, 1)]).await;
    assert_eq!(settled, Outcome::Refused(NotServed), "it is certain that nothing was given back");
    server.tell(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(shop.view().await, before, "nothing was torn");
    shop.decided(2).await;
    assert_eq!(shop.counter().await.live, 2);
    let loaded = shop.ledger.load(shop.world.shard(0), later(shop.fence), Memory::of(3).chunk()).await;
    assert_eq!(loaded, Outcome::Done(()));
    server.tell(&["CONFIG", "SET", "maxmemory", "1"]);
    // The last step of a load begins with a write; the first one makes room before it needs any.
    let opened = shop.ledger.open(shop.world.shard(0), later(shop.fence), 1, false).await;
    assert_eq!(opened, Outcome::Unknown, "a full memory is no verdict on a load");
}

fn later(fence: Fence) -> Fence {
    Fence { epoch: fence.epoch.next(), nonce: Nonce(77), ..fence }
}

fn give_back(shop: &Shop, buyer: usize) -> doorbuster_core::settler::ShardChange {
    let item = shop.item(buyer);
    doorbuster_core::settler::ShardChange::GiveBack { epoch: Epoch(1), user: item.user, id: item.id }
}

#[tokio::test]
async fn a_server_that_is_gone_has_certainly_done_nothing() {
    let Some(mut server) = Server::start("a server that is gone") else { return };
    let shop = Shop::open(config(&server), "gone", 10).await;
    server.kill();
    until("the end of the connection is noticed", || !server_listens(&server)).await;
    let (_, second) = (shop.reserve(1).await, shop.reserve(1).await);
    assert_eq!(second, Outcome::Refused(Fenced), "nobody was there to take it");
    assert_eq!(shop.ledger.inspect(shop.world.shard(0)).await, Outcome::Refused(NotServed));
    assert_eq!(shop.ledger.seal(shop.world.shard(0), ServerId(1), Epoch(1)).await, Outcome::Refused(NotServed));
}

fn server_listens(server: &Server) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", server.port)).is_ok()
}

#[tokio::test]
async fn a_server_that_may_evict_is_refused_in_words() {
    let Some(server) = Server::start("a server that evicts") else { return };
    server.tell(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let servers = servers(config(&server));
    let Err(Trouble::Nothing(why)) = servers.check("{any}:m").await else { panic!("it was not refused") };
    assert!(why.contains("allkeys-lru") && why.contains("noeviction"), "{why}");
}
