//! The largest calls that there may be, on a real server: none meets the stack of Lua, each means what its model says.

mod server;

use doorbuster_core::delay::queue::{Completion, Task, Token};
use doorbuster_core::ids::{Epoch, Key, Nonce, OrderId, ReservationId, SaleId, Seq, ShardId, SkuId, UserId, Version};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::load::{Chunk, LoadHead, LoadedStock};
use doorbuster_core::ledger::page::{Acceptance, Record, RecordState};
use doorbuster_core::ledger::reserve::ReserveItem;
use doorbuster_core::ledger::shard::Window;
use doorbuster_core::limits::{BATCH_MAX, DELAY_TASKS_MAX, LINES_MAX, LOAD_CHUNK_MAX, SETTLEMENTS_MAX, SKUS_MAX};
use doorbuster_core::time::Wall;
use doorbuster_lua::call::Call;
use doorbuster_lua::dump::Dump;
use doorbuster_lua::grant::Grant;
use doorbuster_lua::identity::ScriptFence;
use doorbuster_lua::keys::ShardKeys;
use doorbuster_lua::model::Model;
use doorbuster_lua::reply::Reply;
use doorbuster_lua::settle::GiveBack;
use server::Server;

struct Pair {
    server: Server,
    keys: ShardKeys,
    model: Model,
    fence: ScriptFence,
}

impl Pair {
    fn start(test: &str) -> Option<Pair> {
        let mut server = Server::start(test)?;
        let replication_id = server.identity().replication_id;
        let fence = ScriptFence { replication_id, epoch: Epoch(1), nonce: Nonce(1) };
        Some(Pair { server, keys: ShardKeys::tagged("limits:0:0"), model: Model::empty(replication_id), fence })
    }

    fn both(&mut self, call: &Call) -> Reply {
        let value = self.server.call(call, &self.keys);
        let name = call.script().name;
        let reply = call.decode(&value).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = self.model.apply(call, reply.clock().unwrap_or_default());
        assert_eq!(reply, expected, "{name}");
        assert!(self.server.dump(&self.keys).expect(name) == Dump::of_model(&self.model), "the memory after {name}");
        reply
    }

    /// Every SKU that a sale may have, and a first chunk as large as it may be.
    fn load(&mut self) {
        let records: Vec<(UserId, Record)> = (0..LOAD_CHUNK_MAX).map(record).collect();
        let consumed = |number: usize| if number < LOAD_CHUNK_MAX * LINES_MAX { 1 } else { 0 };
        let stock = |number| {
            let consumed = consumed(number);
            (sku(number), LoadedStock { granted: consumed + 1_000, consumed, grant_seq: 1 })
        };
        let head = LoadHead {
            window: Window { starts_at: Wall(0), ends_at: Wall(u64::MAX) },
            limit: 1_000,
            stock: (0..SKUS_MAX).map(stock).collect(),
        };
        let chunk = Chunk { number: 1, head: Some(head), records };
        assert_eq!(self.both(&Call::Load(self.fence, chunk)), Reply::Loaded(Ok(())));
        let open = Call::Open { fence: self.fence, chunks: 1, paused: false };
        assert_eq!(self.both(&open), Reply::Loaded(Ok(())));
    }
}

fn sku(number: usize) -> SkuId {
    SkuId::parse(&format!("a-name-as-long-as-one-can-e{number:05}")).unwrap()
}

/// Eight lines that no other item has.
fn item(number: usize) -> ReserveItem {
    let user = UserId::parse(&format!("{number:0>64}")).unwrap();
    let lines: Vec<Line> =
        (0..LINES_MAX).map(|line| Line { sku: sku(number * LINES_MAX + line), quantity: 1 }).collect();
    let basket = Basket::parse(&lines).unwrap();
    let id = ReservationId::derive(SaleId::parse("limits").unwrap(), &user, &Key::parse("key").unwrap());
    ReserveItem { id, user, body: basket.body_hash(), basket }
}

fn record(number: usize) -> (UserId, Record) {
    let ReserveItem { id, user, body, basket } = item(number);
    let acceptance = Acceptance { epoch: Epoch(1), seq: Seq(1), reserved_at: Wall(1) };
    (user, Record { id, body, basket, state: RecordState::Live, acceptance })
}

