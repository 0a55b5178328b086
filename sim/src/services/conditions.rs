//! A service's own dice: how often it does what its contract allows.

use crate::fault::FaultKind;
use doorbuster_core::rng::Rng;
use std::collections::BTreeMap;

/// Which faults are switched on, each with its parts per thousand, and the generator that decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conditions {
    rng: Rng,
    /// By kind: how many strikes are on, and parts per thousand of the last one.
    on: BTreeMap<FaultKind, (u32, u64)>,
}

impl Conditions {
    /// None, with a generator of its own.
    pub fn new(rng: Rng) -> Conditions {
        Conditions { rng, on: BTreeMap::new() }
    }

    /// Switches a kind on; several strikes of one kind may overlap.
    pub fn strike(&mut self, kind: FaultKind, permille: u64) {
        let on = self.on.entry(kind).or_default();
        *on = (on.0 + 1, permille);
    }

    /// Ends one strike.
    pub fn heal(&mut self, kind: FaultKind) {
        if let Some(on) = self.on.get_mut(&kind) {
            on.0 = on.0.saturating_sub(1);
            if on.0 == 0 {
                self.on.remove(&kind);
            }
        }
    }

    /// Ends all of them.
    pub fn heal_all(&mut self) {
        self.on.clear();
    }

    /// Whether a kind is on.
    pub fn is_on(&self, kind: FaultKind) -> bool {
        self.on.contains_key(&kind)
    }

    /// Whether a kind that is on strikes this time.
    pub fn bites(&mut self, kind: FaultKind) -> bool {
        match self.on.get(&kind) {
            Some((_, permille)) => self.rng.below(1000) < *permille,
            None => false,
        }
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.rng.below(bound)
    }
}
