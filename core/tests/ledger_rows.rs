//! Rules 3, 4, 6, 7, 9, 10 and 11 of the ledger on the rows' side.

mod common;

use common::{HOLD_MS, START, World, basket, check_rows, key, new_sku, sale, sku, transact, user};
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::event::Event;
use doorbuster_core::database::rows::{Phase, SealReason};
use doorbuster_core::ids::{Epoch, Seq, UserId};
use doorbuster_core::intake::{Alarm, IntakeBatch};
use doorbuster_core::ledger::entry::{Entry, EntryKind, Intent};
use doorbuster_core::ledger::reserve::ItemReply;
use doorbuster_core::limits::{GRACE_MS, HOLD_MS_MAX};
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::{Ending, Rejection, Status};
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_core::time::Wall;
use proptest::prelude::*;

/// A world with clicks in its log, none of them decided.
fn clicked(clicks: &[(usize, usize, usize, u32)]) -> World {
    let mut world = World::open(1, 4, &[9, 9]);
    for (who, n, sku, quantity) in clicks {
        world.click(&user(*who), &key(*n), &basket(&[(*sku, *quantity)]));
    }
    world
}

fn clicks() -> impl Strategy<Value = Vec<(usize, usize, usize, u32)>> {
    prop::collection::vec((0usize..5, 0usize..4, 0usize..2, 1u32..3), 1..20)
}

