//! The end of a run: everything is healed, must come to rest in time, sells what came back, and is judged.

use super::buyer;
use super::embedded;
use super::strikes::{command_now, heal_all};
use super::world::{Address, Answer as AnswerOf, World};
use crate::worlds::rest::{self, AtRest, Judged, PROBE_TRIES, REST_S, end_of_log, finding, in_charge, losses, prober};
use doorbuster_core::database::command::Command;
use doorbuster_core::database::rows::SaleState;
use doorbuster_core::ids::{Epoch, Seq, ShardId, SkuId};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::limits::BALANCE_WANT_MS;
use doorbuster_core::oracle::audit::{Audit, AuditLine, DelayLine, DelayPlace, LogLine, MemoryLine, MetaLine, lines};
use doorbuster_core::oracle::history::Answer;
use doorbuster_core::oracle::judge::{Inputs, Options, Watched};
use doorbuster_core::order::status::Status;
use doorbuster_core::sale::command::SaleCommand;

/// Probes are numbered from here: no buyer of a plan has such a number.
const PROBES_FROM: u32 = 1_000_000;
/// One seed in so many ends with a replay.
const REPLAYED_OF: u64 = 4;

/// Heals, waits for rest, probes, and judges.
pub fn conclude(world: &mut World) {
    settle(world);
    if world.violation.is_none() && world.has_role("sales") {
        super::sold::converge(world);
    }
}

fn settle(world: &mut World) {
    if world.has_role("invalidator") || world.has_role("indexer") {
        world.run_until(super::CATALOG_MS * 1000 + 4_000_000);
    }
    heal_all(world);
    if sale_state(world) == Some(SaleState::Stopped) {
        let sale = world.sale;
        command_now(world, &Command::Sale(SaleCommand::Enter { sale, state: SaleState::Open }));
    }
    if !come_to_rest(world) {
        return;
    }
    judge_all(world, Judged::BeforeProbes);
    super::lost::look_up_all(world);
    sell_what_is_left(world);
    if world.violation.is_some() || !come_to_rest(world) {
        return;
    }
    judge_all(world, Judged::AtRest);
    if world.violation.is_none() && world.catalog.is_on {
        super::catalog::converge(world);
    }
    // S14 costs as much as a rest: a fixed part of the seeds pays for it.
    if world.violation.is_none() && world.plan.seed.is_multiple_of(REPLAYED_OF) {
        // The balancer forgets the probes first: a move of its own would look like one of the replay's.
        world.run_until(world.now_us + 2 * BALANCE_WANT_MS * 1000);
        if !come_to_rest(world) {
            return;
        }
        let before = in_charge(audit(world));
        replay_everything(world);
        if come_to_rest(world) {
            judge_all(world, Judged::Replayed(before));
        }
    }
}

/// Every group begins again at the first record of every partition.
fn replay_everything(world: &mut World) {
    let now = world.clock();
    let mut out = Vec::new();
    for group in world.groups() {
        world.broker.rewind(now, group, u64::MAX, &mut out);
    }
    world.serve(Address::Broker, out, AnswerOf::Broker);
    embedded::begin_again(world, u64::MAX);
}

/// Runs until nothing is owed; says which promise is broken when that takes too long.
fn come_to_rest(world: &mut World) -> bool {
    for _ in 0..REST_S {
        let until_us = world.now_us + 1_000_000;
        world.run_until(until_us);
        if world.violation.is_some() {
            return false;
        }
        if owed(world).is_none() {
            return true;
        }
    }
    let owed = owed(world).unwrap_or_default();
    judge_all(world, Judged::Overdue);
    world.violate("L11", format!("not at rest {REST_S} s after everything was healed: {owed}"));
    false
}

fn sale_state(world: &World) -> Option<SaleState> {
    world.database.rows().sales.get(&world.sale).map(|sale| sale.state)
}

/// What is still to be done, in one line; nothing at rest.
fn owed(world: &World) -> Option<String> {
    if world.buyers.are_busy() {
        return Some("buyers are busy".to_owned());
    }
    if world.provider.pending() > 0 {
        return Some("the provider has something to say".to_owned());
    }
    if let Some(order) = world.database.rows().orders.values().find(|order| order.status == Status::PendingPayment) {
        return Some(format!("{} is unpaid", order.id));
    }
    for group in world.groups() {
        if world.broker.lag(group) > 0 {
            return Some(format!("{group:?} has not done {} records", world.broker.lag(group)));
        }
    }
    if world.platform.lag() > 0 {
        return Some(format!("intake has not done {} records of the log", world.platform.lag()));
    }
    if world.database.stream.unsent() > 0 || !world.database.stream.only_leaves_are_open() {
        return Some("the outbox is not relayed".to_owned());
    }
    let queue = &world.nodes[world.primary].store.queue;
    let late = queue.due_at().into_iter().chain(queue.lease_ends_at()).any(|due| due <= world.clock().wall);
    if late {
        return Some("tasks are due".to_owned());
    }
    if let Some(shard) = world.shards().find(|shard| !is_settled(world, *shard)) {
        return Some(format!("{shard} is not settled: {:?}", world.database.rows().shards.get(&shard)));
    }
    world.hosts.iter().find_map(|host| Some(format!("{}: {}", host.name, host.pending()?)))
}

fn is_settled(world: &World, shard: ShardId) -> bool {
    let Some(row) = world.database.rows().shards.get(&shard) else { return false };
    let memory = world.platform.memory(&world.nodes[world.primary], shard).filter(|memory| memory.server == row.server);
    rest::is_settled(row, sale_state(world), || memory.and_then(|memory| memory.meta().copied()))
}

