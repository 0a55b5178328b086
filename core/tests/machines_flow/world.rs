//! A world for one machine: it performs effects late, twice or not at all, and loses answers; then it heals.

use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::decide::{decide, reads};
use doorbuster_core::database::event::Event;
use doorbuster_core::database::tables::{Rows, View};
use doorbuster_core::ids::{OrderId, ReservationId, SaleId, ShardId};
use doorbuster_core::machine::Machine;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::{Mono, Now, Wall};
use std::collections::BTreeMap;

/// Wall clock of the world's start.
pub const DAWN: u64 = 1_800_000_000_000;
/// Long enough for every sweep, lease and backoff to come round several times.
const PEACE_MS: u64 = 15 * 60_000;

/// What becomes of one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Answered,
    Refused,
    UnknownApplied,
    UnknownDropped,
    LostApplied,
    LostDropped,
}

impl Fate {
    /// The outcome of `apply` under this fate; `None` is an answer that never comes.
    pub fn of<T, R>(self, refusal: Option<R>, apply: impl FnOnce() -> Outcome<T, R>) -> Option<Outcome<T, R>> {
        match (self, refusal) {
            (Fate::Refused, Some(refusal)) => Some(Outcome::Refused(refusal)),
            (Fate::Answered | Fate::Refused, _) => Some(apply()),
            (Fate::UnknownApplied, _) => {
                apply();
                Some(Outcome::Unknown)
            }
            (Fate::UnknownDropped, _) => Some(Outcome::Unknown),
            (Fate::LostApplied, _) => {
                apply();
                None
            }
            (Fate::LostDropped, _) => None,
        }
    }

    fn draw(rng: &mut Rng) -> Fate {
        match rng.below(20) {
            0..=11 => Fate::Answered,
            12 => Fate::Refused,
            13 | 14 => Fate::UnknownApplied,
            15 | 16 => Fate::UnknownDropped,
            17 | 18 => Fate::LostApplied,
            _ => Fate::LostDropped,
        }
    }
}

/// The outside of one kind of machine.
pub trait Outside {
    type Machine: Machine<Event: Clone, Effect: Clone> + Clone;

    /// A machine as it starts from what is durable, and what it is told at once.
    fn start(&mut self, now: Now, seed: u64) -> (Self::Machine, Vec<<Self::Machine as Machine>::Event>);
    fn woken() -> <Self::Machine as Machine>::Event;
    /// Performs an effect; asserts that it is allowed.
    fn perform(
        &mut self,
        now: Now,
        effect: &<Self::Machine as Machine>::Effect,
        fate: Fate,
    ) -> Option<<Self::Machine as Machine>::Event>;
    /// Something that happens by itself.
    fn nudge(&mut self, _now: Now, _rng: &mut Rng, _peace: bool) -> Vec<<Self::Machine as Machine>::Event> {
        Vec::new()
    }
    /// Whether the machine dies now and then, and begins anew from what is durable.
    fn kills(&self) -> bool {
        true
    }
    /// What is still missing.
    fn missing(&self, machine: &Self::Machine) -> Option<String>;
}

enum Item<M: Machine> {
    Perform(M::Effect, Fate),
    Deliver(M::Event),
}

type Planned<M> = (u64, Item<M>);

/// One life of the world.
pub struct World<O: Outside> {
    pub outside: O,
    machine: O::Machine,
    rng: Rng,
    now: Now,
    /// By time and order of planning: in which life it was planned, and what it is.
    agenda: BTreeMap<(u64, u64), Planned<O::Machine>>,
    count: u64,
    /// Which machine, counting crashes: answers to an older one are gone.
    life: u64,
    peace: bool,
}

impl<O: Outside> World<O> {
    /// Runs `trouble_ms` of trouble, then peace until nothing is missing.
    pub fn run(mut outside: O, seed: u64, trouble_ms: u64) -> O {
        let mut rng = Rng::seeded(seed);
        let now = Now { mono: Mono(1), wall: Wall(DAWN) };
        let (machine, events) = outside.start(now, rng.draw());
        let agenda = BTreeMap::new();
        let mut world = World { outside, machine, rng, now, agenda, count: 0, life: 0, peace: false };
        for event in events {
            world.step(event);
        }
        world.live_until(trouble_ms);
        world.peace = true;
        // What is in flight arrives in peace too, but no machine dies and nothing new is lost.
        let end_ms = trouble_ms + PEACE_MS;
        while let Some(missing) = world.missing() {
            assert!(world.elapsed_ms() < end_ms, "seed {seed}: {missing}");
            let until = world.elapsed_ms() + 500;
            world.live_until(until);
        }
        world.outside
    }

