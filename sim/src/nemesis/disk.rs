//! Plans of the embedded platform: one process, one disk, and what befalls them.

use super::{SCALE, habits};
use crate::fault::FaultKind;
use crate::plan::{Acknowledge, Plan, Setup, Strike, World};
use crate::seed::Seed;
use doorbuster_core::rng::Rng;
use std::collections::BTreeMap;

/// One seed in so many is an embedded platform.
pub const DISK_OF: u64 = 8;

/// What befalls its disk.
const OF_DISK: [FaultKind; 6] =
    [FaultKind::Q1, FaultKind::Q2, FaultKind::Q3, FaultKind::Q3, FaultKind::Q4, FaultKind::Q5];

/// What befalls its process and the computer that it runs on.
const OF_PROCESS: [FaultKind; 8] = [
    FaultKind::P1,
    FaultKind::P2,
    FaultKind::P4,
    FaultKind::P6,
    FaultKind::P7,
    FaultKind::C2,
    FaultKind::C3,
    FaultKind::C5,
];

/// What befalls its buyers' links, and the topics that stand in its rows.
const OF_OTHERS: [FaultKind; 9] = [
    FaultKind::N1,
    FaultKind::N2,
    FaultKind::N5,
    FaultKind::N6,
    FaultKind::N9,
    FaultKind::K7,
    FaultKind::K8,
    FaultKind::O1,
    FaultKind::O2,
];

/// The roles of the process: its server's log is what intake reads, so nothing is forwarded.
const ROLES: [(&str, u32); 8] = [
    ("edge", 1),
    ("keeper", 1),
    ("forwarder", 0),
    ("intake", 1),
    ("relay", 1),
    ("reaper", 1),
    ("settler", 1),
    ("payment", 1),
];

/// A plan of an embedded platform.
pub fn draw(seed: u64) -> Plan {
    let mut rng = Seed(seed).stream("nemesis/disk/plan");
    let setup = setup(&mut rng);
    let span_ms = (2_000 + setup.arrivals_ms + 2 * setup.hold_ms).min(40_000);
    let mut strikes = Vec::new();
    // One run in eight is quiet: what fails there fails everywhere.
    if rng.below(8) > 0 {
        for _ in 0..1 + rng.below(5) {
            // While somebody buys: nothing else is written.
            let at_ms = 1_500 + rng.below(setup.arrivals_ms + setup.hold_ms);
            strikes.push(of_disk(&mut rng, at_ms));
        }
        for _ in 0..rng.below(3) {
            let at_ms = 500 + rng.below(span_ms);
            strikes.push(of_process(&mut rng, at_ms));
        }
        for _ in 0..rng.below(3) {
            let at_ms = 500 + rng.below(span_ms);
            strikes.push(of_others(&mut rng, at_ms));
        }
    }
    habits(&mut rng, &mut strikes);
    strikes.sort();
    Plan { story: String::new(), seed, world: World::Fast, setup, strikes }
}

fn setup(rng: &mut Rng) -> Setup {
    let setup = SCALE.draw(rng);
    let mut instances: BTreeMap<String, u32> = ROLES.map(|(role, count)| (role.to_owned(), count)).into();
    if rng.below(4) == 0 {
        instances.insert("invalidator".to_owned(), 1);
    }
    if rng.below(8) == 0 {
        instances.insert("sales".to_owned(), 1);
        instances.insert("indexer".to_owned(), 1);
    }
    // Only what sells writes to its log.
    let buyers = setup.buyers.len() as u64;
    let stock = setup.stock.iter().map(|_| 1 + rng.below(3 * buyers)).collect();
    // Within a process nothing is far away, and a 202 leaves after the sync.
    Setup { embedded: true, stock, acknowledge: Acknowledge::Log, instances, latency_us: (10, 2_000), ..setup }
}

fn of_disk(rng: &mut Rng, at_ms: u64) -> Strike {
    use FaultKind::*;
    let kind = OF_DISK[rng.below(OF_DISK.len() as u64) as usize];
    let for_ms = match kind {
        Q4 => 500 + rng.below(15_000),
        Q3 | Q5 => 0,
        _ => 1_000 + rng.below(4_000),
    };
    Strike::new(at_ms, kind, "", for_ms, rng.below(100_000))
}

fn of_process(rng: &mut Rng, at_ms: u64) -> Strike {
    use FaultKind::*;
    let (short_ms, long_ms) = (200 + rng.below(4_000), 1_000 + rng.below(24_000));
    let all = String::new();
    match OF_PROCESS[rng.below(OF_PROCESS.len() as u64) as usize] {
        P2 => {
            let role = ["edge", "keeper", "intake", "relay", "reaper", "settler"][rng.below(6) as usize];
            Strike::new(at_ms, P2, format!("{role}-0"), 0, rng.below(6))
        }
        P7 => Strike::new(at_ms, P7, "keeper-0", 2_000 + rng.below(6_000), 0),
        kind @ (P4 | C5) => Strike::new(at_ms, kind, all, long_ms, at_ms),
        C2 => Strike::new(at_ms, C2, all, long_ms, 100 + rng.below(30_000)),
        C3 => Strike::new(at_ms, C3, all, long_ms, 1 + rng.below(60_000)),
        kind => Strike::new(at_ms, kind, all, short_ms, 0),
    }
}

fn of_others(rng: &mut Rng, at_ms: u64) -> Strike {
    use FaultKind::*;
    let (short_ms, long_ms) = (200 + rng.below(4_000), 1_000 + rng.below(20_000));
    let link = "buyers-0>edge".to_owned();
    match OF_OTHERS[rng.below(OF_OTHERS.len() as u64) as usize] {
        N1 => Strike::new(at_ms, N1, link, long_ms, 1 + rng.below(800)),
        N2 => Strike::new(at_ms, N2, link, short_ms, 0),
        kind @ (N5 | N6 | N9) => Strike::new(at_ms, kind, link, long_ms, 50 + rng.below(500)),
        kind @ (K7 | K8) => {
            let group = ["reaper", "settler", "payment"][rng.below(3) as usize];
            Strike::new(at_ms, kind, group, 0, 1 + rng.below(20))
        }
        O1 => Strike::new(at_ms, O1, "", 0, [0, 0, 1, 1, 2][rng.below(5) as usize]),
        kind => Strike::new(at_ms, kind, "", 0, 1 + rng.below(10)),
    }
}
