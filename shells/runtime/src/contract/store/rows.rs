//! Rows: written whole or not at all, read at once, in the order of their keys.

use crate::contract::world::{
    IntoCommand, NewWorld, World, all_orders, apply, done, order_row, payment, sku, sku_row, user,
};
use crate::ports::store::Store;
use doorbuster_core::database::command::{Command, Refusal};
use doorbuster_core::database::rows::ProductRow;
use doorbuster_core::ids::{Key, OrderId, ProductId, Version};
use doorbuster_core::ledger::reserve::ReserveItem;
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::{Ending, Status};
use doorbuster_core::payment::command::{PaymentCommand, Verdict};
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_core::time::Wall;

pub async fn what_was_written_is_read(store: &dyn Store) {
    let world = World::named("written");
    world.create(store, NewWorld { skus: 2, ..NewWorld::default() }).await;
    let item = world.item(1, 1, &[(0, 2), (1, 1)]);
    let report = world.take_in(store, Wall(5), &[(1, vec![item.clone()])]).await;
    assert_eq!((report.created, report.alarms.len()), (1, 0));
    let order = world.order(&item);
    let row = order_row(store, order).await.expect("a reader sees what was done before");
    assert_eq!((row.status, row.amount_minor, row.version), (Status::PendingPayment, 300, Version(1)));
    let start = PaymentCommand::Start { payment: payment("pay-1"), order, user: user(1) };
    done(store, Command::Payment(start)).await;
    let settle = PaymentCommand::Settle { payment: payment("pay-1"), verdict: Verdict::Succeeded };
    done(store, Command::Payment(settle)).await;
    let row = order_row(store, order).await.expect("the order is there");
    assert_eq!((row.status, row.payment), (Status::Paid, Some(payment("pay-1"))));
    let (rows, _) = world.everything(store.snapshot().await.expect("a snapshot can be taken").as_ref()).await;
    assert_eq!(rows.stock[&(world.shard(0), sku(0))].consumed, 2, "rows of one command come together");
    world.check(store.snapshot().await.expect("a snapshot can be taken").as_ref()).await;
}

pub async fn a_command_can_be_repeated(store: &dyn Store) {
    let world = World::named("repeated");
    world.create(store, NewWorld::default()).await;
    world.create(store, NewWorld::default()).await;
    let entries = [(1, vec![world.item(1, 1, &[(0, 2)])]), (2, vec![world.item(2, 1, &[(0, 1)])])];
    let first = world.take_in(store, Wall(5), &entries).await;
    assert_eq!((first.created, first.passed_over), (2, 0));
    let again = world.take_in(store, Wall(5), &entries).await;
    assert_eq!((again.created, again.passed_over), (0, 2), "the cursor is the inbox");
    let snapshot = store.snapshot().await.expect("a snapshot can be taken");
    assert_eq!(world.everything(snapshot.as_ref()).await.1.len(), 2);
    world.check(snapshot.as_ref()).await;
}

pub async fn a_refusal_writes_nothing(store: &dyn Store) {
    let world = World::named("refused");
    world.create(store, NewWorld::default()).await;
    let item = world.item(1, 1, &[(0, 1)]);
    world.take_in(store, Wall(5), &[(1, vec![item.clone()])]).await;
    let before = world.everything(store.snapshot().await.expect("a snapshot can be taken").as_ref()).await;
    let order = world.order(&item);
    let absent = world.order(&world.item(9, 9, &[(0, 1)]));
    let cancel = |order: OrderId, buyer: usize| {
        Command::Order(OrderCommand::Cancel { order, user: Some(user(buyer)), ending: Ending::Buyer })
    };
    assert_eq!(apply(store, cancel(absent, 1)).await, Err(Refusal::NotYet), "rule 9");
    assert_eq!(apply(store, cancel(order, 2)).await, Err(Refusal::NotYours));
    let key = Key::parse("top-up").expect("a suite names a key");
    let top_up = SaleCommand::TopUp { sale: world.sale, sku: sku(0), quantity: 0, key };
    assert!(matches!(apply(store, top_up.into_command()).await, Err(Refusal::Invalid(_))));
    let nobody = World::named("nobody").sale;
    let top_up = SaleCommand::TopUp { sale: nobody, sku: sku(0), quantity: 1, key };
    assert_eq!(apply(store, top_up.into_command()).await, Err(Refusal::NoSale));
    let settle = PaymentCommand::Settle { payment: payment("nobody-pays"), verdict: Verdict::Succeeded };
    assert_eq!(apply(store, Command::Payment(settle)).await, Err(Refusal::NoPayment));
    let after = world.everything(store.snapshot().await.expect("a snapshot can be taken").as_ref()).await;
    assert_eq!(after, before, "a refusal writes nothing");
}

