//! The end of a run: everything is healed, must come to rest in time, sells what came back, and is judged.

use super::buyer;
use super::strikes::{command_now, heal_all};
use super::world::{Address, Answer as AnswerOf, World};
use crate::plan::Acknowledge;
use crate::services::broker::log::{Payload, TopicId};
use doorbuster_core::database::command::Command;
use doorbuster_core::database::rows::{Phase, SaleState};
use doorbuster_core::ids::{Epoch, OrderId, Seq, ShardId, SkuId, UserId};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::ledger::shard::ShardState;
use doorbuster_core::limits::BALANCE_WANT_MS;
use doorbuster_core::oracle::audit::{Audit, AuditLine, DelayLine, DelayPlace, LogLine, MemoryLine, MetaLine, lines};
use doorbuster_core::oracle::history::Answer;
use doorbuster_core::oracle::judge::{Inputs, Losses, Options, Watched, judge_watched};
use doorbuster_core::order::fate::Fate;
use doorbuster_core::order::status::Status;
use doorbuster_core::sale::command::SaleCommand;

/// After healing, everything is at rest within so many seconds of simulated time: a pay window, its grace, a lost queue
/// that the sweep makes good, and an epoch that ends on the way.
const REST_S: u64 = 420;
/// Probes are numbered from here: no buyer of a plan has such a number.
const PROBES_FROM: u32 = 1_000_000;
/// One seed in so many ends with a replay.
const REPLAYED_OF: u64 = 4;
/// Tries of one probe.
const PROBE_TRIES: u32 = 40;

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
    sell_what_is_left(world);
    if world.violation.is_some() || !come_to_rest(world) {
        return;
    }
    judge_all(world, None);
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
            judge_all(world, Some(before));
        }
    }
}

/// Without memories of ended epochs: what a replay does to them nobody will ever read.
fn in_charge(mut audit: Audit) -> Audit {
    let shards = audit.shards.clone();
    let own = |memory: &MemoryLine| {
        let row = shards.get(&memory.k).filter(|row| row.phase == Phase::Open);
        row.is_some_and(|row| (row.server, row.epoch, row.nonce) == (memory.server, memory.epoch, memory.nonce))
    };
    audit.memories.iter_mut().for_each(|memories| memories.retain(|_, memory| own(memory)));
    audit
}

/// Every group begins again at the first record of every partition.
fn replay_everything(world: &mut World) {
    let now = world.clock();
    let mut out = Vec::new();
    for group in world.groups() {
        world.broker.rewind(now, group, u64::MAX, &mut out);
    }
    world.serve(Address::Broker, out, AnswerOf::Broker);
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
    judge_all(world, None);
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
    if sale_state(world) == Some(SaleState::Closed) {
        return row.phase == Phase::Closed;
    }
    let memory = world.nodes[world.primary].store.shard(shard);
    let own = memory.filter(|memory| memory.server == row.server).and_then(|memory| memory.meta());
    row.phase == Phase::Open
        && own.is_some_and(|meta| {
            (meta.epoch, meta.nonce, meta.seq) == (row.epoch, row.nonce, row.cursor)
                && meta.state == ShardState::Open
                && meta.acked == meta.seq
        })
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
            let user = user_of(world, shard, n);
            let seed = world.seed;
            world.buyers.join(n, user, seed);
            try_probe(world, n, shard, sku, 0);
        }
    }
}