/// Probe shoppers: of each SKU of each shard that has free units one is bought, and given back.
fn sell_what_is_left(world: &mut World) {
    let sale = world.database.rows().sales.get(&world.sale).cloned();
    let Some(sale) = sale.filter(|sale| sale.state == SaleState::Open) else { return };
    let last = world.clock().wall.after_ms(60_000);
    if last >= sale.window.ends_at {
        return;
    }
    let stock = world.database.rows().stock.clone();
    for (number, ((shard, sku), row)) in stock.into_iter().enumerate() {
        if row.granted > row.consumed {
            let n = PROBES_FROM + number as u32;
            let user = prober(shard, world.setup.shards, n);
            let seed = world.seed;
            world.buyers.join(n, user, seed);
            buyer::start(world, n);
            try_probe(world, n, shard, sku, 0);
        }
    }
}

fn try_probe(world: &mut World, n: u32, shard: ShardId, sku: SkuId, tries: u32) {
    let basket = Basket::parse(&[Line { sku, quantity: 1 }]).expect("one unit");
    buyer::probe(world, n, basket, move |world, answer| match answer {
        Answer::Accepted(accepted) => super::buyer_answers::cancel_probe(world, n, accepted.id),
        // Sold out may be the balancer, who was just moving the unit: it comes back to whoever asks again.
        Answer::Refused(problem) if tries >= PROBE_TRIES => {
            world.violate("L5", format!("a probe for a free unit of {sku} in {shard} was told {problem}"));
        }
        Answer::Unknown if tries >= PROBE_TRIES => {
            world.violate("L5", format!("a probe for a free unit of {sku} in {shard} learns nothing"));
        }
        Answer::Refused(_) | Answer::Unknown => {
            world.after_ms(500, move |world| try_probe(world, n, shard, sku, tries + 1));
        }
    });
}

/// Everything that the oracle looks at, as it is now.
pub fn audit(world: &World) -> Audit {
    let now = world.clock().wall;
    let meta = MetaLine {
        sale: world.sale,
        at: now,
        memories: true,
        logs: true,
        delay: true,
        outbox_unsent: Some(world.database.stream.unsent()),
    };
    let mut all = lines(meta, world.database.rows());
    for shard in world.shards() {
        let row = world.database.rows().shards.get(&shard);
        let memory = world.platform.memory(&world.nodes[world.primary], shard);
        all.extend(memory.and_then(|memory| MemoryLine::of(shard.k, memory)).map(AuditLine::Memory));
        let epoch = row.map_or(Epoch(0), |row| row.epoch);
        // What was decided was there, also where the log has lost it since.
        let decided = row.filter(|_| world.durable_lost).map_or(Seq(0), |row| row.cursor);
        let seq = end_of_log(&world.broker, shard, epoch).max(decided);
        all.push(AuditLine::Log(LogLine { k: shard.k, epoch, seq }));
    }
    let delay = world.nodes[world.primary].store.queue.tasks().map(|(order, due_at, token)| DelayLine {
        order,
        place: if token.is_some() { DelayPlace::Processing } else { DelayPlace::Ready },
        due_at,
        owner: token.map(|token| token.0),
    });
    all.extend(delay.map(AuditLine::Delay));
    Audit::collect(all).expect("rows of maps are there once")
}

/// The whole judge; what is broken is the run's violation, named by the most telling promise.
fn judge_all(world: &mut World, judged: Judged) {
    let (now, overdue) = (audit(world), matches!(judged, Judged::Overdue));
    let looks = matches!(judged, Judged::AtRest | Judged::Overdue);
    let (audit, replayed) = match judged {
        Judged::Replayed(before) => (before, Some(in_charge(now))),
        Judged::BeforeProbes | Judged::AtRest | Judged::Overdue => (now, None),
    };
    let options = Options {
        at_rest: true,
        losses: losses(&audit, world.setup.acknowledge, world.durable_lost),
        sale_closed: sale_state(world) == Some(SaleState::Closed),
        problems: None,
        clock_skew_ms: 0,
    };
    let inputs = Inputs {
        history: Some(&world.buyers.history),
        audit: &audit,
        replayed: replayed.as_ref(),
        probes: Some(&world.watch.probes),
        options: &options,
    };
    let watched = Watched {
        caches: Some(&world.catalog.watch).filter(|_| world.catalog.is_on),
        windows: Some(&world.windows).filter(|_| world.has_role("sales")),
        ..Watched::default()
    };
    if let Some((id, what)) = finding(inputs, watched, overdue) {
        return world.violate(id, what);
    }
    if looks {
        look(world, &audit);
    }
}

/// What the rows alone cannot say, and what there was.
fn look(world: &mut World, audit: &Audit) {
    let found = AtRest {
        audit,
        rows: world.database.rows(),
        history: &world.buyers.history,
        broker: &world.broker,
        // Without that role payments are settled without a provider.
        provider: Some(&world.provider).filter(|_| world.has_role("payment")),
        durable_lost: world.durable_lost,
    }
    .look();
    world.faults.sometimes.extend(found.moments);
    if world.hosts.iter().any(|host| host.is_gone) {
        world.count("at rest with one instance of each role");
    }
    if found.lost > 0 {
        world.counts.insert("acceptances lost", found.lost);
    }
    if let Some((id, what)) = found.broken {
        return world.violate(id, what);
    }
    for order in audit.orders.values() {
        world.count(order.status().name());
    }
}
