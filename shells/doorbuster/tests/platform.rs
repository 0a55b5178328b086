//! The whole platform in one process over a directory, with its real roles and its real wiring.

#[allow(dead_code, reason = "the binary uses the rest of it")]
#[path = "../src/depths.rs"]
mod depths;
#[allow(dead_code, reason = "the binary uses the rest of it")]
#[path = "../src/platform.rs"]
mod platform;
#[path = "../src/provider.rs"]
mod provider;
mod shop;

use doorbuster_core::cache::talk::Answer;
use doorbuster_core::database::command::Command;
use doorbuster_core::database::rows::{PaymentStatus, Phase, ProductRow, SaleState};
use doorbuster_core::ids::{Key, OrderId, ProductId, ReservationId, Version};
use doorbuster_core::ledger::page::Acceptance;
use doorbuster_core::ledger::reserve::ReserveRefusal;
use doorbuster_core::order::status::{Ending, Rejection, Status};
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_runtime::ports::admit::Admission;
use doorbuster_runtime::roles::{cache, invalidator};
use shop::{Shop, eventually, order_of, sale, shard, sku, user};
use std::cell::Cell;

/// Long enough that nothing runs out by itself.
const LONG_MS: u64 = 3_600_000;
/// The shortest that a sale may have.
const SHORT_MS: u64 = 1_000;

/// The order of the reservation that is tried for late money.
fn late_order(buyer: &str, payment: &str) -> OrderId {
    let key = Key::parse(&format!("late:{payment}")).unwrap();
    OrderId { shard: shard(), reservation: ReservationId::derive(sale(), &user(buyer), &key) }
}

