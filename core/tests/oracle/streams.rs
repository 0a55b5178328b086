//! The order of effects between stores, the delay queue, and replays.

use crate::sound::{EXPIRED, Sound, order, red, sound, task};
use doorbuster_core::ids::{Epoch, Seq, Version};
use doorbuster_core::oracle::audit::{DelayPlace, NamedStatus};
use doorbuster_core::oracle::probe::Probe;
use doorbuster_core::oracle::verdict::Check;
use doorbuster_core::order::status::Status;
use doorbuster_core::relay::partitions::{CommitTime, StreamToken};

#[test]
fn s9_a_change_without_its_event_or_an_event_without_its_change() {
    let id = |run: &Sound| run.find(Status::Paid);
    red(Check::S9, |run| {
        let order = id(run);
        run.probe([Probe::OutboxInserted { order, version: Version(9) }]);
    });
    red(Check::S9, |run| {
        let order = id(run);
        run.probe([Probe::EventPublished { order, version: Version(9) }]);
    });
    red(Check::S9, |run| run.probes.as_mut().unwrap().retain(|probe| !matches!(probe, Probe::OutboxInserted { .. })));
    red(Check::S9, |run| {
        let last = run.probes.as_ref().unwrap().iter().rposition(|probe| matches!(probe, Probe::EventPublished { .. }));
        run.probes.as_mut().unwrap().remove(last.unwrap());
    });
}

#[test]
fn s10_acknowledged_before_it_was_durable() {
    red(Check::S10, |run| {
        let shard = run.audit.shard_id(0);
        run.probe([Probe::EntryAcked { shard, epoch: Epoch(2), seq: Seq(1) }]);
    });
    red(Check::S10, |run| {
        let shard = run.audit.shard_id(0);
        run.probe([Probe::Published { shard, epoch: Epoch(2), seq: Seq(1) }]);
        run.probe([Probe::OffsetCommitted { shard, epoch: Epoch(2), seq: Seq(1) }]);
    });
}

#[test]
fn s19_a_child_before_its_parents_or_a_checkpoint_that_passes_a_record() {
    let (partition, parents) = (StreamToken(9), [StreamToken(4), StreamToken(8)].into());
    red(Check::S19, |run| run.probe([Probe::PartitionRead { partition, parents }]));
    let unsent = Probe::RecordAppended { partition, at: CommitTime(50), record: 7 };
    red(Check::S19, |run| {
        run.probe([unsent.clone(), Probe::PartitionMarked { partition, watermark: CommitTime(51) }]);
    });
    red(Check::S19, |run| run.probe([unsent.clone(), Probe::PartitionFinished { partition }]));
    let mut run = sound();
    // Whoever begins at the checkpoint reads its own time once more.
    run.probe([unsent, Probe::PartitionMarked { partition, watermark: CommitTime(50) }]);
    assert!(run.judgement(Check::S19).is_green());
    run.probes.as_mut().unwrap().retain(|probe| !matches!(probe, Probe::PartitionRead { .. }));
    assert!(!run.judgement(Check::S19).is_green(), "without the stream's word nothing is judged");
}

#[test]
fn s11_an_older_version_over_a_newer_one() {
    red(Check::S11, |run| {
        let order = run.find(Status::Paid);
        run.probe([Probe::EventApplied { reader: 1, order, version: Version(1) }]);
    });
}

#[test]
fn s12_two_completions_of_one_claim_or_a_stale_token() {
    red(Check::S12, |run| {
        let task = run.find(Status::Paid);
        run.probe([Probe::Completed { task, token: 2, accepted: true }]);
    });
    red(Check::S12, |run| {
        let task = run.find(Status::Paid);
        run.probe([Probe::Claimed { task, token: 8 }, Probe::Claimed { task, token: 9 }]);
    });
    red(Check::S12, |run| {
        let task = run.find(Status::Paid);
        let (claimed, stale) = (Probe::Claimed { task, token: 9 }, Probe::Completed { task, token: 8, accepted: true });
        run.probe([claimed, stale]);
    });
}

#[test]
fn s13_a_task_in_two_places_or_none() {
    red(Check::S13, |run| {
        let id = run.find(EXPIRED);
        run.audit.delay = Some(vec![task(id, DelayPlace::Ready, None), task(id, DelayPlace::Processing, Some(1))]);
    });
    red(Check::S13, |run| {
        let id = run.find(EXPIRED);
        run.audit.delay = Some(vec![task(id, DelayPlace::Processing, None)]);
    });
    red(Check::S13, |run| order(run, EXPIRED).status = NamedStatus(Status::PendingPayment));
}

#[test]
fn s14_a_replay_that_changes_a_row() {
    red(Check::S14, |run| run.replayed.as_mut().unwrap().stock.values_mut().next().unwrap().consumed += 1);
    red(Check::S14, |run| drop(run.audit.orders.pop_first()));
    red(Check::S14, |run| drop(run.replayed.as_mut().unwrap().orders.pop_first()));
}
