//! Strikes that wait for their moment: for work in the hands of a process, or for a message on its way.

use super::network::End;
use super::strikes;
use super::world::{Happening, World};
use crate::fault::FaultKind;
use crate::plan::Strike;
use std::collections::BTreeMap;

/// Which strikes wait, and what the others have met.
#[derive(Default)]
pub struct Meetings {
    /// Strikes that wait, by their place in the plan.
    waiting: Vec<usize>,
    /// The targets of those whose moment has come.
    met: BTreeMap<usize, String>,
}

/// A strike of the plan, with the target that it has met.
pub fn strike_of(world: &World, index: usize) -> Strike {
    let mut strike = world.plan.strikes[index].clone();
    if let Some(target) = world.meetings.met.get(&index) {
        strike.target.clone_from(target);
    }
    strike
}

/// Whether the moment of this strike is still to come; then it begins later.
pub fn must_wait(world: &mut World, index: usize) -> bool {
    if world.meetings.met.contains_key(&index) {
        return false;
    }
    let Some(within_ms) = world.plan.strikes[index].meets.as_ref().map(|meeting| meeting.within_ms) else {
        return false;
    };
    world.meetings.waiting.push(index);
    world.after_ms(within_ms, move |world| give_up(world, index));
    // What somebody has in hand already.
    (1..world.hosts.len()).for_each(|host| in_hand(world, host));
    true
}

/// The moment did not come. What has no target has nothing that it could hit.
fn give_up(world: &mut World, index: usize) {
    let target = world.plan.strikes[index].target.clone();
    if stop_waiting(world, index) && !target.is_empty() {
        begin(world, index, target);
    }
}

fn stop_waiting(world: &mut World, index: usize) -> bool {
    let before = world.meetings.waiting.len();
    world.meetings.waiting.retain(|waiting| *waiting != index);
    world.meetings.waiting.len() < before
}

fn begin(world: &mut World, index: usize, target: String) {
    world.meetings.met.insert(index, target);
    strikes::strike(world, index);
    let ends_us = world.now_us + world.plan.strikes[index].for_ms * 1000;
    world.at(ends_us, Happening::Healed(index));
}

/// A process has done a step: a strike may have waited for what it has in hand now.
pub fn in_hand(world: &mut World, host: usize) {
    if world.meetings.waiting.is_empty() {
        return;
    }
    let (held, known) = (world.hosts[host].in_hand(), &world.hosts[host]);
    let waits = |strike: &Strike| {
        let stage = &strike.meets.as_ref().expect("it waits").stage;
        let is_there = if stage.is_empty() { !held.is_empty() } else { held.contains(stage.as_str()) };
        let is_target = strike.target.is_empty() || *known.name == *strike.target || known.role == strike.target;
        is_of_processes(strike.fault) && is_target && is_there
    };
    let Some(index) = world.meetings.waiting.iter().copied().find(|index| waits(&world.plan.strikes[*index])) else {
        return;
    };
    let strike = &world.plan.strikes[index];
    let target = match strike.fault {
        _ if !strike.target.is_empty() => strike.target.clone(),
        // These are about every process of a role.
        FaultKind::P8 | FaultKind::O3 | FaultKind::O4 => known.role.to_owned(),
        _ => known.name.as_ref().to_owned(),
    };
    stop_waiting(world, index);
    // Behind what happens now: whoever is struck is in the middle of a step.
    world.after_ms(0, move |world| begin(world, index, target));
}

/// A message is about to leave, or the answer to one; `from` is who asked.
pub fn on_its_way(world: &mut World, from: &str, to: &str, (stage, is_request): (&'static str, bool)) {
    if world.meetings.waiting.is_empty() {
        return;
    }
    let waits = |strike: &Strike| {
        let is_there = strike.meets.as_ref().expect("it waits").stage == stage;
        // These two let answers pass.
        let is_bitten = is_request || !matches!(strike.fault, FaultKind::N3 | FaultKind::N4);
        is_there && is_bitten && is_of_messages(strike.fault) && is_about(&strike.target, from, to)
    };
    let met = world.meetings.waiting.iter().copied().find(|index| waits(&world.plan.strikes[*index]));
    if let Some(index) = met {
        stop_waiting(world, index);
        begin(world, index, format!("{from}>{to}"));
    }
}

fn is_about(target: &str, from: &str, to: &str) -> bool {
    let (own, other) = target.split_once('>').unwrap_or((target, "*"));
    End::parse(own).is(from) && End::parse(other).is(to)
}

/// Kinds that strike processes, and so meet what these have in hand.
pub fn is_of_processes(kind: FaultKind) -> bool {
    use FaultKind::*;
    matches!(kind, P1 | P4 | P5 | P6 | P7 | P8 | C5 | O3 | O4)
}

/// Kinds that strike links, or the database at their end, and so meet messages.
fn is_of_messages(kind: FaultKind) -> bool {
    use FaultKind::*;
    matches!(kind, N1 | N2 | N3 | N4 | N5 | N6 | N8 | N9 | D1 | D2 | D3 | D4 | D11)
}
