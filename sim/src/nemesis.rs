//! Draws a plan from a seed: which topology, which buyers, and which subset of faults, how hard and when.
//!
//! Swarm testing (Groce and others: "Swarm Testing", ISSTA 2012): each seed leaves most kinds out, so that runs differ in
//! character; a run with every fault at once shows mostly that nothing works then.

mod days;
mod disk;
mod edits;
mod few;
mod further;
mod hours;
mod meetings;
mod scale;

pub mod wire;

use crate::fault::FaultKind;
use crate::plan::{Plan, Setup, Strike, World};
use crate::seed::Seed;
use doorbuster_core::rng::Rng;
use further::further;
use scale::Scale;
use std::collections::BTreeMap;

/// The kinds that this nemesis knows how to draw, with their families.
const FAMILIES: [&[FaultKind]; 7] = [
    &[
        FaultKind::N1,
        FaultKind::N2,
        FaultKind::N3,
        FaultKind::N4,
        FaultKind::N5,
        FaultKind::N6,
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
    &[FaultKind::C1, FaultKind::C2, FaultKind::C3, FaultKind::C6],
    &[
        FaultKind::R1,
        FaultKind::R2,
        FaultKind::R3,
        FaultKind::R4,
        FaultKind::R6,
        FaultKind::R10,
        FaultKind::R11,
        FaultKind::C4,
    ],
    &[
        FaultKind::K1,
        FaultKind::K2,
        FaultKind::K3,
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
        FaultKind::D6,
        FaultKind::D7,
        FaultKind::D8,
        FaultKind::D9,
        FaultKind::D11,
    ],
    &[FaultKind::O1, FaultKind::O2],
];

const HABITS: [FaultKind; 9] = [
    FaultKind::U1,
    FaultKind::U2,
    FaultKind::U3,
    FaultKind::U4,
    FaultKind::U5,
    FaultKind::U6,
    FaultKind::U7,
    FaultKind::U8,
    FaultKind::U9,
];

const ROLES: [&str; 8] = ["edge", "keeper", "forwarder", "intake", "relay", "reaper", "settler", "payment"];

/// One seed in so many is a run of days.
const DAYS_OF: u64 = 16;

/// A plan of the fast world.
pub fn draw(seed: u64) -> Plan {
    if Seed(seed).stream("nemesis/days").below(DAYS_OF) == 0 {
        return days::draw(seed);
    }
    if Seed(seed).stream("nemesis/disk").below(disk::DISK_OF) == 0 {
        return disk::draw(seed);
    }
    let mut rng = Seed(seed).stream("nemesis");
    let mut setup = SCALE.draw(&mut rng);
    let mut strikes = Vec::new();
    // One run in eight is quiet: what fails there fails everywhere.
    let is_quiet = rng.below(8) == 0;
    if !is_quiet {
        for family in FAMILIES {
            if rng.below(5) < 2 {
                strike_family(&mut rng, family, &setup, &mut strikes);
            }
        }
    }
    habits(&mut rng, &mut strikes);
    further(&mut Seed(seed).stream("nemesis/further"), &mut setup, &mut strikes);
    edits::draw(&mut Seed(seed).stream("nemesis/edits"), &setup, 18_000, &mut strikes);
    if !is_quiet {
        few::draw(&mut Seed(seed).stream("nemesis/few"), &setup, 30_000, &mut strikes);
        meetings::draw(seed, &mut setup, &[0], &mut strikes);
    }
    strikes.sort();
    Plan { story: String::new(), seed, world: World::Fast, setup, strikes }
}

/// What buyers do.
fn habits(rng: &mut Rng, strikes: &mut Vec<Strike>) {
    for habit in HABITS {
        // A burst of all in one tick is a habit of the whole crowd.
        let chance = if habit == FaultKind::U8 { 6 } else { 2 };
        if rng.below(chance) == 0 {
            let amount = 50 + rng.below(500);
            strikes.push(Strike::new(0, habit, "", 0, amount));
        }
    }
}

/// A plan of an embedded platform, whatever this seed is in a swarm.
pub fn draw_embedded(seed: u64) -> Plan {
    disk::draw(seed)
}

const SCALE: Scale = Scale {
    shards: &[1, 1, 1, 2, 3],
    skus_max: 3,
    buyers: (4, 26),
    instances,
    surplus_of: 8,
    holds: 14,
    short_sale_ms: (20_000, 40_000),
    arrivals_ms: (1_000, 20_000),
    quick_us: (100, 3_000),
    horizon_ms: 90_000,
};

fn instances(rng: &mut Rng) -> BTreeMap<String, u32> {
    let most = |role| if role == "edge" { 3 } else { 2 };
    ROLES.into_iter().map(|role| (role.to_owned(), 1 + rng.below(most(role)) as u32)).collect()
}

fn strike_family(rng: &mut Rng, family: &[FaultKind], setup: &Setup, strikes: &mut Vec<Strike>) {
    let kinds = 1 + rng.below(3.min(family.len() as u64));
    for _ in 0..kinds {
        let fault = family[rng.below(family.len() as u64) as usize];
        let times = 1 + rng.below(3);
        for _ in 0..times {
            strikes.push(strike(rng, fault, setup));
        }
    }
}

fn host(rng: &mut Rng, setup: &Setup) -> String {
    let role = ROLES[rng.below(ROLES.len() as u64) as usize];
    let instances = setup.instances.get(role).copied().unwrap_or(1);
    format!("{role}-{}", rng.below(u64::from(instances)))
}

fn link(rng: &mut Rng, setup: &Setup) -> String {
    const SERVICES: [&str; 5] = ["database", "broker", "redis-0", "redis-1", "edge"];
    let service = SERVICES[rng.below(5) as usize];
    match rng.below(4) {
        0 => host(rng, setup),
        1 => format!("*>{service}"),
        _ => format!("{}>{service}", host(rng, setup)),
    }
}

fn strike(rng: &mut Rng, fault: FaultKind, setup: &Setup) -> Strike {
    use FaultKind::*;
    // While something is in flight: from the load until the pay windows of the last buyers are over.
    let span_ms = (2_000 + setup.arrivals_ms + 2 * setup.hold_ms).min(40_000);
    let at_ms = 500 + rng.below(span_ms);
    let role = ROLES[rng.below(ROLES.len() as u64) as usize].to_owned();
    let short_ms = 200 + rng.below(4_000);
    let long_ms = 1_000 + rng.below(25_000);
    let (target, for_ms, amount) = match fault {
        N1 => (link(rng, setup), long_ms, 1 + rng.below(800)),
        N2 | N3 | N4 | N8 => (link(rng, setup), if rng.below(3) == 0 { long_ms } else { short_ms }, 0),
        N5 | N6 | N9 => (link(rng, setup), long_ms, 50 + rng.below(500)),
        P1 | P6 => (host(rng, setup), short_ms, 0),
        P2 => (host(rng, setup), 0, rng.below(6)),
        P4 => (host(rng, setup), 1_000 + rng.below(24_000), 0),
        C5 => (host(rng, setup), 1_000 + rng.below(24_000), at_ms),
        P5 => (host(rng, setup), long_ms, 10 + rng.below(900)),
        P7 => (host(rng, setup), 2_000 + rng.below(8_000), 0),
        P8 | O3 | O4 => (role, 1_000 + rng.below(15_000), 0),
        C1 | C3 => (host(rng, setup), long_ms, 1 + rng.below(60_000)),
        C2 => (host(rng, setup), long_ms, 100 + rng.below(30_000)),
        C6 => (host(rng, setup), long_ms, 0),
        R1 | R2 => (String::new(), short_ms, rng.below(20)),
        R3 | C4 => (String::new(), 0, rng.below(20)),
        R4 => (String::new(), 1_000 + rng.below(20_000), rng.below(10)),
        R6 => (String::new(), short_ms, 100 + rng.below(800)),
        R10 | R11 => (String::new(), 0, 0),
        K6 | K7 | K8 => {
            (["intake", "reaper", "settler", "payment", ""][rng.below(5) as usize].to_owned(), 0, 1 + rng.below(20))
        }
        K1 | K2 | K3 | K11 => (String::new(), long_ms, 20 + rng.below(300)),
        K12 | D11 => (String::new(), if rng.below(4) == 0 { 40_000 } else { short_ms }, 0),
        D1 | D2 | D3 | D4 | D6 | D8 => (String::new(), long_ms, 20 + rng.below(400)),
        D7 => (String::new(), 0, rng.below(2)),
        D9 => (String::new(), long_ms, 0),
        O1 => (String::new(), 0, [0, 0, 1, 1, 2][rng.below(5) as usize]),
        O2 => (String::new(), 0, 1 + rng.below(10)),
        _ => (String::new(), 0, 0),
    };
    Strike::new(at_ms, fault, target, for_ms, amount)
}
