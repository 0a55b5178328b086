//! What a script does when the world is not as its caller believes.

mod server;

use doorbuster_core::ids::{Epoch, Key, Nonce, ReservationId, SaleId, SkuId, UserId};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::load::{Chunk, LoadHead, LoadedStock};
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem};
use doorbuster_core::ledger::shard::{ShardState, Window};
use doorbuster_core::time::Wall;
use doorbuster_lua::call::Call;
use doorbuster_lua::identity::ScriptFence;
use doorbuster_lua::keys::ShardKeys;
use doorbuster_lua::reply::Reply;
use doorbuster_lua::script;
use doorbuster_lua::value::Value;
use server::Server;

struct Shop {
    server: Server,
    keys: ShardKeys,
    fence: ScriptFence,
}

fn sku() -> SkuId {
    SkuId::parse("lamp").unwrap()
}

fn item(user: &str) -> ReserveItem {
    let user = UserId::parse(user).unwrap();
    let basket = Basket::parse(&[Line { sku: sku(), quantity: 1 }]).unwrap();
    let id = ReservationId::derive(SaleId::parse("demo").unwrap(), &user, &Key::parse("key").unwrap());
    ReserveItem { id, user, body: basket.body_hash(), basket }
}

impl Shop {
    fn open(test: &str) -> Option<Shop> {
        let mut server = Server::start(test)?;
        let replication_id = server.identity().replication_id;
        let fence = ScriptFence { replication_id, epoch: Epoch(1), nonce: Nonce(u64::MAX) };
        let mut shop = Shop { server, keys: ShardKeys::tagged("demo:0:0"), fence };
        let head = LoadHead {
            window: Window { starts_at: Wall(0), ends_at: Wall(u64::MAX) },
            limit: 2,
            stock: vec![(sku(), LoadedStock { granted: 10, consumed: 0, grant_seq: 1 })],
        };
        let chunk = Chunk { number: 1, head: Some(head), records: Vec::new() };
        assert_eq!(shop.call(&Call::Load(fence, chunk)), Reply::Loaded(Ok(())));
        assert_eq!(shop.call(&Call::Open { fence, chunks: 1, paused: false }), Reply::Loaded(Ok(())));
        Some(shop)
    }

    fn call(&mut self, call: &Call) -> Reply {
        call.decode(&self.server.call(call, &self.keys)).expect("a documented answer")
    }

    fn reserve(&mut self, user: &str) -> Reply {
        self.call(&Call::Reserve(self.fence, vec![item(user)]))
    }
}

#[test]
fn a_server_that_was_a_replica_meanwhile_is_fenced() {
    let Some(mut shop) = Shop::open("a_server_that_was_a_replica_meanwhile_is_fenced") else { return };
    assert!(matches!(shop.reserve("ann"), Reply::Reserved(_)));
    // A port on which nobody listens: the demotion and the promotion are what changes the identity.
    shop.server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    shop.server.ask(&["REPLICAOF", "NO", "ONE"]);
    let before = shop.server.dump(&shop.keys).unwrap();
    assert_eq!(shop.reserve("bob"), Reply::Fenced);
    assert_eq!(shop.call(&Call::Seal(shop.fence)), Reply::Fenced);
    assert_eq!(shop.server.dump(&shop.keys).unwrap(), before);
    shop.fence.replication_id = shop.server.identity().replication_id;
    assert!(matches!(shop.reserve("bob"), Reply::Reserved(_)));
}

#[test]
fn a_broken_counter_seals_the_shard() {
    let Some(mut shop) = Shop::open("a_broken_counter_seals_the_shard") else { return };
    let counter: Vec<u8> = [5u64, 0, 10, 1].iter().flat_map(|part| part.to_be_bytes()).collect();
    let mut command = vec![b"HSET".to_vec(), shop.keys.memory.clone().into_bytes(), b"sku:lamp".to_vec()];
    command.push(counter);
    shop.server.ask_bytes(&command);
    let Reply::Reserved(answer) = shop.reserve("ann") else { panic!("a memory answers") };
    assert!(matches!(answer.replies[..], [ItemReply::Accepted(_)]), "what was there is taken");
    let dump = shop.server.dump(&shop.keys).unwrap();
    assert_eq!(dump.meta.unwrap().state, ShardState::Sealed, "and nothing more");
}

#[test]
fn a_call_that_errs_late_has_written_nothing() {
    let Some(mut shop) = Shop::open("a_call_that_errs_late_has_written_nothing") else { return };
    let before = shop.server.dump(&shop.keys).unwrap();
    let whole = Call::Reserve(shop.fence, vec![item("ann"), item("bob")]);
    let mut arguments = whole.arguments();
    let cut = arguments[3].len() - 1;
    arguments[3].truncate(cut);
    let keys = whole.keys(&shop.keys);
    let value = shop.server.run(&script::RESERVE, &keys, &arguments);
    assert!(matches!(value, Value::Error(_)), "{value:?}");
    assert_eq!(shop.server.dump(&shop.keys).unwrap(), before);
}

#[test]
fn a_log_that_refuses_its_entry_keeps_the_counters() {
    let Some(mut shop) = Shop::open("a_log_that_refuses_its_entry_keeps_the_counters") else { return };
    let (memory, log) = (shop.keys.memory.clone(), shop.keys.log.clone());
    shop.server.ask(&["XADD", &log, "1-9", "at", "1", "withdrawn", "x"]);
    let before = shop.server.ask(&["HGETALL", &memory]);
    let call = Call::Reserve(shop.fence, vec![item("ann")]);
    let value = shop.server.call(&call, &shop.keys);
    assert!(matches!(value, Value::Error(_)), "{value:?}");
    assert_eq!(shop.server.ask(&["HGETALL", &memory]), before);
}

#[test]
fn every_key_of_a_shard_is_in_its_tag() {
    let keys = ShardKeys::tagged("demo:3:1");
    for key in [keys.memory, keys.users, keys.log, keys.ready, keys.processing, keys.owner] {
        assert!(key.starts_with("{demo:3:1}:"), "{key}");
    }
}
