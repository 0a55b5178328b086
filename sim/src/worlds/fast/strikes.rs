//! Strikes of the plan: each begins, has its effect, and ends.

use super::meeting;
use super::network::{End, Rule, Treatment};
use super::roles;
use super::world::{Happening, World};
use crate::fault::FaultKind;
use crate::plan::Strike;
use crate::services::broker::PARTITIONS;
use crate::services::broker::log::TopicId;
use crate::trace::Kind;
use doorbuster_core::database::command::Command;
use doorbuster_core::database::event::Topic;
use doorbuster_core::database::rows::SaleState;
use doorbuster_core::ids::{Key, ServerId};
use doorbuster_core::inbox::Partition;
use doorbuster_core::sale::command::SaleCommand;

/// Puts every strike of the plan on the heap; habits of buyers begin at once.
pub fn plan(world: &mut World) {
    let strikes = world.plan.strikes.clone();
    for (index, strike) in strikes.iter().enumerate() {
        match strike.fault {
            FaultKind::U1
            | FaultKind::U2
            | FaultKind::U3
            | FaultKind::U4
            | FaultKind::U5
            | FaultKind::U6
            | FaultKind::U7
            | FaultKind::U8
            | FaultKind::U9 => {
                world.faults.inject(strike.fault);
                world.buyers.adopt(strike.fault, permille(strike));
            }
            _ => {
                world.at(strike.at_ms * 1000, Happening::Struck(index));
                // What waits for its moment ends so long after that.
                if strike.meets.is_none() {
                    world.at((strike.at_ms + strike.for_ms) * 1000, Happening::Healed(index));
                }
            }
        }
    }
}

fn permille(strike: &Strike) -> u64 {
    if strike.amount == 0 { 100 } else { strike.amount.min(1000) }
}

/// A strike begins.
pub fn strike(world: &mut World, index: usize) {
    if world.is_healed || meeting::must_wait(world, index) {
        return;
    }
    let strike = meeting::strike_of(world, index);
    world.faults.inject(strike.fault);
    let name = world.names.world.clone();
    world.tell(&name, Kind::Struck, None, || {
        format!(
            "{} {} {} for {} ms, {}",
            strike.fault,
            strike.fault.title(),
            strike.target,
            strike.for_ms,
            strike.amount
        )
    });
    use FaultKind::*;
    match strike.fault {
        N1 | N2 | N3 | N4 | N5 | N6 | N8 | N9 => strike_links(world, index, &strike),
        P1 | P2 | P4 | P5 | P6 | P7 | P8 | C5 | O3 | O4 => strike_processes(world, &strike),
        P10 => leave_one(world, &strike),
        C1 | C2 | C3 | C6 => strike_clocks(world, &strike),
        R1 | R2 | R3 | R4 | C4 | R6 | R10 | R11 => super::failover::strike(world, &strike),
        K1 | K2 | K3 | K5 | K11 | K12 => world.broker.conditions.strike(strike.fault, permille(&strike)),
        E1 | E2 | E3 | E4 | E5 => world.search.conditions.strike(strike.fault, permille(&strike)),
        R8 => world.nodes.iter_mut().for_each(|node| node.conditions.strike(R8, permille(&strike))),
        K6 | K7 | K8 | O5 => strike_groups(world, &strike),
        K4 | K10 => lose_records(world, &strike),
        D1 | D2 | D3 | D4 | D5 | D6 | D8 | D9 | D11 => {
            world.database.conditions.strike(strike.fault, permille(&strike))
        }
        D7 => {
            let pick = world.draw();
            if world.database.stream.reshape(strike.amount % 2 == 1, pick) {
                world.faults.take_effect(D7, "records not relayed");
            }
        }
        O1 | O2 => operate(world, index, &strike),
        Q1 | Q2 | Q3 | Q4 | Q5 => super::embedded::strike(world, &strike),
        O6 => super::catalog::edit_again(world, &strike),
        // The rest has no beginning here: habits of buyers, other worlds' kinds, and what the setup holds.
        _ => {}
    }
}

