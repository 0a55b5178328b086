//! Plans of nine days: sales windows and search, with most of their trouble while somebody is awake.

use super::further::of_role;
use super::meetings;
use crate::fault::FaultKind;
use crate::plan::{Acknowledge, Plan, Setup, Strike, World};
use crate::seed::Seed;
use crate::worlds::fast::awake;
use doorbuster_core::rng::Rng;
use doorbuster_core::window::hour::HOUR_MS;
use std::collections::BTreeSet;

/// What befalls the services and whatever is delivered twice.
const OF_SERVICES: [FaultKind; 14] = [
    FaultKind::K1,
    FaultKind::K2,
    FaultKind::K3,
    FaultKind::K11,
    FaultKind::K12,
    FaultKind::O5,
    FaultKind::D1,
    FaultKind::D2,
    FaultKind::D3,
    FaultKind::D6,
    FaultKind::D7,
    FaultKind::D8,
    FaultKind::D9,
    FaultKind::D11,
];

/// A plan of days.
pub fn draw(seed: u64) -> Plan {
    let mut rng = Seed(seed).stream("nemesis/days/plan");
    let mut setup = setup(&mut rng);
    let mut strikes = Vec::new();
    if rng.below(8) > 0 {
        let begins: Vec<u64> = awake(Seed(seed)).into_iter().map(|(from_ms, _)| from_ms).collect();
        meetings::draw(seed, &mut setup, &begins, &mut strikes);
        for (from_ms, for_ms) in awake(Seed(seed)) {
            for _ in 0..rng.below(3) {
                let at_ms = from_ms + rng.below(for_ms);
                strikes.push(match rng.below(3) {
                    0 => of_service(&mut rng, at_ms),
                    1 => of_role(&mut rng, &setup, "sales", at_ms),
                    _ => {
                        let role = ["sales", "indexer", "relay"][rng.below(3) as usize];
                        of_role(&mut rng, &setup, role, at_ms)
                    }
                });
            }
        }
    }
    strikes.sort();
    Plan { story: String::new(), seed, world: World::Fast, setup, strikes }
}

fn setup(rng: &mut Rng) -> Setup {
    let days_ms = 9 * 24 * HOUR_MS;
    let instances = ["relay", "sales", "indexer"].map(|role| (role.to_owned(), 1 + rng.below(2) as u32));
    Setup {
        embedded: false,
        acknowledge: Acknowledge::Redis,
        shards: 1,
        stock: (0..1 + rng.below(4)).map(|_| 100_000).collect(),
        limit: 10,
        hold_ms: 15_000,
        sale_ms: days_ms + 24 * HOUR_MS,
        buyers: BTreeSet::new(),
        arrivals_ms: 1,
        instances: instances.into_iter().collect(),
        latency_us: (100, 3_000),
        horizon_ms: days_ms,
    }
}

fn of_service(rng: &mut Rng, at_ms: u64) -> Strike {
    use FaultKind::*;
    let (short_ms, long_ms) = (200 + rng.below(4_000), 1_000 + rng.below(20_000));
    match OF_SERVICES[rng.below(OF_SERVICES.len() as u64) as usize] {
        O5 => Strike::new(at_ms, O5, "sales", 0, 1 + rng.below(60)),
        kind @ (K12 | D11) => Strike::new(at_ms, kind, "", short_ms, 0),
        D7 => Strike::new(at_ms, D7, "", 0, rng.below(2)),
        D9 => Strike::new(at_ms, D9, "", long_ms, 0),
        kind => Strike::new(at_ms, kind, "", long_ms, 20 + rng.below(400)),
    }
}
