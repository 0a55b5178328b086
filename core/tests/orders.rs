//! Orders: every forbidden edge, expiry by the database's clock, refunds.

mod common;

use common::{HOLD_MS, START, World, basket, key, payment, user};
use doorbuster_core::database::command::Refusal;
use doorbuster_core::database::event::Event;
use doorbuster_core::database::rows::{OrderRow, ShardRow};
use doorbuster_core::ids::{Epoch, Key, OrderId, SaleId, Seq, UserId};
use doorbuster_core::ledger::epoch::record_of;
use doorbuster_core::limits::ENDINGS_MAX;
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::fate::Fate;
use doorbuster_core::order::status::{Ending, Restock, Status};
use doorbuster_core::payment::command::{PaymentCommand, Verdict};
use doorbuster_core::receipt::ReceiptKey;
use doorbuster_core::time::Wall;
use proptest::prelude::*;

/// The states and edges once more, by name.
const EDGES: [(&str, &str); 4] =
    [("PENDING_PAYMENT", "PAID"), ("PENDING_PAYMENT", "CANCELLED"), ("PAID", "REFUNDING"), ("REFUNDING", "REFUNDED")];

#[test]
fn s6_every_pair_of_states_is_an_edge_of_the_list_or_refused_by_name() {
    for from in Status::ALL {
        for to in Status::ALL {
            let same_wish = from.name() != "REFUNDING" || from.reason() == to.reason();
            let expected = EDGES.contains(&(from.name(), to.name())) && same_wish;
            match from.step(to) {
                Ok(next) => assert!(expected && next == to, "{from:?} -> {to:?}"),
                Err(edge) => assert!(!expected && (edge.from, edge.to) == (from, to), "{from:?} -> {to:?}"),
            }
        }
        assert!(!from.is_terminal() || Status::ALL.iter().all(|to| from.step(*to).is_err()));
        assert_eq!(Status::parse(from.name(), from.reason()), Some(from));
    }
}

/// An order in each state that a command can meet, with a paid payment where it has one.
fn in_state(name: &str) -> (World, OrderId) {
    let mut world = World::open(1, 4, &[9]);
    let id = world.buy(&user(0), &key(0), &basket(&[(0, 2)]));
    let cancel = OrderCommand::Cancel { order: id, user: None, ending: Ending::Buyer };
    match name {
        "PENDING_PAYMENT" => {}
        "CANCELLED" => drop(world.order_command(cancel).unwrap()),
        _ => {
            world.pay_order(id, 0);
            if name != "PAID" {
                world.order_command(OrderCommand::Refund { order: id, restock: Restock::Yes }).unwrap();
            }
            if name == "REFUNDED" {
                world.pay(PaymentCommand::Refunded { payment: payment(0) }).unwrap();
            }
        }
    }
    assert_eq!(world.order(id).status.name(), name);
    (world, id)
}

#[test]
fn s6_a_command_along_a_forbidden_edge_is_refused_and_writes_nothing() {
    for state in ["PENDING_PAYMENT", "PAID", "CANCELLED", "REFUNDING", "REFUNDED"] {
        let (world, id) = in_state(state);
        let commands = [
            (OrderCommand::Cancel { order: id, user: Some(user(0)), ending: Ending::Buyer }, "CANCELLED"),
            (OrderCommand::Refund { order: id, restock: Restock::No }, "REFUNDING"),
        ];
        for (command, to) in commands {
            let mut world = world.clone();
            let rows = world.rows.clone();
            let outcome = world.order_command(command);
            if EDGES.contains(&(state, to)) {
                outcome.unwrap();
            } else {
                assert!(matches!(outcome, Err(Refusal::Forbidden(_))), "{state} -> {to}: {outcome:?}");
                assert_eq!(world.rows, rows);
            }
        }
    }
}

