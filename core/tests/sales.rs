//! Sales: top-ups conserve, a close returns everything, invalid input writes nothing.

mod common;

use common::{HOLD_MS, START, World, basket, check_rows, key, new_sale, new_sku, sale, sku, transact, user};
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::rows::{Phase, ProductRow, SaleState, StockRow};
use doorbuster_core::database::tables::Rows;
use doorbuster_core::ids::{ProductId, SkuId, Version};
use doorbuster_core::ledger::basket::{Basket, BasketError, Line};
use doorbuster_core::ledger::epoch::LadderStep;
use doorbuster_core::ledger::shard::Window;
use doorbuster_core::limits::{
    HOLD_MS_MAX, HOLD_MS_MIN, IMPORT_ROWS_MAX, LINES_MAX, PRICE_MINOR_MAX, QUANTITY_MAX, SHARDS_MAX, STOCK_MAX,
    STOCK_ROWS_MAX, TEXT_MAX, TRANSACTION_ROWS_MAX,
};
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::Restock;
use doorbuster_core::payment::command::PaymentCommand;
use doorbuster_core::sale::command::{NewSku, SaleCommand};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Withdraws everything, ends the epoch, closes the shard: what the keeper does after the close.
fn close(world: &mut World) {
    world.sale(SaleCommand::Enter { sale: sale(), state: SaleState::Closed }).unwrap();
    for k in 0..world.shards.len() as u16 {
        let fence = world.fence(k);
        world.shards[usize::from(k)].set_state(fence, true).unwrap();
        let skus: Vec<SkuId> = world.shards[usize::from(k)].counters().map(|(sku, _)| sku).collect();
        for sku in skus {
            let entry = world.shards[usize::from(k)].withdraw(fence, sku, u64::MAX).unwrap();
            world.publish(k, entry);
        }
        world.end_epoch(k);
        let rung = world.row(k).rung();
        world.ladder(k, LadderStep::Close(rung)).unwrap();
    }
}

fn top_up(number: usize, quantity: u64, under: usize) -> SaleCommand {
    SaleCommand::TopUp { sale: sale(), sku: sku(number), quantity, key: key(under) }
}

fn product(number: usize, name: &str) -> ProductRow {
    ProductRow {
        id: ProductId::parse(&format!("product-{number}")).unwrap(),
        name: name.to_owned(),
        category: String::new(),
        image_url: String::new(),
        version: Version(0),
    }
}

