//! The end of a run: everything is healed, must come to rest in time, sells what came back, and is judged.

use super::buyer::{Buyer, probe};
use super::shopping;
use super::strikes::heal_all;
use super::world::World;
use super::{hours, memory};
use crate::worlds::rest::{self, AtRest, Judged, PROBE_TRIES, REST_S, end_of_log, finding, in_charge, losses, prober};
use doorbuster_core::database::command::Command;
use doorbuster_core::database::rows::SaleState;
use doorbuster_core::ids::{Epoch, ShardId, SkuId, UserId};
use doorbuster_core::limits::BALANCE_WANT_MS;
use doorbuster_core::oracle::audit::{Audit, AuditLine, LogLine, MetaLine, lines};
use doorbuster_core::oracle::judge::{Inputs, Options, Watched};
use doorbuster_core::order::status::Status;
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_web::problem::Slug;

/// Between two looks whether it is.
const LOOK_MS: u64 = 500;
/// One seed in so many ends with a replay.
const REPLAYED_OF: u64 = 8;

/// Heals, waits for rest, probes, and judges.
pub fn conclude(world: &mut World) {
    settle(world);
    hours::converge(world);
}

fn settle(world: &mut World) {
    heal_all(world);
    if sale_state(world) == Some(SaleState::Stopped) {
        let sale = world.sale;
        world.command_now(&Command::Sale(SaleCommand::Enter { sale, state: SaleState::Open }));
    }
    if !come_to_rest(world) {
        return;
    }
    // Twice, because what a probe is told says less of what is wrong than the judge does.
    judge_all(world, Judged::BeforeProbes);
    if world.is_broken() {
        return;
    }
    sell_what_is_left(world);
    if !come_to_rest(world) {
        return;
    }
    judge_all(world, Judged::AtRest);
    count_orders(world);
    shopping::converge(world);
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
        judge_all(world, Judged::Replayed(before));
    }
}

fn count_orders(world: &World) {
    let names: Vec<&'static str> =
        world.database.look(|database| database.rows().orders.values().map(|order| order.status.name()).collect());
    names.into_iter().for_each(|name| world.scene.count(name));
}

/// Every group begins again at the first record of every partition.
fn replay_everything(world: &World) {
    let now = world.clock();
    for group in world.groups() {
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
    judge_all(world, Judged::Overdue);
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
        let behind = world.groups().find(|group| broker.lag(*group) > 0);
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
    let server = world.pair.in_charge();
    rest::is_settled(&row, sale_state(world), || {
        let head = memory::head(server.borrow_mut().host(), shard, world.clock()).ok().flatten();
        head.filter(|_| memory::server_id(server) == row.server).map(|(meta, _)| meta)
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
    let wishes: Vec<(UserId, ShardId, SkuId)> = free
        .enumerate()
        .map(|(number, (shard, sku))| (prober(shard, world.plan.setup.shards, number), shard, sku))
        .collect();
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

/// The whole judge; what is broken is the run's violation, named by the most telling promise.
fn judge_all(world: &World, judged: Judged) {
    let (now, overdue) = (audit(world), matches!(judged, Judged::Overdue));
    let looks = matches!(judged, Judged::AtRest | Judged::Overdue);
    let (audit, replayed) = match judged {
        Judged::Replayed(before) => (before, Some(in_charge(now))),
        Judged::BeforeProbes | Judged::AtRest | Judged::Overdue => (now, None),
    };
    let options = Options {
        at_rest: true,
        losses: losses(&audit, world.plan.setup.acknowledge, false),
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
        finding(inputs, Watched::default(), overdue)
    };
    if let Some((id, what)) = red {
        return world.scene.violate(id, what);
    }
    if looks {
        look(world, &audit);
    }
}

/// What the rows alone cannot say.
fn look(world: &World, audit: &Audit) {
    let history = world.scene.state().history.clone();
    let found = world.database.look(|database| {
        world.broker.look(|broker| {
            world.provider.look(|provider| {
                let rows = database.rows();
                AtRest { audit, rows, history: &history, broker, provider: Some(provider), durable_lost: false }.look()
            })
        })
    });
    {
        let mut state = world.scene.state();
        if !state.gone.is_empty() {
            state.counts.insert("at rest with one instance of each role", 1);
        }
        state.faults.sometimes.extend(found.moments);
        if found.lost > 0 {
            state.counts.insert("acceptances lost", found.lost);
        }
    }
    if let Some((id, what)) = found.broken {
        world.scene.violate(id, what);
    }
}
