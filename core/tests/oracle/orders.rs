//! What buyers are promised: orders, answers, pay windows.

use crate::common::{self, HOLD_MS, START, basket, key, payment, user};
use crate::sound::{EXPIRED, erase, exchange, order, red, sound};
use doorbuster_core::database::rows::PaymentStatus;
use doorbuster_core::ids::{Epoch, OrderId, Seq, Version};
use doorbuster_core::oracle::audit::NamedStatus;
use doorbuster_core::oracle::history::{Accepted, Answer, Became, Call, Exchange, Seen};
use doorbuster_core::oracle::judge::Losses;
use doorbuster_core::oracle::probe::Probe;
use doorbuster_core::oracle::verdict::{Check, Judgement};
use doorbuster_core::order::status::{Ending, Rejection, Status};
use doorbuster_core::time::Wall;

#[test]
fn s4_an_order_that_nobody_asked_for() {
    red(Check::S4, |run| {
        run.history.calls.retain(|call| call.user != user(0));
    });
    red(Check::S4, |run| order(run, Status::Paid).seq = Some(Seq(1_000)));
    red(Check::S4, |run| order(run, Status::Paid).epoch = Some(Epoch(0)));
    let mut run = sound();
    run.history.is_complete = false;
    assert!(matches!(run.judgement(Check::S4), Judgement::NotChecked { .. }));
}

#[test]
fn s5_an_acceptance_without_an_order() {
    red(Check::S5, |run| {
        let id = run.find(Status::Paid);
        erase(run, id);
    });
    red(Check::S5, |run| order(run, Status::Paid).seq = Some(Seq(77)));
    red(Check::S5, |run| order(run, Status::Paid).user = user(77));
    // Lost with its epoch: excused only where losses are, and only as many as were destroyed.
    let mut run = sound();
    let lost = run.audit.orders.values().find(|order| order.id.shard.k == 0).expect("shard 0 has orders").id;
    erase(&mut run, lost);
    for (losses, holds) in
        [(Losses::Forbidden, false), (Losses::AtMost(0), false), (Losses::AtMost(1), true), (Losses::Uncounted, true)]
    {
        run.options.losses = losses;
        assert_eq!(run.judgement(Check::S5).is_green(), holds, "{losses:?}");
    }
}

#[test]
fn s5_on_its_way_is_fine_only_while_something_is_in_flight() {
    let mut run = sound();
    let last = run.audit.shards[&1].cursor;
    let id = *run.audit.orders.iter().find(|(_, order)| order.id.shard.k == 1 && order.seq == Some(last)).unwrap().0;
    erase(&mut run, id);
    run.audit.shards.get_mut(&1).unwrap().cursor = Seq(last.0 - 1);
    assert!(run.judgement(Check::S5).is_red());
    run.options.at_rest = false;
    assert!(run.judgement(Check::S5).is_green());
}

#[test]
fn s6_a_move_along_no_edge() {
    red(Check::S6, |run| {
        // Seen cancelled at version 2, and paid in the end.
        let line = order(run, Status::Cancelled(Ending::Buyer));
        (line.status, line.version, line.payment) = (NamedStatus(Status::Paid), Version(3), Some(payment(0)));
    });
    red(Check::S6, |run| order(run, Status::Paid).version = Version(1));
    red(Check::S6, |run| order(run, Status::Paid).payment = None);
    red(Check::S6, |run| run.audit.payments.get_mut(&payment(0)).unwrap().status = PaymentStatus::Late);
    red(Check::S6, |run| {
        let id = run.find(EXPIRED);
        let (from, to) = (Some(EXPIRED), Status::Paid);
        run.probe([Probe::OrderMoved { order: id, from, to, version: Version(3), expires_at: START, at: START }]);
    });
    red(Check::S6, |run| {
        let id = run.find(EXPIRED);
        let seen = Seen { id, status: Some(NamedStatus(Status::Paid)), version: None };
        *exchange(run, |told| matches!(told, Exchange::Look { .. })) =
            Exchange::Look { order: id, answer: Answer::Accepted(seen) };
    });
}

#[test]
fn s8_an_order_that_expired_too_early() {
    red(Check::S8, |run| order(run, EXPIRED).expires_at = Wall(u64::MAX));
    red(Check::S8, |run| order(run, Status::Paid).expires_at = START);
    red(Check::S8, |run| {
        let id = run.find(EXPIRED);
        let early = run.audit.orders[&id].expires_at.before_ms(1);
        run.history.calls.iter_mut().rev().find(|call| call.exchange.seen().is_some()).unwrap().answered_at = early;
    });
    red(Check::S8, |run| {
        let order = run.find(EXPIRED);
        let (from, at) = (Some(Status::PendingPayment), START);
        run.probe([Probe::OrderMoved {
            order,
            from,
            to: EXPIRED,
            version: Version(2),
            expires_at: START.after_ms(1),
            at,
        }]);
    });
    red(Check::S8, |run| {
        let told = exchange(run, |told| matches!(told, Exchange::Reserve { answer: Answer::Accepted(_), .. }));
        let Exchange::Reserve { answer: Answer::Accepted(accepted), .. } = told else { panic!() };
        accepted.expires_at = Some(START.after_ms(9 * HOLD_MS));
    });
}

