//! What the oracle says: per invariant green, red with what and where, or not checked and why.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Findings of one invariant that are kept; the rest are counted. A broken run breaks for thousands of orders alike.
pub const FINDINGS_MAX: usize = 20;

/// An invariant by its id.
macro_rules! checks {
    ($($check:ident: $title:literal,)*) => {
        /// An invariant that the oracle can judge.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Check { $(#[doc = $title] $check,)* }

        impl Check {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Check] = &[$(Check::$check,)*];

            /// The id.
            pub fn id(self) -> &'static str {
                match self { $(Check::$check => stringify!($check),)* }
            }

            /// The promise in one line.
            pub fn title(self) -> &'static str {
                match self { $(Check::$check => $title,)* }
            }
        }
    };
}

checks! {
    I1: "consumed never passes granted",
    I2: "granted units and the pool add up to the total",
    I3: "consumed is what the orders hold",
    I4: "a memory's granted units are available or live",
    I5: "at rest a memory and the rows count the same",
    S1: "no oversell",
    S2: "no memory counts below zero",
    S3: "no user holds more than the limit",
    S4: "no phantom order",
    S5: "every acceptance is exactly one order, or lost and said to be",
    S6: "orders move only along the allowed edges",
    S7: "no unit is made or destroyed",
    S8: "no pay window is cut short",
    S9: "a change and its event come together",
    S10: "nothing is acknowledged before it is durable",
    S11: "older versions never overwrite newer ones",
    S12: "one completion per claim",
    S13: "a task is in exactly one place",
    S14: "a replay changes nothing",
    S15: "the same key gets the same answer",
    S16: "a cached product never goes back",
    S17: "one load per product and process, and none fills after its invalidation",
    S18: "the sales of seven days are the exact sum",
    S19: "a partition is read after its parents, and no checkpoint passes an unsent record",
    S20: "every bound is kept",
    S21: "every answer is a documented one",
    S23: "the ledger's five equations hold",
    S24: "a basket is taken whole or not at all",
    S25: "what was said of an unknown outcome stays true",
    S26: "an epoch opens once, and a closed one takes nothing",
    L1: "the shards' logs are drained",
    L2: "every durable entry is decided",
    L3: "no reservation is held too long",
    L4: "every unpaid order ends, every paid one is paid",
    L5: "what was given back can be sold",
    L6: "no task is overdue",
    L7: "the outbox is delivered",
    L8: "caches come to the database's version",
    L9: "the sales windows come to the exact sum",
}

impl Check {
    /// Whether it says what must happen in the end, and not what must never happen.
    pub fn is_liveness(self) -> bool {
        self.id().starts_with('L')
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// One violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which order, SKU, shard or user.
    pub place: String,
    /// What is wrong there, with both numbers.
    pub what: String,
}

/// What is said of one invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "judgement", rename_all = "kebab-case")]
pub enum Judgement {
    /// It held in everything that was given.
    Green,
    /// It was broken.
    Red {
        /// The first [`FINDINGS_MAX`].
        findings: Vec<Finding>,
        /// How many there were.
        count: usize,
    },
    /// It cannot be judged: says which input is missing.
    NotChecked {
        /// Which.
        missing: String,
    },
}

/// The input without which an invariant cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(pub String);

/// What a predicate returns; `?` on a missing input makes the check "not checked".
pub type Checked = Result<Judgement, Missing>;

impl From<Missing> for Judgement {
    fn from(missing: Missing) -> Judgement {
        Judgement::NotChecked { missing: missing.0 }
    }
}

impl Judgement {
    /// Whether it was broken.
    pub fn is_red(&self) -> bool {
        matches!(self, Judgement::Red { .. })
    }

    /// Whether it held.
    pub fn is_green(&self) -> bool {
        matches!(self, Judgement::Green)
    }
}

/// Violations of one invariant in the making.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    kept: Vec<Finding>,
    count: usize,
}

impl Findings {
    /// Adds a violation.
    pub fn add(&mut self, place: impl fmt::Display, what: impl Into<String>) {
        self.count += 1;
        if self.kept.len() < FINDINGS_MAX {
            self.kept.push(Finding { place: place.to_string(), what: what.into() });
        }
    }

    /// Adds a violation unless `holds`; the text is made only when it is needed.
    pub fn expect(&mut self, holds: bool, place: impl fmt::Display, what: impl FnOnce() -> String) {
        if !holds {
            self.add(place, what());
        }
    }

    /// Takes over what another predicate found.
    pub fn absorb(&mut self, findings: Vec<Finding>, count: usize) {
        self.count += count;
        self.kept.extend(findings);
        self.kept.truncate(FINDINGS_MAX);
    }

    /// Green when there is none.
    pub fn judge(self) -> Checked {
        let (findings, count) = (self.kept, self.count);
        Ok(if count == 0 { Judgement::Green } else { Judgement::Red { findings, count } })
    }

    /// Red when there is one; else not checked, because the part that was looked at is not the whole.
    pub fn judge_in_part(self, missing: &str) -> Checked {
        if self.count == 0 { Err(Missing(missing.to_owned())) } else { self.judge() }
    }
}

/// What is said of every invariant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// By id; those that the oracle never judges are not in it.
    pub judgements: BTreeMap<Check, Judgement>,
}

impl Verdict {
    /// The judgement of this invariant; not checked when it was not judged.
    pub fn of(&self, check: Check) -> Judgement {
        self.judgements
            .get(&check)
            .cloned()
            .unwrap_or_else(|| Missing("this check was not asked for".to_owned()).into())
    }

    /// Whether nothing is red. What was not checked does not count as green: see [`Verdict::unchecked`].
    pub fn holds(&self) -> bool {
        self.reds().next().is_none()
    }

    /// What was broken.
    pub fn reds(&self) -> impl Iterator<Item = (Check, &[Finding], usize)> {
        self.judgements.iter().filter_map(|(check, judgement)| match judgement {
            Judgement::Red { findings, count } => Some((*check, findings.as_slice(), *count)),
            Judgement::Green | Judgement::NotChecked { .. } => None,
        })
    }

    /// What could not be judged, and which input is missing.
    pub fn unchecked(&self) -> impl Iterator<Item = (Check, &str)> {
        self.judgements.iter().filter_map(|(check, judgement)| match judgement {
            Judgement::NotChecked { missing } => Some((*check, missing.as_str())),
            Judgement::Green | Judgement::Red { .. } => None,
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (check, judgement) in &self.judgements {
            match judgement {
                Judgement::Green => writeln!(f, "{check:<4} green        {}", check.title())?,
                Judgement::NotChecked { missing } => writeln!(f, "{check:<4} not checked  {missing}")?,
                Judgement::Red { findings, count } => {
                    writeln!(f, "{check:<4} RED          {}: {count} times", check.title())?;
                    for Finding { place, what } in findings {
                        writeln!(f, "       {place}: {what}")?;
                    }
                }
            }
        }
        Ok(())
    }
}