/// A strike ends.
pub fn heal(world: &mut World, index: usize) {
    if world.is_healed {
        return;
    }
    let strike = meeting::strike_of(world, index);
    if strike.for_ms > 0 {
        let name = world.names.world.clone();
        world
            .tell(&name, Kind::Healed, None, || format!("{} {}: {}", strike.fault, strike.target, strike.fault.heal()));
    }
    use FaultKind::*;
    match strike.fault {
        N1 | N2 | N3 | N4 | N5 | N6 | N8 | N9 => world.network.rules.retain(|rule| rule.strike != index),
        P4 | C5 => hosts_of(world, &strike.target).into_iter().for_each(|host| resume(world, host)),
        P5 => hosts_of(world, &strike.target).into_iter().for_each(|host| world.hosts[host].slow_us = 0),
        P7 => hosts_of(world, &strike.target).into_iter().for_each(|host| {
            world.hosts[host].restarts = false;
            start_if_down(world, host);
        }),
        P1 | P6 | P8 | O4 => {
            hosts_of(world, &strike.target).into_iter().for_each(|host| start_if_down(world, host));
        }
        C1 | C2 | C3 | C6 => {
            let now_us = world.now_us;
            for host in hosts_of(world, &strike.target) {
                world.hosts[host].clock.heal(now_us);
            }
        }
        R1 | R2 | R3 | R4 | C4 | R6 | R10 | R11 => super::failover::heal(world, &strike),
        K1 | K2 | K3 | K4 | K5 | K10 | K11 | K12 => world.broker.conditions.heal(strike.fault),
        E1 | E2 | E3 | E4 | E5 => world.search.conditions.heal(strike.fault),
        R8 => world.nodes.iter_mut().for_each(|node| node.conditions.heal(R8)),
        Q1 | Q2 | Q4 => super::embedded::heal(world, &strike),
        D1 | D2 | D3 | D4 | D5 | D6 | D8 | D9 | D11 => world.database.conditions.heal(strike.fault),
        _ => {}
    }
}

/// The hosts of a target: one, all of a role, or all; never the buyers.
pub fn hosts_of(world: &World, target: &str) -> Vec<usize> {
    let hosts = 1..world.hosts.len();
    hosts
        .filter(|host| target.is_empty() || *world.hosts[*host].name == *target || world.hosts[*host].role == target)
        .collect()
}

fn strike_links(world: &mut World, index: usize, strike: &Strike) {
    let treatment = match strike.fault {
        FaultKind::N1 => Treatment::Slow(strike.amount.max(1) * 1000),
        FaultKind::N2 => Treatment::Hold,
        FaultKind::N3 => Treatment::SwallowRequests,
        FaultKind::N4 => Treatment::Refuse,
        FaultKind::N5 => Treatment::Break(permille(strike)),
        FaultKind::N6 => Treatment::Lose(permille(strike)),
        FaultKind::N9 => Treatment::LoseReply(permille(strike)),
        _ => Treatment::Swallow,
    };
    if strike.fault == FaultKind::N8 {
        return swizzle(world, index, strike);
    }
    let during_us = (world.now_us, world.now_us + strike.for_ms * 1000);
    let mut add = |from: End, to: End| {
        world.network.rules.push(Rule { strike: index, fault: strike.fault, from, to, treatment, during_us });
    };
    match strike.target.split_once('>') {
        Some((from, to)) => add(End::parse(from), End::parse(to)),
        None => {
            add(End::parse(&strike.target), End::Any);
            add(End::Any, End::parse(&strike.target));
        }
    }
}

/// A host's links stop one by one, and come back one by one in another order.
fn swizzle(world: &mut World, index: usize, strike: &Strike) {
    const ENDS: [&str; 5] = ["database", "broker", "redis-0", "redis-1", "search"];
    let from = strike.target.split_once('>').map_or(&*strike.target, |(from, _)| from).to_owned();
    let turn_us = strike.for_ms * 1000 / (2 * ENDS.len() as u64);
    let shift = world.draw();
    for (place, end) in (0_u64..).zip(ENDS) {
        let stops = (place + shift) % ENDS.len() as u64;
        let returns = (2 * place + shift / 7) % ENDS.len() as u64;
        let during_us = (world.now_us + stops * turn_us, world.now_us + (ENDS.len() as u64 + returns) * turn_us);
        world.network.rules.push(Rule {
            strike: index,
            fault: strike.fault,
            from: End::parse(&from),
            to: End::parse(end),
            treatment: Treatment::Swallow,
            during_us,
        });
    }
}

