//! S19: how the partitions of a change stream are read, judged by what the stream, the topics and the checkpoints report.

use crate::oracle::judge::Case;
use crate::oracle::probe::Probe;
use crate::oracle::verdict::{Checked, Findings, Missing};
use crate::relay::partitions::{CommitTime, StreamToken};
use std::collections::{BTreeMap, BTreeSet};

/// What was reported of a stream so far. It shares nothing with the relay's own rows: who comes before whom is what the
/// stream says, and what is sent is what the topics say.
#[derive(Clone, Debug, Default)]
pub struct StreamOrder {
    finished: BTreeSet<StreamToken>,
    /// Records at or behind the checkpoint of their partition.
    ahead: BTreeMap<StreamToken, BTreeMap<CommitTime, Vec<u64>>>,
    sent: BTreeSet<u64>,
    has_heard: bool,
}

/// A partition, and what is wrong with it.
pub type Misread = (StreamToken, String);

impl StreamOrder {
    /// Takes the next report; tells what it shows to be broken.
    pub fn absorb(&mut self, probe: &Probe) -> Option<Misread> {
        match probe {
            Probe::RecordAppended { partition, at, record } => {
                self.ahead.entry(*partition).or_default().entry(*at).or_default().push(*record);
                None
            }
            Probe::RecordSent { record } => {
                self.sent.insert(*record);
                None
            }
            Probe::PartitionRead { partition, parents } => {
                self.has_heard = true;
                let unfinished: Vec<u64> = parents.difference(&self.finished).map(|token| token.0).collect();
                let what = || format!("is read while its parents {unfinished:?} are not finished");
                (!unfinished.is_empty()).then(|| (*partition, what()))
            }
            Probe::PartitionMarked { partition, watermark } => {
                let ahead = self.ahead.entry(*partition).or_default();
                // Whoever begins there reads its own commit time once more: only what is earlier is passed.
                let still = ahead.split_off(watermark);
                let passed = std::mem::replace(ahead, still);
                self.unsent(*partition, passed, &format!("the checkpoint {}", watermark.0))
            }
            Probe::PartitionFinished { partition } => {
                self.finished.insert(*partition);
                let passed = self.ahead.remove(partition).unwrap_or_default();
                self.unsent(*partition, passed, "the end")
            }
            Probe::Published { .. }
            | Probe::ReservationPublished { .. }
            | Probe::EntryAcked { .. }
            | Probe::EntryDecided { .. }
            | Probe::OffsetCommitted { .. }
            | Probe::OrderMoved { .. }
            | Probe::OutboxInserted { .. }
            | Probe::EventPublished { .. }
            | Probe::EventApplied { .. }
            | Probe::UnitsReleased { .. }
            | Probe::TaskScheduled { .. }
            | Probe::Claimed { .. }
            | Probe::Recovered { .. }
            | Probe::Completed { .. }
            | Probe::EpochOpened { .. } => None,
        }
    }

    fn unsent(&self, partition: StreamToken, passed: BTreeMap<CommitTime, Vec<u64>>, mark: &str) -> Option<Misread> {
        let first = passed.iter().find(|(_, records)| records.iter().any(|record| !self.sent.contains(record)));
        first.map(|(at, _)| (partition, format!("{mark} passes a record of {} that no topic has", at.0)))
    }
}

/// S19: a partition is read after all its parents are finished, and no checkpoint passes a record that is not sent.
pub fn parents_first_and_nothing_passed(case: &Case<'_>) -> Checked {
    let (mut order, mut findings) = (StreamOrder::default(), Findings::default());
    for probe in case.probes()? {
        if let Some((partition, what)) = order.absorb(probe) {
            findings.add(format_args!("partition {}", partition.0), what);
        }
    }
    if !order.has_heard {
        return Err(Missing("probe events of a change stream".to_owned()));
    }
    findings.judge()
}