async fn ends_as(shop: &Shop, order: OrderId, status: Status) {
    eventually(&format!("{order} is {status:?}"), async || {
        shop.order(order).await.filter(|row| row.status == status).map(drop)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reservation_is_paid() {
    let directory = tempfile::tempdir().unwrap();
    let shop = Shop::start(directory.path()).await;
    shop.open_sale(3, LONG_MS).await;
    let accepted = shop.buy("ann", 2).await;
    assert_eq!(shop.reserve("ann", 2).await, Admission::Replayed(accepted), "the same key gets the same answer");
    let sold_out = Admission::Refused(ReserveRefusal::SoldOut(sku()));
    assert_eq!(shop.reserve("ben", 2).await, sold_out);
    let row = shop.order_comes("ann").await;
    assert_eq!((row.status, row.amount_minor), (Status::PendingPayment, 200));
    shop.start_payment("ann", "pay-ann").await.unwrap();
    assert_eq!(shop.settle("pay-ann").await.status, PaymentStatus::Paid);
    assert_eq!(shop.settle("pay-ann").await.status, PaymentStatus::Paid, "the provider may say it twice");
    assert_eq!(shop.order_comes("ann").await.status, Status::Paid);
    assert!(shop.cancel("ann").await.is_err(), "a paid order is not cancelled");
    shop.audit().await;
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_runs_out_frees_its_unit_for_another() {
    let directory = tempfile::tempdir().unwrap();
    let shop = Shop::start(directory.path()).await;
    shop.open_sale(1, SHORT_MS).await;
    shop.buy("ann", 1).await;
    ends_as(&shop, order_of("ann"), Status::Cancelled(Ending::Expired)).await;
    let admitted = eventually("the unit can be sold again", async || match shop.reserve("ben", 1).await {
        Admission::Accepted(acceptance) => Some(acceptance),
        _ => None,
    })
    .await;
    assert_eq!(shop.order_comes("ben").await.origin.map(|origin| origin.acceptance), Some(admitted));
    assert_eq!(shop.audit().await.len(), 2);
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_money_buys_again_or_goes_back_once() {
    let directory = tempfile::tempdir().unwrap();
    let shop = Shop::start(directory.path()).await;
    shop.open_sale(1, LONG_MS).await;
    shop.buy("ann", 1).await;
    shop.order_comes("ann").await;
    shop.start_payment("ann", "pay-ann").await.unwrap();
    shop.cancel("ann").await.unwrap();
    assert_eq!(shop.settle("pay-ann").await.status, PaymentStatus::Late);
    let again = late_order("ann", "pay-ann");
    ends_as(&shop, again, Status::Paid).await;
    assert_eq!(shop.order_comes("ann").await.status, Status::Cancelled(Ending::Buyer), "the old order stays ended");
    let paid = shop.payment("pay-ann").await;
    assert_eq!((paid.status, paid.order), (PaymentStatus::Paid, again));

    // Now nothing is left: ben's order is ended in the database while ann's late one holds the only unit.
    assert_eq!(shop.reserve("ben", 1).await, Admission::Refused(ReserveRefusal::SoldOut(sku())));
    assert_eq!(shop.settle("pay-ann").await.status, PaymentStatus::Paid, "told again, nothing changes");
    assert_eq!(shop.audit().await.len(), 2, "one order ended, one paid");
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_money_without_a_unit_goes_back() {
    let directory = tempfile::tempdir().unwrap();
    let shop = Shop::start(directory.path()).await;
    shop.open_sale(1, LONG_MS).await;
    shop.buy("ann", 1).await;
    shop.order_comes("ann").await;
    shop.start_payment("ann", "pay-ann").await.unwrap();
    shop.cancel("ann").await.unwrap();
    // Somebody is faster than the money.
    eventually("the unit can be sold again", async || {
        matches!(shop.reserve("ben", 1).await, Admission::Accepted(_)).then_some(())
    })
    .await;
    shop.settle("pay-ann").await;
    eventually("the money goes back", async || {
        (shop.payment("pay-ann").await.status == PaymentStatus::Refunded).then_some(())
    })
    .await;
    assert_eq!(shop.settle("pay-ann").await.status, PaymentStatus::Refunded, "told again, it goes back no second time");
    assert_eq!(shop.order(late_order("ann", "pay-ann")).await, None);
    shop.audit().await;
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_money_for_a_closed_sale_goes_back_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let shop = Shop::start(directory.path()).await;
    shop.open_sale(1, LONG_MS).await;
    shop.buy("ann", 1).await;
    shop.order_comes("ann").await;
    shop.start_payment("ann", "pay-ann").await.unwrap();
    shop.cancel("ann").await.unwrap();
    shop.enter(SaleState::Closed).await;
    shop.settle("pay-ann").await;
    // No shard will open again: a worker that waited for one would keep the money for minutes.
    eventually("the money goes back", async || {
        (shop.payment("pay-ann").await.status == PaymentStatus::Refunded).then_some(())
    })
    .await;
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_sale_goes_on_when_it_is_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let shop = Shop::start(directory.path()).await;
    shop.open_sale(1_000, LONG_MS).await;
    let accepted = shop.buy("ann", 1).await;
    shop.enter(SaleState::Stopped).await;
    let asked = Cell::new(0);
    // A buyer who is served before the stop has reached the shard is served.
    eventually("the sale is stopped", async || {
        asked.set(asked.get() + 1);
        let answer = shop.reserve(&format!("buyer-{}", asked.get()), 1).await;
        (answer == Admission::Refused(ReserveRefusal::Stopped)).then_some(())
    })
    .await;
    assert_eq!(shop.reserve("ann", 1).await, Admission::Replayed(accepted), "a known key is answered");
    shop.order_comes("ann").await;
    shop.cancel("ann").await.unwrap();
    shop.enter(SaleState::Open).await;
    eventually("the sale goes on", async || {
        matches!(shop.reserve("ben", 1).await, Admission::Accepted(_)).then_some(())
    })
    .await;
    shop.audit().await;
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_returns_what_is_not_sold() {
    let directory = tempfile::tempdir().unwrap();
    let shop = Shop::start(directory.path()).await;
    shop.open_sale(10, LONG_MS).await;
    shop.buy("ann", 3).await;
    shop.buy("ben", 1).await;
    shop.order_comes("ann").await;
    shop.order_comes("ben").await;
    shop.enter(SaleState::Closed).await;
    eventually("the shard is closed", async || (shop.shard_row().await.phase == Phase::Closed).then_some(())).await;
    let (total, stock) = shop.stock().await;
    assert_eq!((total.pool, stock.granted, stock.consumed), (6, 4, 4), "the pool has what was not sold");
    // An order of a closed sale can still be paid, or end: its units go to the pool.
    shop.start_payment("ann", "pay-ann").await.unwrap();
    assert_eq!(shop.settle("pay-ann").await.status, PaymentStatus::Paid);
    shop.cancel("ben").await.unwrap();
    let (total, stock) = shop.stock().await;
    assert_eq!((total.pool, stock.granted, stock.consumed), (7, 3, 3));
    let rejected = Status::Rejected(Rejection::SaleClosed);
    assert!(shop.audit().await.iter().all(|order| order.status != rejected), "nobody was promised too much");
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_a_product_is_told_to_the_cache_of_the_edge() {
    let directory = tempfile::tempdir().unwrap();
    let shop = Shop::start(directory.path()).await;
    let lamp = ProductId::parse("lamp").unwrap();
    for version in 1..=3 {
        let row = ProductRow {
            id: lamp,
            name: format!("Lamp {version}"),
            category: String::new(),
            image_url: String::new(),
            version: Version(0),
        };
        shop.apply(Command::Sale(SaleCommand::PutProducts(vec![row]))).await.unwrap();
        eventually("the change is shown", async || match shop.running.products.read(lamp).await {
            Answer::Found { version: shown, value } if shown == Version(version) => {
                let row = cache::decode(&value).expect("this release wrote it");
                assert_eq!((row.version, row.name), (shown, format!("Lamp {version}")));
                Some(())
            }
            Answer::Found { .. } | Answer::Absent | Answer::Overloaded | Answer::NotReady => None,
        })
        .await;
        // By its message or by its floor, and not because what is kept had reached its age.
        let reader = invalidator::READER;
        eventually("the invalidator has dealt with it", async || {
            (shop.embedded.feed.unsent(reader.group, reader.topic) == Ok(0)).then_some(())
        })
        .await;
    }
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_everything_and_begins_the_next_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let mut accepted: Vec<(String, Acceptance)> = Vec::new();
    for round in 1..=3_u64 {
        let shop = Shop::start(directory.path()).await;
        shop.open_sale(100, LONG_MS).await;
        for (buyer, acceptance) in &accepted {
            assert_eq!(shop.reserve(buyer, 1).await, Admission::Replayed(*acceptance), "keys outlive a restart");
        }
        for number in 0..5 {
            let buyer = format!("buyer-{round}-{number}");
            let acceptance = shop.buy(&buyer, 1).await;
            assert_eq!(acceptance.epoch.0, round, "each process is another memory");
            accepted.push((buyer, acceptance));
        }
        if round == 2 {
            shop.cancel("buyer-1-0").await.unwrap();
        }
        // The last reservations are stopped on their way: the next process decides them.
        shop.stop().await;
    }
    let shop = Shop::start(directory.path()).await;
    for (buyer, acceptance) in &accepted {
        let row = shop.order_comes(buyer).await;
        let ended = buyer == "buyer-1-0";
        assert_eq!(row.status.holds_units(), !ended, "{buyer}");
        assert_eq!(row.origin.map(|origin| origin.acceptance), Some(*acceptance));
    }
    assert_eq!(shop.audit().await.len(), accepted.len(), "every acceptance is one order");
    let (_, stock) = shop.stock().await;
    assert_eq!(stock.consumed, 14);
    shop.stop().await;
}
