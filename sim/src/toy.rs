//! A world of a page: an edge, a memory and a database with one planted bug, on which the tools are tried.
//!
//! The bug: a failover (R3) gives back the units of the newest acceptances, and the database does not look before it
//! takes them. It oversells when enough buyers come after it.

use crate::fault::FaultKind;
use crate::plan::{Acknowledge, Plan, Setup, Strike, World};
use crate::report::{FaultLedger, Report, Violation};
use crate::seed::Seed;
use crate::trace::{Kind, Stock, Trace};
use crate::worlds::fast::Keep;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Oversells only with a failover in the plan, and more buyers than units after it.
pub fn draw(seed: u64) -> Plan {
    let mut rng = Seed(seed).stream("toy");
    let buyers = 12 + rng.below(30) as u32;
    let mut strikes = vec![
        Strike::new(100 + rng.below(300), FaultKind::N6, "edge-0>redis-0", 200, 300),
        Strike::new(200 + rng.below(300), FaultKind::P4, "intake-0", 150, 0),
    ];
    if rng.below(3) == 0 {
        strikes.push(Strike::new(300 + rng.below(500), FaultKind::R3, "redis-0", 0, 1 + rng.below(4)));
    }
    strikes.sort();
    Plan {
        story: String::new(),
        seed,
        world: World::Fast,
        setup: Setup {
            embedded: false,
            acknowledge: Acknowledge::Redis,
            shards: 1,
            stock: vec![6, 5],
            limit: 2,
            hold_ms: 5_000,
            sale_ms: 60_000,
            buyers: (0..buyers).collect::<BTreeSet<u32>>(),
            arrivals_ms: 1_000,
            instances: [("edge", 1), ("redis", 1), ("intake", 1)].map(|(role, n)| (role.to_owned(), n)).into(),
            latency_us: (500, 8_000),
            horizon_ms: 10_000,
        },
        strikes,
    }
}

/// Runs it.
pub fn run(plan: &Plan, keep: Keep) -> Report {
    let mut toy = Toy::new(plan, keep);
    while let Some(((at_us, _), event)) = toy.heap.pop_first() {
        if toy.violation.is_some() || at_us > plan.setup.horizon_ms * 1_000 {
            break;
        }
        toy.at_us = at_us;
        toy.step(event);
    }
    Report {
        plan: plan.clone(),
        trace: toy.trace,
        ended_at_us: toy.at_us,
        violation: toy.violation,
        faults: toy.faults,
        counts: toy.counts,
    }
}

#[derive(Clone, Debug)]
enum Event {
    Arrive(u32),
    AtMemory { buyer: u32, sku: usize, message: u64 },
    AtDatabase { buyer: u32, sku: usize, message: u64 },
    Struck(usize),
    Healed(usize),
}

struct Toy<'a> {
    plan: &'a Plan,
    at_us: u64,
    heap: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
    messages: u64,
    rng: doorbuster_core::rng::Rng,
    available: Vec<u64>,
    held: Vec<u64>,
    accepted: Vec<usize>,
    lossy: BTreeSet<usize>,
    paused_until_us: u64,
    trace: Trace,
    violation: Option<Violation>,
    faults: FaultLedger,
    counts: BTreeMap<&'static str, u64>,
    hosts: [Arc<str>; 4],
}

impl<'a> Toy<'a> {
    fn new(plan: &'a Plan, keep: Keep) -> Toy<'a> {
        let mut toy = Toy {
            plan,
            at_us: 0,
            heap: BTreeMap::new(),
            scheduled: 0,
            messages: 0,
            rng: Seed(plan.seed).stream("net"),
            available: plan.setup.stock.clone(),
            held: vec![0; plan.setup.stock.len()],
            accepted: Vec::new(),
            lossy: BTreeSet::new(),
            paused_until_us: 0,
            trace: if keep == Keep::Lines { Trace::kept() } else { Trace::default() },
            violation: None,
            faults: FaultLedger::default(),
            counts: BTreeMap::new(),
            hosts: ["edge-0", "redis-0", "intake-0", "nemesis"].map(Arc::from),
        };
        for sku in 0..plan.setup.stock.len() {
            toy.count(sku);
        }
        for &buyer in &plan.setup.buyers {
            let mut rng = Seed(plan.seed).stream(&format!("buyer-{buyer}"));
            toy.schedule(rng.below(plan.setup.arrivals_ms.max(1)) * 1_000, Event::Arrive(buyer));
        }
        for (index, strike) in plan.strikes.iter().enumerate() {
            toy.schedule(strike.at_ms * 1_000, Event::Struck(index));
            toy.schedule((strike.at_ms + strike.for_ms) * 1_000, Event::Healed(index));
        }
        toy
    }

    fn schedule(&mut self, at_us: u64, event: Event) {
        self.scheduled += 1;
        self.heap.insert((at_us, self.scheduled), event);
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Arrive(buyer) => self.arrive(buyer),
            Event::AtMemory { buyer, sku, message } => self.reserve(buyer, sku, message),
            Event::AtDatabase { buyer, sku, message } => self.insert(buyer, sku, message),
            Event::Struck(index) => self.strike(index),
            Event::Healed(index) => {
                self.lossy.remove(&index);
                let strike = &self.plan.strikes[index];
                let text = format!("{} {} ends: {}", strike.fault, strike.target, strike.fault.heal());
                self.tell(3, Kind::Healed, None, text);
            }
        }
    }

