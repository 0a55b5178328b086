//! I4 and I5 as the keeper compares them; a memory that does not add up stops selling.

use super::Keeper;
use super::talk::{Counters, Finding, KeeperEffect};
use crate::database::rows::Phase;
use crate::time::Now;

/// The first SKU that breaks I4, or at rest I5: what is left is what was granted less what orders hold.
pub fn find_break(counters: &Counters) -> Option<Finding> {
    for (sku, counter, row) in &counters.stock {
        if counter.granted != counter.available + counter.live {
            return Some(Finding::CountersUnbalanced(*sku, *counter));
        }
        let same = counter.granted == row.granted && counter.live == row.consumed;
        if counters.at_rest && !same {
            return Some(Finding::CountersDiffer(*sku, *counter, *row));
        }
    }
    None
}

impl Keeper {
    pub(super) fn counters_read(&mut self, now: Now, counters: &Counters, out: &mut Vec<KeeperEffect>) {
        let Some(row) = self.row() else { return };
        // Counters of an ended memory say nothing about this one.
        if row.phase != Phase::Open || row.fence() != counters.fence {
            return;
        }
        let epoch = row.epoch;
        if let Some(finding) = find_break(counters) {
            out.push(KeeperEffect::Explain(finding));
            self.broken = Some(epoch);
            self.hurry(now);
        }
    }
}
