//! The balancer in a small unkind world: looks and moves get lost or come late, and every unit is sold nevertheless.

use doorbuster_core::database::rows::SaleState;
use doorbuster_core::ids::SkuId;
use doorbuster_core::keeper::balance::{Move, Observed};
use doorbuster_core::keeper::balancer::{Balancer, BalancerEffect, BalancerEvent, SaleView, SkuView};
use doorbuster_core::limits::{
    BALANCE_LOOK_MS, BALANCE_MOVES_PER_MINUTE, BALANCE_REST_MS, BALANCE_SKUS_MAX, BALANCE_STAY_MS, BALANCE_WANTS_MAX,
};
use doorbuster_core::machine::{Machine, Ticket};
use doorbuster_core::rng::Rng;
use doorbuster_core::time::{Mono, Now, Wall};
use proptest::prelude::*;

#[derive(Clone, Copy, Default)]
struct Place {
    available: u64,
    live: u64,
    granted_in_memory: u64,
    granted_in_row: u64,
    grant_seq: u64,
}

/// Units between a row and a memory.
enum Way {
    Up(u64),
    Down(usize, u64),
}

struct Sale {
    rng: Rng,
    mono: Mono,
    balancer: Balancer,
    tasks: Vec<BalancerEffect>,
    places: Vec<Place>,
    pool: u64,
    ways: Vec<(usize, Way)>,
    moves: usize,
    healed: bool,
}

fn sku(number: usize) -> SkuId {
    SkuId::parse(&format!("sku-{number}")).unwrap()
}

impl Sale {
    fn new(seed: u64, shares: &[u64]) -> Sale {
        let place = |units: &u64| Place {
            available: *units,
            granted_in_memory: *units,
            granted_in_row: *units,
            ..Place::default()
        };
        let (rng, places) = (Rng::seeded(seed), shares.iter().map(place).collect());
        let (tasks, ways, balancer) = (Vec::new(), Vec::new(), Balancer::new(Mono(0)));
        Sale { rng, mono: Mono(0), balancer, tasks, places, pool: 0, ways, moves: 0, healed: false }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.rng.below(bound as u64) as usize
    }

    fn faulty(&mut self) -> bool {
        !self.healed && self.below(5) == 0
    }

    fn tell(&mut self, event: BalancerEvent) {
        let now = Now { mono: self.mono, wall: Wall(0) };
        let mut out = Vec::new();
        self.balancer.step(now, event, &mut out);
        self.balancer.check();
        self.tasks.extend(out);
    }

    fn click(&mut self, k: usize) {
        let place = &mut self.places[k];
        if place.available > 0 {
            place.available -= 1;
            place.live += 1;
        } else {
            self.tell(BalancerEvent::SoldOut { k: k as u16, sku: sku(0), quantity: 1 });
        }
    }

    fn perform(&mut self) {
        if self.tasks.is_empty() {
            return;
        }
        let index = if self.healed { 0 } else { self.below(self.tasks.len()) };
        let (effect, lost) = (self.tasks.remove(index), self.faulty());
        match effect {
            BalancerEffect::Look { ticket, .. } => {
                let view = (!lost).then(|| self.view());
                if !self.faulty() {
                    self.tell(BalancerEvent::Looked { ticket, view });
                }
            }
            BalancerEffect::Make { step, .. } => {
                self.moves += 1;
                if !lost {
                    self.make(step);
                }
            }
        }
    }

    fn view(&self) -> SaleView {
        let observed = |(place, k): (&Place, u16)| Observed {
            k,
            available: place.available,
            live: place.live,
            moving: place.granted_in_memory != place.granted_in_row,
            grant_seq: place.grant_seq,
        };
        let shards = self.places.iter().zip(0..).map(observed).collect();
        SaleView { state: SaleState::Open, skus: vec![SkuView { sku: sku(0), pool: self.pool, shards }] }
    }

    fn make(&mut self, step: Move) {
        match step {
            Move::Withdraw { k, quantity } => {
                let place = &mut self.places[usize::from(k)];
                let taken = quantity.min(place.available);
                place.available -= taken;
                place.granted_in_memory -= taken;
                self.ways.push((usize::from(k), Way::Up(taken)));
            }
            Move::Grant { k, quantity, after } => {
                if self.places[usize::from(k)].grant_seq == after && quantity <= self.pool {
                    self.grant(usize::from(k), quantity);
                }
            }
            Move::Distribute => {
                let (pool, count) = (self.pool, self.places.len() as u64);
                for k in 0..self.places.len() {
                    self.grant(k, pool / count + u64::from((k as u64) < pool % count));
                }
            }
        }
    }

