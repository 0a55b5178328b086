//! The end of a run: everything is healed, must come to rest in time, sells what came back, and is judged.

use super::buyer::{Buyer, probe};
use super::memory;
use super::strikes::heal_all;
use super::world::World;
use crate::plan::Acknowledge;
use crate::services::broker::Broker;
use crate::services::broker::group::Group;
use crate::services::broker::log::{Payload, TopicId};
use doorbuster_core::database::command::Command;
use doorbuster_core::database::rows::{PaymentRow, PaymentStatus, Phase, SaleState};
use doorbuster_core::ids::{Epoch, Key, OrderId, Seq, ShardId, SkuId, UserId};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::ledger::shard::ShardState;
use doorbuster_core::limits::BALANCE_WANT_MS;
use doorbuster_core::oracle::audit::{Audit, AuditLine, LogLine, MemoryLine, MetaLine, lines};
use doorbuster_core::oracle::judge::{Inputs, Losses, Options, judge};
use doorbuster_core::order::status::Status;
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_web::problem::Slug;

/// After healing, everything is at rest within so many seconds of simulated time: a pay window, its grace, a lost queue
/// that the sweep makes good, and an epoch that ends on the way.
const REST_S: u64 = 420;
/// Between two looks whether it is.
const LOOK_MS: u64 = 500;
/// The groups that this world has roles for.
pub const GROUPS: [Group; 4] = [Group::Intake, Group::Reaper, Group::Settler, Group::Payment];
/// One seed in so many ends with a replay.
const REPLAYED_OF: u64 = 8;
/// Tries of one probe.
const PROBE_TRIES: u32 = 40;

/// Heals, waits for rest, probes, and judges.
pub fn conclude(world: &mut World) {
    heal_all(world);
    if sale_state(world) == Some(SaleState::Stopped) {
        let sale = world.sale;
        world.command_now(&Command::Sale(SaleCommand::Enter { sale, state: SaleState::Open }));
    }
    if !come_to_rest(world) {
        return;
    }
    // Twice, because what a probe is told says less of what is wrong than the judge does.
    judge_all(world, None);
    if world.is_broken() {
        return;
    }
    sell_what_is_left(world);
    if !come_to_rest(world) {
        return;
    }
    judge_all(world, None);
    count_orders(world);
    // S14 costs as much as a rest: a fixed part of the seeds pays for it.
    if world.is_broken() || !world.plan.seed.is_multiple_of(REPLAYED_OF) {
        return;
    }
    // The balancer forgets the probes first: a move of its own would look like one of the replay's.
    world.run_for(2 * BALANCE_WANT_MS);
    if !come_to_rest(world) {
        return;
    }
    let before = in_charge(audit(world));
    replay_everything(world);
    if come_to_rest(world) {
        judge_all(world, Some(before));
    }
}

