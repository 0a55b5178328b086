//! The equations of the ledger, and what bounds and epochs promise.

use crate::common::{self, key};
use crate::sound::{EXPIRED, Sound, first_sku, order, red, sound};
use doorbuster_core::database::rows::Phase;
use doorbuster_core::ids::{Epoch, Nonce, OrderId, Seq, ServerId};
use doorbuster_core::limits::KEYS_MAX;
use doorbuster_core::oracle::audit::{NamedStatus, OrderLine};
use doorbuster_core::oracle::probe::Probe;
use doorbuster_core::oracle::verdict::Check;
use doorbuster_core::order::status::Status;
use doorbuster_core::time::Wall;

#[test]
fn i1_consumed_beyond_granted() {
    red(Check::I1, |run| run.audit.stock.values_mut().next().unwrap().consumed = 99);
    red(Check::S23, |run| run.audit.stock.values_mut().next().unwrap().consumed = 99);
}

#[test]
fn i2_a_unit_too_many_in_the_pool() {
    red(Check::I2, |run| run.audit.skus.get_mut(&first_sku()).unwrap().pool += 1);
    red(Check::S23, |run| run.audit.skus.get_mut(&first_sku()).unwrap().pool += 1);
}

#[test]
fn i3_a_unit_consumed_by_nobody() {
    red(Check::I3, |run| run.audit.stock.values_mut().next().unwrap().consumed += 1);
    red(Check::I3, |run| order(run, EXPIRED).status = NamedStatus(Status::Paid));
}

#[test]
fn i4_a_unit_neither_available_nor_live() {
    let counter = |run: &mut Sound| {
        let memories = run.audit.memories.as_mut().unwrap();
        memories.get_mut(&0).unwrap().counters[0].granted += 1;
    };
    red(Check::I4, counter);
    red(Check::S23, counter);
    red(Check::I4, |run| run.audit.memories.as_mut().unwrap().get_mut(&1).unwrap().scan = Some("pages differ".into()));
}

#[test]
fn i5_a_memory_that_counts_otherwise_than_the_rows() {
    red(Check::I5, |run| {
        let memories = run.audit.memories.as_mut().unwrap();
        let counter = &mut memories.get_mut(&0).unwrap().counters[0];
        (counter.available, counter.live) = (counter.available - 1, counter.live + 1);
    });
    red(Check::I5, |run| drop(run.audit.memories.as_mut().unwrap().remove(&1)));
    red(Check::I5, |run| run.audit.memories.as_mut().unwrap().get_mut(&1).unwrap().nonce = Nonce(5));
}

#[test]
fn s1_more_sold_than_there_is() {
    red(Check::S1, |run| run.audit.skus.get_mut(&first_sku()).unwrap().total = 0);
}

#[test]
fn s2_a_counter_below_zero() {
    red(Check::S2, |run| {
        run.audit.memories.as_mut().unwrap().get_mut(&0).unwrap().counters[0].available = u64::MAX;
    });
}

#[test]
fn s3_a_user_above_the_limit_or_a_wrong_quota() {
    red(Check::S3, |run| run.audit.sale.limit = 1);
    red(Check::S3, |run| *run.audit.quotas.values_mut().find(|live| **live > 0).unwrap() += 1);
    red(Check::S3, |run| *run.audit.quotas.values_mut().find(|live| **live == 0).unwrap() += 1);
}

#[test]
fn s7_a_unit_that_vanished_or_came_back_twice() {
    red(Check::S7, |run| {
        let memories = run.audit.memories.as_mut().unwrap();
        memories.get_mut(&0).unwrap().counters[0].available -= 1;
    });
    red(Check::S7, |run| run.audit.skus.get_mut(&first_sku()).unwrap().total += 1);
    red(Check::S7, |run| run.audit.shards.get_mut(&0).unwrap().phase = Phase::Closed);
    red(Check::S7, |run| {
        let twice = run.probes.as_ref().unwrap().iter().find(|probe| matches!(probe, Probe::UnitsReleased { .. }));
        let twice = twice.unwrap().clone();
        run.probe([twice]);
    });
    let mut run = sound();
    let released = run.probes.as_ref().unwrap().iter().find_map(|probe| {
        let Probe::UnitsReleased { shard, epoch, id, .. } = probe else { return None };
        Some((*shard, *epoch, *id))
    });
    let (shard, epoch, id) = released.unwrap();
    // A promoted copy that lacks the end of a page ends it as well.
    run.probe([Probe::UnitsReleased { shard, server: ServerId(2), epoch, id }]);
    assert!(run.judgement(Check::S7).is_green());
}

#[test]
fn s20_a_user_with_a_ninth_key() {
    red(Check::S20, |run| {
        let line = order(run, Status::Paid).clone();
        for n in 0..KEYS_MAX {
            let id = OrderId::derive(common::sale(), 2, &line.user, &key(100 + n));
            run.audit.orders.insert(id, OrderLine { id, ..line.clone() });
        }
    });
    red(Check::S20, |run| run.audit.shards.retain(|k, _| *k != 1));
    red(Check::S20, |run| order(run, Status::Paid).lines.clear());
}

#[test]
fn s26_an_epoch_opened_twice_or_a_closed_one_that_takes() {
    red(Check::S26, |run| {
        let shard = run.audit.shard_id(0);
        run.probe([Probe::EpochOpened { shard, epoch: Epoch(2), nonce: Nonce(10) }]);
    });
    red(Check::S26, |run| {
        let shard = run.audit.shard_id(0);
        run.probe([Probe::EntryDecided { shard, epoch: Epoch(1), seq: Seq(9), row_epoch: Epoch(2), created: 1 }]);
    });
    red(Check::S26, |run| {
        let of_zero: Vec<OrderId> = run.audit.orders.keys().copied().filter(|id| id.shard.k == 0).collect();
        run.audit.orders.get_mut(&of_zero[0]).unwrap().epoch = Some(Epoch(2));
        run.audit.orders.get_mut(&of_zero[1]).unwrap().created_at = Wall(u64::MAX);
    });
}
