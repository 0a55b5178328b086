//! A sound run, complete with everything that the oracle can look at: each test of a predicate spoils one thing in it.

use crate::common::{HOLD_MS, START, World, basket, key, payment, sale, sku, user};
use doorbuster_core::database::event::Event;
use doorbuster_core::ids::{Epoch, Key, Nonce, OrderId, Seq, ServerId, ShardId, UserId};
use doorbuster_core::ledger::basket::Basket;
use doorbuster_core::ledger::entry::{EntryKind, Intent};
use doorbuster_core::ledger::reserve::{ItemReply, ReserveRefusal};
use doorbuster_core::oracle::audit::{
    Audit, AuditLine, DelayLine, DelayPlace, LogLine, MemoryLine, MetaLine, NamedStatus, OrderLine, lines,
};
use doorbuster_core::oracle::history::{Accepted, Answer, Became, Call, Exchange, History, Seen, Started};
use doorbuster_core::oracle::judge::{Inputs, Options, judge};
use doorbuster_core::oracle::probe::Probe;
use doorbuster_core::oracle::verdict::{Check, Judgement, Verdict};
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::{Ending, Restock, Status};
use doorbuster_core::payment::command::PaymentCommand;
use doorbuster_core::relay::partitions::{CommitTime, StreamToken};
use doorbuster_core::time::Wall;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub struct Sound {
    pub history: History,
    pub audit: Audit,
    pub replayed: Option<Audit>,
    pub probes: Option<Vec<Probe>>,
    pub options: Options,
}

impl Sound {
    pub fn verdict(&self) -> Verdict {
        judge(Inputs {
            history: Some(&self.history),
            audit: &self.audit,
            replayed: self.replayed.as_ref(),
            probes: self.probes.as_deref(),
            options: &self.options,
        })
    }

    pub fn judgement(&self, check: Check) -> Judgement {
        self.verdict().of(check)
    }

    pub fn probe(&mut self, probes: impl IntoIterator<Item = Probe>) {
        self.probes.as_mut().unwrap().extend(probes);
    }

    /// The first order in this state.
    pub fn find(&self, status: Status) -> OrderId {
        self.audit.orders.values().find(|order| order.status() == status).expect("the run has one").id
    }
}

/// Buyers 0 to 5 end paid, cancelled, expired, refunded, abandoned and refused; at rest, two shards, an epoch changed.
pub fn sound() -> Sound {
    let mut world = World::open(2, 4, &[6, 9]);
    let mut clients = Clients::default();
    for n in 0..5 {
        clients.reserve(&mut world, n, 0, &basket(&[(0, 1), (1, 1)]));
    }
    clients.reserve(&mut world, 5, 0, &basket(&[(0, 4)]));
    world.drain();
    let ids: Vec<OrderId> = (0..6).map(|n| world.order_id(&user(n), &key(0))).collect();
    clients.pay(&mut world, ids[0], 0);
    clients.pay(&mut world, ids[3], 3);
    world.order_command(OrderCommand::Refund { order: ids[3], restock: Restock::Yes }).unwrap();
    world.pay(PaymentCommand::Refunded { payment: payment(3) }).unwrap();
    world.order_command(OrderCommand::Cancel { order: ids[1], user: Some(user(1)), ending: Ending::Buyer }).unwrap();
    clients.look(&world, ids[1], |order, answer| Exchange::Cancel { order, answer });
    world.order_command(OrderCommand::Abandon { order: ids[4], user: user(4) }).unwrap();
    clients.look(&world, ids[4], |_, answer| Exchange::Abandon { key: key(0), answer });
    clients.look(&world, ids[2], |order, answer| Exchange::Look { order, answer });
    clients.reserve(&mut world, 0, 0, &basket(&[(0, 1), (1, 1)]));
    world.settle();
    world.end_epoch(0);
    world.open_epoch(0);
    world.now = START.after_ms(2 * HOLD_MS);
    world.expire(vec![ids[2]]);
    clients.look(&world, ids[2], |order, answer| Exchange::Look { order, answer });
    clients.push(&world, user(0), Exchange::LookUp { key: key(0), answer: Answer::Accepted(Became::Accepted(ids[0])) });
    world.settle();
    world.check_at_rest();
    let audit = audit_of(&world);
    let problems = ["sold-out", "key-reused", "limit-reached"].map(str::to_owned).into();
    let options = Options { at_rest: true, problems: Some(problems), ..Options::default() };
    clients.history.is_complete = true;
    Sound { history: clients.history, replayed: Some(audit.clone()), probes: Some(probes_of(&world)), audit, options }
}

