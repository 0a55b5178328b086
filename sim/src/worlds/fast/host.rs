//! A host: one process of one role, its machines, its clocks, and whether it lives.

use super::brief::brief;
use super::clock::Clock;
use super::edge::Door;
use super::roles;
pub use super::unit::{Told, Unit};
use super::world::{Answer, At, Happening, World};
use crate::explore::fingerprint;
use crate::fault::FaultKind;
use crate::services::embedded::Loss;
use crate::trace::Kind;
use doorbuster_core::database::rows::Phase;
use doorbuster_core::lane::LaneAnswer;
use doorbuster_core::machine::Machine;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::Now;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Wakings in a row that may change nothing: some are spent on what is due together, a thousand are a busy loop.
const SPINS_MAX: u32 = 1_000;

/// A machine, and when it is to be woken.
pub struct Cell {
    pub unit: Unit,
    planned_us: Option<u64>,
    /// Wakings in a row after which it wanted to be woken at once again.
    spins: u32,
}

/// What goes on when a lane answers.
pub type Waiter = Box<dyn FnOnce(&mut World, At, LaneAnswer)>;

/// One process.
pub struct Host {
    pub name: Arc<str>,
    pub role: &'static str,
    pub life: u32,
    pub is_up: bool,
    pub paused: bool,
    /// It is dead for ever.
    pub is_gone: bool,
    /// It is suspended: when it goes on, its clocks jump by so much and its connections are gone.
    pub leap_ms: Option<u64>,
    /// What happened while it stood still.
    pub queued: Vec<Happening>,
    pub clock: Clock,
    pub cells: Vec<Cell>,
    /// The server that it takes for the one in charge.
    pub believes: usize,
    /// Microseconds by which everything that it does is late.
    pub slow_us: u64,
    /// Effects after which it dies, if it is to.
    pub dies_after: Option<(u64, FaultKind)>,
    /// It dies again and again until the strike ends.
    pub restarts: bool,
    /// Who waits for lanes, by token.
    pub waiters: BTreeMap<u64, Waiter>,
    pub tokens: u64,
    pub door: Door,
    /// Entropy of this life.
    pub rng: Rng,
    /// The owner's number of this life's leases, and its name in groups.
    pub owner: u64,
}

impl Host {
    /// A process that does not run yet.
    pub fn new(role: &'static str, instance: u32) -> Host {
        Host {
            name: Arc::from(format!("{role}-{instance}")),
            role,
            life: 0,
            is_up: false,
            paused: false,
            is_gone: false,
            leap_ms: None,
            queued: Vec::new(),
            clock: Clock::default(),
            cells: Vec::new(),
            believes: 0,
            slow_us: 0,
            dies_after: None,
            restarts: false,
            waiters: BTreeMap::new(),
            tokens: 0,
            door: Door::default(),
            rng: Rng::seeded(0),
            owner: 0,
        }
    }

    /// Whether this life goes on.
    pub fn lives(&self, life: u32) -> bool {
        self.is_up && self.life == life
    }

    /// What all of its machines owe.
    pub fn in_hand(&self) -> BTreeSet<&'static str> {
        self.cells.iter().filter_map(|cell| cell.unit.pending()).collect()
    }

    /// What a machine of it owes.
    pub fn pending(&self) -> Option<&'static str> {
        self.cells.iter().find_map(|cell| cell.unit.pending())
    }
}

impl World {
    /// What a host's clocks read.
    pub fn host_clock(&self, host: usize) -> Now {
        self.hosts[host].clock.read(self.now_us)
    }

    /// The present life of a host.
    pub fn present(&self, host: usize) -> At {
        At { host, life: self.hosts[host].life }
    }

    /// Starts a host: its machines begin from nothing, with entropy of this life.
    pub fn start_host(&mut self, host: usize) {
        let life = self.hosts[host].life + 1;
        let mut rng = self.seed.stream(&format!("{}/{life}", self.hosts[host].name));
        let owner = rng.draw();
        let known = &mut self.hosts[host];
        (known.life, known.is_up, known.paused, known.owner, known.rng) = (life, true, false, owner, rng);
        known.believes = self.primary;
        known.door = Door::default();
        let name = known.name.clone();
        self.tell(&name, Kind::Step, None, || format!("starts, life {life}"));
        roles::start(self, At { host, life });
    }