fn settled_ids(world: &World, from: usize) -> Vec<doorbuster_core::ids::ReservationId> {
    let settled = |event: &Event| match event {
        Event::Settled { id, .. } => Some(*id),
        _ => None,
    };
    world.outbox[from..].iter().filter_map(settled).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn rule_3_any_batching_of_the_same_intents_gives_the_same_rows(clicks in clicks(), cut in 1usize..7) {
        let world = clicked(&clicks);
        let (mut one_by_one, mut cuts) = (world.clone(), world.clone());
        for intent in &world.log[0] {
            one_by_one.intake(0, std::slice::from_ref(intent));
        }
        for batch in world.log[0].chunks(cut) {
            cuts.intake(0, batch);
        }
        prop_assert_eq!(&one_by_one.rows, &cuts.rows);
        prop_assert_eq!(one_by_one.outbox, cuts.outbox);
    }

    #[test]
    fn rule_3_a_duplicate_of_anything_decided_changes_nothing(
        clicks in clicks(), again in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
    ) {
        let mut world = clicked(&clicks);
        prop_assume!(!world.log[0].is_empty());
        world.drain();
        let (rows, told) = (world.rows.clone(), world.outbox.len());
        for index in again {
            let intent = index.get(&world.log[0]).clone();
            let report = world.intake(0, &[intent]);
            prop_assert_eq!(report.passed_over, 1);
        }
        prop_assert_eq!(&world.rows, &rows);
        prop_assert_eq!(world.outbox.len(), told);
    }

    #[test]
    fn s14_replaying_any_prefix_in_any_cut_changes_no_row(clicks in clicks(), prefix in 0usize..20, cut in 1usize..9) {
        let mut world = clicked(&clicks);
        world.drain();
        world.end_epoch(0);
        world.open_epoch(0);
        let rows = world.rows.clone();
        let prefix = world.log[0][..prefix.min(world.log[0].len())].to_vec();
        for batch in prefix.chunks(cut) {
            let report = world.intake(0, batch);
            prop_assert_eq!(report.lost, 0, "every order exists");
        }
        prop_assert_eq!(&world.rows, &rows);
    }

    #[test]
    fn rule_3_a_gap_stops_at_the_missing_entry_and_the_replay_heals_it(clicks in clicks(), missing in 0usize..20) {
        let mut world = clicked(&clicks);
        let log = world.log[0].clone();
        prop_assume!(missing + 1 < log.len());
        let mut whole = world.clone();
        whole.drain();
        let gapped: Vec<Intent> = log.iter().enumerate().filter(|(n, _)| *n != missing).map(|(_, i)| i.clone()).collect();
        let report = world.intake(0, &gapped);
        prop_assert!(report.alarms.iter().all(|alarm| matches!(alarm, Alarm::Gap(_, seq) if seq.0 == missing as u64 + 1)));
        prop_assert_eq!(world.row(0).cursor, Seq(missing as u64));
        prop_assert_eq!(world.row(0).replay_from, Some(Seq(missing as u64 + 1)));
        world.intake(0, &log[missing..]);
        prop_assert_eq!(&world.rows, &whole.rows);
    }

    #[test]
    fn rule_3_an_ended_epoch_takes_no_unit_and_tells_who_lost(clicks in clicks()) {
        let mut world = clicked(&clicks);
        // The seal overtakes the entries, as a new forwarder's does when the old server cannot be reached.
        let entries = std::mem::take(&mut world.log[0]);
        world.end_epoch(0);
        let (stock, told) = (world.rows.stock.clone(), world.outbox.len());
        let report = world.intake(0, &entries);
        prop_assert_eq!(&world.rows.stock, &stock);
        prop_assert!(world.rows.orders.is_empty());
        prop_assert_eq!(report.passed_over as usize, entries.len());
        let lost = world.outbox[told..].iter().filter(|event| matches!(event, Event::ReservationLost { epoch: Epoch(1), .. }));
        prop_assert_eq!(lost.count(), report.lost as usize);
        let accepted = entries.iter().map(|intent| match intent {
            Intent::Entry(_, Entry { kind: EntryKind::Reserved(all), .. }) => all.len(),
            _ => 0,
        });
        prop_assert_eq!(report.lost as usize, accepted.sum::<usize>());
    }

    #[test]
    fn rule_3_more_than_granted_is_lost_seals_and_never_oversells(stock in 1u64..4, buyers in 5usize..9) {
        // A shard that believes in more units than the rows gave it: the rows do not believe it.
        let mut liar = World::open(1, 2, &[100]);
        for who in 0..buyers {
            liar.click(&user(who), &key(0), &basket(&[(0, 1)]));
        }
        let mut world = World::open(1, 2, &[stock]);
        let report = world.intake(0, &liar.log[0].clone());
        prop_assert_eq!(u64::from(report.created), stock);
        prop_assert_eq!(u64::from(report.lost), buyers as u64 - stock);
        prop_assert!(report.alarms.iter().all(|alarm| matches!(alarm, Alarm::LedgerBroken(..))));
        prop_assert_eq!((world.row(0).phase, world.row(0).reason), (Phase::Sealing, Some(SealReason::LedgerBroken)));
        prop_assert_eq!(settled_ids(&world, 0), [], "a broken ledger gets nothing back");
        check_rows(&world.rows);
    }

    #[test]
    fn rule_3_a_broken_quota_is_lost_as_well(limit in 1u32..4, clicks in 4usize..8) {
        let mut liar = World::open(1, 100, &[100]);
        for n in 0..clicks {
            liar.click(&user(0), &key(n), &basket(&[(0, 1)]));
        }
        let mut world = World::open(1, limit, &[100]);
        let report = world.intake(0, &liar.log[0].clone());
        prop_assert_eq!(report.created, limit);
        prop_assert_eq!(world.row(0).phase, Phase::Sealing);
    }

    #[test]
    fn rule_4_every_unpaid_ending_frees_the_same_units_once(endings in prop::collection::vec(0usize..4, 1..8)) {
        let mut world = World::open(1, 9, &[20]);
        let ids: Vec<_> = (0..endings.len()).map(|who| world.buy(&user(who), &key(0), &basket(&[(0, 2)]))).collect();
        world.now = START.after_ms(HOLD_MS);
        let from = world.outbox.len();
        for (who, (id, ending)) in ids.iter().zip(&endings).enumerate() {
            let cancel = |user: Option<UserId>, ending| OrderCommand::Cancel { order: *id, user, ending };
            let commands = [
                cancel(Some(user(who)), Ending::Buyer),
                cancel(None, Ending::Operator),
                OrderCommand::Expire { shard: id.shard, orders: vec![*id] },
                OrderCommand::Abandon { order: *id, user: user(who) },
            ];
            world.order_command(commands[*ending].clone()).unwrap();
            // Whatever is tried a second time frees nothing more.
            for command in commands {
                let _ = world.order_command(command);
            }
        }
        prop_assert_eq!(world.stock(0, 0).consumed, 0);
        prop_assert_eq!(settled_ids(&world, from), ids.iter().map(|id| id.reservation).collect::<Vec<_>>());
        world.settle();
        world.check_at_rest();
        prop_assert_eq!(world.available(0, 0), 20);
    }

    #[test]
    fn rules_6_and_7_move_units_between_pool_and_shards_and_make_none(
        steps in prop::collection::vec((0u16..3, 1u64..9, any::<bool>()), 1..20),
    ) {
        let mut world = World::open(3, 2, &[10]);
        for (number, (k, quantity, top_up)) in steps.into_iter().enumerate() {
            if top_up {
                world.sale(SaleCommand::TopUp { sale: sale(), sku: sku(0), quantity, key: key(number) }).unwrap();
            } else {
                let fence = world.fence(k);
                let entry = world.shards[usize::from(k)].withdraw(fence, sku(0), quantity).unwrap();
                world.publish(k, entry);
                world.drain();
                world.sale(SaleCommand::Distribute { sale: sale(), sku: sku(0) }).unwrap();
            }
            world.settle();
        }
        world.check_at_rest();
        let available: u64 = (0..3).map(|k| world.available(k, 0)).sum();
        prop_assert_eq!(available, world.rows.skus[&(sale(), sku(0))].total);
    }

    #[test]
    fn rule_7_a_withdrawal_that_orders_need_is_not_done_and_seals(sold in 1u64..5, quantity in 1u64..9) {
        let mut world = World::open(1, 9, &[5]);
        for who in 0..sold {
            world.buy(&user(who as usize), &key(0), &basket(&[(0, 1)]));
        }
        let entry = Entry {
            epoch: Epoch(1),
            seq: world.row(0).cursor.next(),
            kind: EntryKind::Withdrawn { sku: sku(0), quantity },
        };
        let stock = world.stock(0, 0);
        world.intake(0, &[Intent::Entry(World::shard_id(0), entry)]);
        if quantity <= 5 - sold {
            prop_assert_eq!(world.stock(0, 0).granted, 5 - quantity);
        } else {
            prop_assert_eq!(world.stock(0, 0), stock);
            prop_assert_eq!(world.row(0).phase, Phase::Sealing);
        }
    }

    #[test]
    fn rule_10_an_abandoned_key_is_never_a_sale_whatever_overtakes_what(
        arrived in any::<bool>(), decided in any::<bool>(), expired in any::<bool>(), rebuilt in any::<bool>(),
    ) {
        let mut world = World::open(1, 2, &[3]);
        let (buyer, click, wish) = (user(0), key(0), basket(&[(0, 2)]));
        let id = world.order_id(&buyer, &click);
        if arrived {
            world.click(&buyer, &click, &wish);
        }
        if decided {
            world.drain();
        }
        if expired {
            world.now = START.after_ms(HOLD_MS);
        }
        let abandon = OrderCommand::Abandon { order: id, user: buyer.clone() };
        let Reply::Order(told) = world.order_command(abandon.clone()).unwrap() else { panic!() };
        prop_assert!(told.status.is_terminal());
        if rebuilt {
            world.end_epoch(0);
            world.open_epoch(0);
        }
        if !arrived {
            world.click(&buyer, &click, &wish);
        }
        world.drain();
        let Reply::Order(again) = world.order_command(abandon).unwrap() else { panic!() };
        prop_assert_eq!(again.status, told.status, "what was said stays true (S25)");
        world.settle();
        world.check_at_rest();
        prop_assert_eq!(world.available(0, 0), 3, "whatever was taken came back");
    }

    #[test]
    fn rule_11_extending_moves_only_the_end_and_only_later(delta in 0u64..2 * HOLD_MS, ahead in 0u64..HOLD_MS_MAX * 2) {
        let mut world = World::open(1, 2, &[3]);
        let id = world.buy(&user(0), &key(0), &basket(&[(0, 1)]));
        let before = world.order(id).clone();
        let expires_at = Wall((before.expires_at.0 + ahead).saturating_sub(delta));
        let outcome = world.order_command(OrderCommand::Extend { order: id, expires_at });
        let allowed = expires_at > before.expires_at && expires_at <= world.now.after_ms(HOLD_MS_MAX);
        prop_assert_eq!(outcome.is_ok(), allowed);
        let after = world.order(id).clone();
        if allowed {
            prop_assert_eq!(after.version, before.version.next());
            prop_assert_eq!(after.expires_at, expires_at);
            let due = Event::TimeoutDue { order: id, version: after.version, expires_at };
            prop_assert!(world.outbox.contains(&due));
            world.now = before.expires_at;
            prop_assert_eq!(world.expire(vec![id]), 0, "the old end no longer counts");
        } else {
            prop_assert_eq!(after, before);
        }
    }

    #[test]
    fn a_late_drain_leaves_the_buyer_the_grace(delay in 0u64..2 * HOLD_MS) {
        let mut world = World::open(1, 2, &[3]);
        world.click(&user(0), &key(0), &basket(&[(0, 1)]));
        world.now = START.after_ms(delay);
        world.drain();
        let order = world.order(world.order_id(&user(0), &key(0)));
        prop_assert!(order.expires_at >= START.after_ms(HOLD_MS));
        prop_assert!(order.expires_at >= world.now.after_ms(GRACE_MS));
    }
}

