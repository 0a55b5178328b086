//! What the suites ask for: sales, buyers and commands with short names, and callers that ask again after `Unknown`.

use crate::ports::ledger::{Ledger, ServerView};
use crate::ports::store::{Snapshot, Store};
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::rows::{AckLevel, Currency, OrderRow, SkuRow, StockRow};
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{
    Epoch, Key, Nonce, OrderId, PaymentId, ProductId, ReservationId, SaleId, Seq, ShardId, SkuId, UserId,
};
use doorbuster_core::intake::{IntakeBatch, IntakeReport};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::entry::{Entry, EntryKind, Intent, Reserved};
use doorbuster_core::ledger::load::{Chunk, LoadHead, LoadedStock};
use doorbuster_core::ledger::page::{Acceptance, Record};
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem};
use doorbuster_core::ledger::shard::{Counter, Fence, ShardState, Window};
use doorbuster_core::oracle::live::{RollingScan, consumed_within_granted, granted_and_pool_are_total};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::sale::command::{NewSale, NewSku, SaleCommand};
use doorbuster_core::time::Wall;

/// `Unknown` answers in a row after which an implementation counts as broken.
const TRIES_MAX: usize = 20;
/// Rows of one page where a suite reads everything.
const PAGE: usize = 100;

/// One sale's names.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// Its id.
    pub sale: SaleId,
    /// Its shards.
    pub shards: u16,
}

/// The rules of a sale to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewWorld {
    /// Slices of users.
    pub shards: u16,
    /// Most live units of one user.
    pub limit: u32,
    /// Pay window in milliseconds.
    pub hold_ms: u64,
    /// Kinds of things.
    pub skus: usize,
    /// Units of each.
    pub stock: u64,
}

impl Default for NewWorld {
    fn default() -> NewWorld {
        NewWorld { shards: 1, limit: 100, hold_ms: 30_000, skus: 1, stock: 100 }
    }
}

/// A window that is open at every time that a clock may show.
pub const ALWAYS: Window = Window { starts_at: Wall(0), ends_at: Wall(u64::MAX) };

impl World {
    /// A sale of this name, one shard.
    pub fn named(sale: &str) -> World {
        World { sale: SaleId::parse(sale).expect("a suite names a sale"), shards: 1 }
    }

    /// One of its shards.
    pub fn shard(&self, k: u16) -> ShardId {
        ShardId { sale: self.sale, k }
    }

    /// One buyer's wish under one key.
    pub fn item(&self, buyer: usize, key: usize, lines: &[(usize, u32)]) -> ReserveItem {
        let (user, basket) = (user(buyer), basket(lines));
        let key = Key::parse(&format!("key-{key}")).expect("a suite names a key");
        let id = ReservationId::derive(self.sale, &user, &key);
        ReserveItem { id, user, body: basket.body_hash(), basket }
    }

    /// The order of such a wish on the first shard.
    pub fn order(&self, item: &ReserveItem) -> OrderId {
        OrderId { shard: self.shard(0), reservation: item.id }
    }

    /// Creates the sale with its SKUs in the database.
    pub async fn create(&self, store: &dyn Store, new: NewWorld) {
        let rules = NewSale {
            id: self.sale,
            title: "A sale of the contract".to_owned(),
            window: ALWAYS,
            limit: new.limit,
            hold_ms: new.hold_ms,
            shards: new.shards,
            ack: AckLevel::Log,
            currency: Currency::parse("EUR").expect("three capital letters"),
        };
        done(store, SaleCommand::Create(rules).into_command()).await;
        let skus = (0..new.skus).map(|number| new_sku(number, new.stock)).collect();
        done(store, SaleCommand::AddSkus { sale: self.sale, skus }.into_command()).await;
    }

    /// Decides entries of the first shard, of its first epoch; each is one batch of reservations.
    pub async fn take_in(&self, store: &dyn Store, at: Wall, entries: &[(u64, Vec<ReserveItem>)]) -> IntakeReport {
        let shard = self.shard(0);
        let intents = entries.iter().map(|(seq, items)| Intent::Entry(shard, entry(Epoch(1), *seq, at, items)));
        let command = Command::Intake(IntakeBatch { shard, intents: intents.collect() });
        match done(store, command).await {
            Reply::Intake(report) => report,
            other => panic!("an intake is answered with a report, not {other:?}"),
        }
    }

