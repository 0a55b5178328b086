//! What a run leaves behind.

use crate::fault::FaultKind;
use crate::plan::Plan;
use crate::trace::Trace;
use std::collections::{BTreeMap, BTreeSet};

/// How often a kind of fault was injected, and how often it changed an outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Struck {
    /// Times it was switched on.
    pub injected: u64,
    /// Outcomes that it changed: a message lost, a commit turned unknown, a process that died with work in its hands.
    pub effective: u64,
}

/// Faults of a run or of an ensemble.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultLedger {
    /// By kind.
    pub kinds: BTreeMap<FaultKind, Struck>,
    /// What was in flight when a kind took effect, by the stage's name.
    pub stages: BTreeMap<(FaultKind, &'static str), u64>,
    /// Moments that an ensemble must reach at least once.
    pub sometimes: BTreeSet<&'static str>,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's id: "S1", "L5", or "panic" for an assertion of the product.
    pub id: String,
    /// When, in microseconds of the run.
    pub at_us: u64,
    /// What was found, where.
    pub what: String,
}

/// What a run leaves behind.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was run.
    pub plan: Plan,
    /// The hash, its checkpoints, and lines where they were kept.
    pub trace: Trace,
    /// Simulated time at the end, in microseconds.
    pub ended_at_us: u64,
    /// The first broken promise.
    pub violation: Option<Violation>,
    /// Faults.
    pub faults: FaultLedger,
    /// What buyers got: acceptances, refusals, unknown outcomes, orders paid, by name.
    pub counts: BTreeMap<&'static str, u64>,
}

impl FaultLedger {
    /// Notes that a kind was switched on.
    pub fn inject(&mut self, kind: FaultKind) {
        self.kinds.entry(kind).or_default().injected += 1;
    }

    /// Notes that a kind changed an outcome while this was in flight.
    pub fn take_effect(&mut self, kind: FaultKind, stage: &'static str) {
        self.kinds.entry(kind).or_default().effective += 1;
        *self.stages.entry((kind, stage)).or_default() += 1;
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &FaultLedger) {
        for (kind, struck) in &other.kinds {
            let sum = self.kinds.entry(*kind).or_default();
            sum.injected += struck.injected;
            sum.effective += struck.effective;
        }
        for (cell, count) in &other.stages {
            *self.stages.entry(*cell).or_default() += count;
        }
        self.sometimes.extend(&other.sometimes);
    }
}
