//! A product that is edited again while somebody still loads the edit before: what versioned fills and floors are for.

use super::further::{of_cache, of_role};
use crate::fault::{FaultKind, Worlds};
use crate::plan::{Setup, Strike};
use doorbuster_core::rng::Rng;

/// Troubles of caches of the wire world begin within this time.
const WIRE_SPAN_MS: u64 = 10_000;

/// Longest trouble of an invalidator there.
const TROUBLE_MS_MAX: u64 = 8_000;

/// Gives some runs of the wire world caches, with troubles of their own.
pub fn caches(rng: &mut Rng, setup: &mut Setup, strikes: &mut Vec<Strike>) {
    if rng.below(4) > 0 {
        return;
    }
    setup.instances.insert("invalidator".to_owned(), 1 + u32::from(rng.below(4) == 0));
    for _ in 0..rng.below(3) {
        strikes.push(of_cache(rng, setup, WIRE_SPAN_MS));
    }
    for _ in 0..rng.below(2) {
        let at_ms = 1_000 + rng.below(WIRE_SPAN_MS);
        let strike = of_role(rng, setup, "invalidator", at_ms);
        strikes.push(Strike { for_ms: strike.for_ms.min(TROUBLE_MS_MAX), ..strike });
    }
    strikes.retain(|strike| strike.fault.worlds() != Worlds::Fast);
    draw(rng, setup, WIRE_SPAN_MS, strikes);
}

/// Gives runs with caches a busy product, and what makes its readers slow.
pub fn draw(rng: &mut Rng, setup: &Setup, span_ms: u64, strikes: &mut Vec<Strike>) {
    let caches = setup.instances.get("invalidator").copied().unwrap_or(0) > 0;
    if !caches || rng.below(4) == 0 {
        return;
    }
    for _ in 0..1 + rng.below(2) {
        let (at_ms, for_ms) = (1_000 + rng.below(span_ms), 2_000 + rng.below(span_ms / 2));
        let product = format!("product-{}", rng.below(setup.stock.len() as u64));
        strikes.push(Strike::new(at_ms, FaultKind::O6, product, for_ms, 50 + rng.below(1_450)));
        slow_readers(rng, at_ms, for_ms, strikes);
    }
}

/// A load that takes longer than the time between two edits fills in what is old, if nobody told its process of the second
/// one: the message is lost, or the answer of the load and the fill stand in the way of each other.
fn slow_readers(rng: &mut Rng, at_ms: u64, for_ms: u64, strikes: &mut Vec<Strike>) {
    let mut add = |fault, target: &str, amount| strikes.push(Strike::new(at_ms, fault, target, for_ms, amount));
    match rng.below(4) {
        0 | 1 => {
            add(FaultKind::R8, "", 500 + rng.below(501));
            add(FaultKind::N1, "edge>database", 300 + rng.below(1_500));
        }
        // So slow that most reads of the shared cache still come in time, and a fill takes as long as an edit.
        2 => add(FaultKind::N1, "edge>redis", 150 + rng.below(350)),
        // What reads the shared cache in time here is rare; its fill is very late.
        _ => add(FaultKind::N1, "edge>redis", 500 + rng.below(2_000)),
    }
}
