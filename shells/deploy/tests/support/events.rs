//! Samples of every event that the platform can publish, in every form that its fields can take.

use doorbuster_core::database::event::Event;
use doorbuster_core::database::rows::{OrderRow, Origin};
use doorbuster_core::ids::{
    Epoch, Key, OrderId, PaymentId, ProductId, ReservationId, SaleId, Seq, ShardId, SkuId, UserId, Version,
};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::page::Acceptance;
use doorbuster_core::limits::{LINES_MAX, QUANTITY_MAX, SHARDS_MAX};
use doorbuster_core::order::status::Status;
use doorbuster_core::time::Wall;
use doorbuster_core::window::hour::Hour;
use doorbuster_core::window::movement::{Movement, Sign};

/// Kinds of events. An event that is added to the platform does not compile in [`kind`] until somebody has counted it here.
const KINDS: usize = 11;

fn kind(event: &Event) -> usize {
    match event {
        Event::OrderChanged(_) => 0,
        Event::TimeoutDue { .. } => 1,
        Event::Settled { .. } => 2,
        Event::Granted { .. } => 3,
        Event::ReservationLost { .. } => 4,
        Event::PaymentLate { .. } => 5,
        Event::RefundDue { .. } => 6,
        Event::SaleChanged { .. } => 7,
        Event::CatalogChanged { .. } => 8,
        Event::SalesMoved(_) => 9,
        Event::SalesAdvanced { .. } => 10,
    }
}

/// At least one of each kind.
pub fn all() -> Vec<Event> {
    let mut events = of_orders();
    events.extend(of_shards());
    events.extend(of_the_shop());
    let kinds: std::collections::BTreeSet<usize> = events.iter().map(kind).collect();
    assert_eq!(kinds, (0..KINDS).collect(), "an event without a sample");
    events
}

fn shard() -> ShardId {
    ShardId { sale: SaleId::parse("spring-2").expect("a sale"), k: SHARDS_MAX - 1 }
}

fn user() -> UserId {
    // Every character that a name may have: what JSON must escape is among them.
    let printable: String = ('!'..='~').take(UserId::LENGTH_MAX).collect();
    UserId::parse(&printable).expect("a user")
}

fn sku() -> SkuId {
    SkuId::parse("Lamp_1.red-XL").expect("a SKU")
}

fn product() -> ProductId {
    ProductId::parse("Lamp_1").expect("a product")
}

fn payment() -> PaymentId {
    PaymentId::parse(&"p".repeat(64)).expect("a payment")
}

fn reservation() -> ReservationId {
    ReservationId::derive(shard().sale, &user(), &Key::parse("k").expect("a key"))
}

fn order() -> OrderId {
    OrderId { shard: shard(), reservation: reservation() }
}

fn of_orders() -> Vec<Event> {
    let lines = |count: usize, quantity: u32| {
        let line = |n| Line { sku: SkuId::parse(&format!("sku-{n}")).expect("a SKU"), quantity };
        Basket::parse(&(0..count).map(line).collect::<Vec<_>>()).expect("a basket")
    };
    let row = |status: Status, basket: Option<Basket>| OrderRow {
        id: order(),
        user: user(),
        origin: basket.map(|basket| Origin {
            body: basket.body_hash(),
            basket,
            acceptance: Acceptance { epoch: Epoch(u64::MAX), seq: Seq(u64::MAX), reserved_at: Wall(1) },
        }),
        amount_minor: u64::MAX,
        status,
        version: Version(1),
        expires_at: Wall(u64::MAX),
        created_at: Wall(0),
        payment: (status == Status::Paid).then(payment),
        paid_at: (status == Status::Paid).then_some(Wall(3)),
    };
    let mut events: Vec<Event> =
        Status::ALL.into_iter().map(|status| Event::OrderChanged(row(status, Some(lines(1, 1))))).collect();
    events.push(Event::OrderChanged(row(Status::PendingPayment, Some(lines(LINES_MAX, QUANTITY_MAX)))));
    events.push(Event::OrderChanged(row(Status::PendingPayment, None)));
    events.push(Event::TimeoutDue { order: order(), version: Version(u64::MAX), expires_at: Wall(0) });
    events.push(Event::ReservationLost { order: order(), user: user(), epoch: Epoch(1), seq: Seq(1) });
    events.push(Event::PaymentLate { payment: payment(), order: order() });
    events.push(Event::RefundDue { payment: payment(), order: order() });
    events
}

fn of_shards() -> Vec<Event> {
    vec![
        Event::Settled { shard: shard(), epoch: Epoch(7), user: user(), id: reservation() },
        Event::Granted { shard: shard(), epoch: Epoch(0), sku: sku(), quantity: u64::MAX, grant_seq: 1 },
    ]
}

fn of_the_shop() -> Vec<Event> {
    let moved = |sign| {
        let (sku, product, order) = (sku(), product(), order());
        Event::SalesMoved(Movement { sku, order, sign, product, quantity: QUANTITY_MAX, paid_at: Wall(u64::MAX) })
    };
    vec![
        Event::SaleChanged { sale: shard().sale, version: Version(u64::MAX) },
        Event::CatalogChanged { product: product(), version: Version(0) },
        Event::SalesAdvanced { product: product(), hour: Hour(500_000) },
        moved(Sign::Paid),
        moved(Sign::Refunded),
    ]
}