    fn grant(&mut self, k: usize, quantity: u64) {
        self.pool -= quantity;
        self.places[k].granted_in_row += quantity;
        self.places[k].grant_seq += 1;
        self.ways.push((k, Way::Down(k, quantity)));
    }

    /// Moves units that are on their way, one way at a time.
    fn arrive(&mut self) {
        if self.ways.is_empty() {
            return;
        }
        match self.ways.remove(0) {
            (k, Way::Up(quantity)) => {
                self.places[k].granted_in_row -= quantity;
                self.pool += quantity;
            }
            (_, Way::Down(k, quantity)) => {
                self.places[k].granted_in_memory += quantity;
                self.places[k].available += quantity;
            }
        }
    }

    fn pass_ms(&mut self, millis: u64) {
        self.mono = self.mono.after_ms(millis);
        self.tell(BalancerEvent::Woken);
    }

    fn sold(&self) -> u64 {
        self.places.iter().map(|place| place.live).sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_lost_the_buyers_of_one_shard_get_every_unit(
        seed: u64,
        shares in proptest::collection::vec(0..300_u64, 2..6),
    ) {
        let mut sale = Sale::new(seed, &shares);
        for _ in 0..600 {
            match sale.below(10) {
                0..=3 => sale.perform(),
                4 => sale.arrive(),
                5 | 6 => { let k = sale.below(shares.len()); sale.click(k); }
                7 if sale.below(20) == 0 => sale.balancer = Balancer::new(sale.mono),
                _ => { let millis = sale.rng.below(400); sale.pass_ms(millis); }
            }
        }
        sale.healed = true;
        let (total, moves) = (shares.iter().sum::<u64>(), sale.moves);
        for _ in 0..2_000 {
            while !sale.tasks.is_empty() { sale.perform(); }
            while !sale.ways.is_empty() { sale.arrive(); }
            while sale.places[0].available > 0 { sale.click(0); }
            sale.click(0);
            sale.pass_ms(BALANCE_LOOK_MS);
        }
        prop_assert_eq!(sale.sold(), total, "units stayed behind");
        // Nine halvings of five shares and a grant for each; what was under way before may cost as many again.
        prop_assert!(sale.moves - moves <= 2 * 9 * 6, "{} moves", sale.moves - moves);
    }

    #[test]
    fn two_shards_with_buyers_share_the_last_units_without_passing_them_on(seed: u64, units in 0..6_u64) {
        let mut sale = Sale::new(seed, &[units, 0]);
        sale.healed = true;
        for _ in 0..400 {
            while !sale.tasks.is_empty() { sale.perform(); }
            while !sale.ways.is_empty() { sale.arrive(); }
            // Both have a buyer for whom there is never enough, and nobody who takes a unit.
            for k in 0..2 {
                sale.tell(BalancerEvent::SoldOut { k, sku: sku(0), quantity: 10 });
            }
            sale.pass_ms(BALANCE_LOOK_MS);
        }
        prop_assert_eq!(sale.moves, 0);
    }
}

#[test]
fn a_sold_out_sale_is_looked_at_less_and_less_and_a_quiet_one_only_for_its_pools() {
    let mut sale = Sale::new(1, &[0, 0]);
    sale.healed = true;
    let mut looks = 0;
    for _ in 0..4 * 60 {
        sale.click(0);
        looks += sale.tasks.len();
        while !sale.tasks.is_empty() {
            sale.perform();
        }
        sale.pass_ms(250);
    }
    assert!(looks <= 8 + 60_000 / BALANCE_REST_MS as usize, "{looks} looks in a minute");
    let (at, _) = Sale::new(1, &[5, 5]).balancer.wake_at().expect("it looks at the pools");
    assert_eq!(at, Mono(0));
}

#[test]
fn the_moves_of_a_minute_are_bounded_and_go_on_in_the_next() {
    let shares: Vec<u64> = (0..200).map(|k| if k == 0 { 0 } else { 1_000_000 }).collect();
    let (mut sale, mut ticket) = (Sale::new(1, &shares), Ticket(0));
    let mut made = Vec::new();
    for _minute in 0..2 {
        made.push(0);
        for _ in 0..20 {
            let view = sale.view().skus.remove(0);
            let skus = (0..BALANCE_SKUS_MAX).map(|number| SkuView { sku: sku(number), ..view.clone() }).collect();
            for number in 0..BALANCE_SKUS_MAX {
                sale.tell(BalancerEvent::SoldOut { k: 0, sku: sku(number), quantity: 1 });
            }
            sale.pass_ms(BALANCE_LOOK_MS);
            for effect in std::mem::take(&mut sale.tasks) {
                match effect {
                    BalancerEffect::Look { ticket: asked, .. } => ticket = asked,
                    BalancerEffect::Make { .. } => panic!("nothing was seen since"),
                }
            }
            sale.tell(BalancerEvent::Looked { ticket, view: Some(SaleView { state: SaleState::Open, skus }) });
            *made.last_mut().unwrap() += sale.tasks.drain(..).count();
        }
        sale.mono = sale.mono.after_ms(60_000);
    }
    assert_eq!(made, [BALANCE_MOVES_PER_MINUTE; 2]);
}

/// Lets the balancer look; what it asks for then.
fn look(sale: &mut Sale) -> Vec<Move> {
    sale.pass_ms(BALANCE_LOOK_MS);
    while let Some(BalancerEffect::Look { .. }) = sale.tasks.first() {
        sale.perform();
    }
    let moved = |task| match task {
        BalancerEffect::Make { step, .. } => Some(step),
        BalancerEffect::Look { .. } => None,
    };
    sale.tasks.drain(..).filter_map(moved).collect()
}

/// A sale that nothing is lost in and that has been looked at once.
fn peaceful(shares: &[u64]) -> Sale {
    let mut sale = Sale::new(1, shares);
    sale.healed = true;
    assert_eq!(look(&mut sale), []);
    sale
}

fn refuse(sale: &mut Sale, k: u16, quantity: u64) {
    sale.tell(BalancerEvent::SoldOut { k, sku: sku(0), quantity });
}

#[test]
fn a_shard_that_meets_its_smallest_wish_asks_for_no_units() {
    let mut sale = peaceful(&[2, 10]);
    refuse(&mut sale, 0, 2);
    refuse(&mut sale, 0, 5);
    assert_eq!(look(&mut sale), []);
    refuse(&mut sale, 0, 5);
    assert!(!look(&mut sale).is_empty(), "and a larger one by itself does");
}

#[test]
fn wants_beyond_the_bound_are_not_noted() {
    let mut sale = peaceful(&[0, 0]);
    for number in 0..=BALANCE_WANTS_MAX {
        sale.tell(BalancerEvent::SoldOut { k: (number % 64) as u16, sku: sku(number / 64), quantity: 1 });
    }
}

#[test]
fn units_that_were_just_given_stay_for_a_while() {
    let mut sale = peaceful(&[0, 0]);
    sale.pool = 8;
    refuse(&mut sale, 0, 1);
    let given = look(&mut sale);
    assert!(matches!(given[..], [Move::Grant { k: 0, .. }]), "{given:?}");
    given.into_iter().for_each(|step| sale.make(step));
    sale.arrive();
    refuse(&mut sale, 1, 1);
    assert_eq!(look(&mut sale), [], "the other shard's buyers would give them back at once");
    sale.mono = sale.mono.after_ms(BALANCE_STAY_MS);
    refuse(&mut sale, 1, 1);
    assert_eq!(look(&mut sale), [Move::Withdraw { k: 0, quantity: 4 }], "by now it has more than it sells");
}

#[test]
fn a_closed_sale_is_left_alone_for_good() {
    let mut sale = Sale::new(1, &[0, 9]);
    sale.pass_ms(1);
    let Some(BalancerEffect::Look { ticket, .. }) = sale.tasks.pop() else { panic!("it looks first") };
    let view = SaleView { state: SaleState::Closed, ..sale.view() };
    sale.tell(BalancerEvent::Looked { ticket, view: Some(view) });
    sale.click(0);
    sale.pass_ms(60_000);
    assert!(sale.tasks.is_empty() && sale.balancer.wake_at().is_none());
}