pub async fn products_come_page_by_page(store: &dyn Store) {
    let product = |number: usize, name: &str| ProductRow {
        id: ProductId::parse(&format!("product-{number:03}")).expect("a suite names a product"),
        name: name.to_owned(),
        category: "things".to_owned(),
        image_url: String::new(),
        version: Version(0),
    };
    let written = (0..25).map(|number| product(number, "first")).collect();
    done(store, SaleCommand::PutProducts(written).into_command()).await;
    done(store, SaleCommand::PutProducts(vec![product(3, "second")]).into_command()).await;
    let change = |expected, name| SaleCommand::ChangeProduct { product: product(3, name), expected }.into_command();
    assert_eq!(apply(store, change(Version(1), "lost")).await, Err(Refusal::StaleVersion(Version(2))));
    assert!(apply(store, change(Version(2), "third")).await.is_ok());
    let snapshot = store.snapshot().await.expect("a snapshot can be taken");
    let mut found: Vec<ProductRow> = Vec::new();
    loop {
        let after = found.last().map(|row| row.id);
        let page = snapshot.products(after, 10).await.expect("a snapshot can be read");
        assert!(page.len() <= 10, "a page is bounded");
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert!(found.windows(2).all(|pair| pair[0].id < pair[1].id), "in the order of their ids, each once");
    assert_eq!(found.len(), 25);
    assert_eq!((found[3].name.as_str(), found[3].version), ("third", Version(3)), "the store counts the versions");
}

pub async fn orders_come_page_by_page(store: &dyn Store) {
    let world = World::named("pages");
    world.create(store, NewWorld::default()).await;
    let items: Vec<ReserveItem> = (0..23).map(|buyer| world.item(buyer, 1, &[(0, 1)])).collect();
    world.take_in(store, Wall(5), &[(1, items.clone())]).await;
    // A sale whose name continues this one's must not appear between its rows.
    let neighbour = World::named("pages-2");
    neighbour.create(store, NewWorld::default()).await;
    neighbour.take_in(store, Wall(5), &[(1, vec![neighbour.item(1, 1, &[(0, 1)])])]).await;
    let snapshot = store.snapshot().await.expect("a snapshot can be taken");
    let mut expected: Vec<OrderId> = items.iter().map(|item| world.order(item)).collect();
    expected.sort_unstable();
    let all: Vec<OrderId> = all_orders(snapshot.as_ref(), world.shard(0)).await.iter().map(|row| row.id).collect();
    assert_eq!(all, expected, "in the order of their ids, of one shard");
    let page = snapshot.orders(world.shard(0), Some(expected[4].reservation), 7).await.expect("a snapshot can be read");
    let page: Vec<OrderId> = page.iter().map(|row| row.id).collect();
    assert_eq!(page, expected[5..12], "a page begins behind its place");
    let sales = snapshot.sales().await.expect("a snapshot can be read");
    assert!([world.sale, neighbour.sale].iter().all(|sale| sales.iter().any(|row| row.id == *sale)));
    assert_eq!(sku_row(store, world.sale, sku(0)).await.total, 100);
}
