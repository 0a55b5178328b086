//! The transactions that tell sales: an order that is paid, and one whose money went back.

use crate::common::{World, basket, key, payment, sku, user};
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::{Restock, Status};
use doorbuster_core::payment::command::PaymentCommand;
use doorbuster_core::window::hour::HOUR_MS;
use doorbuster_core::window::movement::{Movement, Sign};

fn told(world: &World, from: usize) -> Vec<Movement> {
    let moved = |event: &Event| match event {
        Event::SalesMoved(movement) => Some(*movement),
        _ => None,
    };
    world.outbox[from..].iter().filter_map(moved).collect()
}

#[test]
fn each_line_is_told_once_when_it_is_paid_and_once_when_its_money_is_back() {
    let mut world = World::open(1, 4, &[9, 9]);
    let order = world.buy(&user(1), &key(1), &basket(&[(0, 1), (1, 2)]));
    assert_eq!(told(&world, 0), [], "an order that is not paid sells nothing");
    let paid_at = world.now;
    world.pay_order(order, 1);
    let paid = told(&world, 0);
    assert_eq!(paid.iter().map(|line| (line.sku, line.quantity)).collect::<Vec<_>>(), [(sku(0), 1), (sku(1), 2)]);
    assert!(paid.iter().all(|line| (line.order, line.sign, line.paid_at) == (order, Sign::Paid, paid_at)));
    assert_eq!(world.order(order).paid_at, Some(paid_at));

    let before = world.outbox.len();
    world.now = world.now.after_ms(30 * HOUR_MS);
    world.order_command(OrderCommand::Refund { order, restock: Restock::Yes }).unwrap();
    assert_eq!(told(&world, before), [], "money that is on its way back is not back");
    world.pay(PaymentCommand::Refunded { payment: payment(1) }).unwrap();
    world.pay(PaymentCommand::Refunded { payment: payment(1) }).unwrap();
    let refunds: Vec<Movement> = paid.iter().map(|line| Movement { sign: Sign::Refunded, ..*line }).collect();
    assert_eq!(told(&world, before), refunds, "in the hour in which they were paid, once");
    assert_eq!(world.order(order).status, Status::Refunded(Restock::Yes));
}

#[test]
fn movements_of_a_sku_keep_their_order_in_the_topic() {
    let mut world = World::open(1, 4, &[9]);
    let order = world.buy(&user(1), &key(1), &basket(&[(0, 1)]));
    world.pay_order(order, 1);
    let event = world.outbox.iter().find(|event| matches!(event, Event::SalesMoved(_))).unwrap();
    assert_eq!((event.topic(), event.subject()), (Topic::Sales, sku(0).to_string()));
}
