//! I1, I2, I3 and S1: the rows alone, without any memory, log or clock.
//!
//! Sums are wider than the numbers in them: a broken number must be found, not overflow.

use crate::ids::SkuId;
use crate::oracle::judge::Case;
use crate::oracle::verdict::{Checked, Findings};
use std::collections::BTreeMap;

/// I1: no shard's orders hold more than the shard was given.
pub fn consumed_within_granted(case: &Case<'_>) -> Checked {
    let mut findings = Findings::default();
    for ((k, sku), row) in &case.audit().stock {
        findings.expect(row.consumed <= row.granted, place(*k, *sku), || {
            format!("consumed {} > granted {}", row.consumed, row.granted)
        });
    }
    findings.judge()
}

/// I2: what shards were given and what is in the pool is all there is.
pub fn granted_and_pool_are_total(case: &Case<'_>) -> Checked {
    let (audit, mut findings) = (case.audit(), Findings::default());
    let mut granted: BTreeMap<SkuId, u128> = BTreeMap::new();
    for ((_, sku), row) in &audit.stock {
        *granted.entry(*sku).or_default() += u128::from(row.granted);
    }
    for row in audit.skus.values() {
        let given = granted.remove(&row.sku).unwrap_or(0);
        findings.expect(given + u128::from(row.pool) == u128::from(row.total), row.sku, || {
            format!("granted {given} + pool {} is not total {}", row.pool, row.total)
        });
    }
    for (sku, given) in granted {
        findings.add(sku, format!("{given} units are granted of a SKU that has no row"));
    }
    findings.judge()
}

/// I3: each stock row counts exactly the units that orders of its shard hold.
pub fn consumed_is_held(case: &Case<'_>) -> Checked {
    let (mut held, mut findings) = (case.held.clone(), Findings::default());
    for ((k, sku), row) in &case.audit().stock {
        let units = held.remove(&(*k, *sku)).unwrap_or(0);
        findings.expect(units == row.consumed, place(*k, *sku), || {
            format!("consumed {}, but orders hold {units}", row.consumed)
        });
    }
    for ((k, sku), units) in held {
        findings.add(place(k, sku), format!("orders hold {units} units without a stock row"));
    }
    findings.judge()
}

/// S1: over all shards, orders never hold more units than the sale has.
pub fn no_oversell(case: &Case<'_>) -> Checked {
    let mut sold: BTreeMap<SkuId, u64> = BTreeMap::new();
    for ((_, sku), units) in &case.held {
        *sold.entry(*sku).or_default() += units;
    }
    let mut findings = Findings::default();
    for (sku, units) in sold {
        let total = case.audit().skus.get(&sku).map_or(0, |row| row.total);
        findings.expect(units <= total, sku, || format!("orders hold {units} of {total} units"));
    }
    findings.judge()
}

fn place(k: u16, sku: SkuId) -> String {
    format!("shard {k}, {sku}")
}
