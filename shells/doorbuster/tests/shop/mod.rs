//! A running platform over a directory, and what buyers, providers and operators do to it.
#![allow(dead_code, reason = "each test binary uses its own part of it")]

use crate::platform::{self, Embedded, Running};
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::rows::{
    AckLevel, Currency, OrderRow, PaymentRow, SaleState, ShardRow, SkuRow, StockRow,
};
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{Key, OrderId, PaymentId, ProductId, ReservationId, SaleId, ShardId, SkuId, UserId};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::page::Acceptance;
use doorbuster_core::ledger::reserve::ReserveItem;
use doorbuster_core::ledger::shard::Window;
use doorbuster_core::oracle::live::{RollingScan, consumed_within_granted, granted_and_pool_are_total};
use doorbuster_core::oracle::verdict::Checked;
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::Ending;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::payment::command::{PaymentCommand, Verdict};
use doorbuster_core::sale::command::{NewSale, NewSku, SaleCommand};
use doorbuster_core::time::Wall;
use doorbuster_embedded::data::{DataDirectory, OpenDataError};
use doorbuster_runtime::env::{SharedEnv, SystemEnv};
use doorbuster_runtime::ports::admit::Admission;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Looks at a condition; the pause between two.
const LOOK: Duration = Duration::from_millis(5);
/// Nothing here takes longer, on however slow a machine; only a broken platform is waited for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running platform.
pub struct Shop {
    pub embedded: Embedded,
    pub running: Running,
    stop: watch::Sender<bool>,
}

pub fn sale() -> SaleId {
    SaleId::parse("sale").unwrap()
}

pub fn shard() -> ShardId {
    ShardId { sale: sale(), k: 0 }
}

pub fn sku() -> SkuId {
    SkuId::parse("sku").unwrap()
}

pub fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub fn payment(name: &str) -> PaymentId {
    PaymentId::parse(name).unwrap()
}

/// One buyer's wish under the key `k`.
pub fn wish(buyer: &str, quantity: u32) -> ReserveItem {
    let (user, basket) = (user(buyer), Basket::parse(&[Line { sku: sku(), quantity }]).unwrap());
    let id = ReservationId::derive(sale(), &user, &Key::parse("k").unwrap());
    ReserveItem { id, user, body: basket.body_hash(), basket }
}

pub fn order_of(buyer: &str) -> OrderId {
    OrderId { shard: shard(), reservation: wish(buyer, 1).id }
}

/// Waits until a look finds something.
pub async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("it never came to this: {what}"))
}

/// Opens a directory that threads of this process may still hold.
pub async fn open(path: &Path, env: &SharedEnv) -> DataDirectory {
    eventually("the directory is free", async || match DataDirectory::open(path, env) {
        Ok(data) => Some(data),
        Err(OpenDataError::InUse { .. }) => None,
        Err(error) => panic!("{error}"),
    })
    .await
}

impl Shop {
    /// Starts every role.
    pub async fn start(path: &Path) -> Shop {
        let env = SystemEnv::shared();
        let data = open(path, &env).await;
        let nowhere = ([127, 0, 0, 1], 9).into();
        let embedded = platform::embed(data, env, nowhere, b"secret".to_vec());
        let (stop, stopped) = watch::channel(false);
        let running = platform::start(&embedded, Arc::new(|_, _| {}), &stopped).await.unwrap();
        Shop { embedded, running, stop }
    }

    /// Ends as a process does that is told to stop: the server's thread ends when the last role has let go of it.
    pub async fn stop(self) {
        let Shop { embedded: Embedded { ports, intents, feed, depths, server }, running, stop } = self;
        stop.send_replace(true);
        drop((ports, intents, feed, depths, running));
        eventually("every role lets go", async || server.is_finished().then_some(())).await;
    }

    pub async fn apply(&self, command: Command) -> Result<Reply, Refusal> {
        match self.embedded.ports.store.apply(command).await {
            Outcome::Done(reply) => Ok(reply),
            Outcome::Refused(refusal) => Err(refusal),
            Outcome::Unknown => panic!("the rows of this process answer"),
        }
    }

    /// A sale that is open and loaded.
    pub async fn open_sale(&self, stock: u64, hold_ms: u64) {
        let rules = NewSale {
            id: sale(),
            title: "A sale".to_owned(),
            window: Window { starts_at: Wall(0), ends_at: Wall(u64::MAX) },
            limit: 5,
            hold_ms,
            shards: 1,
            ack: AckLevel::Log,
            currency: Currency::parse("EUR").unwrap(),
        };
        let product = ProductId::parse("product").unwrap();
        let new = NewSku { sku: sku(), product, name: "a thing".to_owned(), price_minor: 100, stock };
        self.apply(Command::Sale(SaleCommand::Create(rules))).await.unwrap();
        self.apply(Command::Sale(SaleCommand::AddSkus { sale: sale(), skus: vec![new] })).await.unwrap();
        self.enter(SaleState::Open).await;
    }