    /// The process is gone, with all that it knew. Calls that it made go on without it. Of an embedded platform every role
    /// is in that process.
    pub fn crash_host(&mut self, host: usize) {
        match self.setup.embedded {
            true => drop(super::embedded::end(self, Loss::Nothing)),
            false => self.crash_task(host),
        }
    }

    /// One role's part of it.
    pub fn crash_task(&mut self, host: usize) {
        if !self.hosts[host].is_up {
            return;
        }
        let at = self.present(host);
        let dying = &mut self.hosts[host];
        dying.is_up = false;
        dying.paused = false;
        dying.leap_ms = None;
        dying.dies_after = None;
        dying.cells.clear();
        dying.waiters.clear();
        dying.queued.clear();
        let name = dying.name.clone();
        self.tell(&name, Kind::Step, None, || "dies".to_owned());
        self.note_rung(at.host);
        self.forget_calls(at);
        super::catalog::gone(self, at);
    }

    /// Where the ladder of epochs stood when one of those died who climb it.
    fn note_rung(&mut self, host: usize) {
        let role = self.hosts[host].role;
        let moments = self.database.rows().shards.values().filter_map(|row| match (role, row.phase) {
            ("keeper", Phase::Sealing) => Some("a keeper died while an epoch drained"),
            ("keeper", Phase::Sealed) => Some("a keeper died between two epochs"),
            ("keeper", Phase::Opening) => Some("a keeper died while a memory was filled"),
            ("keeper", Phase::Open) => Some("a keeper died while a shard sold"),
            _ => None,
        });
        let moments: Vec<&'static str> = moments.collect();
        self.faults.sometimes.extend(moments);
    }

    /// Puts a machine on a host.
    pub fn install(&mut self, at: At, unit: Unit) -> usize {
        let cells = &mut self.hosts[at.host].cells;
        cells.push(Cell { unit, planned_us: None, spins: 0 });
        let cell = cells.len() - 1;
        plan_wake(self, at, cell);
        cell
    }

    /// Lets a machine hear something, behind what happens now.
    pub fn notify_cell(&mut self, at: At, cell: usize, told: Told) {
        self.at(self.now_us, Happening::Told { at, cell, told });
    }

    /// Entropy for a new machine of this host.
    pub fn entropy(&mut self, host: usize) -> u64 {
        self.hosts[host].rng.draw()
    }
}

/// A suspended host goes on: every timer that its new time has passed is over.
pub fn leap(world: &mut World, host: usize) {
    let Some(leap_ms) = world.hosts[host].leap_ms.take() else { return };
    let (now_us, at) = (world.now_us, world.present(host));
    world.hosts[host].clock.leap(now_us, leap_ms);
    for happening in &mut world.hosts[host].queued {
        if let Happening::Answered { answer, .. } = happening {
            *answer = Answer::Lost;
        }
    }
    for cell in 0..world.hosts[host].cells.len() {
        world.hosts[host].cells[cell].planned_us = None;
        plan_wake(world, at, cell);
    }
}

/// A machine's time may have come.
pub fn wake(world: &mut World, at: At, cell: usize) {
    if !world.lives(at) {
        return;
    }
    let now = world.host_clock(at.host);
    let known = &mut world.hosts[at.host].cells[cell];
    if known.planned_us.is_some_and(|planned| planned > world.now_us) {
        // An earlier plan's: the machine has something else to wait for now, and that is on the heap too.
        return;
    }
    known.planned_us = None;
    let (due, event) = match known.unit.wake_at() {
        Some((mono, _)) => (mono <= now.mono, known.unit.woken()),
        None => return,
    };
    match due {
        true => step(world, at, cell, event),
        false => plan_wake(world, at, cell),
    }
}

