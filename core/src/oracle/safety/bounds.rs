//! S20: what the stores hold stays within the limits that the code promises.

use crate::ids::UserId;
use crate::limits::{HOLD_MS_MAX, HOLD_MS_MIN, KEYS_MAX, LINES_MAX, QUANTITY_MAX, SHARDS_MAX, SKUS_MAX, STOCK_MAX};
use crate::oracle::judge::Case;
use crate::oracle::verdict::{Checked, Findings};
use std::collections::BTreeMap;

/// S20: keys of a user, lines, quantities, SKUs, shards and stock.
pub fn are_kept(case: &Case<'_>) -> Checked {
    let (audit, mut findings) = (case.audit(), Findings::default());
    let mut keys: BTreeMap<&UserId, usize> = BTreeMap::new();
    for order in audit.orders.values().filter(|order| order.place().is_some()) {
        *keys.entry(&order.user).or_default() += 1;
        let lines_fit = (1..=LINES_MAX).contains(&order.lines.len())
            && order.lines.iter().all(|line| (1..=QUANTITY_MAX).contains(&line.quantity));
        findings.expect(lines_fit, order.id, || format!("has lines out of bounds: {:?}", order.lines));
    }
    for (user, keys) in keys {
        findings.expect(keys <= KEYS_MAX, user, || format!("has {keys} accepted keys, at most {KEYS_MAX} fit a page"));
    }
    for row in audit.skus.values() {
        findings.expect(row.total <= STOCK_MAX, row.sku, || format!("has {} units, at most {STOCK_MAX}", row.total));
    }
    let sale = &audit.sale;
    findings.expect(audit.skus.len() <= SKUS_MAX, sale.id, || format!("has {} SKUs", audit.skus.len()));
    findings.expect(sale.shards <= SHARDS_MAX && audit.shards.len() == usize::from(sale.shards), sale.id, || {
        format!("has {} shards and {} rows of them", sale.shards, audit.shards.len())
    });
    let hold_fits = (HOLD_MS_MIN..=HOLD_MS_MAX).contains(&sale.hold_ms);
    findings.expect(hold_fits, sale.id, || format!("holds for {} ms", sale.hold_ms));
    findings.judge()
}
