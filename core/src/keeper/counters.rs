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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::rows::StockRow;
    use crate::ids::{Epoch, Nonce, ServerId, SkuId};
    use crate::ledger::shard::{Counter, Fence};

    #[test]
    fn i4_i5_what_does_not_add_up_is_found_and_what_does_is_not() {
        let sku = SkuId::parse("sku").unwrap();
        let fence = Fence { server: ServerId(1), epoch: Epoch(1), nonce: Nonce(1) };
        let counted = |at_rest, counter: Counter| {
            let row = StockRow { granted: 10, consumed: 4, grant_seq: 1 };
            find_break(&Counters { fence, at_rest, stock: vec![(sku, counter, row)] })
        };
        let sound = Counter { available: 6, live: 4, granted: 10, grant_seq: 1 };
        assert_eq!(counted(true, sound), None);
        let broken = Counter { available: 7, ..sound };
        assert_eq!(counted(false, broken), Some(Finding::CountersUnbalanced(sku, broken)));
        let ahead = Counter { available: 5, live: 5, ..sound };
        assert_eq!(counted(false, ahead), None, "what was taken since is on its way to the row");
        assert!(matches!(counted(true, ahead), Some(Finding::CountersDiffer(..))));
    }
}
