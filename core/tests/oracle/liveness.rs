//! What must have happened at rest.

use crate::common::payment;
use crate::sound::{EXPIRED, order, red, sound, task};
use doorbuster_core::database::rows::{PaymentStatus, Phase, SaleState};
use doorbuster_core::ids::Seq;
use doorbuster_core::oracle::audit::{DelayLine, DelayPlace, NamedStatus};
use doorbuster_core::oracle::liveness::HELD_BEYOND_MS_MAX;
use doorbuster_core::oracle::verdict::Check;
use doorbuster_core::order::status::Status;

#[test]
fn l1_an_entry_that_is_not_durable() {
    red(Check::L1, |run| {
        run.audit.logs = None;
        run.audit.memories.as_mut().unwrap().values_mut().for_each(|memory| memory.seq = Seq(memory.acked.0 + 1));
    });
    red(Check::L1, |run| run.audit.logs.as_mut().unwrap().get_mut(&1).unwrap().seq = Seq(0));
}

#[test]
fn l2_an_entry_that_is_not_decided() {
    red(Check::L2, |run| run.audit.shards.get_mut(&1).unwrap().cursor = Seq(0));
    red(Check::L2, |run| run.audit.shards.get_mut(&1).unwrap().replay_from = Some(Seq(1)));
}

#[test]
fn l3_units_held_far_beyond_the_pay_window() {
    red(Check::L3, |run| {
        let line = order(run, EXPIRED);
        line.status = NamedStatus(Status::PendingPayment);
        run.audit.meta.at = run.audit.meta.at.after_ms(HELD_BEYOND_MS_MAX);
    });
}

#[test]
fn l4_an_unpaid_order_that_never_ends_or_money_that_never_counts() {
    red(Check::L4, |run| order(run, EXPIRED).status = NamedStatus(Status::PendingPayment));
    red(Check::L4, |run| run.audit.payments.get_mut(&payment(0)).unwrap().status = PaymentStatus::Late);
    red(Check::L4, |run| order(run, Status::Paid).payment = Some(payment(9)));
}

#[test]
fn l5_released_units_that_nobody_can_buy() {
    red(Check::L5, |run| {
        let memories = run.audit.memories.as_mut().unwrap();
        memories.get_mut(&0).unwrap().counters[0].available -= 1;
    });
    red(Check::L5, |run| run.audit.shards.get_mut(&0).unwrap().phase = Phase::Sealing);
    red(Check::L5, |run| run.options.sale_closed = true);
    let mut run = sound();
    run.options.sale_closed = true;
    run.audit.sale.state = SaleState::Closed;
    run.audit.shards.values_mut().for_each(|shard| shard.phase = Phase::Closed);
    assert!(run.judgement(Check::L5).is_green());
}

#[test]
fn l6_a_task_that_is_due() {
    red(Check::L6, |run| {
        let id = run.find(EXPIRED);
        let due_at = run.audit.meta.at;
        run.audit.delay = Some(vec![DelayLine { due_at, ..task(id, DelayPlace::Ready, None) }]);
    });
}

#[test]
fn l7_an_outbox_row_that_stays() {
    red(Check::L7, |run| run.audit.meta.outbox_unsent = Some(1));
}
