//! A small world for properties: a store that is `Rows`, shards that are the model, and a log between them.
#![allow(dead_code, reason = "each test binary uses its own part of the world")]

use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::decide::{decide, reads};
use doorbuster_core::database::event::Event;
use doorbuster_core::database::rows::{AckLevel, Currency, OrderRow, Phase, SaleState, SealReason, ShardRow, StockRow};
use doorbuster_core::database::tables::{Rows, View};
use doorbuster_core::ids::{
    Key, Nonce, OrderId, PaymentId, ProductId, ReservationId, SaleId, ServerId, ShardId, SkuId, UserId,
};
use doorbuster_core::intake::{IntakeBatch, IntakeReport};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::entry::{Entry, Intent};
use doorbuster_core::ledger::epoch::{LadderCommand, LadderStep, chunks, load_head};
use doorbuster_core::ledger::load::Chunk;
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem};
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::{Fence, Shard, Window};
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::payment::command::{PaymentCommand, Verdict};
use doorbuster_core::sale::command::{NewSale, NewSku, SaleCommand};
use doorbuster_core::time::Wall;
use std::collections::{BTreeMap, BTreeSet};

pub const START: Wall = Wall(1_000_000);
pub const HOLD_MS: u64 = 30_000;

pub fn sale() -> SaleId {
    SaleId::parse("demo").unwrap()
}

pub fn sku(number: usize) -> SkuId {
    SkuId::parse(&format!("sku-{number}")).unwrap()
}

pub fn user(number: usize) -> UserId {
    UserId::parse(&format!("user-{number}")).unwrap()
}

pub fn key(number: usize) -> Key {
    Key::parse(&format!("key-{number}")).unwrap()
}

pub fn payment(number: usize) -> PaymentId {
    PaymentId::parse(&format!("pay-{number}")).unwrap()
}

pub fn basket(lines: &[(usize, u32)]) -> Basket {
    let lines: Vec<Line> =
        lines.iter().map(|(number, quantity)| Line { sku: sku(*number), quantity: *quantity }).collect();
    Basket::parse(&lines).unwrap()
}

pub fn item(user: &UserId, key: &Key, basket: &Basket) -> ReserveItem {
    let id = ReservationId::derive(sale(), user, key);
    ReserveItem { id, user: user.clone(), body: basket.body_hash(), basket: basket.clone() }
}

pub fn new_sale(shards: u16, limit: u32) -> NewSale {
    NewSale {
        id: sale(),
        title: "Demo".to_owned(),
        window: Window { starts_at: START, ends_at: START.after_ms(86_400_000) },
        limit,
        hold_ms: HOLD_MS,
        shards,
        ack: AckLevel::Redis,
        currency: Currency::parse("EUR").unwrap(),
    }
}

pub fn new_sku(number: usize, stock: u64) -> NewSku {
    NewSku {
        sku: sku(number),
        product: ProductId::parse("product").unwrap(),
        name: "a thing".to_owned(),
        price_minor: 100 + number as u64,
        stock,
    }
}

/// Runs a command the way a store does: reads in rounds until nothing is asked for, then one decision.
pub fn transact(rows: &Rows, command: &Command, at: Wall) -> Result<(Rows, Vec<Event>, Reply), Refusal> {
    let mut view = View::default();
    for round in 0.. {
        let wanted = reads(command, &view);
        if wanted.is_empty() {
            break;
        }
        assert!(round < 3, "two rounds are enough for every command");
        let found = rows.select(&wanted);
        view.absorb(wanted, found);
    }
    let decision = decide(&view, command, at)?;
    let mut next = rows.clone();
    let events = decision.change.events.clone();
    decision.change.write_to(&mut next);
    Ok((next, events, decision.reply))
}

