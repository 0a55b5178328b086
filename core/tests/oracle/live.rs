//! The live form of the ledger's equations: red on a planted difference, green on a world that moves.

use crate::common::{self, START, World, basket, key, sku, user};
use doorbuster_core::database::rows::{OrderRow, StockRow};
use doorbuster_core::ids::SkuId;
use doorbuster_core::ledger::shard::Counter;
use doorbuster_core::oracle::live::{
    RollingScan, agrees_when_quiet, consumed_within_granted, granted_and_pool_are_total, granted_is_available_and_live,
};
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::Ending;
use proptest::prelude::*;

fn stock(world: &World) -> Vec<(SkuId, StockRow)> {
    world.rows.stock.iter().map(|((_, sku), row)| (*sku, *row)).collect()
}

fn quiet(world: &World, counters: Vec<(SkuId, Counter)>, owed: u64) -> Result<bool, String> {
    let checked = agrees_when_quiet(world.row(0), &stock(world), world.shards[0].meta(), counters.into_iter(), owed);
    checked.map(|judgement| judgement.is_green()).map_err(|missing| missing.0)
}

#[test]
fn counters_are_green_on_a_sound_shard_and_red_on_a_wrong_unit() {
    let mut world = World::open(1, 4, &[9]);
    world.buy(&user(0), &key(0), &basket(&[(0, 2)]));
    let (shard, mut rows) = (World::shard_id(0), stock(&world));
    let counters: Vec<(SkuId, Counter)> = world.shards[0].counters().collect();
    assert!(consumed_within_granted(shard, &rows).unwrap().is_green());
    assert!(granted_is_available_and_live(shard, counters.iter().copied()).unwrap().is_green());
    let sku_row = world.rows.skus[&(common::sale(), sku(0))].clone();
    assert!(granted_and_pool_are_total(&sku_row, rows.iter().map(|(_, row)| *row)).unwrap().is_green());
    rows[0].1.consumed = 10;
    assert!(consumed_within_granted(shard, &rows).unwrap().is_red());
    rows[0].1.granted = 8;
    assert!(granted_and_pool_are_total(&sku_row, rows.iter().map(|(_, row)| *row)).unwrap().is_red());
    let wrong = counters.iter().map(|(sku, counter)| (*sku, Counter { live: counter.live + 1, ..*counter }));
    assert!(granted_is_available_and_live(shard, wrong).unwrap().is_red());
}

#[test]
fn i5_is_judged_only_when_nothing_is_in_flight() {
    let mut world = World::open(1, 4, &[9]);
    let id = world.buy(&user(0), &key(0), &basket(&[(0, 2)]));
    let counters = |world: &World| world.shards[0].counters().collect::<Vec<_>>();
    assert_eq!(quiet(&world, counters(&world), 0), Ok(true));
    let wrong =
        counters(&world).into_iter().map(|(sku, c)| (sku, Counter { available: c.available + 1, ..c })).collect();
    assert_eq!(quiet(&world, wrong, 0), Ok(false));
    world.order_command(OrderCommand::Cancel { order: id, user: None, ending: Ending::Buyer }).unwrap();
    assert!(quiet(&world, counters(&world), 1).is_err(), "a release is on its way down");
    world.settle();
    assert_eq!(quiet(&world, counters(&world), 0), Ok(true));
    world.click(&user(1), &key(0), &basket(&[(0, 1)]));
    assert!(quiet(&world, counters(&world), 0).is_err(), "an entry is on its way up");
    world.drain();
    world.end_epoch(0);
    assert!(quiet(&world, counters(&world), 0).is_err(), "no memory is the row's");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn i3_stays_green_while_orders_change_between_the_pages(
        steps in prop::collection::vec((0usize..12, any::<bool>()), 0..30), page in 1usize..4, plant in any::<bool>(),
    ) {
        let mut world = World::open(1, 4, &[99]);
        for who in 0..6 {
            world.buy(&user(who), &key(0), &basket(&[(0, 1)]));
        }
        let mut scan = RollingScan::new(World::shard_id(0), START);
        prop_assert!(scan.judgement().is_err());
        for (who, buys) in steps {
            let rest: Vec<OrderRow> = world.rows.orders.values().filter(|order| scan.position().is_none_or(|p| p < order.id)).take(page).cloned().collect();
            scan.feed(&rest);
            let before = world.rows.orders.clone();
            let id = world.order_id(&user(who), &key(0));
            if buys {
                world.click(&user(who), &key(0), &basket(&[(0, 1)]));
                world.drain();
            } else {
                let _ = world.order_command(OrderCommand::Cancel { order: id, user: None, ending: Ending::Buyer });
            }
            if let Some(after) = world.rows.orders.get(&id).filter(|after| before.get(&id) != Some(after)) {
                scan.changed(before.get(&id), after);
            }
        }
        let rest: Vec<OrderRow> = world.rows.orders.values().filter(|order| scan.position().is_none_or(|p| p < order.id)).cloned().collect();
        scan.feed(&rest);
        let mut rows = stock(&world);
        rows[0].1.consumed += u64::from(plant);
        let judged = scan.finish(rows, START.after_ms(7)).unwrap();
        prop_assert_eq!(judged.is_green(), !plant);
        prop_assert_eq!(scan.age_ms(START.after_ms(10)), Some(10));
        prop_assert_eq!(scan.judgement(), Ok(judged));
    }
}

#[test]
fn a_round_with_untold_changes_is_not_judged() {
    let mut world = World::open(1, 4, &[9]);
    world.buy(&user(0), &key(0), &basket(&[(0, 1)]));
    let mut scan = RollingScan::new(World::shard_id(0), START);
    scan.disturb();
    assert!(scan.finish(stock(&world), START).is_err());
    let orders: Vec<OrderRow> = world.rows.orders.values().cloned().collect();
    scan.feed(&orders);
    assert!(scan.finish(stock(&world), START).unwrap().is_green());
}