    /// Every row that counts units, and every order, from one snapshot.
    pub async fn everything(&self, snapshot: &dyn Snapshot) -> (Rows, Vec<OrderRow>) {
        let mut reads = Reads::default();
        reads.sales.insert(self.sale);
        reads.ranges.insert(self.sale);
        let mut rows = snapshot.read(reads).await.expect("a snapshot can be read");
        let mut reads = Reads::default();
        for sku in rows.ranges.get(&self.sale).map_or(&[][..], |range| &range.skus) {
            reads.skus.insert((self.sale, *sku));
            for k in 0..self.shards {
                reads.shards.insert(self.shard(k));
                reads.stock.insert((self.shard(k), *sku));
            }
        }
        rows.absorb(snapshot.read(reads).await.expect("a snapshot can be read"));
        let mut orders = Vec::new();
        for k in 0..self.shards {
            orders.extend(all_orders(snapshot, self.shard(k)).await);
        }
        (rows, orders)
    }

    /// I1, I2 and I3 hold in this snapshot.
    pub async fn check(&self, snapshot: &dyn Snapshot) {
        let (rows, orders) = self.everything(snapshot).await;
        for ((_, sku), row) in &rows.skus {
            assert_green(granted_and_pool_are_total(row, stock_of_sku(&rows, *sku)));
        }
        for k in 0..self.shards {
            let shard = self.shard(k);
            let stock: Vec<(SkuId, StockRow)> =
                rows.stock.iter().filter(|((of, _), _)| *of == shard).map(|((_, sku), row)| (*sku, *row)).collect();
            assert_green(consumed_within_granted(shard, &stock));
            let mut scan = RollingScan::new(shard, snapshot.taken_at());
            scan.feed(orders.iter().filter(|order| order.id.shard == shard));
            assert_green(scan.finish(stock, snapshot.taken_at()));
        }
    }
}

/// A sale's command as a command.
pub trait IntoCommand {
    /// Wraps it.
    fn into_command(self) -> Command;
}

impl IntoCommand for SaleCommand {
    fn into_command(self) -> Command {
        Command::Sale(self)
    }
}

fn assert_green(checked: doorbuster_core::oracle::verdict::Checked) {
    let judgement = checked.expect("the input is there");
    assert!(!judgement.is_red(), "{judgement:?}");
}

fn stock_of_sku(rows: &Rows, sku: SkuId) -> impl Iterator<Item = StockRow> + '_ {
    rows.stock.iter().filter(move |((_, of), _)| *of == sku).map(|(_, row)| *row)
}

/// Every order of a shard, page by page.
pub async fn all_orders(snapshot: &dyn Snapshot, shard: ShardId) -> Vec<OrderRow> {
    let mut orders: Vec<OrderRow> = Vec::new();
    loop {
        let after = orders.last().map(|order| order.id.reservation);
        let page = snapshot.orders(shard, after, PAGE).await.expect("a snapshot can be read");
        if page.is_empty() {
            return orders;
        }
        orders.extend(page);
    }
}

/// A buyer.
pub fn user(number: usize) -> UserId {
    UserId::parse(&format!("buyer-{number}")).expect("a suite names a user")
}

/// A kind of thing.
pub fn sku(number: usize) -> SkuId {
    SkuId::parse(&format!("sku-{number}")).expect("a suite names a SKU")
}

/// A payment.
pub fn payment(name: &str) -> PaymentId {
    PaymentId::parse(name).expect("a suite names a payment")
}

/// So many units of these.
pub fn basket(lines: &[(usize, u32)]) -> Basket {
    let lines: Vec<Line> =
        lines.iter().map(|(number, quantity)| Line { sku: sku(*number), quantity: *quantity }).collect();
    Basket::parse(&lines).expect("a suite asks for a basket")
}

/// A SKU to be sold at one euro.
pub fn new_sku(number: usize, stock: u64) -> NewSku {
    let product = ProductId::parse("product").expect("a suite names a product");
    NewSku { sku: sku(number), product, name: "a thing".to_owned(), price_minor: 100, stock }
}

/// A log entry with these reservations.
pub fn entry(epoch: Epoch, seq: u64, at: Wall, items: &[ReserveItem]) -> Entry {
    let reserved = |item: &ReserveItem| Reserved {
        id: item.id,
        user: item.user.clone(),
        body: item.body,
        basket: item.basket.clone(),
        reserved_at: at,
    };
    Entry { epoch, seq: Seq(seq), kind: EntryKind::Reserved(items.iter().map(reserved).collect()) }
}

