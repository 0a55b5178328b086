//! What the suites do not say of transactions: answers that are lost, writers of several processes, sizes.

mod support;

use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::rows::ProductRow;
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::{Key, ProductId, SkuId, Version};
use doorbuster_core::ledger::reserve::ReserveItem;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::sale::command::{NewSku, SaleCommand};
use doorbuster_core::time::Wall;
use doorbuster_runtime::contract::{NewWorld, World};
use doorbuster_runtime::drive::spawn;
use doorbuster_runtime::env::SystemEnv;
use doorbuster_runtime::ports::store::Store;
use doorbuster_spanner::config::SpannerConfig;
use doorbuster_spanner::connection::Connection;
use doorbuster_spanner::store::SpannerStore;
use std::sync::Arc;
use support::proxy::Proxy;
use support::{database, open};

/// Answers that nobody knows, in a row, after which a test gives up.
const TRIES_MAX: usize = 50;

fn sku() -> SkuId {
    SkuId::parse("sku-0").expect("a test names a SKU")
}

fn top_up(world: &World, number: usize) -> Command {
    let key = Key::parse(&format!("top-up-{number}")).expect("a test names a key");
    Command::Sale(SaleCommand::TopUp { sale: world.sale, sku: sku(), quantity: 3, key })
}

async fn certain(store: &dyn Store, command: Command) -> Result<Reply, Refusal> {
    for _ in 0..TRIES_MAX {
        match store.apply(command.clone()).await {
            Outcome::Done(reply) => return Ok(reply),
            Outcome::Refused(refusal) => return Err(refusal),
            // Written or not: every command is safe to repeat.
            Outcome::Unknown => {}
        }
    }
    panic!("{TRIES_MAX} answers in a row were unknown");
}

fn sku_of(world: &World) -> Reads {
    let mut reads = Reads::default();
    reads.skus.insert((world.sale, sku()));
    reads
}

async fn total(store: &dyn Store, world: &World) -> u64 {
    store.read(sku_of(world)).await.expect("the store can be read").skus[&(world.sale, sku())].total
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_unknown_and_found_by_looking() {
    let Some(database) = database("transactions").await else { return };
    let (store, world) = (database.store(), World::named("lost"));
    world.create(store.as_ref(), NewWorld::default()).await;
    let proxy = Proxy::start(database.config.emulator.as_deref().expect("it has an emulator"), b"outbox").await;
    let emulator = Some(proxy.address.clone());
    let config = SpannerConfig { emulator, transaction_ms: 2_000, channels: 1, ..database.config.clone() };
    let cut: Arc<dyn Store> = Arc::new(SpannerStore::new(open(&config).await));
    proxy.arm();
    assert_eq!(cut.apply(top_up(&world, 1)).await, Outcome::Unknown, "its answer was swallowed");
    assert!(cut.read(sku_of(&world)).await.is_err(), "a server that is silent is unavailable, in time");
    assert_eq!(total(store.as_ref(), &world).await, 103, "it was committed all the same");
    let again = certain(store.as_ref(), top_up(&world, 1)).await;
    assert!(again.is_ok(), "{again:?}");
    assert_eq!(total(store.as_ref(), &world).await, 103, "a repetition finds what was done");
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_update_is_lost_between_processes() {
    let Some(database) = database("transactions").await else { return };
    let (store, world) = (database.store(), World::named("processes"));
    world.create(store.as_ref(), NewWorld::default()).await;
    let mut writers = Vec::new();
    for process in 0..3 {
        let config = SpannerConfig { transactions_max: 4, ..database.config.clone() };
        let store: Arc<dyn Store> = Arc::new(SpannerStore::new(open(&config).await));
        for number in 0..10 {
            let (store, command) = (store.clone(), top_up(&world, process * 10 + number));
            writers.push(spawn(async move { certain(store.as_ref(), command).await }));
        }
    }
    for writer in writers {
        writer.await.expect("a writer does not panic").expect("nothing speaks against it");
    }
    assert_eq!(total(store.as_ref(), &world).await, 100 + 30 * 3, "every top-up counts once");
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_orders_are_one_transaction() {
    let Some(database) = database("transactions").await else { return };
    let (store, world) = (database.store(), World::named("hundreds"));
    world.create(store.as_ref(), NewWorld { stock: 10_000, ..NewWorld::default() }).await;
    for (seq, orders) in [(1, 100), (2, 1_000u32)] {
        let items: Vec<ReserveItem> =
            (0..orders as usize).map(|buyer| world.item(buyer, seq as usize, &[(0, 1)])).collect();
        let began = database.clock().now().await;
        let report = world.take_in(store.as_ref(), Wall(5), &[(seq, items)]).await;
        let took = database.clock().now().await.0 - began.0;
        assert_eq!((report.created, report.alarms.len()), (orders, 0));
        println!("{orders} orders in one transaction: {took} ms");
    }
    world.check(store.snapshot().await.expect("a snapshot can be taken").as_ref()).await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_commit_cannot_take_is_refused_by_its_size() {
    let Some(database) = database("transactions").await else { return };
    let (store, world) = (database.store(), World::named("import"));
    world.create(store.as_ref(), NewWorld { skus: 0, ..NewWorld::default() }).await;
    let import = |rows: usize| {
        let product = |number: usize| ProductRow {
            id: ProductId::parse(&format!("p-{number}")).expect("a test names a product"),
            name: "a thing".to_owned(),
            category: "things".to_owned(),
            image_url: "/a.png".to_owned(),
            version: Version(0),
        };
        let new = |number: usize| NewSku {
            sku: SkuId::parse(&format!("s-{number}")).expect("a test names a SKU"),
            product: product(number).id,
            name: "a variant".to_owned(),
            price_minor: 100,
            stock: 5,
        };
        let (products, skus) = ((0..rows).map(product).collect(), (0..rows).map(new).collect());
        Command::Sale(SaleCommand::Import { sale: world.sale, products, skus })
    };
    let refused = certain(store.as_ref(), import(10_000)).await;
    let Err(Refusal::Invalid(what)) = refused else { panic!("10,000 new rows are too many: {refused:?}") };
    assert!(what.contains("80000 at once"), "{what}");
    println!("{what}");
    let snapshot = store.snapshot().await.expect("a snapshot can be taken");
    assert!(snapshot.products(None, 1).await.expect("a snapshot can be read").is_empty(), "nothing of it is written");
    let began = database.clock().now().await;
    assert_eq!(certain(store.as_ref(), import(2_500)).await, Ok(Reply::Count(2_500)));
    println!("2500 rows imported in one transaction: {} ms", database.clock().now().await.0 - began.0);
    database.drop().await;
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let emulator = listener.local_addr().expect("it is bound").to_string();
    let config = SpannerConfig { emulator: Some(emulator), read_ms: 200, scan_ms: 300, ..SpannerConfig::default() };
    let opened = Connection::open(config, SystemEnv::shared()).await;
    assert!(opened.is_err(), "it was never there");
}