    fn tell(&mut self, host: usize, kind: Kind, message: Option<u64>, text: String) {
        let fingerprint = text.bytes().fold(message.unwrap_or(0), |sum, byte| sum.rotate_left(7) ^ u64::from(byte));
        self.trace.tell(self.at_us, &self.hosts[host], kind, message, || text);
        self.trace.feed(self.at_us, host as u64, fingerprint);
    }

    fn count(&mut self, sku: usize) {
        if self.trace.keeps_lines() {
            let (available, held) = (self.available[sku], self.held[sku]);
            self.trace.stocks.push(Stock { at_us: self.at_us, sku, available, held, sold: 0 });
        }
    }

    fn latency_us(&mut self) -> u64 {
        let (least, most) = self.plan.setup.latency_us;
        least + self.rng.below(most - least + 1)
    }

    fn arrive(&mut self, buyer: u32) {
        let mut rng = Seed(self.plan.seed).stream(&format!("buyer-{buyer}"));
        rng.draw();
        let sku = rng.below(self.plan.setup.stock.len().max(1) as u64) as usize;
        self.tell(0, Kind::Client, None, format!("buyer-{buyer} asks for 1 of sku-{sku}"));
        self.messages += 1;
        let message = self.messages;
        self.tell(0, Kind::Sent, Some(message), format!("reserve toy.0.o{buyer} sku-{sku} to redis-0"));
        let arrival = self.at_us + self.latency_us();
        if self.rng.below(1_000) < 300
            && let Some(&index) = self.lossy.first()
        {
            self.faults.take_effect(self.plan.strikes[index].fault, "asked, not reserved");
            self.tell(0, Kind::Lost, Some(message), format!("reserve toy.0.o{buyer} to redis-0"));
            return;
        }
        self.schedule(arrival, Event::AtMemory { buyer, sku, message });
    }

    fn reserve(&mut self, buyer: u32, sku: usize, message: u64) {
        self.tell(1, Kind::Delivered, Some(message), format!("reserve toy.0.o{buyer} sku-{sku}"));
        if self.available.get(sku).is_none_or(|units| *units == 0) {
            *self.counts.entry("sold-out").or_default() += 1;
            return self.tell(1, Kind::Step, None, format!("toy.0.o{buyer} refused: sold out"));
        }
        self.available[sku] -= 1;
        self.accepted.push(sku);
        *self.counts.entry("accepted").or_default() += 1;
        self.tell(1, Kind::Step, None, format!("toy.0.o{buyer} accepted, {} of sku-{sku} left", self.available[sku]));
        self.count(sku);
        self.messages += 1;
        let message = self.messages;
        self.tell(1, Kind::Sent, Some(message), format!("intent toy.0.o{buyer} to intake-0"));
        let arrival = (self.at_us + self.latency_us()).max(self.paused_until_us);
        self.schedule(arrival, Event::AtDatabase { buyer, sku, message });
    }

    fn insert(&mut self, buyer: u32, sku: usize, message: u64) {
        self.tell(2, Kind::Delivered, Some(message), format!("intent toy.0.o{buyer}"));
        self.held[sku] += 1;
        let (held, total) = (self.held[sku], self.plan.setup.stock[sku]);
        self.tell(
            2,
            Kind::Committed,
            None,
            format!("order toy.0.o{buyer}: {held} of {total} units of sku-{sku} are held"),
        );
        self.count(sku);
        if held > total {
            let what = format!("sku-{sku}: orders hold {held} units of {total}; the last is toy.0.o{buyer}");
            self.tell(2, Kind::Violated, None, format!("S1: {what}"));
            self.violation = Some(Violation { id: "S1".to_owned(), at_us: self.at_us, what });
        }
    }

    fn strike(&mut self, index: usize) {
        let strike = self.plan.strikes[index].clone();
        self.faults.inject(strike.fault);
        let text = format!("{} {} for {} ms: {}", strike.fault, strike.target, strike.for_ms, strike.fault.title());
        self.tell(3, Kind::Struck, None, text);
        if strike.fault == FaultKind::N6 {
            self.lossy.insert(index);
        }
        if strike.fault == FaultKind::P4 {
            self.paused_until_us = self.at_us + strike.for_ms * 1_000;
        }
        if strike.fault == FaultKind::R3 {
            for _ in 0..strike.amount {
                let Some(sku) = self.accepted.pop() else { break };
                self.available[sku] += 1;
                self.faults.take_effect(strike.fault, "reserved, not decided");
                self.tell(1, Kind::Step, None, format!("the promoted replica lacks one acceptance of sku-{sku}"));
                self.count(sku);
            }
        }
    }
}