/// Makes one row of a file bad, in one of the ways that are refused.
fn spoil(product: &mut ProductRow, new: &mut NewSku, fault: usize) {
    match fault {
        0 => product.name = String::new(),
        1 => product.category = "c".repeat(TEXT_MAX + 1),
        2 => product.image_url = "u".repeat(TEXT_MAX + 1),
        3 => new.name = String::new(),
        4 => new.name = "n".repeat(TEXT_MAX + 1),
        5 => new.price_minor = PRICE_MINOR_MAX + 1,
        6 => new.stock = STOCK_MAX + 1,
        // One that the sale has at another price.
        _ => *new = NewSku { price_minor: 1, ..new_sku(0, 5) },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn a_key_tops_up_once_and_answers_as_the_first_time_until_after_the_close(
        wishes in prop::collection::vec((0usize..2, 1u64..4, 0usize..4), 1..20), closed in any::<bool>(), shards in 1u16..4,
    ) {
        let mut world = World::open(shards, 2, &[5, 5]);
        let mut first: BTreeMap<usize, (usize, u64)> = BTreeMap::new();
        let mut totals = [5, 5];
        for (number, quantity, under) in &wishes {
            let before = world.rows.clone();
            let outcome = world.sale(top_up(*number, *quantity, *under));
            match first.get(under) {
                None => {
                    prop_assert_eq!(outcome, Ok(Reply::Done));
                    first.insert(*under, (*number, *quantity));
                    totals[*number] += quantity;
                    let row = &world.rows.top_ups[&(sale(), key(*under))];
                    prop_assert_eq!((row.sku, row.quantity, row.total), (sku(*number), *quantity, totals[*number]));
                }
                Some(known) => {
                    let same = *known == (*number, *quantity);
                    let refusal = Err(Refusal::KeyReused);
                    prop_assert_eq!(outcome, if same { Ok(Reply::Done) } else { refusal });
                    prop_assert_eq!(&world.rows, &before, "under a known key nothing is written");
                }
            }
        }
        world.settle();
        world.check_at_rest();
        if closed {
            close(&mut world);
        }
        let rows = world.rows.clone();
        for (under, (number, quantity)) in &first {
            prop_assert_eq!(world.sale(top_up(*number, *quantity, *under)), Ok(Reply::Done));
        }
        prop_assert_eq!(&world.rows, &rows);
        for (number, total) in totals.iter().enumerate() {
            prop_assert_eq!(world.rows.skus[&(sale(), sku(number))].total, *total);
        }
    }

    #[test]
    fn an_import_is_whole_or_not_at_all_and_may_be_sent_again(
        count in 1usize..12, bad in prop::option::of((0usize..12, 0usize..8)), shards in 1u16..4, renamed in any::<bool>(),
    ) {
        let mut world = World::open(shards, 2, &[5]);
        world.sale(SaleCommand::PutProducts(vec![product(0, "Known")])).unwrap();
        let before = world.rows.clone();
        let mut products: Vec<_> = (0..count).map(|number| product(number, if renamed { "New" } else { "Known" })).collect();
        let mut skus: Vec<_> = (0..count).map(|number| new_sku(number + 1, 7)).collect();
        if let Some((row, fault)) = bad {
            spoil(&mut products[row % count], &mut skus[row % count], fault);
        }
        let import = SaleCommand::Import { sale: sale(), products: products.clone(), skus };
        let outcome = world.sale(import.clone());
        if bad.is_some() {
            prop_assert!(matches!(outcome, Err(Refusal::Invalid(_))), "{:?}", outcome);
            prop_assert_eq!(&world.rows, &before, "a refusal in any row leaves every row as it was");
            return Ok(());
        }
        prop_assert_eq!(outcome, Ok(Reply::Count(count)));
        for product in &products {
            let version = if product.id == products[0].id && renamed { 2 } else { 1 };
            prop_assert_eq!(&world.rows.products[&product.id], &ProductRow { version: Version(version), ..product.clone() });
        }
        let rows = world.rows.clone();
        prop_assert_eq!(world.sale(import), Ok(Reply::Count(0)));
        prop_assert_eq!(&world.rows, &rows, "what is as the file says stays untouched");
        world.settle();
        world.check_at_rest();
    }

    #[test]
    fn top_ups_are_spread_evenly_and_conserved(shards in 1u16..9, stock in 0u64..50, adds in prop::collection::vec(1u64..50, 0..6)) {
        let mut world = World::open(shards, 2, &[stock]);
        for (number, quantity) in adds.iter().enumerate() {
            world.sale(top_up(0, *quantity, number)).unwrap();
        }
        world.settle();
        world.check_at_rest();
        let total = stock + adds.iter().sum::<u64>();
        let granted: Vec<u64> = (0..shards).map(|k| world.stock(k, 0).granted).collect();
        prop_assert_eq!(granted.iter().sum::<u64>(), total);
        prop_assert_eq!(world.rows.skus[&(sale(), sku(0))].total, total);
        let spread = granted.iter().max().unwrap() - granted.iter().min().unwrap();
        prop_assert!(spread <= 1 + adds.len() as u64, "each spreading leaves a difference of one");
    }

    #[test]
    fn add_skus_is_idempotent_and_whole_or_not_at_all(numbers in prop::collection::vec(0usize..6, 1..6), again in 1usize..4, shards in 1u16..4) {
        let mut world = World::open(shards, 2, &[5]);
        let skus: Vec<_> = numbers.iter().map(|number| new_sku(number + 1, 7)).collect();
        world.sale(SaleCommand::AddSkus { sale: sale(), skus: skus.clone() }).unwrap();
        let rows = world.rows.clone();
        for _ in 0..again {
            let reply = world.sale(SaleCommand::AddSkus { sale: sale(), skus: skus.clone() }).unwrap();
            prop_assert_eq!(reply, Reply::Count(0));
        }
        prop_assert_eq!(&world.rows, &rows);
        let mut half_bad = vec![new_sku(8, 3)];
        half_bad.push(doorbuster_core::sale::command::NewSku { price_minor: 1, ..new_sku(0, 5) });
        let refused = world.sale(SaleCommand::AddSkus { sale: sale(), skus: half_bad });
        prop_assert!(matches!(refused, Err(Refusal::Invalid(_))));
        prop_assert_eq!(&world.rows, &rows);
        world.settle();
        for k in 0..shards {
            let parts = world.shards[usize::from(k)].counters().count();
            prop_assert!(parts >= 1);
        }
        check_rows(&world.rows);
    }

    #[test]
    fn a_close_returns_every_unit_that_no_order_holds_and_later_endings_the_rest(
        fates in prop::collection::vec(0usize..5, 0..12), shards in 1u16..4,
    ) {
        let mut world = World::open(shards, 2, &[40, 3]);
        let mut orders = Vec::new();
        for (who, fate) in fates.iter().enumerate() {
            let wish = if fate % 2 == 0 { basket(&[(0, 1)]) } else { basket(&[(0, 1), (1, 1)]) };
            world.click(&user(who), &key(0), &wish);
            orders.push((world.order_id(&user(who), &key(0)), *fate));
        }
        world.drain();
        for (number, (id, fate)) in orders.iter().enumerate() {
            if *fate < 2 && world.rows.orders.contains_key(id) {
                world.pay_order(*id, number);
            }
        }
        close(&mut world);
        world.now = START.after_ms(2 * HOLD_MS);
        for (number, (id, fate)) in orders.iter().enumerate() {
            if !world.rows.orders.contains_key(id) {
                continue;
            }
            if *fate == 0 {
                world.order_command(OrderCommand::Refund { order: *id, restock: Restock::Yes }).unwrap();
                world.pay(PaymentCommand::Refunded { payment: common::payment(number) }).unwrap();
            }
            world.expire(vec![*id]);
        }
        for ((_, sku), row) in &world.rows.skus {
            let held: u64 = world.rows.orders.values().flat_map(|order| order.held_lines()).filter(|line| line.sku == *sku).map(|line| u64::from(line.quantity)).sum();
            prop_assert_eq!(row.pool + held, row.total);
        }
        for row in world.rows.stock.values() {
            prop_assert_eq!(row.granted, row.consumed);
        }
        for k in 0..shards {
            prop_assert_eq!(world.row(k).phase, Phase::Closed);
        }
    }

    #[test]
    fn invalid_rules_are_refused_with_nothing_written(
        limit in 0u32..2, hold in prop_oneof![Just(HOLD_MS_MIN - 1), Just(HOLD_MS), Just(HOLD_MS_MAX + 1)],
        shards in prop_oneof![Just(0), Just(1u16), Just(SHARDS_MAX + 1)], backwards in any::<bool>(), title in prop_oneof![Just(0), Just(1), Just(TEXT_MAX + 1)],
    ) {
        let ends_at = if backwards { START } else { START.after_ms(1) };
        let new = doorbuster_core::sale::command::NewSale {
            window: Window { starts_at: START, ends_at },
            hold_ms: hold,
            title: "t".repeat(title),
            ..new_sale(shards, limit)
        };
        let valid = limit > 0 && hold == HOLD_MS && shards == 1 && !backwards && title == 1;
        let outcome = transact(&Rows::default(), &Command::Sale(SaleCommand::Create(new)), START);
        prop_assert_eq!(outcome.is_ok(), valid);
        if !valid {
            prop_assert!(matches!(outcome, Err(Refusal::Invalid(_))));
        }
    }

    #[test]
    fn a_basket_is_refused_for_the_first_thing_that_is_wrong(lines in prop::collection::vec((0usize..10, 0u32..QUANTITY_MAX + 2), 0..LINES_MAX + 2)) {
        let lines: Vec<Line> = lines.iter().map(|(number, quantity)| Line { sku: sku(*number), quantity: *quantity }).collect();
        let sound = (1..=LINES_MAX).contains(&lines.len())
            && lines.iter().all(|line| (1..=QUANTITY_MAX).contains(&line.quantity))
            && lines.iter().enumerate().all(|(n, line)| lines[..n].iter().all(|earlier| earlier.sku != line.sku));
        match Basket::parse(&lines) {
            Ok(basket) => {
                prop_assert!(sound);
                prop_assert_eq!(basket.lines(), &lines[..]);
                let json = serde_json::to_string(&basket).unwrap();
                prop_assert_eq!(serde_json::from_str::<Basket>(&json).unwrap().body_hash(), basket.body_hash());
            }
            Err(BasketError::Empty) => prop_assert!(lines.is_empty()),
            Err(BasketError::TooManyLines) => prop_assert!(lines.len() > LINES_MAX),
            Err(_) => prop_assert!(!sound),
        }
    }
}

#[test]
fn the_largest_import_is_one_transaction_within_its_bounds() {
    let shards = (STOCK_ROWS_MAX / IMPORT_ROWS_MAX) as u16;
    let create = Command::Sale(SaleCommand::Create(new_sale(shards, 2)));
    let (rows, _, _) = transact(&Rows::default(), &create, START).unwrap();
    let product = |number| ProductRow { category: "c".repeat(TEXT_MAX), ..product(number, "name") };
    let products: Vec<_> = (0..IMPORT_ROWS_MAX).map(product).collect();
    let skus: Vec<_> = (0..IMPORT_ROWS_MAX).map(|number| new_sku(number, STOCK_MAX)).collect();
    let import = |products: &[ProductRow], skus: &[NewSku]| {
        let command = SaleCommand::Import { sale: sale(), products: products.to_vec(), skus: skus.to_vec() };
        transact(&rows, &Command::Sale(command), START)
    };
    let (after, _, reply) = import(&products, &skus).unwrap();
    assert_eq!(reply, Reply::Count(IMPORT_ROWS_MAX));
    let shard_rows = usize::from(shards);
    // The sale's own row and its shards' rows were there before, and are not written.
    assert_eq!(after.len() - 1 - shard_rows, TRANSACTION_ROWS_MAX);
    let too_many = [products.clone(), vec![product(IMPORT_ROWS_MAX)]].concat();
    assert!(matches!(import(&too_many, &skus), Err(Refusal::Invalid(_))));
    let too_many = [skus, vec![new_sku(IMPORT_ROWS_MAX, 1)]].concat();
    assert!(matches!(import(&products, &too_many), Err(Refusal::Invalid(_))));
}

#[test]
fn a_sale_moves_only_forward_and_needs_a_sku_to_open() {
    let create = Command::Sale(SaleCommand::Create(new_sale(1, 2)));
    let (rows, _, _) = transact(&Rows::default(), &create, START).unwrap();
    let enter = |state| Command::Sale(SaleCommand::Enter { sale: sale(), state });
    assert!(matches!(transact(&rows, &enter(SaleState::Open), START), Err(Refusal::SaleConflict(_))));
    assert!(matches!(transact(&rows, &enter(SaleState::Stopped), START), Err(Refusal::SaleConflict(_))));
    let mut world = World::open(1, 2, &[5]);
    for (state, allowed) in [
        (SaleState::Draft, false),
        (SaleState::Open, true),
        (SaleState::Stopped, true),
        (SaleState::Open, true),
        (SaleState::Closed, true),
        (SaleState::Closed, true),
        (SaleState::Open, false),
        (SaleState::Stopped, false),
    ] {
        let outcome = world.sale(SaleCommand::Enter { sale: sale(), state });
        assert_eq!(outcome.is_ok(), allowed, "{state:?}: {outcome:?}");
    }
    let late = [
        top_up(0, 1, 0),
        SaleCommand::Distribute { sale: sale(), sku: sku(0) },
        SaleCommand::AddSkus { sale: sale(), skus: vec![new_sku(1, 1)] },
    ];
    for command in late {
        assert!(matches!(world.sale(command), Err(Refusal::SaleConflict(_))));
    }
}

#[test]
fn a_sale_is_created_once_and_never_with_other_rules() {
    let mut world = World::open(2, 3, &[5]);
    let rows = world.rows.clone();
    world.sale(SaleCommand::Create(new_sale(2, 3))).unwrap();
    assert_eq!(world.rows, rows);
    for other in [new_sale(2, 4), new_sale(3, 3)] {
        assert!(matches!(world.sale(SaleCommand::Create(other)), Err(Refusal::SaleConflict(_))));
    }
    assert_eq!(world.rows, rows);
}

#[test]
fn operators_numbers_out_of_bounds_write_nothing() {
    let mut world = World::open(1, 2, &[5]);
    let rows = world.rows.clone();
    let bad = [
        top_up(0, 0, 0),
        top_up(0, STOCK_MAX, 0),
        top_up(0, u64::MAX, 0),
        SaleCommand::AddSkus { sale: sale(), skus: vec![new_sku(1, STOCK_MAX + 1)] },
        SaleCommand::AddSkus {
            sale: sale(),
            skus: vec![doorbuster_core::sale::command::NewSku { price_minor: PRICE_MINOR_MAX + 1, ..new_sku(1, 1) }],
        },
        SaleCommand::AddSkus {
            sale: sale(),
            skus: vec![doorbuster_core::sale::command::NewSku { name: String::new(), ..new_sku(1, 1) }],
        },
    ];
    for command in bad {
        assert!(matches!(world.sale(command), Err(Refusal::Invalid(_))));
    }
    assert_eq!(world.sale(top_up(7, 1, 0)), Err(Refusal::NoSku));
    let nowhere = doorbuster_core::ids::SaleId::parse("nowhere").unwrap();
    assert_eq!(
        world.sale(SaleCommand::TopUp { sale: nowhere, sku: sku(0), quantity: 1, key: key(0) }),
        Err(Refusal::NoSale)
    );
    assert_eq!(world.rows, rows);
}

#[test]
fn what_a_closed_shard_has_not_sold_is_in_the_pool_and_no_row_is_made_for_it() {
    let mut world = World::open(2, 3, &[9, 1]);
    let home = world.home(&user(0));
    world.buy(&user(0), &key(0), &basket(&[(0, 2)]));
    let untold: Vec<_> = (0..2).map(|k| world.rows.stock.contains_key(&(World::shard_id(k), sku(1)))).collect();
    assert_eq!(untold, [true, false], "one unit goes to one shard");
    world.sale(SaleCommand::Enter { sale: sale(), state: SaleState::Closed }).unwrap();
    let places: Vec<_> = world.rows.stock.keys().cloned().collect();
    for k in 0..2 {
        world.end_epoch(k);
        world.ladder(k, LadderStep::Close(world.row(k).rung())).unwrap();
    }
    assert_eq!((world.rows.skus[&(sale(), sku(0))].pool, world.rows.skus[&(sale(), sku(1))].pool), (7, 1));
    assert_eq!((world.stock(home, 0).granted, world.stock(1 - home, 0).granted), (2, 0), "what an order holds stays");
    assert_eq!(world.rows.stock.keys().cloned().collect::<Vec<_>>(), places);
}

#[test]
fn a_grant_is_of_one_unit_at_least_and_of_the_pool_at_most() {
    let mut world = World::open(1, 3, &[9]);
    let fence = world.fence(0);
    let entry = world.shards[0].withdraw(fence, sku(0), 4).unwrap();
    world.publish(0, entry);
    world.drain();
    let rows = world.rows.clone();
    let after = world.stock(0, 0).grant_seq;
    let grant = |quantity| SaleCommand::Grant { shard: World::shard_id(0), sku: sku(0), quantity, after };
    for quantity in [0, 5] {
        assert!(matches!(world.sale(grant(quantity)), Err(Refusal::SaleConflict(_))), "{quantity}");
        assert_eq!(world.rows, rows);
    }
    world.sale(grant(4)).unwrap();
    assert_eq!((world.rows.skus[&(sale(), sku(0))].pool, world.stock(0, 0).granted), (0, 9));
}

#[test]
#[should_panic(expected = "I1: consumed 2 > granted 1")]
fn i1_a_row_that_sold_more_than_it_was_granted_is_no_row() {
    StockRow { granted: 1, consumed: 2, grant_seq: 1 }.check();
}

/// Who shows a product shows its SKUs: a new one must reach caches as a newer version of the row that they keep.
#[test]
fn a_new_sku_is_a_newer_version_of_its_product() {
    use doorbuster_core::database::event::Event;
    let mut world = World::open(1, 2, &[5]);
    let product = new_sku(3, 7).product;
    let row = ProductRow {
        id: product,
        name: "lamp".to_owned(),
        category: String::new(),
        image_url: String::new(),
        version: Version(0),
    };
    world.sale(SaleCommand::PutProducts(vec![row.clone(), row])).unwrap();
    assert_eq!(world.rows.products[&product].version, Version(2));
    let command = Command::Sale(SaleCommand::AddSkus { sale: sale(), skus: vec![new_sku(3, 7)] });
    let (rows, events, _) = transact(&world.rows, &command, START).unwrap();
    assert_eq!(rows.products[&product].version, Version(3));
    let told = events.iter().filter(|event| matches!(event, Event::CatalogChanged { .. }));
    assert_eq!(told.collect::<Vec<_>>(), [&Event::CatalogChanged { product, version: Version(3) }]);
}
