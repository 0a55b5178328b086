//! Strikes of the plan: each begins, has its effect, and ends.

use super::link::{Rule, Treatment};
use super::shopping;
use super::world::World;
use super::{failover, roles};
use crate::fault::FaultKind;
use crate::plan::{HOURS_MS, Plan, Strike};
use crate::services::broker::log::TopicId;
use crate::trace::Kind;
use crate::worlds::fast::network::End;
use doorbuster_core::database::command::Command;
use doorbuster_core::database::event::Topic;
use doorbuster_core::database::rows::SaleState;
use doorbuster_core::ids::Key;
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_core::window::hour::HOUR_MS;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Between two links of one host that stop one after the other.
const SWIZZLE_MS: u64 = 150;

fn is_habit(fault: FaultKind) -> bool {
    use FaultKind::{U1, U2, U3, U4, U5, U6, U7, U8, U9, U10};
    matches!(fault, U1 | U2 | U3 | U4 | U5 | U6 | U7 | U8 | U9 | U10)
}

fn permille(strike: &Strike) -> u64 {
    if strike.amount == 0 { 100 } else { strike.amount.min(1000) }
}

/// Habits of the plan's buyers, in parts per thousand.
pub fn habits(plan: &Plan) -> BTreeMap<FaultKind, u64> {
    let habits = plan.strikes.iter().filter(|strike| is_habit(strike.fault));
    habits.map(|strike| (strike.fault, permille(strike))).collect()
}

/// Puts every strike of the plan on the agenda; habits are the buyers' own.
pub fn plan(world: &mut World) {
    let strikes = world.plan.strikes.clone();
    for (index, strike) in strikes.into_iter().enumerate().filter(|(_, strike)| strike.at_ms < HOURS_MS) {
        if is_habit(strike.fault) {
            world.scene.state().faults.inject(strike.fault);
            continue;
        }
        world.at_ms(strike.at_ms, move |world| begin(world, index));
        world.at_ms(strike.at_ms + strike.for_ms, move |world| end(world, index));
    }
}

/// Puts the strikes of the hours after the sale on the agenda, from now on.
pub fn plan_hours(world: &mut World) {
    let strikes = world.plan.strikes.clone();
    for (index, strike) in strikes.into_iter().enumerate().filter(|(_, strike)| strike.at_ms >= HOURS_MS) {
        let after_ms = strike.at_ms - HOURS_MS;
        world.after_ms(after_ms, move |world| begin(world, index));
        world.after_ms(after_ms + strike.for_ms, move |world| end(world, index));
    }
}

fn begin(world: &mut World, index: usize) {
    if world.scene.state().is_healed {
        return;
    }
    let strike = world.plan.strikes[index].clone();
    world.scene.state().faults.inject(strike.fault);
    world.scene.tell(&Arc::from("world"), Kind::Struck, || {
        let Strike { fault, target, for_ms, amount, .. } = &strike;
        format!("{fault} {} {target} for {for_ms} ms, {amount}", fault.title())
    });
    let now = world.clock();
    use FaultKind::*;
    match strike.fault {
        N8 => swizzle(world, index, &strike),
        N1 | N2 | N3 | N4 | N5 | N6 | N7 | N9 => strike_links(world, index, &strike),
        P1 | P2 | P4 | P5 | P6 | P7 | P8 | C5 | O3 | O4 => strike_processes(world, &strike),
        P10 => leave_one(world, &strike),
        C1 | C2 | C3 | C6 => strike_clocks(world, &strike),
        R1 | R2 | R3 | R4 | R5 | R6 | R10 | R11 | C4 => failover::strike(world, &strike),
        R8 => lose_messages(world, &strike),
        K1 | K2 | K3 | K5 | K11 | K12 => {
            world.broker.act(now, |broker, _| broker.conditions.strike(strike.fault, permille(&strike)));
        }
        K6 | K7 | K8 | O5 => strike_groups(world, &strike),
        D1 | D2 | D3 | D4 | D5 | D6 | D8 | D9 | D11 => {
            world.database.act(now, |database, _| database.conditions.strike(strike.fault, permille(&strike)));
        }
        D7 => {
            let pick = world.rng.draw();
            let merge = strike.amount % 2 == 1;
            if world.database.act(now, |database, _| database.stream.reshape(merge, pick)) {
                world.scene.take_effect(D7, "records not relayed");
            }
        }
        E1 | E2 | E3 | E4 | E5 => {
            world.search.act(now, |search, _| search.conditions.strike(strike.fault, permille(&strike)));
        }
        O1 | O2 => operate(world, index, &strike),
        O6 => shopping::edit_again(world, index, &strike),
        // The rest has no beginning here: other worlds' kinds, and what the setup holds.
        _ => {}
    }
}