pub fn audit_of(world: &World) -> Audit {
    let meta = MetaLine {
        sale: sale(),
        at: world.now,
        memories: true,
        logs: true,
        delay: true,
        outbox_unsent: Some((world.outbox.len() - world.settled) as u64),
    };
    let mut all = lines(meta, &world.rows);
    for (k, shard) in world.shards.iter().enumerate() {
        let memory = MemoryLine::of(k as u16, shard).unwrap();
        all.push(AuditLine::Log(LogLine { k: k as u16, epoch: memory.epoch, seq: memory.seq }));
        all.push(AuditLine::Memory(memory));
    }
    Audit::collect(all).unwrap()
}

/// Clients that keep everything they were told.
#[derive(Default)]
pub struct Clients {
    pub history: History,
}

fn problem(refusal: ReserveRefusal) -> &'static str {
    match refusal {
        ReserveRefusal::SoldOut(_) => "sold-out",
        ReserveRefusal::LimitReached => "limit-reached",
        ReserveRefusal::KeyReused => "key-reused",
        other => panic!("no run of these tests is refused with {other:?}"),
    }
}

impl Clients {
    pub fn push(&mut self, world: &World, user: UserId, exchange: Exchange) {
        let at = world.now.after_ms(self.history.calls.len() as u64);
        self.history.calls.push(Call { user, sent_at: at, answered_at: at, exchange });
    }

    pub fn reserve(&mut self, world: &mut World, who: usize, n: usize, wish: &Basket) {
        let (buyer, click): (UserId, Key) = (user(who), key(n));
        let id = world.order_id(&buyer, &click);
        let answer = match world.click(&buyer, &click, wish) {
            ItemReply::Accepted(at) | ItemReply::Replayed(at) => Answer::Accepted(Accepted {
                id,
                receipt: Some(format!("{}.{}.tag", at.epoch.0, at.seq.0)),
                expires_at: Some(at.reserved_at.after_ms(HOLD_MS)),
            }),
            ItemReply::Refused(refusal) => Answer::Refused(problem(refusal).to_owned()),
        };
        self.push(world, buyer, Exchange::Reserve { key: click, basket: wish.clone(), answer });
    }

    pub fn pay(&mut self, world: &mut World, order: OrderId, number: usize) {
        world.pay_order(order, number);
        let (buyer, id) = (world.order(order).user.clone(), payment(number));
        let answer = Answer::Accepted(Started { payment: Some(id) });
        self.push(world, buyer, Exchange::Pay { order, payment: Some(id), answer });
    }

    pub fn look(&mut self, world: &World, id: OrderId, exchange: fn(OrderId, Answer<Seen>) -> Exchange) {
        let order = world.order(id);
        let seen = Seen { id, status: Some(NamedStatus(order.status)), version: Some(order.version) };
        self.push(world, order.user.clone(), exchange(id, Answer::Accepted(seen)));
    }
}

/// A stream that splits and merges again, with a record in each partition.
fn stream_probes() -> Vec<Probe> {
    let parents = |tokens: &[u64]| tokens.iter().copied().map(StreamToken).collect();
    let mut probes = Vec::new();
    for (token, before) in [(1, vec![]), (2, vec![1]), (3, vec![1]), (4, vec![2, 3])] {
        let (partition, at, record) = (StreamToken(token), CommitTime(token), 100 + token);
        probes.push(Probe::RecordAppended { partition, at, record });
        probes.push(Probe::PartitionRead { partition, parents: parents(&before) });
        probes.push(Probe::PartitionMarked { partition, watermark: at });
        probes.push(Probe::RecordSent { record });
        probes.push(Probe::PartitionMarked { partition, watermark: CommitTime(token + 1) });
        probes.push(Probe::PartitionFinished { partition });
    }
    probes
}

