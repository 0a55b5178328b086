//! What befalls the servers of shards: restarts, promotions, two in charge at once, and emptiness.

use super::roles::instances;
use super::strikes::fresh_identity;
use super::world::World;
use super::{catalog, watch};
use crate::fault::FaultKind;
use crate::plan::Strike;

/// Longest time until a host finds the new server.
const FOUND_MS: u64 = 2_500;

/// A strike begins.
pub fn strike(world: &mut World, strike: &Strike) {
    let primary = world.primary;
    match strike.fault {
        FaultKind::R6 => {
            let permille = if strike.amount == 0 { 200 } else { strike.amount };
            world.nodes[primary].refuses_reads = permille % 2 == 1;
            world.nodes[primary].conditions.strike(FaultKind::R6, permille);
        }
        FaultKind::R10 => {
            if world.database.forget_leases() && instances(&world.setup, "forwarder") > 1 {
                world.faults.take_effect(FaultKind::R10, "read, not published");
            }
        }
        FaultKind::R11 => {
            let before = world.nodes[primary].store.queue.clone();
            world.nodes[primary].flush();
            catalog::lost(world, world.now_us);
            world.faults.take_effect(FaultKind::R11, "a server's memory");
            watch::queue_changed(world, &before);
        }
        FaultKind::R1 | FaultKind::R2 => restart(world, strike),
        _ => promote(world, strike),
    }
}

fn drop_calls(world: &mut World, calls: Vec<u64>) {
    calls.into_iter().for_each(|call| world.drop_call(call));
}

/// The server in charge dies and comes back with what its file has.
fn restart(world: &mut World, strike: &Strike) {
    let primary = world.primary;
    if !world.nodes[primary].is_up {
        return;
    }
    let (store, lost) = world.nodes[primary].copy(strike.amount as usize);
    let calls = world.nodes[primary].go_down();
    drop_calls(world, calls);
    world.faults.take_effect(strike.fault, if lost > 0 { "commands not in the file" } else { "at rest" });
    let down_ms = strike.for_ms.clamp(1, 60_000);
    world.after_ms(down_ms, move |world| {
        if world.primary != primary || world.nodes[primary].is_up {
            return;
        }
        let before = world.nodes[primary].store.queue.clone();
        let identity = fresh_identity(world);
        let calls = world.nodes[primary].take_over(store, identity);
        drop_calls(world, calls);
        catalog::lost(world, world.now_us);
        watch::queue_changed(world, &before);
    });
}

/// The other server is promoted; the old one dies, or goes on serving for a while.
fn promote(world: &mut World, strike: &Strike) {
    let (old, new) = (world.primary, 1 - world.primary);
    if !world.nodes[old].is_up {
        return;
    }
    let before = world.nodes[old].store.queue.clone();
    let (store, lost) = world.nodes[old].replica(strike.amount as usize);
    let identity = fresh_identity(world);
    let calls = world.nodes[new].take_over(store, identity);
    drop_calls(world, calls);
    if strike.fault == FaultKind::C4 {
        world.nodes[new].clock_ahead_ms = world.nodes[old].clock_ahead_ms + 1 + strike.amount % 20_000;
    } else {
        world.nodes[new].clock_ahead_ms = world.nodes[old].clock_ahead_ms;
    }
    world.primary = new;
    world.faults.take_effect(strike.fault, if lost > 0 { "commands not replicated" } else { "at rest" });
    watch::queue_changed(world, &before);
    let split = strike.fault == FaultKind::R4;
    let within_ms = if split { strike.for_ms.max(FOUND_MS) } else { FOUND_MS };
    // Whoever has not found the new server yet writes its floors where they will be forgotten.
    catalog::lost(world, world.now_us + within_ms * 1000);
    for host in 0..world.hosts.len() {
        let after_ms = world.draw() % within_ms;
        world.after_ms(after_ms, move |world| world.hosts[host].believes = world.primary);
    }
    world.nodes[old].has_replica = false;
    if !split {
        let calls = world.nodes[old].go_down();
        drop_calls(world, calls);
    }
}

/// A strike ends.
pub fn heal(world: &mut World, strike: &Strike) {
    match strike.fault {
        FaultKind::R6 => world.nodes.iter_mut().for_each(|node| node.conditions.heal(FaultKind::R6)),
        // The old primary becomes a replica and forgets what it took.
        FaultKind::R4 => retire_old(world),
        _ => {}
    }
}

fn retire_old(world: &mut World) {
    let old = 1 - world.primary;
    let calls = world.nodes[old].go_down();
    drop_calls(world, calls);
    for host in 0..world.hosts.len() {
        world.hosts[host].believes = world.primary;
    }
}

/// One server is in charge, it is up, and everybody knows it.
pub fn heal_all(world: &mut World) {
    for node in &mut world.nodes {
        node.conditions.heal_all();
    }
    let primary = world.primary;
    if !world.nodes[primary].is_up {
        // Its file is all that is left of it.
        let store = world.nodes[primary].store.clone();
        let identity = fresh_identity(world);
        let before = world.nodes[primary].store.queue.clone();
        let calls = world.nodes[primary].take_over(store, identity);
        drop_calls(world, calls);
        watch::queue_changed(world, &before);
    }
    retire_old(world);
}