fn end(world: &mut World, index: usize) {
    if world.scene.state().is_healed {
        return;
    }
    let strike = world.plan.strikes[index].clone();
    if strike.for_ms > 0 {
        world.scene.tell(&Arc::from("world"), Kind::Healed, || {
            format!("{} {}: {}", strike.fault, strike.target, strike.fault.heal())
        });
    }
    let now = world.clock();
    use FaultKind::*;
    match strike.fault {
        N1 | N2 | N3 | N4 | N5 | N6 | N7 | N9 => {
            world.scene.state().rules.retain(|rule| rule.strike != index);
            world.follow_rules();
        }
        P4 => hosts_of(world, &strike.target).into_iter().for_each(|host| world.hosts[host].process.pause(false)),
        C5 => {
            // A suspended machine's clocks stand on what the others' show by now, and more where it slept deeper.
            for host in hosts_of(world, &strike.target) {
                let leap_ms = 1 + strike.amount % 20_000;
                world.hosts[host].process.set_clock(|clock, now_us| clock.leap(now_us, leap_ms));
                world.hosts[host].process.pause(false);
            }
        }
        P5 => hosts_of(world, &strike.target).into_iter().for_each(|host| world.hosts[host].process.slow_down(0)),
        P1 | P6 | P7 | P8 | O4 => {
            for host in hosts_of(world, &strike.target) {
                world.hosts[host].restarts = false;
                world.start(host);
            }
        }
        C1 | C2 | C3 | C6 => {
            for host in hosts_of(world, &strike.target) {
                world.hosts[host].process.set_clock(|clock, now_us| clock.heal(now_us));
            }
        }
        R1 | R2 | R3 | R4 | R5 | R6 | R10 | R11 | C4 => failover::heal(world, &strike),
        R8 => world.catalog.lose_messages(0),
        K1 | K2 | K3 | K5 | K11 | K12 => world.broker.act(now, |broker, _| broker.conditions.heal(strike.fault)),
        D1 | D2 | D3 | D4 | D5 | D6 | D8 | D9 | D11 => {
            world.database.act(now, |database, _| database.conditions.heal(strike.fault));
        }
        E1 | E2 | E3 | E4 | E5 => world.search.act(now, |search, _| search.conditions.heal(strike.fault)),
        _ => {}
    }
}

/// The hosts of a target: one, all of a role, or all of the product's.
fn hosts_of(world: &World, target: &str) -> Vec<usize> {
    let meant = |host: &usize| {
        let entry = &world.hosts[*host];
        roles::ROLES.contains(&entry.role)
            && (target.is_empty() || *entry.process.name == *target || entry.role == target)
    };
    (0..world.hosts.len()).filter(meant).collect()
}

fn ends_of(target: &str) -> Vec<(End, End)> {
    match target.split_once('>') {
        Some((from, to)) => vec![(End::parse(from), End::parse(to))],
        None => vec![(End::parse(target), End::Any), (End::Any, End::parse(target))],
    }
}

