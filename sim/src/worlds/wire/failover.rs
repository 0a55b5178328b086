//! What befalls the servers of shards: restarts, promotions, two in charge at once, emptiness, and refusals.

use super::redis::NAMES;
use super::world::World;
use crate::fault::FaultKind;
use crate::hosts::redis::{Crash, Trouble};
use crate::plan::Strike;
use crate::worlds::fast::roles::instances;
use std::sync::atomic::Ordering;

/// Longest time until a process finds the new server.
const FOUND_MS: u64 = 2_500;
/// The replica is behind by what comes within this before a promotion, and by this more for each unit of the strike.
const BEHIND_MS: (u64, u64) = (200, 60);

fn host_of(world: &World, server: usize) -> usize {
    let named = |entry: &super::world::HostEntry| *entry.process.name == *NAMES[server];
    world.hosts.iter().position(named).expect("both servers have hosts")
}

/// A strike begins.
pub fn strike(world: &mut World, strike: &Strike) {
    let server = world.pair.in_charge().clone();
    match strike.fault {
        FaultKind::R5 => {
            server.borrow_mut().host().forget_scripts();
            world.scene.take_effect(FaultKind::R5, "a server's scripts");
        }
        FaultKind::R6 => {
            server.borrow_mut().host().set_trouble(trouble(strike.amount));
        }
        FaultKind::R10 => {
            let now = world.clock();
            let several = instances(&world.plan.setup, "forwarder") > 1;
            if world.database.act(now, |database, _| database.forget_leases()) && several {
                world.scene.take_effect(FaultKind::R10, "read, not published");
            }
        }
        FaultKind::R11 => {
            let outputs = server.borrow_mut().host().flush_all();
            server.borrow_mut().route(outputs);
            world.memory_changed();
            world.catalog.lost(world.now_us());
            world.scene.take_effect(FaultKind::R11, "a server's memory");
        }
        FaultKind::R1 | FaultKind::R2 => restart(world, strike),
        _ => promote(world, strike),
    }
}

fn trouble(amount: u64) -> Trouble {
    let none = Trouble::default();
    match amount % 4 {
        0 => Trouble { memory_full: true, ..none },
        1 => Trouble { disk_refuses: true, ..none },
        2 => Trouble { loading: true, ..none },
        _ => Trouble { busy: true, ..none },
    }
}

/// The server in charge dies and comes back with what its file has.
fn restart(world: &mut World, strike: &Strike) {
    let number = world.pair.primary;
    if !world.pair.is_up[number] {
        return;
    }
    let crash = Crash { kept: (strike.amount / 8) as usize, torn: strike.fault == FaultKind::R2 };
    let lost = stop(world, number, crash);
    world.memory_changed();
    world.catalog.lost(world.now_us());
    world.scene.take_effect(strike.fault, if lost > 0 { "commands not in the file" } else { "at rest" });
    world.after_ms(strike.for_ms.clamp(1, 60_000), move |world| go_on(world, number));
}

/// The process dies; what its disk lost is told. It finds itself under a new identity when it starts again.
fn stop(world: &mut World, server: usize, crash: Crash) -> usize {
    world.pair.is_up[server] = false;
    let host = host_of(world, server);
    world.crash(host);
    let identity = world.pair.fresh_identity();
    let mut mounted = world.pair.servers[server].borrow_mut();
    let lost = mounted.host().restart(identity, crash);
    mounted.route(Vec::new());
    lost
}

fn go_on(world: &mut World, server: usize) {
    if !world.pair.is_up[server] {
        world.pair.is_up[server] = true;
        let host = host_of(world, server);
        world.start(host);
    }
}

/// Replication stops, and a moment later the other server is promoted; the old one dies, or goes on serving for a while.
fn promote(world: &mut World, strike: &Strike) {
    let number = world.pair.primary;
    let follows = world.pair.servers[1 - number].borrow_mut().host().facts().is_replica();
    if !world.pair.is_up[number] || !world.pair.is_up[1 - number] || !follows || !world.pair.replicates {
        return;
    }
    world.pair.replicates = false;
    let strike = strike.clone();
    let behind_ms = BEHIND_MS.0 + BEHIND_MS.1 * strike.amount.min(50);
    world.after_ms(behind_ms, move |world| take_over(world, number, &strike));
}

fn take_over(world: &mut World, old: usize, strike: &Strike) {
    let new = 1 - old;
    if world.scene.state().is_healed || world.pair.primary != old || !world.pair.is_up[new] {
        world.pair.replicates = true;
        return;
    }
    let behind = world.pair.behind();
    let history = world.pair.fresh_history();
    world.pair.servers[new].borrow_mut().host().promote(history);
    world.pair.primary = new;
    world.memory_changed();
    world.scene.take_effect(strike.fault, if behind > 0 { "commands not replicated" } else { "at rest" });
    if strike.fault == FaultKind::C4 {
        let host = host_of(world, new);
        let ahead_ms = 1 + (strike.amount % 20_000) as i64;
        world.hosts[host].process.set_clock(|clock, _| clock.step(ahead_ms));
    }
    let split = strike.fault == FaultKind::R4;
    let within_ms = if split { strike.for_ms.max(FOUND_MS) } else { FOUND_MS };
    for host in 0..world.hosts.len() {
        let after_ms = world.rng.below(within_ms);
        world.after_ms(after_ms, move |world| believe(world, host));
    }
    // Whoever has not found the new server yet writes its floors where they will be forgotten.
    world.catalog.lost(world.now_us() + within_ms * 1000);
    let back_ms = if split { strike.for_ms.max(1) } else { FOUND_MS };
    if !split {
        stop(world, old, Crash::HARD);
    }
    world.after_ms(back_ms, move |world| retire(world, old));
}

fn believe(world: &mut World, host: usize) {
    world.hosts[host].process.believes.store(world.pair.primary, Ordering::Relaxed);
}

/// A server that is not in charge any more becomes a replica and forgets what the other does not have.
fn retire(world: &mut World, old: usize) {
    if world.pair.primary == old {
        return;
    }
    go_on(world, old);
    let is_replica = world.pair.servers[old].borrow_mut().host().facts().is_replica();
    if !is_replica {
        let mut mounted = world.pair.servers[old].borrow_mut();
        let outputs = mounted.host().follow(NAMES[1 - old]);
        mounted.route(outputs);
    }
    world.pair.replicates = true;
    (0..world.hosts.len()).for_each(|host| believe(world, host));
}

/// A strike ends.
pub fn heal(world: &mut World, strike: &Strike) {
    if strike.fault == FaultKind::R6 {
        (0..NAMES.len()).for_each(|server| end_trouble(world, server));
    }
}

fn end_trouble(world: &World, server: usize) {
    let refused = world.pair.servers[server].borrow_mut().host().set_trouble(Trouble::default());
    if refused > 0 {
        world.scene.take_effect(FaultKind::R6, "a command");
    }
}

/// One server is in charge, both are up, and everybody knows it.
pub fn heal_all(world: &mut World) {
    for server in 0..NAMES.len() {
        end_trouble(world, server);
        go_on(world, server);
    }
    retire(world, 1 - world.pair.primary);
    world.pair.replicates = true;
    (0..world.hosts.len()).for_each(|host| believe(world, host));
}
