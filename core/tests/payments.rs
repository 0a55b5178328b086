//! Payments: late ones pay exactly once, double ones go back, refunds give back what they should.

mod common;

use common::{HOLD_MS, START, World, basket, key, payment, user};
use doorbuster_core::database::command::Refusal;
use doorbuster_core::database::event::Event;
use doorbuster_core::database::rows::PaymentStatus;
use doorbuster_core::ids::{Key, OrderId, PaymentId};
use doorbuster_core::ledger::reserve::ItemReply;
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::{Restock, Status};
use doorbuster_core::payment::command::{PaymentCommand, Verdict};
use proptest::prelude::*;

fn start(world: &mut World, id: OrderId, number: usize) {
    let user = world.order(id).user.clone();
    world.pay(PaymentCommand::Start { payment: payment(number), order: id, user }).unwrap();
}

fn say(world: &mut World, number: usize, verdict: Verdict) -> PaymentStatus {
    world.pay(PaymentCommand::Settle { payment: payment(number), verdict }).unwrap();
    world.rows.payments[&payment(number)].status
}

fn due_refunds(world: &World, of: PaymentId) -> usize {
    world.outbox.iter().filter(|event| matches!(event, Event::RefundDue { payment, .. } if *payment == of)).count()
}

/// Tries to buy again for a late payment, as the payment worker does: one more reservation, one more decision.
fn work_late(world: &mut World, number: usize) -> Option<OrderId> {
    let row = world.rows.payments[&payment(number)].clone();
    let wish = world.order(row.order).origin.clone().unwrap().basket;
    let again = Key::of_late_payment(row.id);
    let id = world.order_id(&row.user, &again);
    let reply = world.click(&row.user, &again, &wish);
    world.drain();
    match reply {
        ItemReply::Accepted(_) | ItemReply::Replayed(_) => {
            world.pay(PaymentCommand::PayLate { payment: row.id, order: id }).map(|_| id).ok()
        }
        ItemReply::Refused(_) => {
            let _ = world.pay(PaymentCommand::GiveUpLate { payment: row.id });
            None
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_providers_words_in_any_order_and_number_take_money_once(words in prop::collection::vec(any::<bool>(), 1..8)) {
        let mut world = World::open(1, 4, &[9]);
        let id = world.buy(&user(0), &key(0), &basket(&[(0, 1)]));
        start(&mut world, id, 0);
        let mut succeeded = false;
        for word in words {
            succeeded |= word;
            let status = say(&mut world, 0, if word { Verdict::Succeeded } else { Verdict::Declined });
            prop_assert_eq!(status, if succeeded { PaymentStatus::Paid } else { PaymentStatus::Declined });
        }
        prop_assert_eq!(world.order(id).status == Status::Paid, succeeded);
        prop_assert_eq!(due_refunds(&world, payment(0)), 0);
    }

    #[test]
    fn of_several_payments_one_pays_and_every_other_goes_back(many in 2usize..6, rounds in 1usize..3) {
        let mut world = World::open(1, 4, &[9]);
        let id = world.buy(&user(0), &key(0), &basket(&[(0, 1)]));
        (0..many).for_each(|number| start(&mut world, id, number));
        for _ in 0..rounds {
            for number in 0..many {
                say(&mut world, number, Verdict::Succeeded);
            }
        }
        prop_assert_eq!(world.order(id).payment, Some(payment(0)));
        for number in 1..many {
            prop_assert_eq!(world.rows.payments[&payment(number)].status, PaymentStatus::RefundDue);
            prop_assert_eq!(due_refunds(&world, payment(number)), 1);
            world.pay(PaymentCommand::Refunded { payment: payment(number) }).unwrap();
        }
        prop_assert_eq!(world.order(id).status, Status::Paid, "the refund of a double payment is not the order's");
        prop_assert_eq!(world.stock(0, 0).consumed, 1);
    }

    #[test]
    fn money_against_expiry_has_one_winner(money_at in 0u64..HOLD_MS * 2, reaper_first in any::<bool>()) {
        let mut world = World::open(1, 4, &[9]);
        let id = world.buy(&user(0), &key(0), &basket(&[(0, 1)]));
        start(&mut world, id, 0);
        world.now = START.after_ms(money_at);
        if reaper_first {
            world.expire(vec![id]);
        }
        let status = say(&mut world, 0, Verdict::Succeeded);
        if !reaper_first {
            prop_assert_eq!(world.expire(vec![id]), 0, "a paid order does not expire");
        }
        let late = reaper_first && money_at >= HOLD_MS;
        prop_assert_eq!(status, if late { PaymentStatus::Late } else { PaymentStatus::Paid });
        prop_assert_eq!(world.order(id).status == Status::Paid, !late);
    }

    #[test]
    fn a_late_payment_pays_exactly_once_or_goes_back_exactly_once(
        stock in 1u64..4, rivals in 0usize..4, tries in 1usize..5, settle_first in any::<bool>(),
    ) {
        let mut world = World::open(1, 2, &[stock]);
        let id = world.buy(&user(0), &key(0), &basket(&[(0, 1)]));
        start(&mut world, id, 0);
        world.now = START.after_ms(HOLD_MS);
        world.expire(vec![id]);
        if settle_first {
            world.settle();
        }
        for who in 0..rivals {
            world.click(&user(10 + who), &key(0), &basket(&[(0, 1)]));
        }
        prop_assert_eq!(say(&mut world, 0, Verdict::Succeeded), PaymentStatus::Late);
        for _ in 0..tries {
            work_late(&mut world, 0);
            world.settle();
        }
        let late: Vec<_> = world.outbox.iter().filter(|event| matches!(event, Event::PaymentLate { .. })).collect();
        prop_assert_eq!(late.len(), 1);
        let row = world.rows.payments[&payment(0)].clone();
        let paid = world.rows.orders.values().filter(|order| order.payment == Some(row.id)).count();
        match row.status {
            PaymentStatus::Paid => {
                prop_assert_eq!((paid, due_refunds(&world, row.id)), (1, 0));
                prop_assert!(row.order != id, "the old order stays cancelled");
            }
            PaymentStatus::RefundDue => prop_assert_eq!((paid, due_refunds(&world, row.id)), (0, 1)),
            other => prop_assert!(false, "{other:?}"),
        }
        prop_assert!(matches!(world.order(id).status, Status::Cancelled(_)));
        world.drain();
        world.settle();
        world.check_at_rest();
    }

    #[test]
    fn rule_4_a_refund_gives_units_and_quota_back_only_with_restock(restock in any::<bool>(), repeats in 1usize..4) {
        let mut world = World::open(1, 2, &[2]);
        let id = world.buy(&user(0), &key(0), &basket(&[(0, 2)]));
        world.pay_order(id, 0);
        let restock = if restock { Restock::Yes } else { Restock::No };
        world.order_command(OrderCommand::Refund { order: id, restock }).unwrap();
        prop_assert_eq!(world.stock(0, 0).consumed, 2, "until the money is back the units are held");
        for _ in 0..repeats {
            world.pay(PaymentCommand::Refunded { payment: payment(0) }).unwrap();
        }
        world.settle();
        world.check_at_rest();
        let free = if restock == Restock::Yes { 2 } else { 0 };
        prop_assert_eq!((world.available(0, 0), world.stock(0, 0).free()), (free, free));
        let again = world.click(&user(0), &key(1), &basket(&[(0, 1)]));
        prop_assert_eq!(matches!(again, ItemReply::Accepted(_)), restock == Restock::Yes);
        // A rebuild remembers the same.
        world.drain();
        world.end_epoch(0);
        world.open_epoch(0);
        world.check_at_rest();
    }
}

#[test]
fn a_payment_id_serves_one_order_only() {
    let mut world = World::open(1, 4, &[9]);
    let one = world.buy(&user(0), &key(0), &basket(&[(0, 1)]));
    let two = world.buy(&user(0), &key(1), &basket(&[(0, 1)]));
    start(&mut world, one, 0);
    start(&mut world, one, 0);
    let other = PaymentCommand::Start { payment: payment(0), order: two, user: user(0) };
    assert_eq!(world.pay(other), Err(Refusal::PaymentConflict));
}

#[test]
fn money_before_the_row_or_for_an_unknown_payment_waits_or_is_refused() {
    let mut world = World::open(1, 4, &[9]);
    let settle = PaymentCommand::Settle { payment: payment(0), verdict: Verdict::Succeeded };
    assert_eq!(world.pay(settle), Err(Refusal::NoPayment));
    let id = world.order_id(&user(0), &key(0));
    let early = PaymentCommand::Start { payment: payment(0), order: id, user: user(0) };
    assert_eq!(world.pay(early), Err(Refusal::NotYet));
}

#[test]
fn giving_up_and_paying_late_exclude_each_other() {
    let mut world = World::open(1, 4, &[9]);
    let id = world.buy(&user(0), &key(0), &basket(&[(0, 1)]));
    start(&mut world, id, 0);
    world.now = START.after_ms(HOLD_MS);
    world.expire(vec![id]);
    say(&mut world, 0, Verdict::Succeeded);
    let paid = work_late(&mut world, 0).unwrap();
    assert_eq!(world.order(paid).status, Status::Paid);
    let give_up = PaymentCommand::GiveUpLate { payment: payment(0) };
    assert_eq!(world.pay(give_up), Err(Refusal::PaymentState(PaymentStatus::Paid)));
}
