//! The index of due orders.

use crate::contract::Clock;
use crate::contract::world::{NewWorld, World, apply, done, order_row, payment, user};
use crate::ports::store::{Due, Store};
use doorbuster_core::database::command::{Command, Reply};
use doorbuster_core::ids::{OrderId, ShardId, Version};
use doorbuster_core::ledger::reserve::ReserveItem;
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::{Ending, Status};
use doorbuster_core::payment::command::{PaymentCommand, Verdict};
use doorbuster_core::time::Wall;

const NEVER: Wall = Wall(u64::MAX);
const HOLD_MS: u64 = 30_000;

async fn now(store: &dyn Store) -> Wall {
    store.snapshot().await.expect("a snapshot can be taken").taken_at()
}

async fn due(store: &dyn Store, shard: ShardId, before: Wall) -> Vec<Due> {
    store.due(shard, before, None, 1_000).await.expect("the index can be read")
}

async fn orders_due(store: &dyn Store, shard: ShardId) -> Vec<OrderId> {
    due(store, shard, NEVER).await.into_iter().map(|due| due.order).collect()
}

pub async fn the_index_is_in_the_order_of_time(store: &dyn Store) {
    let world = World::named("due");
    world.create(store, NewWorld { hold_ms: HOLD_MS, ..NewWorld::default() }).await;
    let (shard, now) = (world.shard(0), now(store).await);
    // Later clicks have earlier keys as often as not: ids are hashes.
    for seq in 1..=25 {
        let at = now.after_ms(seq * 1_000);
        world.take_in(store, at, &[(seq, vec![world.item(seq as usize, 1, &[(0, 1)])])]).await;
    }
    let all = due(store, shard, NEVER).await;
    assert_eq!(all.len(), 25, "every unpaid order stands in the index");
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "in the order of time");
    for entry in &all {
        let row = order_row(store, entry.order).await.expect("the index names orders that exist");
        assert_eq!((entry.expires_at, entry.version), (row.expires_at, row.version), "as the row says");
    }
    let middle = all[12].expires_at;
    assert_eq!(due(store, shard, middle).await, all[..12], "before a time, and not at it");
    let mut paged: Vec<Due> = Vec::new();
    loop {
        let page = store.due(shard, NEVER, paged.last().copied(), 10).await.expect("the index can be read");
        assert!(page.len() <= 10, "a page is bounded");
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all, "pages follow each other");
    // Whoever resumes knows the place, not always the version.
    let place = Due { version: Version(0), ..all[4] };
    assert_eq!(store.due(shard, NEVER, Some(place), 3).await.expect("the index can be read"), all[5..8]);
}

pub async fn the_index_follows_its_orders(store: &dyn Store) {
    let world = World::named("follows");
    world.create(store, NewWorld { hold_ms: HOLD_MS, ..NewWorld::default() }).await;
    let (shard, now) = (world.shard(0), now(store).await);
    let items: Vec<ReserveItem> = (0..3).map(|buyer| world.item(buyer, 1, &[(0, 1)])).collect();
    for (seq, item) in (1..).zip(&items) {
        world.take_in(store, now.after_ms(seq), &[(seq, vec![item.clone()])]).await;
    }
    let [first, second, third] = [0, 1, 2].map(|number| world.order(&items[number]));
    assert_eq!(orders_due(store, shard).await, [first, second, third]);
    let expires_at = now.after_ms(10 * HOLD_MS);
    done(store, Command::Order(OrderCommand::Extend { order: first, expires_at })).await;
    assert_eq!(orders_due(store, shard).await, [second, third, first], "an extended order moves");
    let moved = due(store, shard, NEVER).await[2];
    assert_eq!((moved.expires_at, moved.version), (expires_at, Version(2)), "with its new version");
    let pay = payment("follows-pay");
    done(store, Command::Payment(PaymentCommand::Start { payment: pay, order: second, user: user(1) })).await;
    assert_eq!(orders_due(store, shard).await.len(), 3, "a payment that was begun is not yet money");
    done(store, Command::Payment(PaymentCommand::Settle { payment: pay, verdict: Verdict::Succeeded })).await;
    assert_eq!(orders_due(store, shard).await, [third, first], "a paid order is not due");
    let cancel = OrderCommand::Cancel { order: third, user: None, ending: Ending::Operator };
    done(store, Command::Order(cancel)).await;
    assert_eq!(orders_due(store, shard).await, [first], "an ended order is not due");
}

pub async fn expiry_goes_by_the_databases_clock(store: &dyn Store, clock: &dyn Clock) {
    let world = World::named("expiry");
    world.create(store, NewWorld { hold_ms: 1_000, ..NewWorld::default() }).await;
    let (shard, now) = (world.shard(0), now(store).await);
    let items: Vec<ReserveItem> = (0..2).map(|buyer| world.item(buyer, 1, &[(0, 1)])).collect();
    world.take_in(store, now.after_ms(60_000), &[(1, vec![items[0].clone()])]).await;
    world.take_in(store, now.before_ms(60_000), &[(2, vec![items[1].clone()])]).await;
    let orders: Vec<OrderId> = items.iter().map(|item| world.order(item)).collect();
    let expire = Command::Order(OrderCommand::Expire { shard, orders: orders.clone() });
    clock.pass_ms(5_000).await;
    let ended = apply(store, expire).await;
    assert_eq!(ended, Ok(Reply::Count(1)), "only what is overdue by the database's clock ends");
    let status = async |order| order_row(store, order).await.map(|row| row.status);
    assert_eq!(status(orders[0]).await, Some(Status::PendingPayment));
    assert_eq!(status(orders[1]).await, Some(Status::Cancelled(Ending::Expired)));
    assert_eq!(orders_due(store, shard).await, [orders[0]]);
    world.check(store.snapshot().await.expect("a snapshot can be taken").as_ref()).await;
}
