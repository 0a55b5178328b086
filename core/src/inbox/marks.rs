//! Products that records mark: each is worked on once for all records that marked it until then.
//!
//! A record is finished when the work that began after its delivery is done. One that comes while its product is being
//! worked on waits for the next turn: what that work read may be older.

use super::partitions::{News, Partitions};
use super::{Effect, Event, Offset, Partition};
use crate::ids::{ProductId, Version};
use crate::limits::INBOX_RECORDS_MAX;
use crate::machine::Ticket;
use crate::rng::Rng;
use crate::time::Mono;
use std::collections::{BTreeMap, BTreeSet};

/// A product that a record marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// Which.
    pub product: ProductId,
    /// The version that its row has at least; 0 when the record does not know.
    pub version: Version,
}

/// What is known of one marked product.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Waiting {
    version: Version,
    records: BTreeSet<(Partition, Offset)>,
}

/// Marked products of the assigned partitions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Marks {
    partitions: Partitions,
    waiting: BTreeMap<ProductId, Waiting>,
    /// Products of the work that is going on.
    taken: BTreeMap<ProductId, Waiting>,
    /// The product that was taken last: the next one has its turn.
    last: Option<ProductId>,
}

impl Marks {
    /// None yet.
    pub fn new() -> Marks {
        let partitions = Partitions::new(INBOX_RECORDS_MAX);
        Marks { partitions, waiting: BTreeMap::new(), taken: BTreeMap::new(), last: None }
    }

    /// Takes an event of the partitions; a record that marks nothing is finished at once.
    pub fn absorb(&mut self, now: Mono, rng: &mut Rng, event: Event<Option<Mark>>) {
        match self.partitions.absorb(now, rng, event) {
            News::Nothing => {}
            News::Gone(partition) => self.forget(partition),
            News::Fresh(partition, records) => {
                for (offset, mark) in records {
                    let Some(mark) = mark else {
                        self.partitions.finish(partition, offset);
                        continue;
                    };
                    let waiting = self.waiting.entry(mark.product).or_default();
                    waiting.version = waiting.version.max(mark.version);
                    waiting.records.insert((partition, offset));
                }
            }
        }
    }

    /// Another consumer has them now, or they begin anew: they are delivered again.
    fn forget(&mut self, partition: Partition) {
        for products in [&mut self.waiting, &mut self.taken] {
            products.values_mut().for_each(|waiting| waiting.records.retain(|(of, _)| *of != partition));
        }
        self.waiting.retain(|_, waiting| !waiting.records.is_empty());
    }

    /// Whether a product waits for work and none is going on.
    pub fn is_ready(&self) -> bool {
        self.taken.is_empty() && !self.waiting.is_empty()
    }

    /// Begins work on up to `limit` products, each with the least version that its row has.
    pub fn take(&mut self, limit: usize) -> Vec<Mark> {
        assert!(self.taken.is_empty(), "one piece of work at a time");
        let after = |product: &ProductId| self.last.is_none_or(|last| *product > last);
        let mut chosen: Vec<ProductId> = self.waiting.keys().copied().filter(after).take(limit).collect();
        let rest = limit - chosen.len();
        let others: Vec<ProductId> = self.waiting.keys().copied().filter(|p| !chosen.contains(p)).take(rest).collect();
        chosen.extend(others);
        self.last = chosen.last().copied();
        for product in &chosen {
            let waiting = self.waiting.remove(product).expect("it was just seen");
            self.taken.insert(*product, waiting);
        }
        chosen.into_iter().map(|product| Mark { product, version: self.taken[&product].version }).collect()
    }

    /// The work that is going on, as it was taken.
    pub fn taken(&self) -> Vec<Mark> {
        self.taken.iter().map(|(product, waiting)| Mark { product: *product, version: waiting.version }).collect()
    }

    /// The work is over. Records of these products are finished, the others wait for the next turn.
    pub fn finish(&mut self, mut is_done: impl FnMut(ProductId) -> bool) {
        for (product, taken) in std::mem::take(&mut self.taken) {
            if is_done(product) {
                for (partition, offset) in taken.records {
                    self.partitions.finish(partition, offset);
                }
            } else if !taken.records.is_empty() {
                let waiting = self.waiting.entry(product).or_default();
                waiting.version = waiting.version.max(taken.version);
                waiting.records.extend(taken.records);
            }
        }
    }

    /// Starts what is due of fetches, commits and dead letters.
    pub fn pump(&mut self, now: Mono, tickets: &mut Ticket, out: &mut Vec<Effect>) {
        self.partitions.pump(now, tickets, out);
    }

    /// When they must be looked at.
    pub fn wakes(&self) -> impl Iterator<Item = (Option<Mono>, &'static str)> {
        self.partitions.wakes()
    }

    /// Own invariants: a mark is a record that was delivered and not finished.
    pub fn check(&self) {
        assert!(self.waiting.len() <= self.partitions.open(), "a product waits for a record");
    }

    /// What is not done or not committed yet.
    pub fn owes(&self) -> Option<&'static str> {
        let marked = !self.waiting.is_empty() || !self.taken.is_empty();
        if marked { Some("marked products are not done") } else { self.partitions.owes() }
    }
}

impl Default for Marks {
    fn default() -> Marks {
        Marks::new()
    }
}
