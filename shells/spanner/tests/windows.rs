//! Rings and documents, of one snapshot.

mod support;

use doorbuster_core::database::command::{Command, Refusal};
use doorbuster_core::database::rows::ProductRow;
use doorbuster_core::ids::{OrderId, ProductId, ReservationId, ShardId, SkuId, Version};
use doorbuster_core::inbox::{Offset, Partition};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_core::time::Wall;
use doorbuster_core::window::command::{SalesBatch, SalesCommand};
use doorbuster_core::window::hour::{HOUR_MS, Hour};
use doorbuster_core::window::movement::{Movement, Sign};
use doorbuster_runtime::contract::World;
use doorbuster_runtime::ports::store::Store;
use doorbuster_runtime::ports::windows::Windows;
use doorbuster_spanner::windows::SpannerWindows;
use support::database;

fn sku(number: u8) -> SkuId {
    SkuId::parse(&format!("sku-{number}")).expect("a test names a SKU")
}

fn product(number: u8) -> ProductId {
    ProductId::parse(&format!("product-{number}")).expect("a test names a product")
}

async fn done(store: &dyn Store, command: Command) {
    for _ in 0..50 {
        match store.apply(command.clone()).await {
            // A cursor that has moved was moved by the attempt whose answer was lost.
            Outcome::Done(_) | Outcome::Refused(Refusal::StaleOffset) => return,
            // Written or not; a repetition finds it counted.
            Outcome::Unknown => {}
            Outcome::Refused(refusal) => panic!("{command:?} was refused: {refusal:?}"),
        }
    }
    panic!("nobody ever knew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rings_come_by_partition_and_documents_with_their_sums() {
    let Some(database) = database("windows").await else { return };
    let (store, windows) = (database.store(), SpannerWindows::new(database.connection.clone()));
    let now = database.clock().now().await;
    let (world, paid_at) = (World::named("demo"), now.before_ms(2 * HOUR_MS));
    let movement = |number: u8| Movement {
        sku: sku(number),
        order: OrderId { shard: ShardId { sale: world.sale, k: 0 }, reservation: ReservationId([number; 16]) },
        sign: Sign::Paid,
        product: product(number / 2),
        quantity: u32::from(number) + 1,
        paid_at,
    };
    for part in [0u32, 1] {
        let of = (0..6).filter(|number| u32::from(*number) % 2 == part);
        let movements: Vec<_> = of.zip(0..).map(|(number, offset)| (Offset(offset), movement(number))).collect();
        let (expected, next) = (Offset(0), Offset(movements.len() as u64));
        let movements = movements.into_iter().map(|(_, movement)| movement).collect();
        let batch = SalesBatch { partition: Partition(part), expected, next, movements };
        done(store.as_ref(), Command::Sales(SalesCommand::Count(batch))).await;
    }
    let first = windows.rings(Partition(0), None, 2).await.unwrap();
    assert_eq!(first, [sku(0), sku(2)]);
    assert_eq!(windows.rings(Partition(0), Some(sku(2)), 2).await.unwrap(), [sku(4)]);
    assert_eq!(windows.rings(Partition(1), None, 9).await.unwrap(), [sku(1), sku(3), sku(5)]);
    let row = ProductRow {
        id: product(1),
        name: "Tea".to_owned(),
        category: "drinks".to_owned(),
        image_url: String::new(),
        version: Version(0),
    };
    done(store.as_ref(), Command::Sale(SaleCommand::PutProducts(vec![row]))).await;
    let before = windows.documents(vec![product(1)]).await.unwrap();
    assert_eq!((before[0].sales_7d, before[0].row.is_some()), (0, true), "nothing was told yet");
    let hour = Hour::of(Wall(now.0 - 10 * 60_000));
    done(store.as_ref(), Command::Sales(SalesCommand::Emit { hour, skus: (0..6).map(sku).collect() })).await;
    let after = windows.documents(vec![product(2), product(1), product(9)]).await.unwrap();
    let shown: Vec<_> = after.iter().map(|document| (document.product, document.sales_7d)).collect();
    assert_eq!(shown, [(product(2), 5 + 6), (product(1), 3 + 4), (product(9), 0)], "in the order of the question");
    assert!(after[0].version > before[0].version, "a later snapshot has a later time");
    assert!(after.iter().all(|document| document.version == after[0].version), "all of one snapshot");
    database.drop().await;
}