fn strike_processes(world: &mut World, strike: &Strike) {
    for (turn, host) in hosts_of(world, &strike.target).into_iter().enumerate() {
        if !world.hosts[host].is_up {
            continue;
        }
        match strike.fault {
            FaultKind::P2 => world.hosts[host].dies_after = Some((strike.amount % 6, FaultKind::P2)),
            FaultKind::P4 | FaultKind::C5 => {
                strike_work(world, strike.fault, host);
                world.hosts[host].paused = true;
                if strike.fault == FaultKind::C5 {
                    world.hosts[host].leap_ms = Some(1 + strike.amount % 20_000);
                }
            }
            FaultKind::P5 => {
                strike_work(world, strike.fault, host);
                world.hosts[host].slow_us = strike.amount.max(1) * 1000;
            }
            FaultKind::P7 => {
                world.hosts[host].restarts = true;
                crash_again(world, host);
            }
            FaultKind::O3 => {
                strike_work(world, strike.fault, host);
                world.after_ms(1_500 * turn as u64, move |world| {
                    if !world.is_healed {
                        die_and_return(world, host, 800);
                    }
                });
            }
            _ => {
                strike_work(world, strike.fault, host);
                world.crash_host(host);
            }
        }
    }
}

/// Of each role all but one die, and never return.
fn leave_one(world: &mut World, strike: &Strike) {
    for role in roles::ROLES.into_iter().chain(roles::FURTHER) {
        let hosts = hosts_of(world, role);
        let left = strike.amount as usize % hosts.len().max(1);
        for (_, host) in hosts.into_iter().enumerate().filter(|(turn, _)| *turn != left) {
            strike_work(world, FaultKind::P10, host);
            world.crash_host(host);
            world.hosts[host].is_gone = true;
        }
    }
}

/// Notes what a process that is struck has in hand.
fn strike_work(world: &mut World, kind: FaultKind, host: usize) {
    let held = world.hosts[host].in_hand();
    if held.is_empty() {
        world.faults.take_effect(kind, "at rest");
    }
    held.into_iter().for_each(|stage| world.faults.take_effect(kind, stage));
}

fn crash_again(world: &mut World, host: usize) {
    if !world.hosts[host].restarts || world.is_healed {
        return;
    }
    strike_work(world, FaultKind::P7, host);
    die_and_return(world, host, 400);
    world.after_ms(1_300, move |world| crash_again(world, host));
}

/// A process dies, and another one takes its place.
pub fn die_and_return(world: &mut World, host: usize, after_ms: u64) {
    world.crash_host(host);
    world.after_ms(after_ms, move |world| start_if_down(world, host));
}

fn start_if_down(world: &mut World, host: usize) {
    if !world.hosts[host].is_up && !world.is_night && !world.hosts[host].is_gone {
        match world.setup.embedded {
            true => super::embedded::start(world),
            false => world.start_host(host),
        }
    }
}

fn resume(world: &mut World, host: usize) {
    if world.hosts[host].paused && !world.is_night {
        world.hosts[host].paused = false;
        super::host::leap(world, host);
        world.release(host);
    }
}

fn strike_clocks(world: &mut World, strike: &Strike) {
    let now_us = world.now_us;
    // Half of the strikes set a clock back.
    let sign = if strike.at_ms.is_multiple_of(2) { 1 } else { -1 };
    for host in hosts_of(world, &strike.target) {
        world.faults.take_effect(strike.fault, "a host's clock");
        let clock = &mut world.hosts[host].clock;
        match strike.fault {
            FaultKind::C2 => clock.drift(now_us, strike.amount.clamp(1, 50_000)),
            FaultKind::C6 => clock.step(3_600_000),
            _ => clock.step(sign * strike.amount.max(1) as i64),
        }
    }
}

