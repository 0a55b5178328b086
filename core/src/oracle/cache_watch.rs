//! S16, S17 and L8 of the product caches, judged while a run goes on from what can be seen of them from outside.
//!
//! Whoever watches tells everything in the order of one clock, its own. A violation is said at once, so that a
//! simulation can stop where it happened, and kept for the verdict.

use super::verdict::{Checked, Finding, Findings};
use crate::ids::{ProductId, Version};
use crate::limits::{CACHE_LAG_AFTER_LOSS_MS, CACHE_LAG_MS};
use crate::machine::Ticket;
use crate::time::Mono;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One life of one process that has a local cache; a restart is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance(pub u32);

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Seen {
    /// A caller got this version; an absent product is version 0.
    Served {
        /// By whom.
        instance: Instance,
        /// Which product.
        key: ProductId,
        /// Of the row.
        version: Version,
        /// When the caller asked. A watcher that sees the order of effects itself passes the time of the answer:
        /// the rules are then at their strictest.
        asked_at: Mono,
    },
    /// A load left for the database.
    LoadStarted {
        /// Whose.
        instance: Instance,
        /// Which product.
        key: ProductId,
        /// Which load.
        load: Ticket,
    },
    /// Its answer arrived, or its time was over.
    LoadEnded {
        /// Whose.
        instance: Instance,
        /// Which product.
        key: ProductId,
        /// Which load.
        load: Ticket,
    },
    /// The shared cache took this version from this load.
    Filled {
        /// Whose.
        instance: Instance,
        /// Which product.
        key: ProductId,
        /// Which load.
        load: Ticket,
        /// Of the row.
        version: Version,
    },
    /// The shared cache has the floor of a change.
    Floored {
        /// Which product.
        key: ProductId,
        /// Of the row.
        version: Version,
    },
    /// A process took in the message of a change.
    Told {
        /// Which process.
        instance: Instance,
        /// Which product.
        key: ProductId,
        /// Of the row.
        version: Version,
    },
    /// The floor stands, and every process that lives has taken in the message or has purged since.
    Acknowledged {
        /// Which product.
        key: ProductId,
        /// Of the row.
        version: Version,
    },
    /// The shared cache lost writes: a failover, a flush, an old snapshot; told ahead, it loses until then.
    SharedLost,
    /// A process is gone, with all that it knew.
    Gone(Instance),
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's id.
    pub id: &'static str,
    /// Where and what.
    pub finding: Finding,
}

/// Watches all caches of one run.
#[derive(Clone, Debug, Default)]
pub struct CacheWatch {
    of_instance: BTreeMap<(Instance, ProductId), Reader>,
    of_key: BTreeMap<ProductId, Truth>,
    begun: BTreeMap<(Instance, ProductId, Ticket), Mono>,
    shared_lost_at: Option<Mono>,
    served: bool,
    loaded: bool,
    order: Findings,
    flights: Findings,
}

/// What one process did with one product.
#[derive(Clone, Debug, Default)]
struct Reader {
    /// Versions that rose, each with the time at which it was first served.
    served: BTreeMap<Version, Mono>,
    /// Loads that are open.
    open: BTreeSet<Ticket>,
    /// The highest change that was told while a load was open, and when.
    overtaken: Option<(Version, Mono)>,
}

/// What is known of one product's changes: by version, when.
#[derive(Clone, Debug, Default)]
struct Truth {
    floored: BTreeMap<Version, Mono>,
    acknowledged: BTreeMap<Version, Mono>,
}

impl CacheWatch {
    /// Takes in what was seen at this time, and says what it breaks.
    pub fn see(&mut self, at: Mono, seen: Seen) -> Option<Violation> {
        match seen {
            Seen::Served { instance, key, version, asked_at } => self.see_served(instance, key, version, asked_at, at),
            Seen::LoadStarted { instance, key, load } => self.see_load(instance, key, load, at),
            Seen::LoadEnded { instance, key, load } => {
                self.of_instance.entry((instance, key)).or_default().open.remove(&load);
                None
            }
            Seen::Filled { instance, key, load, version } => self.see_filled((instance, key, load), version, at),
            Seen::Floored { key, version } => {
                self.of_key.entry(key).or_default().floored.entry(version).or_insert(at);
                None
            }
            Seen::Told { instance, key, version } => {
                let reader = self.of_instance.entry((instance, key)).or_default();
                let higher = reader.overtaken.is_none_or(|(known, _)| known < version);
                if higher && !reader.open.is_empty() {
                    reader.overtaken = Some((version, at));
                }
                None
            }
            Seen::Acknowledged { key, version } => {
                self.of_key.entry(key).or_default().acknowledged.entry(version).or_insert(at);
                None
            }
            Seen::SharedLost => {
                self.shared_lost_at = self.shared_lost_at.max(Some(at));
                None
            }
            Seen::Gone(instance) => {
                self.of_instance.retain(|(of, _), _| *of != instance);
                None
            }
        }
    }

    /// S16 so far.
    pub fn never_goes_back(&self) -> Checked {
        if self.served {
            self.order.clone().judge()
        } else {
            self.order.clone().judge_in_part("a product that was served")
        }
    }

