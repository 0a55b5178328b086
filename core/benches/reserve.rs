//! Decisions per second of one shard on one core, with a million users in its pages.
//!
//! `cargo bench -p doorbuster-core`. Ids and fingerprints are given, receipts are not signed: this is the ledger alone.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock from outside; nothing here is simulated")]

use doorbuster_core::ids::{Epoch, Key, Nonce, ReservationId, SaleId, ServerId, SkuId, UserId};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::load::{Chunk, LoadHead, LoadedStock};
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem};
use doorbuster_core::ledger::shard::{Fence, Shard, Window};
use doorbuster_core::time::Wall;
use std::time::Instant;

const USERS: usize = 1_000_000;
const NOW: Wall = Wall(1_000);
const FENCE: Fence = Fence { server: ServerId(1), epoch: Epoch(1), nonce: Nonce(1) };

fn main() {
    // The test runner calls benches with `--test`: nothing is to be measured then.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let basket = |name| {
        let sku = SkuId::parse(name).expect("a SKU");
        Basket::parse(&[Line { sku, quantity: 1 }]).expect("a basket")
    };
    let (plenty, scarce) = (basket("plenty"), basket("scarce"));
    println!("preparing {USERS} users");
    let users: Vec<UserId> = (0..2 * USERS).map(|n| UserId::parse(&format!("user-{n}")).expect("a user")).collect();
    let first = items(&users[..USERS], "first", &plenty);
    let second = items(&users[..USERS], "second", &plenty);
    let fresh = items(&users[USERS..], "first", &plenty);
    let sold_out = items(&users[USERS..], "first", &scarce);
    for batch in [64, 256] {
        let mut shard = open(&plenty, &scarce);
        run(&mut shard, "fill an empty memory", batch, &first, is_accepted);
        run(&mut shard, "refuse: sold out, strangers", batch, &sold_out, is_refused);
        run(&mut shard, "repeat a known key", batch, &first, |reply| matches!(reply, ItemReply::Replayed(_)));
        run(&mut shard, "accept: known users, a second key", batch, &second, is_accepted);
        run(&mut shard, "refuse: limit reached", batch, &items(&users[..USERS], "third", &plenty), is_refused);
        run(&mut shard, "accept: strangers", batch, &fresh, is_accepted);
        shard.scan().expect("I4 holds after the run");
    }
}

fn is_accepted(reply: &ItemReply) -> bool {
    matches!(reply, ItemReply::Accepted(_))
}

fn is_refused(reply: &ItemReply) -> bool {
    matches!(reply, ItemReply::Refused(_))
}

fn items(users: &[UserId], key: &str, basket: &Basket) -> Vec<ReserveItem> {
    let sale = SaleId::parse("bench").expect("a sale");
    let (key, body) = (Key::parse(key).expect("a key"), basket.body_hash());
    let item = |user: &UserId| ReserveItem {
        id: ReservationId::derive(sale, user, &key),
        user: user.clone(),
        body,
        basket: basket.clone(),
    };
    users.iter().map(item).collect()
}

fn open(plenty: &Basket, scarce: &Basket) -> Shard {
    let stock = |granted| LoadedStock { granted, consumed: 0, grant_seq: 1 };
    let head = LoadHead {
        window: Window { starts_at: Wall(0), ends_at: Wall(u64::MAX) },
        limit: 2,
        stock: vec![(plenty.lines()[0].sku, stock(1_000_000_000)), (scarce.lines()[0].sku, stock(0))],
    };
    let mut shard = Shard::empty(FENCE.server);
    shard.load(FENCE, &Chunk { number: 1, head: Some(head), records: Vec::new() }).expect("an empty memory loads");
    shard.open(FENCE, 1, false).expect("a loaded memory opens");
    shard
}

fn run(shard: &mut Shard, what: &str, batch: usize, items: &[ReserveItem], expected: fn(&ItemReply) -> bool) {
    let (began, cpu_began) = (Instant::now(), cpu_seconds());
    let mut as_expected = 0;
    for batch in items.chunks(batch) {
        let reply = shard.reserve(FENCE, NOW, batch).expect("the fence is right");
        as_expected += reply.replies.iter().filter(|reply| expected(reply)).count();
    }
    let wall = began.elapsed().as_secs_f64();
    // A busy machine takes turns away from this thread: what one core can do is what it was given.
    let seconds = cpu_began.zip(cpu_seconds()).map_or(wall, |(began, ended)| ended - began);
    assert_eq!(as_expected, items.len(), "{what}");
    let (rate, each) = (items.len() as f64 / seconds, seconds * 1e9 / items.len() as f64);
    let busy = 100.0 * (wall - seconds) / wall;
    println!(
        "batches of {batch:>3}: {what:<36} {rate:>9.0} decisions/s {each:>5.0} ns each, {busy:>3.0} % waited for a core"
    );
}

/// Seconds that this thread has spent on a core; `None` where the system does not tell.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos: u64 = text.split(' ').next()?.parse().ok()?;
    Some(nanos as f64 / 1e9)
}