#[test]
fn rule_9_a_cancel_cannot_overtake_its_intent() {
    let mut world = World::open(1, 2, &[3]);
    let accepted = world.click(&user(0), &key(0), &basket(&[(0, 1)]));
    assert!(matches!(accepted, ItemReply::Accepted(_)));
    let order = world.order_id(&user(0), &key(0));
    let cancel = OrderCommand::Cancel { order, user: Some(user(0)), ending: Ending::Buyer };
    assert_eq!(world.order_command(cancel.clone()), Err(Refusal::NotYet));
    world.drain();
    world.order_command(cancel).unwrap();
}

#[test]
fn rule_3_an_entry_of_a_later_epoch_stops_the_shard() {
    let mut world = World::open(1, 2, &[3]);
    let entry = Entry { epoch: Epoch(2), seq: Seq(1), kind: EntryKind::Withdrawn { sku: sku(0), quantity: 1 } };
    let report = world.intake(0, &[Intent::Entry(World::shard_id(0), entry)]);
    assert_eq!(report.alarms, [Alarm::EpochFromNowhere(World::shard_id(0), Epoch(2))]);
    assert_eq!(world.row(0).phase, Phase::Sealing);
    assert_eq!(world.stock(0, 0).granted, 3);
}

#[test]
fn what_ends_as_it_arrives_is_counted_and_given_back() {
    let mut world = World::open(1, 2, &[6]);
    for who in 0..2 {
        let order = world.order_id(&user(who), &key(0));
        world.order_command(OrderCommand::Abandon { order, user: user(who) }).unwrap();
    }
    for who in 0..3 {
        world.click(&user(who), &key(0), &basket(&[(0, 2)]));
    }
    let closed = doorbuster_core::database::rows::SaleState::Closed;
    world.sale(SaleCommand::Enter { sale: sale(), state: closed }).unwrap();
    let report = world.intake(0, &world.log[0].clone());
    assert_eq!((report.created, report.ended), (0, 3), "two given up before, one of a closed sale");
    world.read[0] = world.log[0].len();
    let order = world.order(world.order_id(&user(2), &key(0)));
    assert_eq!(order.status, Status::Rejected(Rejection::SaleClosed));
    world.settle();
    world.check_at_rest();
}

#[test]
fn decisions_are_pure_the_same_view_gives_the_same_change() {
    let mut world = clicked(&[(0, 0, 0, 1), (1, 0, 1, 2)]);
    world.sale(SaleCommand::AddSkus { sale: sale(), skus: vec![new_sku(2, 7)] }).unwrap();
    let batch = Command::Intake(IntakeBatch { shard: World::shard_id(0), intents: world.log[0].clone() });
    assert_eq!(transact(&world.rows, &batch, world.now), transact(&world.rows, &batch, world.now));
}