/// A user whom this shard serves.
fn user_of(world: &World, shard: ShardId, n: u32) -> UserId {
    let name = |turn: u32| UserId::parse(&format!("probe-{n}-{turn}")).expect("a short name");
    let found = (0..10_000).map(name).find(|user| user.shard_of(world.setup.shards) == shard.k);
    found.expect("one in as many as there are shards fits")
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
        let memory = world.nodes[world.primary].store.shard(shard);
        all.extend(memory.and_then(|memory| MemoryLine::of(shard.k, memory)).map(AuditLine::Memory));
        let (epoch, seq) = end_of_log(world, shard, row.map_or(Epoch(0), |row| row.epoch));
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

fn intents(world: &World, shard: ShardId) -> impl Iterator<Item = &Intent> {
    let log = world.broker.log(TopicId::Intents, super::roles::partition_of(shard));
    let payloads = log.into_iter().flat_map(|log| log.records().iter().map(|(_, payload)| payload));
    payloads.filter_map(move |payload| match payload {
        Payload::Intent(intent) if intent.shard() == shard => Some(intent),
        Payload::Intent(_) | Payload::Event(_) | Payload::Poison => None,
    })
}

fn end_of_log(world: &World, shard: ShardId, epoch: Epoch) -> (Epoch, Seq) {
    let seqs = intents(world, shard).filter_map(|intent| match intent {
        Intent::Entry(_, entry) if entry.epoch == epoch => Some(entry.seq),
        Intent::Entry(..) | Intent::Seal(..) => None,
    });
    let last = seqs.max().unwrap_or(Seq(0));
    // What was decided was there, also where the log has lost it since.
    let row = world.database.rows().shards.get(&shard).filter(|row| world.durable_lost && row.epoch == epoch);
    (epoch, last.max(row.map_or(Seq(0), |row| row.cursor)))
}

/// The whole judge; the first red one is the run's violation. After a replay `before` is what stood before it.
fn judge_all(world: &mut World, before: Option<Audit>) {
    let now = audit(world);
    let (audit, replayed) = match before {
        Some(before) => (before, Some(in_charge(now))),
        None => (now, None),
    };
    let ended = audit.shards.values().any(|shard| shard.epoch > Epoch(1));
    let durable = world.setup.acknowledge == Acknowledge::Log;
    let options = Options {
        at_rest: true,
        // The end of an epoch may lose what only its server knew; below, each loss is looked for in the durable log.
        losses: if (ended && !durable) || world.durable_lost { Losses::Uncounted } else { Losses::Forbidden },
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
    let verdict = judge_watched(inputs, watched);
    let red = verdict.reds().next().map(|(check, findings, count)| {
        let first = findings.first().map_or(String::new(), |finding| format!("{}: {}", finding.place, finding.what));
        (check.id(), format!("{count} times, first {first}"))
    });
    if let Some((id, what)) = red {
        return world.violate(id, what);
    }
    if replayed.is_some() {
        return;
    }
    losses_are_excused(world, &audit);
    money_is_kept_right(world, &audit);
    note_moments(world, &audit);
    let places = audit.orders.values().map(|order| order.status());
    for status in places {
        world.count(status.name());
    }
}

/// S5, sharper than rows alone can say it: no lost acceptance stands in the durable log before the end of its epoch.
fn losses_are_excused(world: &mut World, audit: &Audit) {
    let mut lost: Vec<(OrderId, (Epoch, Seq))> = Vec::new();
    for (_, _, _, accepted) in world.buyers.history.acceptances() {
        let Some(place) = accepted.place() else { continue };
        let own = audit.orders.get(&accepted.id).and_then(|order| order.place());
        let given_up = audit.orders.get(&accepted.id).is_some_and(|order| order.place().is_none());
        if own != Some(place) && !given_up {
            lost.push((accepted.id, place));
        }
    }
    for (id, (epoch, seq)) in lost {
        *world.counts.entry("acceptances lost").or_default() += 1;
        // What a buyer hears who looks it up with the receipt.
        let rows = world.database.rows();
        let told = rows.shards.get(&id.shard).map(|shard| Fate::of(rows.orders.get(&id), shard, epoch, seq));
        if told == Some(Fate::OnItsWay) || told.is_none() {
            world.violate("S23", format!("{id} is lost at {}-{}, and its receipt says {told:?}", epoch.0, seq.0));
        }
        let before_seal =
            intents(world, id.shard).take_while(|intent| !matches!(intent, Intent::Seal(_, of) if *of == epoch));
        let stands = before_seal
            .filter(|intent| matches!(intent, Intent::Entry(_, entry) if (entry.epoch, entry.seq) == (epoch, seq)))
            .count();
        // Behind a gap of a durable log that lost records nothing is decided, though it stands there.
        if stands > 0 && !world.durable_lost && !broken_by_ledger(audit, id) {
            return world
                .violate("S5", format!("{id} is lost, but stands at {}-{} before its epoch's seal", epoch.0, seq.0));
        }
    }
}

fn broken_by_ledger(audit: &Audit, id: OrderId) -> bool {
    use doorbuster_core::database::rows::SealReason;
    audit.shards.get(&id.shard.k).is_some_and(|shard| shard.reason == Some(SealReason::LedgerBroken))
}

/// S6's other half, at the provider: money that was taken is on a paid order or went back.
fn money_is_kept_right(world: &mut World, audit: &Audit) {
    let stuck = world.provider.succeeded().find(|payment| {
        let counts = audit
            .payments
            .get(payment)
            .is_some_and(|row| audit.orders.get(&row.order).is_some_and(|order| order.payment == Some(*payment)));
        counts == world.provider.gave_back(*payment)
    });
    if let Some(payment) = stuck {
        let row = audit.payments.get(&payment);
        let back = world.provider.gave_back(payment);
        world.violate("S6", format!("money of {payment} was taken, given back: {back}, its row is {row:?}"));
    }
}

/// Moments that an ensemble must have reached.
fn note_moments(world: &mut World, audit: &Audit) {
    use doorbuster_core::database::rows::PaymentStatus;
    use doorbuster_core::order::status::Ending;
    let mut note = |reached: bool, moment: &'static str| {
        if reached {
            world.faults.sometimes.insert(moment);
        }
    };
    let late = |status: PaymentStatus| {
        audit
            .payments
            .values()
            .any(|row| row.status == status && Some(row.id) != audit.orders.get(&row.order).and_then(|o| o.payment))
    };
    let moved = |payment: &&doorbuster_core::database::rows::PaymentRow| {
        payment.status == PaymentStatus::Paid && !payment.id.as_str().contains(&payment.order.reservation.to_string())
    };
    note(audit.shards.values().any(|shard| shard.epoch > Epoch(1)), "an epoch ended");
    note(audit.shards.values().any(|shard| shard.epoch > Epoch(3)), "three epochs ended");
    note(audit.shards.values().any(|shard| shard.phase == Phase::Closed), "a shard was closed");
    note(
        audit.orders.values().any(|order| order.status() == Status::Cancelled(Ending::Expired)),
        "a pay window ran out",
    );
    note(audit.orders.values().any(|order| order.place().is_none()), "a key was given up before its intent arrived");
    note(late(PaymentStatus::Refunded), "money that came late or twice went back");
    note(audit.payments.values().any(|row| moved(&row)), "a late payment found another unit");
    note(!world.broker.aside.is_empty(), "a record was set aside");
    note(world.counts.contains_key("acceptances lost"), "an acceptance was lost and its place says so");
}