/// I1, I2, I3 and the quotas, counted afresh from the orders.
pub fn check_rows(rows: &Rows) {
    let mut held: BTreeMap<(ShardId, SkuId), u64> = BTreeMap::new();
    let mut live: BTreeMap<(ShardId, UserId), u32> = BTreeMap::new();
    for order in rows.orders.values() {
        for line in order.held_lines() {
            *held.entry((order.id.shard, line.sku)).or_default() += u64::from(line.quantity);
            *live.entry((order.id.shard, order.user.clone())).or_default() += line.quantity;
        }
    }
    for (place, row) in &rows.stock {
        assert!(row.consumed <= row.granted, "I1 at {place:?}: {row:?}");
        assert_eq!(held.remove(place).unwrap_or(0), row.consumed, "I3 at {place:?}");
    }
    assert!(held.is_empty(), "I3: held without a row: {held:?}");
    for ((sale, sku), row) in &rows.skus {
        let shards = rows.stock.iter().filter(|((shard, other), _)| shard.sale == *sale && other == sku);
        let granted: u64 = shards.map(|(_, row)| row.granted).sum();
        assert_eq!(granted + row.pool, row.total, "I2 of {sku}");
    }
    for (place, row) in &rows.quotas {
        assert_eq!(live.remove(place).unwrap_or(0), row.live, "quota at {place:?}");
        assert!(row.live <= rows.sales[&place.0.sale].limit, "S3 at {place:?}");
    }
    assert!(live.is_empty(), "held without a quota: {live:?}");
}

#[derive(Clone, Debug)]
pub struct World {
    pub rows: Rows,
    pub shards: Vec<Shard>,
    /// What was published, by shard, in order; never forgotten, so that it can be replayed.
    pub log: Vec<Vec<Intent>>,
    /// How much of each log intake was given.
    pub read: Vec<usize>,
    pub outbox: Vec<Event>,
    /// How much of the outbox the settler was given.
    pub settled: usize,
    pub now: Wall,
    pub identities: u64,
}

impl World {
    /// A sale with these stocks, opened, every shard loaded.
    pub fn open(shards: u16, limit: u32, stock: &[u64]) -> World {
        let mut world = World {
            rows: Rows::default(),
            shards: (0..shards).map(|k| Shard::empty(ServerId(u128::from(k) + 1))).collect(),
            log: vec![Vec::new(); usize::from(shards)],
            read: vec![0; usize::from(shards)],
            outbox: Vec::new(),
            settled: 0,
            now: START,
            identities: 100,
        };
        world.sale(SaleCommand::Create(new_sale(shards, limit))).unwrap();
        let skus = stock.iter().enumerate().map(|(number, stock)| new_sku(number, *stock)).collect();
        world.sale(SaleCommand::AddSkus { sale: sale(), skus }).unwrap();
        world.sale(SaleCommand::Enter { sale: sale(), state: SaleState::Open }).unwrap();
        for k in 0..shards {
            world.open_epoch(k);
        }
        world
    }

    pub fn shard_id(k: u16) -> ShardId {
        ShardId { sale: sale(), k }
    }

    pub fn row(&self, k: u16) -> &ShardRow {
        &self.rows.shards[&World::shard_id(k)]
    }

    pub fn fence(&self, k: u16) -> Fence {
        self.row(k).fence()
    }

    pub fn stock(&self, k: u16, number: usize) -> StockRow {
        self.rows.stock.get(&(World::shard_id(k), sku(number))).copied().unwrap_or_default()
    }

    pub fn available(&self, k: u16, number: usize) -> u64 {
        let counter = self.shards[usize::from(k)].counters().find(|(found, _)| *found == sku(number));
        counter.map_or(0, |(_, counter)| counter.available)
    }

    pub fn order(&self, id: OrderId) -> &OrderRow {
        &self.rows.orders[&id]
    }

    pub fn apply(&mut self, command: Command) -> Result<Reply, Refusal> {
        let (rows, events, reply) = transact(&self.rows, &command, self.now)?;
        check_rows(&rows);
        self.rows = rows;
        self.outbox.extend(events);
        Ok(reply)
    }

