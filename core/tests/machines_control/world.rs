//! A small world of one shard: the real rows and the real memory, an unkind network, and lives that end.

use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::decide::{decide, reads};
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::database::rows::{AckLevel, Currency, Phase, SaleRow, SaleState, ShardRow};
use doorbuster_core::database::tables::{Rows, View};
use doorbuster_core::ids::{Epoch, Key, Nonce, OrderId, ProductId, SaleId, ServerId, ShardId, SkuId, UserId};
use doorbuster_core::intake::IntakeBatch;
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::entry::{Entry, Intent};
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem};
use doorbuster_core::ledger::shard::{Fence, Fenced, Shard, Window};
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::Ending;
use doorbuster_core::rng::Rng;
use doorbuster_core::sale::command::{NewSale, NewSku, SaleCommand};
use doorbuster_core::time::{Mono, Now, Wall};
use std::collections::{BTreeMap, BTreeSet};

pub struct World {
    pub rng: Rng,
    pub mono: Mono,
    pub rows: Rows,
    /// The partition of what goes down to shards.
    pub down: Vec<Event>,
    /// The partition of payments that need work.
    pub payments: Vec<Event>,
    /// The shard's server, and its log as far as it was not forwarded.
    pub server: Shard,
    pub log: Vec<Entry>,
    /// An older copy of the memory: what a replica would be promoted with.
    pub replica: Shard,
    /// The shard's partition of intents is decided as soon as it is written.
    pub opened: BTreeMap<Epoch, BTreeSet<Nonce>>,
    pub openings: BTreeMap<Epoch, u32>,
    /// Every rung on which the shard's row ever stood: what a stale read may still show.
    pub rungs: Vec<(Phase, Epoch)>,
    servers: u128,
    clicks: u64,
}

pub fn sale() -> SaleId {
    SaleId::parse("demo").unwrap()
}

pub fn shard() -> ShardId {
    ShardId { sale: sale(), k: 0 }
}