fn strike_links(world: &mut World, index: usize, strike: &Strike) {
    let treatment = match strike.fault {
        FaultKind::N1 => Treatment::Slow(strike.amount.max(1)),
        FaultKind::N2 => Treatment::Hold,
        FaultKind::N3 => Treatment::SwallowRequests,
        FaultKind::N5 => Treatment::Break(permille(strike)),
        FaultKind::N6 => Treatment::Lose(permille(strike)),
        FaultKind::N7 => Treatment::Trickle,
        FaultKind::N9 => Treatment::LoseReply(permille(strike)),
        _ => Treatment::Refuse,
    };
    for (from, to) in ends_of(&strike.target) {
        let rule = Rule { strike: index, fault: strike.fault, from, to, treatment };
        world.scene.state().rules.push(rule);
    }
    world.follow_rules();
}

/// The links of a target stop one after the other, and come back in another order.
fn swizzle(world: &mut World, index: usize, strike: &Strike) {
    let peers: Vec<String> = world.hosts.iter().map(|host| host.process.name.to_string()).collect();
    let target = strike.target.split('>').next().unwrap_or_default().to_owned();
    let count = peers.len() as u64;
    for (turn, peer) in peers.into_iter().enumerate() {
        let turn = turn as u64;
        let back_ms = strike.for_ms + (turn * 7 + 3) % count * SWIZZLE_MS;
        let (target, fault) = (target.clone(), strike.fault);
        let own = index + 1_000 * (turn as usize + 1);
        world.after_ms(turn * SWIZZLE_MS / 4, move |world| {
            if world.scene.state().is_healed {
                return;
            }
            for (from, to) in [(target.as_str(), peer.as_str()), (peer.as_str(), target.as_str())] {
                let (from, to) = (End::parse(from), End::parse(to));
                let rule = Rule { strike: own, fault, from, to, treatment: Treatment::Hold };
                world.scene.state().rules.push(rule);
            }
            world.follow_rules();
        });
        world.after_ms(back_ms.max(turn * SWIZZLE_MS / 4 + 1), move |world| {
            world.scene.state().rules.retain(|rule| rule.strike != own);
            world.follow_rules();
        });
    }
}

fn strike_processes(world: &mut World, strike: &Strike) {
    for (turn, host) in hosts_of(world, &strike.target).into_iter().enumerate() {
        if !world.hosts[host].is_up {
            continue;
        }
        let stage = world.hosts[host].role;
        if strike.fault == FaultKind::P2 {
            world.hosts[host].process.die_after(Some(1 + strike.amount % 6));
            continue;
        }
        world.scene.take_effect(strike.fault, stage);
        match strike.fault {
            FaultKind::P5 => world.hosts[host].process.slow_down(1 + strike.amount / 10),
            FaultKind::P4 | FaultKind::C5 => world.hosts[host].process.pause(true),
            FaultKind::P6 => {
                world.hosts[host].process.ask_to_stop();
                world.after_ms(strike.for_ms / 2, move |world| world.crash(host));
            }
            FaultKind::P7 => {
                world.hosts[host].restarts = true;
                crash_again(world, host);
            }
            FaultKind::O3 => world.after_ms(1_500 * turn as u64, move |world| {
                if !world.scene.state().is_healed {
                    world.hosts[host].process.ask_to_stop();
                    world.after_ms(300, move |world| world.crash(host));
                    world.after_ms(800, move |world| world.start(host));
                }
            }),
            _ => world.crash(host),
        }
    }
}

/// Of each role all but one die, and never return.
fn leave_one(world: &mut World, strike: &Strike) {
    for role in roles::ROLES {
        let hosts = hosts_of(world, role);
        let left = strike.amount as usize % hosts.len().max(1);
        for (_, host) in hosts.into_iter().enumerate().filter(|(turn, _)| *turn != left) {
            world.scene.take_effect(FaultKind::P10, role);
            world.scene.state().gone.insert(world.hosts[host].process.name.clone());
            world.crash(host);
            world.hosts[host].is_gone = true;
        }
    }
}

