//! Runs of the wire world in which sales are counted and searched for: in the sale, and in the hours that pass after it.

use super::further::{OF_SEARCH, of_role};
use crate::fault::{FaultKind, Worlds};
use crate::plan::{HOURS_MS, Setup, Strike};
use doorbuster_core::rng::Rng;
use doorbuster_core::window::hour::HOUR_MS;

/// One run in so many, of those without caches: a clock that goes on by hours ends what caches keep.
const SALES_OF: u64 = 5;
/// The sale outlasts every leap of the clocks.
const SALE_MS: u64 = 60 * 24 * HOUR_MS;
/// Units of each SKU for those who come in later hours.
const FURTHER_UNITS: u64 = 8;
/// Troubles of the sale begin within this time.
const SPAN_MS: u64 = 15_000;
/// Those of the hours begin within this time.
const HOURS_SPAN_MS: u64 = 55_000;
/// Longest trouble: what never ends until all is healed shows little.
const TROUBLE_MS_MAX: u64 = 12_000;
/// What befalls the services on this way, in the hours.
const OF_SERVICES: [FaultKind; 10] = [
    FaultKind::K1,
    FaultKind::K2,
    FaultKind::K11,
    FaultKind::K12,
    FaultKind::D1,
    FaultKind::D2,
    FaultKind::D6,
    FaultKind::D7,
    FaultKind::D8,
    FaultKind::D11,
];

/// Gives some runs workers of the sales windows, most of them indexers too, and troubles of their own.
pub fn draw(rng: &mut Rng, setup: &mut Setup, strikes: &mut Vec<Strike>) {
    if rng.below(SALES_OF) > 0 || setup.instances.contains_key("invalidator") {
        return;
    }
    setup.sale_ms = SALE_MS;
    setup.stock.iter_mut().for_each(|units| *units += FURTHER_UNITS);
    let mut roles = vec!["relay", "sales", "sales"];
    setup.instances.insert("sales".to_owned(), 1 + u32::from(rng.below(2) == 0));
    if rng.below(4) > 0 {
        roles.extend(["indexer", "indexer"]);
        setup.instances.insert("indexer".to_owned(), 1 + u32::from(rng.below(3) == 0));
    }
    // One run in six is quiet here.
    if rng.below(6) == 0 {
        return;
    }
    for _ in 0..rng.below(4) {
        let at_ms = 1_000 + rng.below(SPAN_MS);
        strikes.push(of_way(rng, setup, &roles, at_ms));
    }
    for _ in 0..1 + rng.below(8) {
        let at_ms = HOURS_MS + rng.below(HOURS_SPAN_MS);
        strikes.push(if rng.below(4) == 0 { of_service(rng, at_ms) } else { of_way(rng, setup, &roles, at_ms) });
    }
    if setup.instances.contains_key("indexer") {
        busy_index(rng, setup, strikes);
    }
    strikes.retain(|strike| strike.fault.worlds() != Worlds::Fast);
}

/// What befalls the index shows only while bulks are under way: a product is edited again and again, in the sale or after it.
fn busy_index(rng: &mut Rng, setup: &Setup, strikes: &mut Vec<Strike>) {
    for _ in 0..1 + rng.below(2) {
        let begin_ms = if rng.below(3) == 0 { 0 } else { HOURS_MS };
        let (at_ms, for_ms) = (begin_ms + 1_000 + rng.below(SPAN_MS), 2_000 + rng.below(TROUBLE_MS_MAX));
        let product = format!("product-{}", rng.below(setup.stock.len() as u64));
        strikes.push(Strike::new(at_ms, FaultKind::O6, product, for_ms, 100 + rng.below(1_400)));
        for _ in 0..1 + rng.below(2) {
            let kind = OF_SEARCH[rng.below(OF_SEARCH.len() as u64) as usize];
            strikes.push(Strike::new(at_ms, kind, "", for_ms, 200 + rng.below(700)));
        }
    }
}

/// A trouble of one of the roles of this way.
fn of_way(rng: &mut Rng, setup: &Setup, roles: &[&str], at_ms: u64) -> Strike {
    let role = roles[rng.below(roles.len() as u64) as usize];
    if role != "relay" && rng.below(8) == 0 {
        let host = format!("{role}-{}", rng.below(u64::from(setup.instances[role])));
        return Strike::new(at_ms, FaultKind::C2, host, 1_000 + rng.below(TROUBLE_MS_MAX), 100 + rng.below(30_000));
    }
    let strike = of_role(rng, setup, role, at_ms);
    Strike { for_ms: strike.for_ms.min(TROUBLE_MS_MAX), ..strike }
}

fn of_service(rng: &mut Rng, at_ms: u64) -> Strike {
    let (short_ms, long_ms) = (200 + rng.below(4_000), 1_000 + rng.below(TROUBLE_MS_MAX));
    match OF_SERVICES[rng.below(OF_SERVICES.len() as u64) as usize] {
        kind @ (FaultKind::K12 | FaultKind::D11) => Strike::new(at_ms, kind, "", short_ms, 0),
        FaultKind::D7 => Strike::new(at_ms, FaultKind::D7, "", 0, rng.below(2)),
        kind => Strike::new(at_ms, kind, "", long_ms, 20 + rng.below(400)),
    }
}
