//! S9, S10 and S11: the order of effects between stores, which only probes can show.

use crate::ids::{Epoch, OrderId, Seq, ShardId, Version};
use crate::oracle::judge::Case;
use crate::oracle::probe::Probe;
use crate::oracle::verdict::{Checked, Findings, Missing};
use std::collections::{BTreeMap, BTreeSet};

/// S9: a change has an outbox row and the row a change; an event is published only of a row, and at rest of every row.
pub fn change_and_event_together(case: &Case<'_>) -> Checked {
    let (mut moved, mut inserted, mut published) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut findings = Findings::default();
    for probe in case.probes()? {
        if let Probe::OrderMoved { order, version, .. } = probe {
            moved.insert((*order, *version));
        } else if let Probe::OutboxInserted { order, version } = probe {
            inserted.insert((*order, *version));
        } else if let Probe::EventPublished { order, version } = probe {
            let known = inserted.contains(&(*order, *version));
            findings.expect(known, order, || format!("version {} was told before it was written", version.0));
            published.insert((*order, *version));
        }
    }
    let mut without = |these: &BTreeSet<(OrderId, Version)>, those: &BTreeSet<(OrderId, Version)>, what: &str| {
        for (order, version) in these.difference(those) {
            findings.add(order, format!("version {} {what}", version.0));
        }
    };
    without(&moved, &inserted, "has no outbox row");
    without(&inserted, &moved, "has an outbox row without a change");
    if case.options().at_rest {
        without(&inserted, &published, "was never told");
    }
    findings.judge()
}

/// S10: a shard's log lets go of an entry after the durable log has it, and a consumer after its effects are durable.
pub fn durable_before_acknowledged(case: &Case<'_>) -> Checked {
    let mut published: BTreeSet<(ShardId, Epoch, Seq)> = BTreeSet::new();
    let mut decided: BTreeSet<(ShardId, Epoch, Seq)> = BTreeSet::new();
    let mut findings = Findings::default();
    for probe in case.probes()? {
        if let Probe::Published { shard, epoch, seq } = probe {
            published.insert((*shard, *epoch, *seq));
        } else if let Probe::EntryDecided { shard, epoch, seq, .. } = probe {
            decided.insert((*shard, *epoch, *seq));
        } else if let Probe::EntryAcked { shard, epoch, seq } = probe {
            findings.expect(published.contains(&(*shard, *epoch, *seq)), shard, || {
                format!("entry {}-{} was acknowledged before it was durable", epoch.0, seq.0)
            });
        } else if let Probe::OffsetCommitted { shard, epoch, seq } = probe {
            findings.expect(decided.contains(&(*shard, *epoch, *seq)), shard, || {
                format!("the offset behind entry {}-{} was committed before its effects", epoch.0, seq.0)
            });
        }
    }
    findings.judge()
}

/// S11: of one order, a reader never lets an older version replace a newer one.
pub fn versions_only_rise(case: &Case<'_>) -> Checked {
    let mut newest: BTreeMap<(u32, OrderId), Version> = BTreeMap::new();
    let mut findings = Findings::default();
    for probe in case.probes()? {
        let Probe::EventApplied { reader, order, version } = probe else { continue };
        let before = newest.insert((*reader, *order), *version);
        findings.expect(before.is_none_or(|before| before < *version), order, || {
            format!("reader {reader} put version {} over {before:?}", version.0)
        });
    }
    // Of readers that tell nothing nothing is known.
    if newest.is_empty() { Err(Missing("what readers made of events".to_owned())) } else { findings.judge() }
}