    pub async fn enter(&self, state: SaleState) {
        self.apply(Command::Sale(SaleCommand::Enter { sale: sale(), state })).await.unwrap();
    }

    /// One click, asked again while the shard is not ready.
    pub async fn reserve(&self, buyer: &str, quantity: u32) -> Admission {
        eventually("the lane answers", async || {
            match self.running.admit.reserve(shard(), wish(buyer, quantity)).await {
                Admission::NotReady | Admission::Overloaded | Admission::Unknown => None,
                Admission::Refused(doorbuster_core::ledger::reserve::ReserveRefusal::NotReady) => None,
                answer => Some(answer),
            }
        })
        .await
    }

    pub async fn buy(&self, buyer: &str, quantity: u32) -> Acceptance {
        match self.reserve(buyer, quantity).await {
            Admission::Accepted(acceptance) | Admission::Replayed(acceptance) => acceptance,
            answer => panic!("{buyer} must get {quantity}: {answer:?}"),
        }
    }

    pub async fn cancel(&self, buyer: &str) -> Result<Reply, Refusal> {
        let cancel = OrderCommand::Cancel { order: order_of(buyer), user: Some(user(buyer)), ending: Ending::Buyer };
        self.apply(Command::Order(cancel)).await
    }

    pub async fn start_payment(&self, buyer: &str, name: &str) -> Result<Reply, Refusal> {
        let start = PaymentCommand::Start { payment: payment(name), order: order_of(buyer), user: user(buyer) };
        self.apply(Command::Payment(start)).await
    }

    /// The provider says that it has the money.
    pub async fn settle(&self, name: &str) -> PaymentRow {
        let settle = PaymentCommand::Settle { payment: payment(name), verdict: Verdict::Succeeded };
        match self.apply(Command::Payment(settle)).await {
            Ok(Reply::Payment(row)) => row,
            other => panic!("money that was taken is always told: {other:?}"),
        }
    }

    pub async fn read(&self, reads: Reads) -> Rows {
        self.embedded.ports.store.read(reads).await.unwrap()
    }

    pub async fn order(&self, order: OrderId) -> Option<OrderRow> {
        let mut reads = Reads::default();
        reads.orders.insert(order);
        self.read(reads).await.orders.remove(&order)
    }

    pub async fn payment(&self, name: &str) -> PaymentRow {
        let mut reads = Reads::default();
        reads.payments.insert(payment(name));
        self.read(reads).await.payments.remove(&payment(name)).expect("the payment was begun")
    }

    /// The order's row, once intake has decided it.
    pub async fn order_comes(&self, buyer: &str) -> OrderRow {
        eventually("the order has its row", async || self.order(order_of(buyer)).await).await
    }

    pub async fn shard_row(&self) -> ShardRow {
        let mut reads = Reads::default();
        reads.shards.insert(shard());
        self.read(reads).await.shards.remove(&shard()).expect("the sale has its shard")
    }

    pub async fn stock(&self) -> (SkuRow, StockRow) {
        let mut reads = Reads::default();
        reads.skus.insert((sale(), sku()));
        reads.stock.insert((shard(), sku()));
        let mut rows = self.read(reads).await;
        (rows.skus.remove(&(sale(), sku())).unwrap(), rows.stock.remove(&(shard(), sku())).unwrap())
    }

    /// Every order, after I1, I2 and I3 were found to hold in the same snapshot.
    pub async fn audit(&self) -> Vec<OrderRow> {
        let snapshot = self.embedded.ports.store.snapshot().await.unwrap();
        let orders = snapshot.orders(shard(), None, usize::MAX).await.unwrap();
        let mut reads = Reads::default();
        reads.skus.insert((sale(), sku()));
        reads.stock.insert((shard(), sku()));
        let rows = snapshot.read(reads).await.unwrap();
        let stock = [(sku(), rows.stock[&(shard(), sku())])];
        let total = &rows.skus[&(sale(), sku())];
        let mut scan = RollingScan::new(shard(), snapshot.taken_at());
        scan.feed(&orders);
        let held = scan.finish(stock, snapshot.taken_at());
        let judged: [Checked; 3] = [
            consumed_within_granted(shard(), &stock),
            granted_and_pool_are_total(total, stock.iter().map(|(_, row)| *row)),
            held,
        ];
        for checked in judged {
            let judgement = checked.expect("the input is there");
            assert!(!judgement.is_red(), "{judgement:?}");
        }
        orders
    }
}
