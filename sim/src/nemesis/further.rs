//! Caches, sales windows and search: which runs have them, and what befalls them there.

use crate::fault::FaultKind;
use crate::plan::{Setup, Strike};
use doorbuster_core::rng::Rng;

/// What befalls a role that reads topics, and whatever it talks to.
const OF_ROLES: [FaultKind; 14] = [
    FaultKind::P1,
    FaultKind::P2,
    FaultKind::P4,
    FaultKind::P5,
    FaultKind::P7,
    FaultKind::C3,
    FaultKind::C5,
    FaultKind::C6,
    FaultKind::K6,
    FaultKind::K7,
    FaultKind::K8,
    FaultKind::N1,
    FaultKind::N2,
    FaultKind::N6,
];

/// What befalls the index.
pub const OF_SEARCH: [FaultKind; 5] = [FaultKind::E1, FaultKind::E2, FaultKind::E3, FaultKind::E4, FaultKind::E5];

/// Gives some runs caches, some windows and search, and troubles of their own.
pub fn further(rng: &mut Rng, setup: &mut Setup, strikes: &mut Vec<Strike>) {
    let span_ms = (2_000 + setup.arrivals_ms + 2 * setup.hold_ms).min(40_000);
    of_services(rng, span_ms, strikes);
    let mut roles = Vec::new();
    if rng.below(4) == 0 {
        roles.push("invalidator");
        setup.instances.insert("invalidator".to_owned(), 1 + rng.below(2) as u32);
        for _ in 0..rng.below(3) {
            strikes.push(of_cache(rng, setup, span_ms));
        }
    }
    if rng.below(8) == 0 {
        roles.push("sales");
        setup.instances.insert("sales".to_owned(), 1 + rng.below(2) as u32);
        if rng.below(2) == 0 {
            roles.push("indexer");
            setup.instances.insert("indexer".to_owned(), 1 + rng.below(2) as u32);
        }
    }
    for role in roles {
        for _ in 0..rng.below(4) {
            let at_ms = 500 + rng.below(span_ms);
            strikes.push(of_role(rng, setup, role, at_ms));
        }
    }
}

/// Kinds that few runs have, whatever roles they have.
fn of_services(rng: &mut Rng, span_ms: u64, strikes: &mut Vec<Strike>) {
    use FaultKind::*;
    for (kind, one_of) in [(K4, 16), (K5, 10), (K10, 16), (D5, 10)] {
        if rng.below(one_of) > 0 {
            continue;
        }
        for _ in 0..1 + rng.below(2) {
            let (at_ms, long_ms) = (500 + rng.below(span_ms), 2_000 + rng.below(20_000));
            strikes.push(Strike::new(at_ms, kind, "", long_ms, 50 + rng.below(600)));
        }
    }
}

/// A trouble of an edge with its caches: messages that are lost, links that are bad.
pub fn of_cache(rng: &mut Rng, setup: &Setup, span_ms: u64) -> Strike {
    let at_ms = 500 + rng.below(span_ms);
    let edges = u64::from(setup.instances.get("edge").copied().unwrap_or(1));
    let edge = format!("edge-{}", rng.below(edges));
    let service = ["redis-0", "redis-1", "database"][rng.below(3) as usize];
    let link = format!("{edge}>{service}");
    let short_ms = 500 + rng.below(6_000);
    match rng.below(6) {
        0 | 1 => Strike::new(at_ms, FaultKind::R8, "", 1_000 + rng.below(25_000), 200 + rng.below(800)),
        2 => Strike::new(at_ms, FaultKind::N1, link, short_ms, 50 + rng.below(2_500)),
        3 => Strike::new(at_ms, FaultKind::N2, link, short_ms, 0),
        4 => Strike::new(at_ms, FaultKind::N9, link, short_ms, 100 + rng.below(800)),
        _ => Strike::new(at_ms, FaultKind::P4, edge, 500 + rng.below(5_000), 0),
    }
}

/// A trouble of one of these roles, beginning then.
pub fn of_role(rng: &mut Rng, setup: &Setup, role: &str, at_ms: u64) -> Strike {
    use FaultKind::*;
    let instances = u64::from(setup.instances.get(role).copied().unwrap_or(1));
    let host = format!("{role}-{}", rng.below(instances.max(1)));
    let service = match role {
        "invalidator" => ["redis-0", "redis-1", "broker"][rng.below(3) as usize],
        "indexer" => ["search", "database", "broker"][rng.below(3) as usize],
        _ => ["database", "broker"][rng.below(2) as usize],
    };
    let link = format!("{host}>{service}");
    let (short_ms, long_ms) = (200 + rng.below(4_000), 1_000 + rng.below(20_000));
    let own = if role == "indexer" && rng.below(2) == 0 {
        OF_SEARCH[rng.below(OF_SEARCH.len() as u64) as usize]
    } else {
        OF_ROLES[rng.below(OF_ROLES.len() as u64) as usize]
    };
    match own {
        P1 => Strike::new(at_ms, P1, host, short_ms, 0),
        P2 => Strike::new(at_ms, P2, host, 0, rng.below(8)),
        P4 | C5 => Strike::new(at_ms, own, host, 1_000 + rng.below(20_000), rng.below(20_000)),
        P5 => Strike::new(at_ms, P5, host, long_ms, 10 + rng.below(900)),
        P7 => Strike::new(at_ms, P7, host, 2_000 + rng.below(8_000), 0),
        C3 => Strike::new(at_ms, C3, host, long_ms, 1 + rng.below(2 * 3_600_000)),
        C6 => Strike::new(at_ms, C6, host, long_ms, 0),
        K6 | K7 | K8 => Strike::new(at_ms, own, role, 0, 1 + rng.below(40)),
        N1 => Strike::new(at_ms, N1, link, long_ms, 1 + rng.below(3_000)),
        N2 => Strike::new(at_ms, N2, link, short_ms, 0),
        N6 => Strike::new(at_ms, N6, link, long_ms, 50 + rng.below(500)),
        _ => Strike::new(at_ms, own, "", long_ms, 100 + rng.below(700)),
    }
}