/// The order of effects, as an instrumented run would have told it.
fn probes_of(world: &World) -> Vec<Probe> {
    let mut probes = stream_probes();
    for (k, log) in world.log.iter().enumerate() {
        let shard = World::shard_id(k as u16);
        probes.push(Probe::EpochOpened { shard, epoch: Epoch(1), nonce: Nonce(k as u64) });
        log.iter().for_each(|intent| probes.extend(entry_probes(shard, intent)));
    }
    probes.push(Probe::EpochOpened { shard: World::shard_id(0), epoch: Epoch(2), nonce: Nonce(9) });
    let mut before: BTreeMap<OrderId, (Status, Wall)> = BTreeMap::new();
    for event in &world.outbox {
        if let Event::OrderChanged(row) = event {
            let (order, version) = (row.id, row.version);
            let from = before.insert(order, (row.status, row.expires_at));
            let (expires_at, at) = (from.map_or(row.expires_at, |from| from.1), world.now);
            let from = from.map(|from| from.0);
            probes.push(Probe::OrderMoved { order, from, to: row.status, version, expires_at, at });
            probes.push(Probe::OutboxInserted { order, version });
            probes.push(Probe::EventPublished { order, version });
            probes.push(Probe::EventApplied { reader: 1, order, version });
        } else if let Event::Settled { shard, epoch, id, .. } = event {
            probes.push(Probe::UnitsReleased { shard: *shard, server: ServerId(1), epoch: *epoch, id: *id });
        } else if let Event::TimeoutDue { order, .. } = event {
            probes.push(Probe::TaskScheduled { task: *order });
            probes.push(Probe::Claimed { task: *order, token: 1 });
            probes.push(Probe::Recovered { task: *order });
            probes.push(Probe::Claimed { task: *order, token: 2 });
            probes.push(Probe::Completed { task: *order, token: 1, accepted: false });
            probes.push(Probe::Completed { task: *order, token: 2, accepted: true });
        }
    }
    probes
}

fn entry_probes(shard: ShardId, intent: &Intent) -> Vec<Probe> {
    let Intent::Entry(_, entry) = intent else { return Vec::new() };
    let (epoch, seq): (Epoch, Seq) = (entry.epoch, entry.seq);
    let created = match &entry.kind {
        EntryKind::Reserved(all) => all.len() as u32,
        EntryKind::Withdrawn { .. } => 0,
    };
    vec![
        Probe::Published { shard, epoch, seq },
        Probe::EntryAcked { shard, epoch, seq },
        Probe::EntryDecided { shard, epoch, seq, row_epoch: epoch, created },
        Probe::OffsetCommitted { shard, epoch, seq },
    ]
}

/// The SKU that every order of the run has.
pub fn first_sku() -> doorbuster_core::ids::SkuId {
    sku(0)
}

/// Ended by its pay window.
pub const EXPIRED: Status = Status::Cancelled(Ending::Expired);

/// Plants a violation; the check must be red with it and green without it.
#[track_caller]
pub fn red(check: Check, plant: impl FnOnce(&mut Sound)) {
    let mut run = sound();
    assert!(run.judgement(check).is_green(), "{check} on a sound run: {:?}", run.judgement(check));
    plant(&mut run);
    assert!(run.judgement(check).is_red(), "{check} does not see it: {:?}", run.judgement(check));
}

pub fn order(run: &mut Sound, status: Status) -> &mut OrderLine {
    let id = run.find(status);
    run.audit.orders.get_mut(&id).unwrap()
}

pub fn exchange(run: &mut Sound, wanted: impl Fn(&Exchange) -> bool) -> &mut Exchange {
    &mut run.history.calls.iter_mut().rev().find(|call| wanted(&call.exchange)).unwrap().exchange
}

/// The order disappears, and every count with it, as if it had never been written.
pub fn erase(run: &mut Sound, id: OrderId) {
    let line = run.audit.orders.remove(&id).unwrap();
    for held in line.held_lines() {
        run.audit.stock.get_mut(&(id.shard.k, held.sku)).unwrap().consumed -= u64::from(held.quantity);
    }
}

pub fn task(order: OrderId, place: DelayPlace, owner: Option<u64>) -> DelayLine {
    DelayLine { order, place, due_at: Wall(u64::MAX), owner }
}