    pub fn sale(&mut self, command: SaleCommand) -> Result<Reply, Refusal> {
        self.apply(Command::Sale(command))
    }

    pub fn order_command(&mut self, command: OrderCommand) -> Result<Reply, Refusal> {
        self.apply(Command::Order(command))
    }

    pub fn pay(&mut self, command: PaymentCommand) -> Result<Reply, Refusal> {
        self.apply(Command::Payment(command))
    }

    /// Starts a payment and has the provider say yes.
    pub fn pay_order(&mut self, id: OrderId, number: usize) {
        let user = self.order(id).user.clone();
        self.pay(PaymentCommand::Start { payment: payment(number), order: id, user }).unwrap();
        self.pay(PaymentCommand::Settle { payment: payment(number), verdict: Verdict::Succeeded }).unwrap();
    }

    pub fn ladder(&mut self, k: u16, step: LadderStep) -> Result<Reply, Refusal> {
        self.apply(Command::Ladder(LadderCommand { shard: World::shard_id(k), owner: None, step }))
    }

    pub fn order_id(&self, user: &UserId, key: &Key) -> OrderId {
        OrderId::derive(sale(), self.shards.len() as u16, user, key)
    }

    pub fn home(&self, user: &UserId) -> u16 {
        user.shard_of(self.shards.len() as u16)
    }

    /// One click on the user's own shard; what it took goes to the log at once.
    pub fn click(&mut self, user: &UserId, key: &Key, basket: &Basket) -> ItemReply {
        let k = self.home(user);
        let (fence, now) = (self.fence(k), self.now);
        let shard = &mut self.shards[usize::from(k)];
        let reply = shard.reserve(fence, now, &[item(user, key, basket)]).expect("the row names this memory");
        self.publish(k, reply.entry);
        reply.replies[0]
    }

    pub fn publish(&mut self, k: u16, entry: Option<Entry>) {
        if let Some(entry) = entry {
            self.log[usize::from(k)].push(Intent::Entry(World::shard_id(k), entry));
        }
    }

    pub fn intake(&mut self, k: u16, intents: &[Intent]) -> IntakeReport {
        let batch = IntakeBatch { shard: World::shard_id(k), intents: intents.to_vec() };
        match self.apply(Command::Intake(batch)).unwrap() {
            Reply::Intake(report) => report,
            other => panic!("intake answered {other:?}"),
        }
    }

    /// Decides everything that is in the logs.
    pub fn drain(&mut self) {
        for k in 0..self.shards.len() {
            let intents = self.log[k][self.read[k]..].to_vec();
            self.read[k] = self.log[k].len();
            for batch in intents.chunks(16) {
                let report = self.intake(k as u16, batch);
                assert_eq!(report.alarms, [], "a sound run raises no alarm");
            }
        }
    }

    /// Gives everything in the outbox to the memories, until nothing asks for a retry.
    pub fn settle(&mut self) {
        let events = self.outbox[self.settled..].to_vec();
        self.settled = self.outbox.len();
        for event in &events {
            assert_ne!(self.send_down(event), Some(Settlement::Retry), "{event:?}");
        }
    }

    pub fn send_down(&mut self, event: &Event) -> Option<Settlement> {
        match event {
            Event::Settled { shard, epoch, user, id } => {
                Some(self.shards[usize::from(shard.k)].settle(*epoch, user, *id))
            }
            Event::Granted { shard, epoch, sku, quantity, grant_seq } => {
                Some(self.shards[usize::from(shard.k)].grant(*epoch, *sku, *quantity, *grant_seq))
            }
            _ => None,
        }
    }

    /// Reserves, decides, settles: the order as it is written.
    pub fn buy(&mut self, user: &UserId, key: &Key, basket: &Basket) -> OrderId {
        assert!(matches!(self.click(user, key, basket), ItemReply::Accepted(_)), "{user} could not buy");
        self.drain();
        self.order_id(user, key)
    }

