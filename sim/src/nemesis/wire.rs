//! Plans of the wire world: shorter sales, fewer buyers, and the kinds of trouble that its network and servers know.

use super::scale::Scale;
use super::{HABITS, ROLES, edits, few, host, hours, strike};
use crate::fault::FaultKind;
use crate::plan::{Plan, Setup, Strike, World};
use crate::seed::Seed;
use doorbuster_core::rng::Rng;
use std::collections::BTreeMap;

/// The kinds that this world can do, with their families.
const FAMILIES: [&[FaultKind]; 7] = [
    &[
        FaultKind::N1,
        FaultKind::N2,
        FaultKind::N3,
        FaultKind::N4,
        FaultKind::N5,
        FaultKind::N6,
        FaultKind::N7,
        FaultKind::N8,
        FaultKind::N9,
    ],
    &[
        FaultKind::P1,
        FaultKind::P2,
        FaultKind::P4,
        FaultKind::P5,
        FaultKind::P6,
        FaultKind::P7,
        FaultKind::P8,
        FaultKind::O3,
        FaultKind::O4,
        FaultKind::C5,
    ],
    &[FaultKind::C1, FaultKind::C3],
    &[
        FaultKind::R1,
        FaultKind::R2,
        FaultKind::R3,
        FaultKind::R4,
        FaultKind::R5,
        FaultKind::R6,
        FaultKind::R10,
        FaultKind::R11,
        FaultKind::C4,
    ],
    &[
        FaultKind::K1,
        FaultKind::K2,
        FaultKind::K3,
        FaultKind::K5,
        FaultKind::K6,
        FaultKind::K7,
        FaultKind::K8,
        FaultKind::K11,
        FaultKind::K12,
        FaultKind::O5,
    ],
    &[
        FaultKind::D1,
        FaultKind::D2,
        FaultKind::D3,
        FaultKind::D4,
        FaultKind::D5,
        FaultKind::D6,
        FaultKind::D7,
        FaultKind::D8,
        FaultKind::D9,
        FaultKind::D11,
    ],
    &[FaultKind::O1, FaultKind::O2],
];

/// A plan of the wire world.
pub fn draw(seed: u64) -> Plan {
    let mut rng = Seed(seed).stream("nemesis/wire");
    let mut setup = SCALE.draw(&mut rng);
    let mut strikes = Vec::new();
    if rng.below(6) == 0 {
        strikes.extend(zombie(&mut rng, &mut setup));
    }
    // One run in eight is quiet: what fails there fails everywhere.
    if rng.below(8) > 0 {
        for family in FAMILIES {
            if rng.below(5) < 2 {
                draw_family(&mut rng, family, &setup, &mut strikes);
            }
        }
    }
    for habit in HABITS.into_iter().chain([FaultKind::U10]) {
        let chance = if habit == FaultKind::U8 { 12 } else { 3 };
        if rng.below(chance) == 0 {
            let amount = 100 + rng.below(500);
            strikes.push(Strike::new(0, habit, "", 0, amount));
        }
    }
    edits::caches(&mut Seed(seed).stream("nemesis/wire/caches"), &mut setup, &mut strikes);
    hours::draw(&mut Seed(seed).stream("nemesis/wire/hours"), &mut setup, &mut strikes);
    // Where there are caches, their edges are looked at one by one.
    if !setup.instances.contains_key("invalidator") {
        few::draw(&mut Seed(seed).stream("nemesis/wire/few"), &setup, 15_000, &mut strikes);
    }
    rare(&mut Seed(seed).stream("nemesis/wire/rare"), &mut setup, &mut strikes);
    strikes.sort();
    Plan { story: String::new(), seed, world: World::Wire, setup, strikes }
}

/// Moments that a short sale seldom comes to by itself.
fn rare(rng: &mut Rng, setup: &mut Setup, strikes: &mut Vec<Strike>) {
    let mut add = |at_ms, fault, amount| strikes.push(Strike::new(at_ms, fault, "", 0, amount));
    match rng.below(16) {
        // An epoch ends, and as soon as the next one sells it ends too.
        0 => {
            let mut at_ms = 2_500 + rng.below(2_000);
            for _ in 0..3 + rng.below(2) {
                add(at_ms, FaultKind::R11, 0);
                at_ms += 5_000 + rng.below(3_000);
            }
        }
        // Money comes when its order is gone, and units are left for another one.
        1 => {
            setup.hold_ms = 2_000;
            setup.stock.iter_mut().for_each(|units| *units += 8);
            add(0, FaultKind::U5, 800);
            add(0, FaultKind::U6, 800);
        }
        _ => {}
    }
}