#[test]
fn s15_another_answer_to_the_same_key() {
    let again = |told: &Exchange| matches!(told, Exchange::Reserve { answer: Answer::Accepted(_), .. });
    red(Check::S15, |run| {
        let Exchange::Reserve { answer: Answer::Accepted(accepted), .. } = exchange(run, again) else { panic!() };
        accepted.receipt = Some("1.77.tag".to_owned());
    });
    red(Check::S15, |run| {
        let Exchange::Reserve { answer, .. } = exchange(run, again) else { panic!() };
        *answer = Answer::Refused("sold-out".to_owned());
    });
    red(Check::S15, |run| {
        let Exchange::Reserve { basket: wish, .. } = exchange(run, again) else { panic!() };
        *wish = basket(&[(0, 2)]);
    });
    red(Check::S15, |run| {
        let Exchange::Reserve { answer, .. } = exchange(run, again) else { panic!() };
        *answer = Answer::Refused("key-reused".to_owned());
    });
}

#[test]
fn s15_one_key_accepted_at_two_places_though_a_client_heard_of_one() {
    red(Check::S15, |run| {
        let (who, click) = (0..).map(|n| (user(n), key(0))).find(|(user, _)| user.shard_of(2) == 0).unwrap();
        let is_own =
            |call: &Call| call.user == who && matches!(&call.exchange, Exchange::Reserve { key, .. } if *key == click);
        let mut only = run.history.calls.iter().find(|call| is_own(call)).unwrap().clone();
        let Exchange::Reserve { answer: Answer::Accepted(accepted), .. } = &mut only.exchange else { panic!() };
        accepted.receipt = Some("1.77.tag".to_owned());
        run.history.calls.retain(|call| !is_own(call));
        run.history.calls.push(only);
    });
}

#[test]
fn s15_a_lost_key_may_be_accepted_again_at_a_later_place() {
    let mut run = sound();
    let (who, click) = (0..).map(|n| (user(n), key(0))).find(|(user, _)| user.shard_of(2) == 0).unwrap();
    let id = OrderId::derive(common::sale(), 2, &who, &click);
    erase(&mut run, id);
    let mut again = run.history.calls.iter().find(|call| call.user == who).unwrap().clone();
    again.answered_at = START.after_ms(99_999);
    let Exchange::Reserve { answer: Answer::Accepted(accepted), .. } = &mut again.exchange else { panic!() };
    *accepted = Accepted { id, receipt: Some("2.1.tag".to_owned()), expires_at: None };
    run.history.calls.push(again);
    assert!(run.judgement(Check::S15).is_green(), "{:?}", run.judgement(Check::S15));
}

#[test]
fn s21_an_answer_that_is_not_documented() {
    red(Check::S21, |run| {
        let told = exchange(run, |told| matches!(told, Exchange::Reserve { .. }));
        let Exchange::Reserve { answer, .. } = told else { panic!() };
        *answer = Answer::Refused("internal-server-error".to_owned());
    });
}

#[test]
fn s24_half_a_basket() {
    red(Check::S24, |run| order(run, Status::Paid).lines.truncate(1));
    red(Check::S24, |run| order(run, Status::Paid).amount_minor += 1);
    red(Check::S24, |run| {
        // A row that is consistent in itself, but not what was asked for.
        let other = basket(&[(1, 1)]);
        let line = order(run, Status::Paid);
        (line.body_hash, line.lines, line.amount_minor) = (Some(other.body_hash()), other.lines().to_vec(), 101);
    });
}

#[test]
fn s25_an_answer_taken_back() {
    red(Check::S25, |run| {
        let line = order(run, Status::Cancelled(Ending::Abandoned));
        line.status = NamedStatus(Status::PendingPayment);
    });
    red(Check::S25, |run| {
        let id = run.find(Status::Cancelled(Ending::Abandoned));
        run.audit.orders.remove(&id);
    });
    let look_up = |told: &Exchange| matches!(told, Exchange::LookUp { .. });
    red(Check::S25, |run| {
        let (epoch, seq) = order(run, Status::Paid).place().unwrap();
        let Exchange::LookUp { answer, .. } = exchange(run, look_up) else { panic!() };
        *answer = Answer::Accepted(Became::Lost(epoch, seq));
    });
    red(Check::S25, |run| {
        let Exchange::LookUp { answer, .. } = exchange(run, look_up) else { panic!() };
        *answer = Answer::Accepted(Became::Lost(Epoch(9), Seq(9)));
    });
    red(Check::S25, |run| {
        let id = run.find(Status::Paid);
        erase(run, id);
    });
}

#[test]
fn an_order_rejected_before_it_arrived_satisfies_its_acceptance() {
    let mut run = sound();
    let line = order(&mut run, Status::Cancelled(Ending::Abandoned));
    line.status = NamedStatus(Status::Rejected(Rejection::Abandoned));
    (line.epoch, line.seq, line.body_hash, line.reserved_at) = (None, None, None, None);
    (line.version, line.expires_at) = (Version(1), START);
    line.lines.clear();
    line.amount_minor = 0;
    assert!(run.judgement(Check::S5).is_green() && run.judgement(Check::S15).is_green());
    assert!(run.judgement(Check::S4).is_green() && run.judgement(Check::S24).is_green());
}