fn strike_groups(world: &mut World, strike: &Strike) {
    let now = world.clock();
    let mut out = Vec::new();
    for group in world.groups().filter(|group| strike.target.is_empty() || strike.target == group.role()) {
        let bitten = match strike.fault {
            FaultKind::K6 => {
                world.broker.rebalance(now, group, &mut out);
                true
            }
            FaultKind::K7 => world.broker.rewind(now, group, strike.amount.max(1), &mut out),
            FaultKind::K8 => world.broker.rewind(now, group, u64::MAX, &mut out),
            _ => {
                let topic = if strike.target == "sales" { Topic::Sales } else { Topic::ShardDown };
                let records = if topic == Topic::Sales { strike.amount as usize } else { 8 };
                world.broker.replay(now, TopicId::Outbox(topic), records, &mut out) > 0
            }
        };
        if bitten {
            world.faults.take_effect(strike.fault, "done, not committed");
        }
    }
    world.serve(super::world::Address::Broker, out, super::world::Answer::Broker);
}

/// The durable log loses records of intents: now its end, and for a while what it acknowledges.
fn lose_records(world: &mut World, strike: &Strike) {
    world.broker.conditions.strike(strike.fault, permille(strike));
    if strike.fault != FaultKind::K4 {
        return;
    }
    let partition = Partition((strike.amount % u64::from(PARTITIONS)) as u32);
    let (records, now) = (1 + strike.amount as usize / 2 % 6, world.clock());
    let mut out = Vec::new();
    if world.broker.lose_end(now, partition, records, &mut out) > 0 {
        world.durable_lost = true;
        world.faults.take_effect(FaultKind::K4, "done, not committed");
    }
    world.serve(super::world::Address::Broker, out, super::world::Answer::Broker);
}

/// An operator acts on the sale.
fn operate(world: &mut World, index: usize, strike: &Strike) {
    let sale = world.sale;
    let command = match (strike.fault, strike.amount % 3) {
        (FaultKind::O2, _) => {
            let sku = world.skus[index % world.skus.len()];
            let key = Key::parse(&format!("top-up-{index}")).expect("a short key");
            SaleCommand::TopUp { sale, sku, quantity: strike.amount.max(1), key }
        }
        (_, 0) => SaleCommand::Enter { sale, state: SaleState::Stopped },
        (_, 1) => SaleCommand::Enter { sale, state: SaleState::Open },
        (_, _) => SaleCommand::Enter { sale, state: SaleState::Closed },
    };
    if command_now(world, &Command::Sale(command)) {
        world.faults.take_effect(strike.fault, "a sale");
    }
}

/// What an operator does with a database that answers him.
pub fn command_now(world: &mut World, command: &Command) -> bool {
    let now = world.clock();
    let mut out = Vec::new();
    let done = world.database.commit(now, command, &mut out).is_ok();
    world.serve(super::world::Address::Database, out, super::world::Answer::Database);
    done
}

/// Ends every fault: links carry, hosts run, clocks are right, services are polite.
pub fn heal_all(world: &mut World) {
    world.is_healed = true;
    world.network.rules.clear();
    world.database.conditions.heal_all();
    world.broker.conditions.heal_all();
    world.search.conditions.heal_all();
    super::embedded::heal_all(world);
    let now_us = world.now_us;
    for host in 1..world.hosts.len() {
        world.hosts[host].clock.heal(now_us);
        world.hosts[host].slow_us = 0;
        world.hosts[host].dies_after = None;
        world.hosts[host].restarts = false;
        resume(world, host);
        start_if_down(world, host);
    }
    super::failover::heal_all(world);
    let name = world.names.world.clone();
    world.tell(&name, Kind::Healed, None, || "everything is healed".to_owned());
}

/// An identity that no server had before.
pub fn fresh_identity(world: &mut World) -> ServerId {
    ServerId(u128::from(world.draw()) << 64 | u128::from(world.draw()))
}