/// Asks until the answer is certain: every call of every port may be repeated.
pub async fn certain<T, R>(ask: impl AsyncFn() -> Outcome<T, R>) -> Result<T, R> {
    for _ in 0..TRIES_MAX {
        match ask().await {
            Outcome::Done(value) => return Ok(value),
            Outcome::Refused(refusal) => return Err(refusal),
            Outcome::Unknown => {}
        }
    }
    panic!("{TRIES_MAX} answers in a row were `Unknown`");
}

/// Runs a command that nothing speaks against.
pub async fn done(store: &dyn Store, command: Command) -> Reply {
    let outcome = apply(store, command.clone()).await;
    outcome.unwrap_or_else(|refusal| panic!("{command:?} was refused: {refusal:?}"))
}

/// Runs a command.
pub async fn apply(store: &dyn Store, command: Command) -> Result<Reply, Refusal> {
    certain(async || store.apply(command.clone()).await).await
}

/// One order's row.
pub async fn order_row(store: &dyn Store, order: OrderId) -> Option<OrderRow> {
    let mut reads = Reads::default();
    reads.orders.insert(order);
    store.read(reads).await.expect("the store can be read").orders.remove(&order)
}

/// One SKU's row.
pub async fn sku_row(store: &dyn Store, sale: SaleId, sku: SkuId) -> SkuRow {
    let mut reads = Reads::default();
    reads.skus.insert((sale, sku));
    store.read(reads).await.expect("the store can be read").skus.remove(&(sale, sku)).expect("the SKU has a row")
}

/// What the shard's server says of itself; I4 holds in it.
pub async fn view(ledger: &dyn Ledger, shard: ShardId) -> ServerView {
    let view = certain(async || ledger.inspect(shard).await).await.expect("the shard has a server");
    let loaded = view.meta.is_some_and(|meta| meta.state != ShardState::Loading);
    for (sku, counter) in view.counters.iter().filter(|_| loaded) {
        assert_eq!(counter.granted, counter.available + counter.live, "I4 of {sku}: {counter:?}");
    }
    view
}

/// A memory to be loaded.
pub struct Memory {
    /// When it sells.
    pub window: Window,
    /// Most live units of one user.
    pub limit: u32,
    /// Granted and consumed units of the SKUs, in the order of their numbers.
    pub stock: Vec<(u64, u64)>,
    /// Pages.
    pub records: Vec<(UserId, Record)>,
}

impl Memory {
    /// A memory without records that sells so many units of one SKU.
    pub fn of(stock: u64) -> Memory {
        Memory { window: ALWAYS, limit: 100, stock: vec![(stock, 0)], records: Vec::new() }
    }

    /// Its first and only chunk.
    pub fn chunk(&self) -> Chunk {
        let loaded =
            |(granted, consumed): &(u64, u64)| LoadedStock { granted: *granted, consumed: *consumed, grant_seq: 1 };
        let stock = self.stock.iter().enumerate().map(|(number, row)| (sku(number), loaded(row))).collect();
        let head = LoadHead { window: self.window, limit: self.limit, stock };
        Chunk { number: 1, head: Some(head), records: self.records.clone() }
    }

    /// Loads and opens it as this epoch.
    pub async fn open(&self, ledger: &dyn Ledger, shard: ShardId, epoch: u64) -> Fence {
        let server = view(ledger, shard).await.server;
        let fence = Fence { server, epoch: Epoch(epoch), nonce: Nonce(1000 + epoch) };
        certain(async || ledger.load(shard, fence, self.chunk()).await)
            .await
            .expect("an older memory can be loaded over");
        certain(async || ledger.open(shard, fence, 1, false).await).await.expect("a whole load can be opened");
        fence
    }
}

/// One SKU's counter.
pub async fn counter(ledger: &dyn Ledger, shard: ShardId, number: usize) -> Counter {
    let view = view(ledger, shard).await;
    let found = view.counters.into_iter().find(|(of, _)| *of == sku(number));
    found.expect("the memory has a counter of the SKU").1
}

/// The acceptance of a reservation that was taken, now or earlier.
pub fn taken(reply: &ItemReply) -> Acceptance {
    match reply {
        ItemReply::Accepted(acceptance) | ItemReply::Replayed(acceptance) => *acceptance,
        ItemReply::Refused(refusal) => panic!("a reservation was refused: {refusal:?}"),
    }
}

/// Reserves; the fence is the memory's.
pub async fn reserve(ledger: &dyn Ledger, shard: ShardId, fence: Fence, items: &[ReserveItem]) -> Vec<ItemReply> {
    let outcome = certain(async || ledger.reserve(shard, fence, items.to_vec()).await).await;
    let replies = outcome.expect("the fence is the memory's");
    assert_eq!(replies.len(), items.len(), "one answer per item");
    replies
}