    fn missing(&self) -> Option<String> {
        let machine = self.machine.pending().map(str::to_owned);
        machine.or_else(|| self.outside.missing(&self.machine))
    }

    fn elapsed_ms(&self) -> u64 {
        self.now.mono.0 / 1000
    }

    fn live_until(&mut self, until_ms: u64) {
        while self.elapsed_ms() < until_ms {
            let wake = self.machine.wake_at().map_or(u64::MAX, |(at, _)| at.0);
            let next = self.agenda.first_key_value().map_or(u64::MAX, |((at, _), _)| *at);
            // A nudge about every 200 ms keeps the world moving when nobody else does.
            let nudge = self.now.mono.0 + 1 + self.rng.below(200_000);
            let at = wake.min(next).min(nudge).max(self.now.mono.0);
            self.now = Now { mono: Mono(at), wall: Wall(DAWN + at / 1000) };
            if next <= at {
                let ((_, _), (life, item)) = self.agenda.pop_first().expect("next was its key");
                self.meet(life, item);
            } else if wake <= at {
                self.step(O::woken());
            } else {
                self.happen();
            }
        }
    }

    fn happen(&mut self) {
        for event in self.outside.nudge(self.now, &mut self.rng, self.peace) {
            self.step(event);
        }
        if !self.peace && self.outside.kills() && self.rng.below(12) == 0 {
            self.life += 1;
            let (machine, events) = self.outside.start(self.now, self.rng.draw());
            self.machine = machine;
            for event in events {
                self.step(event);
            }
        }
    }

    fn meet(&mut self, life: u64, item: Item<O::Machine>) {
        match item {
            Item::Deliver(event) if life == self.life => self.step(event),
            Item::Deliver(_) => {}
            Item::Perform(effect, fate) => {
                let Some(event) = self.outside.perform(self.now, &effect, fate) else { return };
                let pause = self.pause_us();
                self.plan(pause, life, Item::Deliver(event));
            }
        }
    }

    fn step(&mut self, event: <O::Machine as Machine>::Event) {
        let mut effects = Vec::new();
        self.machine.step(self.now, event, &mut effects);
        self.machine.check();
        assert!(effects.len() <= 4_096, "one step starts a bounded number of effects");
        if let Some((at, why)) = self.machine.wake_at() {
            assert!(at > self.now.mono, "{why} is due and was not started: the driver would spin");
        }
        for effect in effects {
            let fate = if self.peace { Fate::Answered } else { Fate::draw(&mut self.rng) };
            if !self.peace && self.rng.below(10) == 0 {
                // A packet that comes twice, the second time much later.
                let late = self.rng.below(20_000_000);
                self.plan(late, self.life, Item::Perform(effect.clone(), Fate::LostApplied));
            }
            let pause = self.pause_us();
            self.plan(pause, self.life, Item::Perform(effect, fate));
        }
    }

    fn pause_us(&mut self) -> u64 {
        match self.rng.below(if self.peace { 1 } else { 30 }) {
            1 => self.rng.below(12_000_000),
            _ => 100 + self.rng.below(5_000),
        }
    }

    fn plan(&mut self, pause_us: u64, life: u64, item: Item<O::Machine>) {
        self.count += 1;
        self.agenda.insert((self.now.mono.0 + pause_us, self.count), (life, item));
    }
}

/// One transaction over rows, as any store runs it.
pub fn apply(rows: &mut Rows, at: Wall, command: &Command) -> Result<(Reply, Vec<Event>), Refusal> {
    let mut view = View::default();
    loop {
        let asked = reads(command, &view);
        if asked.is_empty() {
            break;
        }
        let found = rows.select(&asked);
        view.absorb(asked, found);
    }
    let decision = decide(&view, command, at)?;
    rows.absorb(decision.change.rows);
    Ok((decision.reply, decision.change.events))
}

pub fn shard(k: u16) -> ShardId {
    ShardId { sale: SaleId::parse("demo").unwrap(), k }
}

pub fn order(k: u16, number: u64) -> OrderId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    OrderId { shard: shard(k), reservation: ReservationId(bytes) }
}