fn crash_again(world: &mut World, host: usize) {
    if !world.hosts[host].restarts || world.scene.state().is_healed {
        return;
    }
    world.crash(host);
    world.after_ms(400, move |world| world.start(host));
    world.after_ms(1_300, move |world| crash_again(world, host));
}

fn strike_clocks(world: &mut World, strike: &Strike) {
    // Half of the strikes set a clock back.
    let sign = if strike.at_ms.is_multiple_of(2) { 1 } else { -1 };
    for host in hosts_of(world, &strike.target) {
        world.scene.take_effect(strike.fault, "a host's clock");
        world.hosts[host].process.set_clock(|clock, now_us| match strike.fault {
            FaultKind::C2 => clock.drift(now_us, strike.amount.clamp(1, 50_000)),
            FaultKind::C6 => clock.step(HOUR_MS as i64),
            _ => clock.step(sign * strike.amount.max(1) as i64),
        });
    }
}

fn strike_groups(world: &mut World, strike: &Strike) {
    let now = world.clock();
    for group in world.groups().filter(|group| strike.target.is_empty() || strike.target == group.role()) {
        let bitten = world.broker.act(now, |broker, out| match strike.fault {
            FaultKind::K6 => {
                broker.rebalance(now, group, out);
                true
            }
            FaultKind::K7 => broker.rewind(now, group, strike.amount.max(1), out),
            FaultKind::K8 => broker.rewind(now, group, u64::MAX, out),
            _ => broker.replay(now, TopicId::Outbox(Topic::ShardDown), 8, out) > 0,
        });
        if bitten {
            world.scene.take_effect(strike.fault, "done, not committed");
        }
    }
}

/// Messages of changes are lost on their way; some strikes begin with a subscription that breaks.
fn lose_messages(world: &mut World, strike: &Strike) {
    world.catalog.lose_messages(permille(strike));
    if strike.amount % 2 == 1 {
        let mut server = world.pair.in_charge().borrow_mut();
        let cut = server.host().cut_subscribers();
        server.route(Vec::new());
        if cut > 0 {
            world.scene.take_effect(FaultKind::R8, "a subscription");
        }
    }
}

/// An operator acts on the sale.
fn operate(world: &mut World, index: usize, strike: &Strike) {
    let sale = world.sale;
    let command = match (strike.fault, strike.amount % 3) {
        (FaultKind::O2, _) => {
            let skus = &world.crowd.skus;
            let key = Key::parse(&format!("top-up-{index}")).expect("a short key");
            SaleCommand::TopUp { sale, sku: skus[index % skus.len()], quantity: strike.amount.max(1), key }
        }
        (_, 0) => SaleCommand::Enter { sale, state: SaleState::Stopped },
        (_, 1) => SaleCommand::Enter { sale, state: SaleState::Open },
        (_, _) => SaleCommand::Enter { sale, state: SaleState::Closed },
    };
    if world.command_now(&Command::Sale(command)) {
        world.scene.take_effect(strike.fault, "a sale");
    }
}

/// Ends every fault: links carry, hosts run, clocks are right, services are polite.
pub fn heal_all(world: &mut World) {
    let now = world.clock();
    {
        let mut state = world.scene.state();
        state.is_healed = true;
        state.rules.clear();
    }
    world.follow_rules();
    world.database.act(now, |database, _| database.conditions.heal_all());
    world.broker.act(now, |broker, _| broker.conditions.heal_all());
    world.search.act(now, |search, _| search.conditions.heal_all());
    for host in 0..world.hosts.len() {
        let entry = &mut world.hosts[host];
        entry.restarts = false;
        entry.process.pause(false);
        entry.process.slow_down(0);
        entry.process.die_after(None);
        entry.process.set_clock(|clock, now_us| clock.heal(now_us));
        if roles::ROLES.contains(&entry.role) {
            world.start(host);
        }
    }
    world.catalog.lose_messages(0);
    failover::heal_all(world);
    world.scene.tell(&Arc::from("world"), Kind::Healed, || "everything is healed".to_owned());
}
