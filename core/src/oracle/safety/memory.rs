//! I4, I5, S2 and S23: what servers of shards remember, and whether the rows agree at rest.

use super::ledger;
use crate::database::rows::Phase;
use crate::ids::SkuId;
use crate::ledger::shard::ShardState;
use crate::oracle::audit::{Audit, CounterLine, MemoryLine, ShardLine, StockLine};
use crate::oracle::judge::Case;
use crate::oracle::verdict::{Checked, Findings, Judgement, Missing};
use std::collections::BTreeMap;

/// I4: per SKU, what a memory was given is available or live, and its pages say the same.
pub fn granted_is_available_and_live(case: &Case<'_>) -> Checked {
    let mut findings = Findings::default();
    for memory in case.memories()?.values() {
        // A memory that is being loaded has not counted its records yet; its opening checks them.
        if memory.state == ShardState::Loading {
            continue;
        }
        for counter in &memory.counters {
            let whole = counter.available.checked_add(counter.live) == Some(counter.granted);
            findings.expect(whole, place(memory, counter), || {
                format!("granted {} is not available {} + live {}", counter.granted, counter.available, counter.live)
            });
        }
        if let Some(scan) = &memory.scan {
            findings.add(format_args!("memory of shard {}", memory.k), scan.clone());
        }
    }
    findings.judge()
}

/// S2: no counter fell below zero, which in unsigned numbers shows as more than was granted.
pub fn counts_stay_sound(case: &Case<'_>) -> Checked {
    let mut findings = Findings::default();
    for memory in case.memories()?.values() {
        for counter in &memory.counters {
            let sound = counter.available <= counter.granted && counter.live <= counter.granted;
            findings.expect(sound, place(memory, counter), || {
                format!("available {} or live {} > granted {}", counter.available, counter.live, counter.granted)
            });
        }
    }
    findings.judge()
}

/// I5: with nothing in flight, the memory of an open shard and its rows count the same.
pub fn agrees_with_rows_at_rest(case: &Case<'_>) -> Checked {
    let (memories, audit, mut findings) = (case.memories()?, case.audit(), Findings::default());
    case.rest()?;
    let mut in_flight = None;
    for shard in audit.shards.values().filter(|shard| shard.phase == Phase::Open) {
        let own = |memory: &&MemoryLine| (memory.server, memory.epoch, memory.nonce) == identity(shard);
        let Some(memory) = memories.get(&shard.k).filter(own) else {
            findings.add(format_args!("shard {}", shard.k), "the row names a memory that does not exist");
            continue;
        };
        if memory.seq == shard.cursor {
            compare(audit, memory, &mut findings);
        } else {
            in_flight = Some(format!("rest of shard {}: entry {:?} is not decided", shard.k, memory.seq));
        }
    }
    match in_flight {
        Some(missing) => findings.judge_in_part(&missing),
        None => findings.judge(),
    }
}

/// S23: I1 to I5 together; red as soon as one is, green only when all are.
pub fn all_five_equations(case: &Case<'_>) -> Checked {
    let equations = [
        ("I1", ledger::consumed_within_granted(case)),
        ("I2", ledger::granted_and_pool_are_total(case)),
        ("I3", ledger::consumed_is_held(case)),
        ("I4", granted_is_available_and_live(case)),
        ("I5", agrees_with_rows_at_rest(case)),
    ];
    let (mut findings, mut missing) = (Findings::default(), None);
    for (id, checked) in equations {
        match checked {
            Ok(Judgement::Red { findings: found, count }) => findings.absorb(found, count),
            Ok(Judgement::Green) => {}
            Ok(Judgement::NotChecked { missing: what }) | Err(Missing(what)) => missing = Some(format!("{id}: {what}")),
        }
    }
    match missing {
        Some(missing) => findings.judge_in_part(&missing),
        None => findings.judge(),
    }
}

fn identity(shard: &ShardLine) -> (crate::ids::ServerId, crate::ids::Epoch, crate::ids::Nonce) {
    (shard.server, shard.epoch, shard.nonce)
}

fn compare(audit: &Audit, memory: &MemoryLine, findings: &mut Findings) {
    let mut counters: BTreeMap<SkuId, &CounterLine> = memory.counters.iter().map(|line| (line.sku, line)).collect();
    let rows = audit.stock.iter().filter(|((k, _), _)| *k == memory.k).map(|(_, row)| row);
    for row in rows {
        match counters.remove(&row.sku) {
            Some(counter) => findings.expect(agrees(counter, row), place(memory, counter), || {
                format!("the memory says {counter:?}, the row {row:?}")
            }),
            None => findings.expect(row.granted == 0, format_args!("shard {}, {}", memory.k, row.sku), || {
                format!("the row grants {} units of which the memory knows nothing", row.granted)
            }),
        }
    }
    for counter in counters.into_values() {
        findings.expect(counter.granted == 0, place(memory, counter), || {
            format!("the memory was never given its {} units", counter.granted)
        });
    }
}

/// At rest: same grants, and what is not consumed is available.
fn agrees(counter: &CounterLine, row: &StockLine) -> bool {
    counter.granted == row.granted
        && counter.grant_seq == row.grant_seq
        && row.granted.checked_sub(row.consumed) == Some(counter.available)
}

fn place(memory: &MemoryLine, counter: &CounterLine) -> String {
    format!("memory of shard {}, {}", memory.k, counter.sku)
}