    pub fn expire(&mut self, orders: Vec<OrderId>) -> usize {
        let shard = orders[0].shard;
        match self.order_command(OrderCommand::Expire { shard, orders }).unwrap() {
            Reply::Count(count) => count,
            other => panic!("expire answered {other:?}"),
        }
    }

    /// Rungs a to d: the epoch ends and everything before its seal is decided.
    pub fn end_epoch(&mut self, k: u16) {
        let rung = self.row(k).rung();
        self.ladder(k, LadderStep::BeginSealing(rung, SealReason::Operator)).unwrap();
        self.shards[usize::from(k)].seal(rung.epoch);
        self.log[usize::from(k)].push(Intent::Seal(World::shard_id(k), rung.epoch));
        self.drain();
        assert_eq!(self.row(k).phase, Phase::Sealed);
    }

    pub fn load_chunks(&self, k: u16, size: usize) -> Vec<Chunk> {
        let shard = World::shard_id(k);
        let stock: Vec<(SkuId, StockRow)> =
            self.rows.stock.iter().filter(|((id, _), _)| *id == shard).map(|((_, sku), row)| (*sku, *row)).collect();
        let head = load_head(&self.rows.sales[&sale()], &stock);
        let orders = self.rows.orders.values().filter(|order| order.id.shard == shard);
        let whole: Vec<Chunk> = chunks(head.clone(), orders).collect();
        let records: Vec<_> = whole.into_iter().flat_map(|chunk| chunk.records).collect();
        let mut parts: Vec<Vec<_>> = records.chunks(size).map(<[_]>::to_vec).collect();
        parts.resize_with(parts.len().max(1), Vec::new);
        let head_of = |index: usize| (index == 0).then(|| head.clone());
        let chunk = |(index, records)| Chunk { number: index as u32 + 1, head: head_of(index), records };
        parts.into_iter().enumerate().map(chunk).collect()
    }

    /// Rung e: a fresh server is loaded and opened.
    pub fn open_epoch(&mut self, k: u16) {
        self.identities += 1;
        let server = ServerId(u128::from(self.identities));
        let rung = self.row(k).rung();
        self.ladder(k, LadderStep::BeginOpening(rung, server, Nonce(self.identities))).unwrap();
        let mut shard = Shard::empty(server);
        let (fence, parts) = (self.fence(k), self.load_chunks(k, 3));
        for chunk in &parts {
            shard.load(fence, chunk).unwrap();
        }
        shard.open(fence, parts.len() as u32, false).unwrap();
        shard.scan().unwrap();
        self.shards[usize::from(k)] = shard;
        let rung = self.row(k).rung();
        self.ladder(k, LadderStep::FinishOpening(rung)).unwrap();
    }

    /// I4 everywhere, and I5 where the row's memory is open and nothing is in flight.
    pub fn check_at_rest(&self) {
        check_rows(&self.rows);
        for (k, shard) in self.shards.iter().enumerate() {
            shard.scan().unwrap();
            let row = self.row(k as u16);
            if row.phase != Phase::Open {
                continue;
            }
            let meta = shard.meta().expect("an open shard has a memory");
            assert_eq!((meta.epoch, meta.nonce, meta.seq), (row.epoch, row.nonce, row.cursor));
            let skus: BTreeSet<SkuId> = shard.counters().map(|(sku, _)| sku).collect();
            for sku in skus {
                let counter = shard.counters().find(|(found, _)| *found == sku).unwrap().1;
                let stock = self.rows.stock[&(row.id, sku)];
                assert_eq!(counter.granted - counter.available, stock.consumed, "I5 of {sku} in shard {k}");
                assert_eq!((counter.granted, counter.grant_seq), (stock.granted, stock.grant_seq));
            }
        }
    }
}
