//! Microseconds of a real server per decision: `cargo bench -p doorbuster-lua`.
//!
//! Times are the server's own (commandstats, script alone), the least of several rounds: a busy machine only adds to them.

#[path = "../tests/server/mod.rs"]
mod server;

use doorbuster_core::ids::{Epoch, Key, Nonce, ReservationId, SaleId, SkuId, UserId};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::load::{Chunk, LoadHead, LoadedStock};
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem};
use doorbuster_core::ledger::shard::Window;
use doorbuster_core::time::Wall;
use doorbuster_lua::call::Call;
use doorbuster_lua::identity::ScriptFence;
use doorbuster_lua::keys::ShardKeys;
use doorbuster_lua::reply::Reply;
use doorbuster_lua::settle::GiveBack;
use server::Server;

const ROUNDS: usize = 40;
const ITEMS: usize = 1_280;

fn main() {
    // The test runner calls benches with `--test`: nothing is to be measured then.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let Some(mut server) = Server::start("benchmark") else { return };
    let keys = ShardKeys::tagged("bench:0:0");
    let fence = open(&mut server, &keys);
    println!("| call | items in it | us of server per item | us per call |\n|---|---|---|---|");
    for batch in [1, 16, 64] {
        let mut best = [f64::MAX; 5];
        for round in 0..ROUNDS {
            let seen = measure(&mut server, &keys, fence, batch, &format!("{batch}-{round}"));
            best.iter_mut().zip(seen).for_each(|(best, seen)| *best = best.min(seen));
        }
        let names = ["accept, new buyer", "accept, known buyer", "replay a known key", "refuse, sold out", "settle"];
        for (name, each) in names.iter().zip(best) {
            println!("| {name} | {batch} | {each:.2} | {:.1} |", each * batch as f64);
        }
    }
    let users = server.ask(&["MEMORY", "USAGE", &keys.users, "SAMPLES", "0"]);
    println!("bytes of `u` and its users: {users:?} {:?}", server.ask(&["HLEN", &keys.users]));
}

/// Five kinds of calls over fresh buyers; microseconds per item of each.
fn measure(server: &mut Server, keys: &ShardKeys, fence: ScriptFence, batch: usize, tag: &str) -> [f64; 5] {
    let first = items(tag, "first", "plenty");
    let give_back = |item: &ReserveItem| GiveBack { epoch: fence.epoch, user: item.user.clone(), id: item.id };
    let changes: Vec<GiveBack> = first.iter().map(give_back).collect();
    let reserve = |items: &[ReserveItem]| -> Vec<Call> {
        items.chunks(batch).map(|items| Call::Reserve(fence, items.to_vec())).collect()
    };
    let runs = [
        reserve(&first),
        reserve(&items(tag, "second", "plenty")),
        reserve(&first),
        reserve(&items(tag, "third", "scarce")),
        changes.chunks(batch).map(|changes| Call::Settle(changes.to_vec())).collect(),
    ];
    let mut seen = [0.0; 5];
    for (kind, calls) in runs.iter().enumerate() {
        server.ask(&["CONFIG", "RESETSTAT"]);
        for call in calls {
            let reply = call.decode(&server.call(call, keys)).expect("a documented answer");
            assert!(is_expected(kind, &reply), "{reply:?}");
        }
        seen[kind] = script_micros(server) / ITEMS as f64;
    }
    seen
}

fn is_expected(kind: usize, reply: &Reply) -> bool {
    let Reply::Reserved(answer) = reply else { return kind == 4 };
    answer.replies.iter().all(|reply| match reply {
        ItemReply::Accepted(_) => kind < 2,
        ItemReply::Replayed(_) => kind == 2,
        ItemReply::Refused(_) => kind == 3,
    })
}

fn script_micros(server: &mut Server) -> f64 {
    let stats = server.ask(&["INFO", "commandstats"]);
    let text = stats.text().expect("INFO is text");
    let line = text.lines().find(|line| line.starts_with("cmdstat_evalsha:")).expect("scripts ran");
    let micros = line.split("usec=").nth(1).and_then(|rest| rest.split(',').next()).expect("a sum");
    micros.parse().expect("a number")
}

fn open(server: &mut Server, keys: &ShardKeys) -> ScriptFence {
    let replication_id = server.identity().replication_id;
    let fence = ScriptFence { replication_id, epoch: Epoch(1), nonce: Nonce(1) };
    let stock =
        |name, granted| (SkuId::parse(name).expect("a SKU"), LoadedStock { granted, consumed: 0, grant_seq: 1 });
    let head = LoadHead {
        window: Window { starts_at: Wall(0), ends_at: Wall(u64::MAX) },
        limit: 2,
        stock: vec![stock("plenty", 1_000_000_000), stock("scarce", 0)],
    };
    let chunk = Chunk { number: 1, head: Some(head), records: Vec::new() };
    for call in [Call::Load(fence, chunk), Call::Open { fence, chunks: 1, paused: false }] {
        assert_eq!(call.decode(&server.call(&call, keys)), Ok(Reply::Loaded(Ok(()))));
    }
    fence
}

fn items(tag: &str, key: &str, sku: &str) -> Vec<ReserveItem> {
    let sale = SaleId::parse("bench").expect("a sale");
    let key = Key::parse(key).expect("a key");
    let basket = Basket::parse(&[Line { sku: SkuId::parse(sku).expect("a SKU"), quantity: 1 }]).expect("a basket");
    // The third click of a buyer is about the limit, not about stock: strangers ask for what is sold out.
    let stranger = if sku == "scarce" { "stranger" } else { "buyer" };
    let item = |number: usize| {
        let user = UserId::parse(&format!("{stranger}-{tag}-{number}")).expect("a user");
        let id = ReservationId::derive(sale, &user, &key);
        ReserveItem { id, user, body: basket.body_hash(), basket: basket.clone() }
    };
    (0..ITEMS).map(item).collect()
}