const SCALE: Scale = Scale {
    shards: &[1, 1, 1, 2],
    skus_max: 2,
    buyers: (3, 8),
    instances,
    surplus_of: 12,
    holds: 5,
    short_sale_ms: (15_000, 20_000),
    arrivals_ms: (500, 6_000),
    quick_us: (1_000, 5_000),
    horizon_ms: 60_000,
};

/// Every host costs time: two of a kind here and there show what two of a kind can show.
fn instances(rng: &mut Rng) -> BTreeMap<String, u32> {
    let mut instances: BTreeMap<String, u32> = ROLES.into_iter().map(|role| (role.to_owned(), 1)).collect();
    for _ in 0..2 {
        let role = ROLES[rng.below(ROLES.len() as u64) as usize];
        instances.insert(role.to_owned(), 2);
    }
    instances
}

/// One of two that work under leases stands still until the other has its work, and goes on.
fn zombie(rng: &mut Rng, setup: &mut Setup) -> Vec<Strike> {
    let role = ["reaper", "reaper", "forwarder", "relay", "keeper"][rng.below(5) as usize];
    setup.instances.insert(role.to_owned(), 2);
    let for_ms = 11_000 + rng.below(6_000);
    if role != "reaper" {
        return vec![Strike::new(3_000 + rng.below(18_000), FaultKind::P4, format!("{role}-0"), for_ms, 0)];
    }
    // When pay windows end, and with a database that keeps claims in hand: so slow that one is there to be lost, and away
    // while the other reaper has it.
    let at_ms = 13_000 + rng.below(6_000);
    vec![
        Strike::new(at_ms - 2_000, FaultKind::D4, "", 3_000, 900),
        Strike::new(at_ms, FaultKind::P4, "reaper-0", for_ms, 0),
        Strike::new(at_ms + 9_000, FaultKind::D11, "", for_ms - 8_000, 0),
    ]
}

/// Who talks to whom: a strike on any other link would hit nothing.
const TALKS: [(&str, &[&str]); 10] = [
    ("buyers", &["edge"]),
    ("provider", &["edge"]),
    ("edge", &["redis", "database", "provider"]),
    ("keeper", &["redis", "database", "broker"]),
    ("forwarder", &["redis", "database", "broker"]),
    ("intake", &["broker", "database"]),
    ("relay", &["database", "broker"]),
    ("reaper", &["redis", "database", "broker"]),
    ("settler", &["redis", "database", "broker"]),
    ("payment", &["redis", "database", "broker", "provider"]),
];

fn link(rng: &mut Rng, setup: &Setup) -> String {
    match rng.below(10) {
        0 => return host(rng, setup),
        1 => return "redis-0>redis-1".to_owned(),
        2 => return format!("*>{}", ["redis-0", "redis-1", "database", "broker"][rng.below(4) as usize]),
        _ => {}
    }
    let (from, peers) = TALKS[rng.below(TALKS.len() as u64) as usize];
    let to = peers[rng.below(peers.len() as u64) as usize];
    // Half of the strikes hit one process of a role, the others all of them.
    match setup.instances.get(from) {
        Some(instances) if rng.below(2) == 0 => format!("{from}-{}>{to}", rng.below(u64::from(*instances))),
        Some(_) | None => format!("{from}>{to}"),
    }
}

fn draw_family(rng: &mut Rng, family: &[FaultKind], setup: &Setup, strikes: &mut Vec<Strike>) {
    for _ in 0..1 + rng.below(3) {
        let fault = family[rng.below(family.len() as u64) as usize];
        for _ in 0..1 + rng.below(3) {
            let mut strike = strike(rng, fault, setup);
            if fault == FaultKind::N7 {
                strike.for_ms = 1_000 + rng.below(10_000);
            }
            if matches!(fault, FaultKind::K5 | FaultKind::D5) {
                (strike.for_ms, strike.amount) = (1_000 + rng.below(10_000), 50 + rng.below(400));
            }
            if matches!(family[0], FaultKind::N1) {
                strike.target = link(rng, setup);
            }
            // Until the pay windows of the last buyers are over, with the grace that a late intent gives them.
            strike.at_ms = 1_000 + rng.below(setup.arrivals_ms + setup.hold_ms + 13_000);
            // A server's loss shows most while it takes orders.
            if matches!(family[0], FaultKind::R1) && rng.below(2) == 0 {
                strike.at_ms = 3_000 + rng.below(setup.arrivals_ms + 2_000);
            }
            // Long enough for leases and sessions to end in some, short in most.
            strike.for_ms = strike.for_ms.min(if rng.below(4) == 0 { 15_000 } else { 4_000 });
            strikes.push(strike);
        }
    }
}
