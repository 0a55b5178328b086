//! Runs that end with one instance of each role: the others die, and nobody ever starts them again.

use crate::fault::FaultKind;
use crate::plan::{Setup, Strike};
use doorbuster_core::rng::Rng;

/// One run in so many loses all but one of every role.
const FEW_OF: u64 = 8;

/// Lets all but one of each role die for ever at some time within this span, where there are more.
pub fn draw(rng: &mut Rng, setup: &Setup, span_ms: u64, strikes: &mut Vec<Strike>) {
    let (is_one, at_ms, left) = (rng.below(FEW_OF) == 0, 500 + rng.below(span_ms), rng.below(4));
    if is_one && setup.instances.values().any(|instances| *instances > 1) {
        strikes.push(Strike::new(at_ms, FaultKind::P10, "", 0, left));
    }
}
