//! What happens in a run, as plain data: a seed draws a plan, a plan is run, a failing plan is shrunk and kept.

use crate::fault::FaultKind;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Strikes of the wire world from this time on happen in the hours after its sale, so many milliseconds after these begin.
pub const HOURS_MS: u64 = 200_000;

/// Which world runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// The machines on an event heap: breadth and long horizons.
    Fast,
    /// The shells over a simulated network: fidelity.
    Wire,
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// One line for people; a kept plan says which bug it found.
    #[serde(default)]
    pub story: String,
    /// What is not in the plan (latencies, tokens, choices of buyers) is drawn from it.
    pub seed: u64,
    /// Which world.
    pub world: World,
    /// What is there.
    pub setup: Setup,
    /// What goes wrong, by time.
    pub strikes: Vec<Strike>,
}

/// When a 202 leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acknowledge {
    /// When the shard's server has answered.
    Redis,
    /// When one replica has it too.
    Replica,
    /// When the durable log has it.
    Log,
}

/// The platform, its sale and its buyers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// Whether the roles share one process and one disk.
    pub embedded: bool,
    /// When a 202 leaves.
    pub acknowledge: Acknowledge,
    /// Slices of the sale.
    pub shards: u16,
    /// Units of each SKU.
    pub stock: Vec<u64>,
    /// Live units of one user.
    pub limit: u32,
    /// The pay window in milliseconds.
    pub hold_ms: u64,
    /// The sale's length in milliseconds.
    pub sale_ms: u64,
    /// Who comes, by number: each draws from a stream of its own, so that one less shifts no other.
    pub buyers: BTreeSet<u32>,
    /// The buyers come within this time, in milliseconds.
    pub arrivals_ms: u64,
    /// Instances of each role, by its name.
    pub instances: BTreeMap<String, u32>,
    /// Least and greatest latency of a link in microseconds.
    pub latency_us: (u64, u64),
    /// The run ends at this time at the latest, healing aside, in milliseconds.
    pub horizon_ms: u64,
}

/// One fault, or one act of an operator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strike {
    /// When, in milliseconds of the run.
    pub at_ms: u64,
    /// What.
    pub fault: FaultKind,
    /// A host ("intake-0"), a link ("edge-0>redis-0"), a role ("intake") or nothing, as the kind wants it.
    #[serde(default)]
    pub target: String,
    /// For how long, in milliseconds; 0 for what has no length.
    #[serde(default)]
    pub for_ms: u64,
    /// How much, as the kind wants it: entries lost, milliseconds of skew, parts per thousand.
    #[serde(default)]
    pub amount: u64,
    /// The moment for which it waits from then on, if it waits for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meets: Option<Meeting>,
}

impl Strike {
    /// A strike that waits for no moment of its own.
    pub fn new(at_ms: u64, fault: FaultKind, target: impl Into<String>, for_ms: u64, amount: u64) -> Strike {
        Strike { at_ms, fault, target: target.into(), for_ms, amount, meets: None }
    }
}

/// A moment in which a strike meets work. Only the fast world waits for it; in the wire world the strike begins at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meeting {
    /// What a process of the target has in hand, or what is on its way over a link of it, in the words of the matrix of
    /// faults and stages. Without words: anything that a process has in hand.
    #[serde(default)]
    pub stage: String,
    /// It waits for so many milliseconds at most. Then a strike with a target begins all the same; one without a target
    /// hits only what it meets, and so nothing.
    pub within_ms: u64,
}