pub fn skus() -> [SkuId; 2] {
    ["a", "b"].map(|name| SkuId::parse(name).unwrap())
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut world = World {
            rng: Rng::seeded(seed),
            mono: Mono(1),
            rows: Rows::default(),
            down: Vec::new(),
            payments: Vec::new(),
            server: Shard::empty(ServerId(1)),
            log: Vec::new(),
            replica: Shard::empty(ServerId(1)),
            opened: BTreeMap::new(),
            openings: BTreeMap::new(),
            rungs: Vec::new(),
            servers: 1,
            clicks: 0,
        };
        let window = Window { starts_at: Wall(0), ends_at: Wall(u64::MAX) };
        let new = NewSale {
            id: sale(),
            title: "Demo".to_owned(),
            window,
            limit: 3,
            hold_ms: 60_000,
            shards: 1,
            ack: AckLevel::Redis,
            currency: Currency::parse("EUR").unwrap(),
        };
        world.transact(&Command::Sale(SaleCommand::Create(new))).unwrap();
        let skus = skus().map(|sku| NewSku {
            sku,
            product: ProductId::parse("p").unwrap(),
            name: "Thing".to_owned(),
            price_minor: 100,
            stock: 5,
        });
        let add = SaleCommand::AddSkus { sale: sale(), skus: skus.to_vec() };
        world.transact(&Command::Sale(add)).unwrap();
        world
    }

    pub fn now(&self) -> Now {
        Now { mono: self.mono, wall: Wall(1_000_000 + self.mono.0 / 1000) }
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.rng.below(bound as u64) as usize
    }

    pub fn row(&self) -> ShardRow {
        self.rows.shards[&shard()].clone()
    }

    pub fn sale_row(&self) -> SaleRow {
        self.rows.sales[&sale()].clone()
    }

    /// One transaction, with the invariants of the rows after it.
    pub fn transact(&mut self, command: &Command) -> Result<Reply, Refusal> {
        let mut view = View::default();
        loop {
            let wanted = reads(command, &view);
            if wanted.is_empty() {
                break;
            }
            let rows = self.rows.select(&wanted);
            view.absorb(wanted, rows);
        }
        let before = self.rows.shards.get(&shard()).map(ShardRow::rung);
        let decision = decide(&view, command, self.now().wall)?;
        self.rows.absorb(decision.change.rows);
        for event in decision.change.events {
            match event.topic() {
                Topic::ShardDown => self.down.push(event),
                Topic::Payments => self.payments.push(event),
                Topic::Orders | Topic::Timeouts | Topic::Catalog | Topic::Sales => {}
            }
        }
        let after = self.row().rung();
        if before != Some(after) {
            self.rungs.push((after.phase, after.epoch));
        }
        if before != Some(after) && after.phase == Phase::Open {
            *self.openings.entry(after.epoch).or_default() += 1;
        }
        self.check_rows();
        Ok(decision.reply)
    }

    fn check_rows(&self) {
        for (epoch, count) in &self.openings {
            assert!(*count == 1, "S26: epoch {epoch:?} was opened {count} times");
        }
        for ((_, sku), row) in &self.rows.skus {
            let mut granted = 0;
            if let Some(stock) = self.rows.stock.get(&(shard(), *sku)) {
                stock.check();
                let lines = self.rows.orders.values().flat_map(|order| order.held_lines());
                let held: u64 = lines.filter(|line| line.sku == *sku).map(|line| u64::from(line.quantity)).sum();
                assert!(stock.consumed == held, "I3: consumed {} but orders hold {held}", stock.consumed);
                granted = stock.granted;
            }
            assert!(granted + row.pool == row.total, "I2: {granted} + {} != {}", row.pool, row.total);
        }
    }

    /// I4, and S26 as the servers see it.
    pub fn check_memory(&mut self) {
        use doorbuster_core::ledger::shard::ShardState;
        self.server.scan().unwrap();
        if let Some(meta) = self.server.meta().filter(|meta| meta.state == ShardState::Open) {
            let nonces = self.opened.entry(meta.epoch).or_default();
            nonces.insert(meta.nonce);
            assert!(nonces.len() == 1, "S26: epoch {:?} was opened under two nonces", meta.epoch);
        }
    }

    /// A buyer's click through a lane that trusts the row.
    pub fn click(&mut self) {
        let row = self.row();
        if row.phase != Phase::Open {
            return;
        }
        self.clicks += 1;
        let user = UserId::parse(&format!("u{}", self.below(6))).unwrap();
        let key = Key::parse(&format!("k{}", self.clicks)).unwrap();
        let sku = skus()[self.below(2)];
        let basket = Basket::parse(&[Line { sku, quantity: 1 }]).unwrap();
        let id = OrderId::derive(sale(), 1, &user, &key).reservation;
        let item = ReserveItem { id, user, body: basket.body_hash(), basket };
        self.reserve(row.fence(), &[item]).ok();
    }

    /// One batch at the server; what it took stands in the log.
    pub fn reserve(&mut self, fence: Fence, items: &[ReserveItem]) -> Result<Vec<ItemReply>, Fenced> {
        let wall = self.now().wall;
        let reply = self.server.reserve(fence, wall, items)?;
        self.log.extend(reply.entry);
        Ok(reply.replies)
    }

    /// Moves the oldest entries of the log into the partition, where they are decided.
    pub fn forward(&mut self, count: usize) {
        for entry in self.log.drain(..count.min(self.log.len())).collect::<Vec<_>>() {
            self.intake(Intent::Entry(shard(), entry));
        }
    }

    pub fn intake(&mut self, intent: Intent) {
        self.transact(&Command::Intake(IntakeBatch { shard: shard(), intents: vec![intent] })).unwrap();
    }

    pub fn cancel_some(&mut self) {
        let live: Vec<OrderId> =
            self.rows.orders.values().filter(|order| order.status.holds_units()).map(|order| order.id).collect();
        if !live.is_empty() {
            let order = live[self.below(live.len())];
            let cancel = OrderCommand::Cancel { order, user: None, ending: Ending::Operator };
            self.transact(&Command::Order(cancel)).unwrap();
        }
    }

    pub fn top_up(&mut self) {
        let sku = skus()[self.below(2)];
        let key = Key::parse(&format!("top-up-{}", self.rows.top_ups.len())).unwrap();
        self.transact(&Command::Sale(SaleCommand::TopUp { sale: sale(), sku, quantity: 1, key })).ok();
    }

    pub fn enter(&mut self, state: SaleState) {
        self.transact(&Command::Sale(SaleCommand::Enter { sale: sale(), state })).ok();
    }

    /// The server is lost: another one comes up, empty or with an older copy, and some of the log is gone.
    pub fn lose_server(&mut self) {
        self.servers += 1;
        let identity = ServerId(self.servers);
        self.server = match self.below(2) {
            0 => Shard::empty(identity),
            _ => {
                let mut promoted = self.replica.clone();
                promoted.server = identity;
                promoted
            }
        };
        let kept = self.below(self.log.len() + 1);
        self.log.truncate(kept);
    }

    pub fn replicate(&mut self) {
        self.replica = self.server.clone();
    }
}