fn count_orders(world: &World) {
    let names: Vec<&'static str> =
        world.database.look(|database| database.rows().orders.values().map(|order| order.status.name()).collect());
    names.into_iter().for_each(|name| world.scene.count(name));
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
fn replay_everything(world: &World) {
    let now = world.clock();
    for group in GROUPS {
        world.broker.act(now, |broker, out| broker.rewind(now, group, u64::MAX, out));
    }
}

/// Runs until nothing is owed; says which promise is broken when that takes too long.
fn come_to_rest(world: &mut World) -> bool {
    for _ in 0..REST_S * 1_000 / LOOK_MS {
        world.run_for(LOOK_MS);
        if world.is_broken() {
            return false;
        }
        if owed(world).is_none() {
            return true;
        }
    }
    let owed = owed(world).unwrap_or_default();
    judge_all(world, None);
    world.scene.violate("L11", format!("not at rest {REST_S} s after everything was healed: {owed}"));
    false
}

fn sale_state(world: &World) -> Option<SaleState> {
    world.database.look(|database| database.rows().sales.get(&world.sale).map(|sale| sale.state))
}

/// What is still to be done, in one line; nothing at rest.
fn owed(world: &World) -> Option<String> {
    if !world.crowd.is_quiet() {
        return Some("buyers are busy".to_owned());
    }
    if world.provider.look(|provider| provider.pending()) > 0 {
        return Some("the provider has something to say".to_owned());
    }
    let owed = world.database.look(|database| {
        let unpaid = database.rows().orders.values().find(|order| order.status == Status::PendingPayment);
        let unpaid = unpaid.map(|order| format!("{} is unpaid", order.id));
        let relayed = database.stream.unsent() == 0 && database.stream.only_leaves_are_open();
        unpaid.or_else(|| (!relayed).then(|| "the outbox is not relayed".to_owned()))
    });
    let lag = world.broker.look(|broker| {
        let behind = GROUPS.into_iter().find(|group| broker.lag(*group) > 0);
        behind.map(|group| format!("{group:?} has not done {} records", broker.lag(group)))
    });
    owed.or(lag).or_else(|| late_task(world)).or_else(|| {
        let unsettled = world.shards().find(|shard| !is_settled(world, *shard));
        unsettled.map(|shard| {
            let row = world.database.look(|database| database.rows().shards.get(&shard).cloned());
            format!("{shard} is not settled: {row:?}")
        })
    })
}

fn late_task(world: &World) -> Option<String> {
    let now = world.clock();
    world.shards().find_map(|shard| match memory::dump(world.pair.in_charge(), shard, now) {
        Ok(dump) => dump.tasks.iter().any(|(_, due, _)| *due <= now.wall).then(|| "tasks are due".to_owned()),
        Err(error) => {
            world.scene.violate("S13", error.clone());
            Some(error)
        }
    })
}

fn is_settled(world: &World, shard: ShardId) -> bool {
    let Some(row) = world.database.look(|database| database.rows().shards.get(&shard).cloned()) else { return false };
    if sale_state(world) == Some(SaleState::Closed) {
        return row.phase == Phase::Closed;
    }
    let server = world.pair.in_charge();
    let own = memory::server_id(server) == row.server;
    let head = memory::head(server.borrow_mut().host(), shard, world.clock()).ok().flatten();
    row.phase == Phase::Open
        && own
        && head.is_some_and(|(meta, _)| {
            (meta.epoch, meta.nonce, meta.seq) == (row.epoch, row.nonce, row.cursor)
                && meta.state == ShardState::Open
                && meta.acked == meta.seq
        })
}

/// Probe shoppers: of each SKU of each shard that has free units one is bought, and given back.
fn sell_what_is_left(world: &mut World) {
    let sale = world.database.look(|database| database.rows().sales.get(&world.sale).cloned());
    let Some(sale) = sale.filter(|sale| sale.state == SaleState::Open) else { return };
    if world.clock().wall.after_ms(60_000) >= sale.window.ends_at {
        return;
    }
    let stock = world.database.look(|database| database.rows().stock.clone());
    let free = stock.into_iter().filter(|(_, row)| row.granted > row.consumed).map(|(place, _)| place);
    let wishes: Vec<(UserId, ShardId, SkuId)> =
        free.enumerate().map(|(number, (shard, sku))| (user_of(world, shard, number), shard, sku)).collect();
    let buyers = wishes.into_iter().map(|(user, shard, sku)| {
        let rng = world.seed.stream(&format!("probe/{user}"));
        (Buyer::new(&world.crowd, user.as_str(), rng), shard, sku)
    });
    let buyers: Vec<_> = buyers.collect();
    world.crowd.send_probes(buyers.into_iter().map(|(buyer, shard, sku)| {
        let scene = world.scene.clone();
        async move {
            if let Err(last) = probe(buyer, sku, PROBE_TRIES).await {
                scene.violate("L5", format!("a probe for a free unit of {sku} in {shard} was told {last}"));
            }
        }
    }));
}

/// A user whom this shard serves.
fn user_of(world: &World, shard: ShardId, number: usize) -> UserId {
    let name = |turn: u32| UserId::parse(&format!("probe-{number}-{turn}")).expect("a short name");
    let found = (0..10_000).map(name).find(|user| user.shard_of(world.plan.setup.shards) == shard.k);
    found.expect("one in as many as there are shards fits")
}

/// Everything that the oracle looks at, as it is now.
fn audit(world: &World) -> Audit {
    let now = world.clock();
    let mut all = world.database.look(|database| {
        let unsent = Some(database.stream.unsent());
        let meta =
            MetaLine { sale: world.sale, at: now.wall, memories: true, logs: true, delay: true, outbox_unsent: unsent };
        lines(meta, database.rows())
    });
    for shard in world.shards() {
        let row = world.database.look(|database| database.rows().shards.get(&shard).cloned());
        let server = world.pair.in_charge();
        let dump = memory::dump(server, shard, now).unwrap_or_default();
        all.extend(memory::line(server, shard, &dump).map(AuditLine::Memory));
        all.extend(memory::delays(&dump).map(AuditLine::Delay));
        let epoch = row.map_or(Epoch(0), |row| row.epoch);
        let seq = world.broker.look(|broker| end_of_log(broker, shard, epoch));
        all.push(AuditLine::Log(LogLine { k: shard.k, epoch, seq }));
    }
    Audit::collect(all).expect("rows of maps are there once")
}

fn intents(broker: &Broker, shard: ShardId) -> impl Iterator<Item = &Intent> {
    let log = broker.log(TopicId::Intents, super::ports::partition_of(shard));
    let payloads = log.into_iter().flat_map(|log| log.records().iter().map(|(_, payload)| payload));
    payloads.filter_map(move |payload| match payload {
        Payload::Intent(intent) if intent.shard() == shard => Some(intent),
        Payload::Intent(_) | Payload::Event(_) | Payload::Poison => None,
    })
}

fn end_of_log(broker: &Broker, shard: ShardId, epoch: Epoch) -> Seq {
    let seqs = intents(broker, shard).filter_map(|intent| match intent {
        Intent::Entry(_, entry) if entry.epoch == epoch => Some(entry.seq),
        Intent::Entry(..) | Intent::Seal(..) => None,
    });
    seqs.max().unwrap_or(Seq(0))
}

/// The whole judge; the first red one is the run's violation. After a replay `before` is what stood before it.
fn judge_all(world: &World, before: Option<Audit>) {
    let now = audit(world);
    let (audit, replayed) = match before {
        Some(before) => (before, Some(in_charge(now))),
        None => (now, None),
    };
    let ended = audit.shards.values().any(|shard| shard.epoch > Epoch(1));
    let durable = world.plan.setup.acknowledge == Acknowledge::Log;
    let options = Options {
        at_rest: true,
        // The end of an epoch may lose what only its server knew; the durable log loses nothing here.
        losses: if ended && !durable { Losses::Uncounted } else { Losses::Forbidden },
        sale_closed: sale_state(world) == Some(SaleState::Closed),
        problems: Some(Slug::ALL.iter().map(|slug| slug.name().to_owned()).collect()),
        clock_skew_ms: 0,
    };
    let red = {
        let state = world.scene.state();
        let inputs = Inputs {
            history: Some(&state.history),
            audit: &audit,
            replayed: replayed.as_ref(),
            probes: Some(&state.watch.probes),
            options: &options,
        };
        let verdict = judge(inputs);
        verdict.reds().next().map(|(check, findings, count)| {
            let first =
                findings.first().map_or(String::new(), |finding| format!("{}: {}", finding.place, finding.what));
            (check.id(), format!("{count} times, first {first}"))
        })
    };
    if let Some((id, what)) = red {
        return world.scene.violate(id, what);
    }
    if replayed.is_some() {
        return;
    }
    losses_are_excused(world, &audit);
    money_is_kept_right(world, &audit);
    note_moments(world, &audit);
}

/// S5, sharper than rows alone can say it: no lost acceptance stands in the durable log before the end of its epoch.
fn losses_are_excused(world: &World, audit: &Audit) {
    let (history, mut lost) = (world.scene.state().history.clone(), 0);
    for (_, _, _, accepted) in history.acceptances() {
        let (id, Some((epoch, seq))) = (accepted.id, accepted.place()) else { continue };
        let order = audit.orders.get(&id);
        if order.is_some_and(|order| order.place().is_none_or(|own| own == (epoch, seq))) {
            continue;
        }
        lost += 1;
        let stands = world.broker.look(|broker| {
            intents(broker, id.shard)
                .take_while(|intent| !matches!(intent, Intent::Seal(_, of) if *of == epoch))
                .any(|intent| matches!(intent, Intent::Entry(_, entry) if (entry.epoch, entry.seq) == (epoch, seq)))
        });
        if stands {
            let what = format!("{id} is lost, but stands at {}-{} before its epoch's seal", epoch.0, seq.0);
            return world.scene.violate("S5", what);
        }
    }
    if lost > 0 {
        world.scene.state().counts.insert("acceptances lost", lost);
    }
}

/// S6's other half, at the provider: money that was taken is on a paid order or went back.
fn money_is_kept_right(world: &World, audit: &Audit) {
    let counts = |payment| {
        let row = audit.payments.get(&payment);
        row.is_some_and(|row| audit.orders.get(&row.order).is_some_and(|order| order.payment == Some(payment)))
    };
    let stuck = world.provider.look(|provider| {
        let taken: Vec<_> = provider.succeeded().collect();
        taken.into_iter().find(|payment| counts(*payment) == provider.gave_back(*payment))
    });
    if let Some(payment) = stuck {
        let back = world.provider.look(|provider| provider.gave_back(payment));
        let row = audit.payments.get(&payment);
        world.scene.violate("S6", format!("money of {payment} was taken, given back: {back}, its row is {row:?}"));
    }
}

/// Whether the payment's order is one that was reserved for late money.
fn is_late(audit: &Audit, payment: &PaymentRow) -> bool {
    let key = Key::of_late_payment(payment.id);
    payment.order == OrderId::derive(audit.sale.id, audit.sale.shards, &payment.user, &key)
}

/// Moments that an ensemble must have reached.
fn note_moments(world: &World, audit: &Audit) {
    use doorbuster_core::order::status::Ending;
    let aside = world.broker.look(|broker| !broker.aside.is_empty());
    let mut state = world.scene.state();
    let lost = state.counts.contains_key("acceptances lost");
    let expired = Status::Cancelled(Ending::Expired);
    let moments = [
        (audit.shards.values().any(|shard| shard.epoch > Epoch(1)), "an epoch ended"),
        (audit.shards.values().any(|shard| shard.epoch > Epoch(3)), "three epochs ended"),
        (audit.shards.values().any(|shard| shard.phase == Phase::Closed), "a shard was closed"),
        (audit.orders.values().any(|order| order.status() == expired), "a pay window ran out"),
        (audit.orders.values().any(|order| order.place().is_none()), "a key was given up before its intent arrived"),
        (
            audit.payments.values().any(|payment| payment.status == PaymentStatus::Refunded),
            "money that came late or twice went back",
        ),
        (
            audit.payments.values().any(|payment| payment.status == PaymentStatus::Paid && is_late(audit, payment)),
            "a late payment found another unit",
        ),
        (aside, "a record was set aside"),
        (lost, "an acceptance was lost and its place says so"),
    ];
    state.faults.sometimes.extend(moments.into_iter().filter(|(reached, _)| *reached).map(|(_, moment)| moment));
}
