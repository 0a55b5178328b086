//! S7: units move; they are neither made nor destroyed, and each is given back at most once.

use super::ledger::granted_and_pool_are_total;
use crate::database::rows::Phase;
use crate::ids::SkuId;
use crate::oracle::audit::Audit;
use crate::oracle::judge::Case;
use crate::oracle::probe::Probe;
use crate::oracle::verdict::{Checked, Findings, Judgement};
use std::collections::{BTreeMap, BTreeSet};

/// S7: pool + available + held = total at rest; a closed shard keeps only what orders hold; no page is ended twice.
pub fn no_unit_made_or_destroyed(case: &Case<'_>) -> Checked {
    let (audit, mut findings) = (case.audit(), Findings::default());
    if let Judgement::Red { findings: found, count } = granted_and_pool_are_total(case)? {
        findings.absorb(found, count);
    }
    for row in audit.stock.values() {
        let closed = audit.shards.get(&row.k).is_some_and(|shard| shard.phase == Phase::Closed);
        findings.expect(!closed || row.granted == row.consumed, format_args!("shard {}, {}", row.k, row.sku), || {
            format!("is closed and keeps {} units, of which orders hold {}", row.granted, row.consumed)
        });
    }
    released_once(case, &mut findings);
    if let Err(missing) = case.rest() {
        return findings.judge_in_part(&missing.0);
    }
    let all_closed = audit.shards.values().all(|shard| shard.phase == Phase::Closed);
    match case.memories() {
        Err(missing) if !all_closed => findings.judge_in_part(&missing.0),
        Ok(_) | Err(_) => {
            units_add_up(case, audit, &mut findings);
            findings.judge()
        }
    }
}

/// Where every unit is at rest. A shard that is between two memories has its free units in the rows alone.
fn units_add_up(case: &Case<'_>, audit: &Audit, findings: &mut Findings) {
    let pooled = audit.skus.values().map(|row| (row.sku, u128::from(row.pool)));
    let mut found: BTreeMap<SkuId, u128> = pooled.collect();
    for ((_, sku), held) in &case.held {
        *found.entry(*sku).or_default() += u128::from(*held);
    }
    for shard in audit.shards.values() {
        let memory = audit.memories.as_ref().and_then(|memories| memories.get(&shard.k));
        if let (Phase::Open, Some(memory)) = (shard.phase, memory) {
            for counter in &memory.counters {
                *found.entry(counter.sku).or_default() += u128::from(counter.available);
            }
            continue;
        }
        for row in audit.stock.values().filter(|row| row.k == shard.k) {
            *found.entry(row.sku).or_default() += u128::from(row.granted.saturating_sub(row.consumed));
        }
    }
    for (sku, units) in found {
        let total = audit.skus.get(&sku).map_or(0, |row| row.total);
        findings.expect(units == u128::from(total), sku, || {
            format!("pool, available and held units are {units}, the sale has {total}")
        });
    }
}

fn released_once(case: &Case<'_>, findings: &mut Findings) {
    let mut released = BTreeSet::new();
    for probe in case.inputs.probes.unwrap_or_default() {
        if let Probe::UnitsReleased { shard, server, epoch, id } = probe {
            let first = released.insert((*shard, *server, *epoch, *id));
            findings.expect(first, format_args!("{shard}.{id}"), || format!("was given back twice in {epoch:?}"));
        }
    }
}