fn plan_wake(world: &mut World, at: At, cell: usize) {
    let host = &mut world.hosts[at.host];
    let known = &mut host.cells[cell];
    let Some((mono, why)) = known.unit.wake_at() else { return };
    let due = mono <= host.clock.read(world.now_us).mono;
    known.spins = if due { known.spins + 1 } else { 0 };
    if known.spins > SPINS_MAX {
        let what = format!("{} wants to be woken for what it does not do: {why}", host.name);
        return world.violate("L11", what);
    }
    // A machine that wants to be woken at once is woken a microsecond later: time goes on.
    let at_us = host.clock.reaches(mono).max(world.now_us + 1);
    if known.planned_us.is_none_or(|planned| planned > at_us || planned < world.now_us) {
        known.planned_us = Some(at_us);
        world.at(at_us, Happening::Wake { at, cell });
    }
}

/// Lets a machine take an event, and starts its effects.
pub fn step(world: &mut World, at: At, cell: usize, told: Told) {
    if !world.lives(at) {
        return;
    }
    let now = world.host_clock(at.host);
    let kind = told.kind();
    let line = if told.is_tick() { String::new() } else { brief(&told) };
    world.trace.feed(world.now_us, at.host as u64, fingerprint::of(&(cell, kind, &line)) as u64);
    if world.trace.keeps_lines() && !told.is_tick() {
        let name = world.hosts[at.host].name.clone();
        world.tell(&name, Kind::Step, None, || line);
    }
    if let Told::Cache(event) = &told {
        super::catalog::hears(world, at, event);
    }
    let unit = &mut world.hosts[at.host].cells[cell].unit;
    macro_rules! run {
        ($machine:expr, $event:expr, $perform:expr) => {{
            let mut out = Vec::new();
            $machine.step(now, $event, &mut out);
            $machine.check();
            for effect in out {
                if !begin_effect(world, at) {
                    return;
                }
                $perform(world, at, cell, effect);
            }
        }};
    }
    match (unit, told) {
        (Unit::Lane(shard, machine), Told::Lane(event)) => {
            let shard = *shard;
            run!(machine, event, |world, at, cell, effect| roles::lane::perform(world, at, cell, shard, effect));
        }
        (Unit::Forwarder(machine), Told::Forwarder(event)) => run!(machine, event, roles::forwarder::perform),
        (Unit::Intake(machine), Told::Intake(event)) => run!(machine, event, roles::intake::perform),
        (Unit::Relay(machine), Told::Relay(event)) => run!(machine, event, roles::relay::perform),
        (Unit::Reaper(machine), Told::Reaper(event)) => run!(machine, event, roles::reaper::perform),
        (Unit::Sweep(machine), Told::Sweep(event)) => run!(machine, event, roles::sweep::perform),
        (Unit::Settler(machine), Told::Settler(event)) => run!(machine, event, roles::settler::perform),
        (Unit::Keeper(shard, machine), Told::Keeper(event)) => {
            let shard = *shard;
            run!(machine, event, |world, at, cell, effect| roles::keeper::perform(world, at, cell, shard, effect));
        }
        (Unit::Balancer(machine), Told::Balancer(event)) => run!(machine, event, roles::balancer::perform),
        (Unit::Payment(machine), Told::Payment(event)) => run!(machine, event, roles::payment::perform),
        (Unit::Cache(machine), Told::Cache(event)) => run!(machine, event, roles::cache::perform),
        (Unit::Invalidator(machine), Told::Invalidator(event)) => run!(machine, event, roles::invalidator::perform),
        (Unit::Sales(machine), Told::Sales(event)) => run!(machine, event, roles::sales::perform),
        (Unit::Indexer(machine), Told::Indexer(event)) => run!(machine, event, roles::indexer::perform),
        (_, told) => unreachable!("{told:?} is for another machine"),
    }
    if world.lives(at) {
        plan_wake(world, at, cell);
        super::meeting::in_hand(world, at.host);
    }
}

/// Whether the host still lives when this effect is to start: it may die between two.
fn begin_effect(world: &mut World, at: At) -> bool {
    if !world.lives(at) {
        return false;
    }
    if let Some((left, kind)) = world.hosts[at.host].dies_after {
        if left == 0 {
            world.faults.take_effect(kind, "between two effects");
            super::strikes::die_and_return(world, at.host, 1_000);
            return false;
        }
        world.hosts[at.host].dies_after = Some((left - 1, kind));
    }
    true
}