#[test]
fn another_buyers_order_cannot_be_touched() {
    for state in ["PENDING_PAYMENT", "PAID", "CANCELLED"] {
        let (mut world, id) = in_state(state);
        let cancel = OrderCommand::Cancel { order: id, user: Some(user(1)), ending: Ending::Buyer };
        assert_eq!(world.order_command(cancel), Err(Refusal::NotYours));
        let abandon = OrderCommand::Abandon { order: id, user: user(1) };
        assert_eq!(world.order_command(abandon), Err(Refusal::NotYours));
        let pay = PaymentCommand::Start { payment: payment(9), order: id, user: user(1) };
        assert_eq!(world.pay(pay), Err(Refusal::NotYours));
    }
}

/// The last told row of each order is the row, and versions rise by one: what a reader of events relies on.
fn told_in_full(world: &World) {
    for order in world.rows.orders.values() {
        let told: Vec<&OrderRow> = world
            .outbox
            .iter()
            .filter_map(|event| match event {
                Event::OrderChanged(row) if row.id == order.id => Some(row),
                _ => None,
            })
            .collect();
        assert_eq!(told.last(), Some(&order));
        let versions: Vec<u64> = told.iter().map(|row| row.version.0).collect();
        assert_eq!(versions, (1..=order.version.0).collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn s8_expiry_never_ends_an_order_before_its_time_and_always_after(
        starts in prop::collection::vec(0u64..HOLD_MS * 2, 1..8), at in 0u64..HOLD_MS * 4,
    ) {
        let mut world = World::open(1, 4, &[40]);
        let mut ids = Vec::new();
        let mut starts = starts;
        starts.sort_unstable();
        for (who, start) in starts.iter().enumerate() {
            world.now = START.after_ms(*start);
            ids.push(world.buy(&user(who), &key(0), &basket(&[(0, 1)])));
        }
        world.now = world.now.max(START.after_ms(at));
        let due: Vec<_> = ids.iter().filter(|id| world.order(**id).expires_at <= world.now).copied().collect();
        prop_assert_eq!(world.expire(ids.clone()), due.len());
        for id in &ids {
            let expired = world.order(*id).status == Status::Cancelled(Ending::Expired);
            prop_assert_eq!(expired, due.contains(id));
        }
        prop_assert_eq!(world.expire(ids), 0, "once");
        told_in_full(&world);
    }

    #[test]
    fn s6_s7_any_story_of_commands_keeps_the_equations_and_tells_every_change(
        story in prop::collection::vec((0usize..3, 0usize..7, 0usize..4), 1..25),
    ) {
        let mut world = World::open(1, 4, &[9]);
        let ids: Vec<OrderId> = (0..3).map(|who| world.buy(&user(who), &key(0), &basket(&[(0, 2)]))).collect();
        for (who, what, number) in story {
            let order = ids[who];
            let before = world.order(order).status;
            let _ = match what {
                0 => world.order_command(OrderCommand::Cancel { order, user: Some(user(who)), ending: Ending::Buyer }),
                1 => world.order_command(OrderCommand::Abandon { order, user: user(who) }),
                2 => world.order_command(OrderCommand::Expire { shard: order.shard, orders: vec![order] }),
                3 => world.order_command(OrderCommand::Refund { order, restock: if number % 2 == 0 { Restock::Yes } else { Restock::No } }),
                4 => world.pay(PaymentCommand::Start { payment: payment(number), order, user: user(who) }),
                5 => world.pay(PaymentCommand::Settle { payment: payment(number), verdict: Verdict::Succeeded }),
                _ => {
                    world.now = world.now.after_ms(HOLD_MS / 3);
                    world.pay(PaymentCommand::Refunded { payment: payment(number) })
                }
            };
            let after = world.order(order).status;
            prop_assert!(before == after || before.step(after).is_ok());
        }
        told_in_full(&world);
        world.settle();
        world.check_at_rest();
    }

    #[test]
    fn receipts_verify_for_their_own_order_and_place_only(who in 0usize..4, n in 0usize..4, epoch in 1u64..4, seq in 1u64..4, flip in 0usize..40) {
        let signer = ReceiptKey::new(b"one");
        let id = OrderId::derive(SaleId::parse("demo").unwrap(), 4, &user(who), &key(n));
        let (epoch, seq) = (doorbuster_core::ids::Epoch(epoch), doorbuster_core::ids::Seq(seq));
        let text = signer.sign(id, epoch, seq).to_string();
        let receipt = signer.verify(id, &text).unwrap();
        prop_assert_eq!((receipt.epoch, receipt.seq), (epoch, seq));
        let other = OrderId::derive(SaleId::parse("demo").unwrap(), 4, &user(who + 1), &key(n));
        prop_assert!(signer.verify(other, &text).is_err());
        prop_assert!(ReceiptKey::new(b"two").verify(id, &text).is_err());
        let mut forged = text.clone().into_bytes();
        let place = flip % forged.len();
        forged[place] = if forged[place] == b'7' { b'8' } else { b'7' };
        prop_assert!(signer.verify(id, &String::from_utf8(forged).unwrap()).is_err());
    }

    #[test]
    fn ids_survive_text_and_json_and_route_home(name in "[!-~]{1,64}", click in "[!-~]{1,64}", shards in 1u16..257) {
        let (buyer, click) = (UserId::parse(&name).unwrap(), Key::parse(&click).unwrap());
        let id = OrderId::derive(SaleId::parse("demo").unwrap(), shards, &buyer, &click);
        prop_assert_eq!(id.shard.k, buyer.shard_of(shards));
        prop_assert_eq!(id.to_string().parse::<OrderId>().unwrap(), id);
        prop_assert_eq!(serde_json::from_str::<OrderId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
        prop_assert_eq!(serde_json::from_str::<UserId>(&serde_json::to_string(&buyer).unwrap()).unwrap(), buyer);
        prop_assert_eq!(serde_json::from_str::<Key>(&serde_json::to_string(&click).unwrap()).unwrap(), click);
    }
}

#[test]
fn an_order_given_up_before_it_arrived_has_no_page_in_a_rebuild() {
    let mut world = World::open(1, 4, &[9]);
    let id = world.order_id(&user(0), &key(0));
    world.order_command(OrderCommand::Abandon { order: id, user: user(0) }).unwrap();
    assert!(record_of(world.order(id)).is_none());
    assert_eq!(world.order(id).expires_at, Wall(START.0));
}

#[test]
fn a_transaction_ends_at_most_so_many_orders() {
    let world = World::open(1, 4, &[9]);
    let id = world.order_id(&user(0), &key(0));
    let whole = OrderCommand::Expire { shard: id.shard, orders: vec![id; ENDINGS_MAX] };
    world.clone().order_command(whole).unwrap();
}

#[test]
fn s25_an_acceptance_without_a_row_is_on_its_way_until_its_shard_has_decided_it() {
    let world = World::open(1, 2, &[5]);
    let shard = ShardRow { epoch: Epoch(3), cursor: Seq(5), ..world.rows.shards[&World::shard_id(0)].clone() };
    let fate = |epoch: u64, seq: u64| Fate::of(None, &shard, Epoch(epoch), Seq(seq));
    assert_eq!((fate(3, 6), fate(3, 5), fate(2, 6)), (Fate::OnItsWay, Fate::Lost, Fate::Lost));
    let id = OrderId::derive(World::shard_id(0).sale, 1, &user(1), &key(1));
    let reads = Fate::reads(id);
    assert!(reads.orders.contains(&id) && reads.shards.contains(&id.shard), "one state of both rows tells it");
}

#[test]
fn a_buyer_has_the_first_bytes_of_the_hash_of_their_name() {
    let ann = UserId::parse("ann").unwrap();
    // The first 16 digits of `printf ann | sha256sum`.
    assert_eq!((ann.hash64(), ann.shard_of(7)), (0x4991_5E0D_7D4B_402E, 1));
}