    /// S17 so far.
    pub fn single_flight(&self) -> Checked {
        if self.loaded { self.flights.clone().judge() } else { self.flights.clone().judge_in_part("a load") }
    }

    /// L8: at rest, what every process serves last is what the database has. Asked some `CACHE_LAG_MS` after the faults
    /// ended, or `CACHE_LAG_AFTER_LOSS_MS` where the shared cache lost writes.
    pub fn converges(
        finals: impl IntoIterator<Item = (Instance, ProductId, Version)>,
        rows: &BTreeMap<ProductId, Version>,
    ) -> Checked {
        let (mut findings, mut looked) = (Findings::default(), false);
        for (instance, key, version) in finals {
            looked = true;
            let row = rows.get(&key).copied().unwrap_or_default();
            findings.expect(version == row, place(instance, key), || {
                format!("serves version {}, the row has {}", version.0, row.0)
            });
        }
        if looked { findings.judge() } else { findings.judge_in_part("what the caches serve at the end") }
    }

    fn see_served(
        &mut self,
        instance: Instance,
        key: ProductId,
        version: Version,
        asked_at: Mono,
        at: Mono,
    ) -> Option<Violation> {
        self.served = true;
        let reader = self.of_instance.entry((instance, key)).or_default();
        let newer = reader.served.iter().find(|(served, first_at)| **served > version && **first_at <= asked_at);
        let newer = newer.map(|(newer, _)| *newer);
        // The versions stay in the order of their times: one that follows a higher one tells nothing new.
        if reader.served.last_key_value().is_none_or(|(highest, _)| *highest < version) {
            reader.served.insert(version, at);
        }
        let overtaken = reader.overtaken.filter(|(told, told_at)| *told > version && *told_at <= asked_at);
        if let Some(newer) = newer {
            return self.report_order(instance, key, format!("serves version {} after {}", version.0, newer.0));
        }
        if let Some((told, _)) = overtaken {
            let what = format!("serves version {} of a load that was told of {}", version.0, told.0);
            return Some(report(&mut self.flights, "S17", place(instance, key), what));
        }
        let what = self.lag(key, version, asked_at)?;
        self.report_order(instance, key, what)
    }

    /// What is wrong with serving this version to somebody who asked then, by the changes that were known before.
    fn lag(&self, key: ProductId, version: Version, asked_at: Mono) -> Option<String> {
        let truth = self.of_key.get(&key)?;
        let newer = truth.floored.range(version.next()..).map(|(newer, at)| (*newer, *at));
        let (newer, floored_at, _) = newer
            .map(|(newer, floored_at)| {
                let acknowledged_at = truth.acknowledged.get(&newer).copied();
                let until = match self.shared_lost_at.filter(|lost_at| floored_at <= *lost_at) {
                    // What the shared cache has again may be older than a floor that it lost.
                    Some(lost_at) => lost_at.after_ms(CACHE_LAG_AFTER_LOSS_MS),
                    None => floored_at.after_ms(CACHE_LAG_MS).min(acknowledged_at.unwrap_or(Mono(u64::MAX))),
                };
                (newer, floored_at, until)
            })
            .find(|(_, _, until)| *until <= asked_at)?;
        Some(format!("serves version {}, but the floor of {} was written at {} us", version.0, newer.0, floored_at.0))
    }

    fn see_load(&mut self, instance: Instance, key: ProductId, load: Ticket, at: Mono) -> Option<Violation> {
        self.loaded = true;
        self.begun.insert((instance, key, load), at);
        let open = &mut self.of_instance.entry((instance, key)).or_default().open;
        let others = open.len();
        open.insert(load);
        (others > 0).then(|| {
            report(&mut self.flights, "S17", place(instance, key), format!("a load begins beside {others} open ones"))
        })
    }

    fn see_filled(&mut self, load: (Instance, ProductId, Ticket), version: Version, at: Mono) -> Option<Violation> {
        let place = place(load.0, load.1);
        let Some(begun_at) = self.begun.get(&load).copied() else {
            return Some(report(&mut self.flights, "S17", place, "fills without a load".to_owned()));
        };
        let lost_at = self.shared_lost_at;
        let floored = &self.of_key.get(&load.1)?.floored;
        let mut between = floored.range(version.next()..).filter(|(_, floored_at)| {
            let lost = lost_at.is_some_and(|lost_at| **floored_at <= lost_at);
            !lost && begun_at <= **floored_at && **floored_at <= at
        });
        let (newer, _) = between.next()?;
        let what = format!("a load begun before the floor of {} fills version {} after it", newer.0, version.0);
        Some(report(&mut self.flights, "S17", place, what))
    }

    fn report_order(&mut self, instance: Instance, key: ProductId, what: String) -> Option<Violation> {
        Some(report(&mut self.order, "S16", place(instance, key), what))
    }
}

fn place(instance: Instance, key: ProductId) -> String {
    format!("process {}, {key}", instance.0)
}

fn report(findings: &mut Findings, id: &'static str, place: String, what: String) -> Violation {
    findings.add(&place, what.clone());
    Violation { id, finding: Finding { place, what } }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.id, self.finding.place, self.finding.what)
    }
}