#[test]
fn the_largest_calls_of_a_shard_run() {
    let Some(mut pair) = Pair::start("the_largest_calls_of_a_shard_run") else { return };
    pair.load();
    let fence = pair.fence;
    let batch = (LOAD_CHUNK_MAX..LOAD_CHUNK_MAX + BATCH_MAX).map(item).collect();
    pair.both(&Call::Reserve(fence, batch));
    let change = |number| {
        let item = item(number);
        GiveBack { epoch: Epoch(1), user: item.user, id: item.id }
    };
    pair.both(&Call::Settle((0..SETTLEMENTS_MAX).map(change).collect()));
    let grant = |number| Grant { epoch: Epoch(1), sku: sku(number), quantity: 1, grant_seq: 2 };
    pair.both(&Call::Grant((0..SETTLEMENTS_MAX).map(grant).collect()));
    for number in 0..8 {
        pair.both(&Call::Withdraw(fence, sku(number), 1));
    }
    let pending = Some(("forwarders", Seq(1)));
    pair.both(&Call::Ack { fence, last: Seq(9), pending });
    pair.both(&Call::Trim { fence, decided: Seq(9), age_ms: 0 });
}

#[test]
fn the_largest_calls_of_the_delay_queue_run() {
    let Some(mut pair) = Pair::start("the_largest_calls_of_the_delay_queue_run") else { return };
    let order = |number: usize| {
        let shard = ShardId { sale: SaleId::parse(&"s".repeat(32)).unwrap(), k: 255 };
        OrderId { shard, reservation: ReservationId((number as u128).to_be_bytes()) }
    };
    let task = |number| Task { order: order(number), version: Version(1), due: Wall(number as u64) };
    pair.both(&Call::DelaySchedule((0..DELAY_TASKS_MAX).map(task).collect()));
    let claim = |token| Call::DelayClaim { limit: DELAY_TASKS_MAX, token: Token(token), lease_ms: 0 };
    let Reply::Claimed { orders, .. } = pair.both(&claim(1)) else { panic!("a claim is answered") };
    assert_eq!(orders.len(), DELAY_TASKS_MAX);
    assert!(matches!(pair.both(&Call::DelayRecover(DELAY_TASKS_MAX)), Reply::Recovered { count: 256, .. }));
    let value = pair.server.call(&claim(2), &pair.keys);
    let claimed = claim(2).decode(&value).unwrap();
    pair.model.apply(&claim(2), claimed.clock().unwrap());
    let completion = |number: usize| Completion {
        order: order(number),
        token: Token(2),
        again_ms: number.is_multiple_of(2).then_some(60_000),
    };
    pair.both(&Call::DelayComplete((0..DELAY_TASKS_MAX).map(completion).collect()));
}

#[test]
fn acknowledged_entries_leave_the_pending_list() {
    let Some(mut pair) = Pair::start("acknowledged_entries_leave_the_pending_list") else { return };
    pair.load();
    let (fence, log) = (pair.fence, pair.keys.log.clone());
    for number in LOAD_CHUNK_MAX..LOAD_CHUNK_MAX + 5 {
        pair.both(&Call::Reserve(fence, vec![item(number)]));
    }
    pair.server.ask(&["XGROUP", "CREATE", &log, "forwarders", "0"]);
    pair.server.ask(&["XREADGROUP", "GROUP", "forwarders", "one", "COUNT", "10", "STREAMS", &log, ">"]);
    pair.both(&Call::Ack { fence, last: Seq(3), pending: Some(("forwarders", Seq(1))) });
    let pending = pair.server.ask(&["XPENDING", &log, "forwarders", "-", "+", "10"]);
    assert_eq!(pending.array().unwrap().len(), 2, "entries 4 and 5 are still owed");
    pair.both(&Call::Ack { fence, last: Seq(5), pending: Some(("forwarders", Seq(4))) });
    let pending = pair.server.ask(&["XPENDING", &log, "forwarders", "-", "+", "10"]);
    assert_eq!(pending.array().unwrap(), []);
}
