//! S26: epochs open once, and what is closed takes nothing.

use crate::ids::{Epoch, Nonce, ShardId};
use crate::oracle::judge::Case;
use crate::oracle::probe::Probe;
use crate::oracle::verdict::{Checked, Findings};
use crate::time::Wall;
use std::collections::BTreeMap;

/// S26: one loading per epoch sells; an order of an epoch is never written after one of a later epoch.
pub fn open_once_and_closed_take_nothing(case: &Case<'_>) -> Checked {
    let mut findings = Findings::default();
    written_in_order(case, &mut findings);
    let probes = match case.probes() {
        Ok(probes) => probes,
        Err(missing) => return findings.judge_in_part(&missing.0),
    };
    let mut opened: BTreeMap<(ShardId, Epoch), Nonce> = BTreeMap::new();
    for probe in probes {
        match probe {
            Probe::EpochOpened { shard, epoch, nonce } => {
                let first = *opened.entry((*shard, *epoch)).or_insert(*nonce);
                findings.expect(first == *nonce, shard, || format!("epoch {} was opened twice", epoch.0));
            }
            Probe::EntryDecided { shard, epoch, seq, row_epoch, created } => {
                findings.expect(epoch == row_epoch || *created == 0, shard, || {
                    format!("entry {}-{} took units in epoch {}", epoch.0, seq.0, row_epoch.0)
                });
            }
            Probe::Published { .. }
            | Probe::ReservationPublished { .. }
            | Probe::EntryAcked { .. }
            | Probe::OffsetCommitted { .. }
            | Probe::OrderMoved { .. }
            | Probe::OutboxInserted { .. }
            | Probe::EventPublished { .. }
            | Probe::RecordAppended { .. }
            | Probe::RecordSent { .. }
            | Probe::PartitionRead { .. }
            | Probe::PartitionMarked { .. }
            | Probe::PartitionFinished { .. }
            | Probe::EventApplied { .. }
            | Probe::UnitsReleased { .. }
            | Probe::TaskScheduled { .. }
            | Probe::Claimed { .. }
            | Probe::Recovered { .. }
            | Probe::Completed { .. } => {}
        }
    }
    findings.judge()
}

/// The seal of an epoch stands behind all its entries, so its last order is older than the next epoch's first.
fn written_in_order(case: &Case<'_>, findings: &mut Findings) {
    let skew = case.options().clock_skew_ms;
    let mut spans: BTreeMap<(u16, Epoch), (Wall, Wall)> = BTreeMap::new();
    for order in case.audit().orders.values() {
        let Some(epoch) = order.epoch else { continue };
        let span = spans.entry((order.id.shard.k, epoch)).or_insert((order.created_at, order.created_at));
        *span = (span.0.min(order.created_at), span.1.max(order.created_at));
    }
    let mut before: Option<(u16, Epoch, Wall)> = None;
    for ((k, epoch), (first, last)) in spans {
        if let Some((shard, earlier, ended)) = before.filter(|(shard, _, _)| *shard == k) {
            findings.expect(ended <= first.after_ms(skew), format_args!("shard {shard}"), || {
                format!("epoch {} made an order at {ended:?}, after epoch {} began at {first:?}", earlier.0, epoch.0)
            });
        }
        before = Some((k, epoch, last));
    }
}
