//! Many callers at once: one order of all transactions, and snapshots that stand still.

use crate::contract::world::{IntoCommand, NewWorld, World, done, order_row, payment, sku, sku_row, user};
use crate::drive::spawn;
use crate::ports::store::Store;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::rows::PaymentStatus;
use doorbuster_core::ids::Key;
use doorbuster_core::ledger::reserve::ReserveItem;
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::{Ending, Status};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::payment::command::{PaymentCommand, Verdict};
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_core::time::Wall;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Callers at once.
const CALLERS: usize = 50;

fn top_up(world: &World, number: usize) -> Command {
    let key = Key::parse(&format!("top-up-{number}")).expect("a suite names a key");
    SaleCommand::TopUp { sale: world.sale, sku: sku(0), quantity: 3, key }.into_command()
}

fn cancel(world: &World, item: &ReserveItem) -> Command {
    Command::Order(OrderCommand::Cancel { order: world.order(item), user: None, ending: Ending::Operator })
}

/// Starts one command beside its caller.
fn start(store: &Arc<dyn Store>, command: Command) -> JoinHandle<Result<Reply, Refusal>> {
    let store = store.clone();
    spawn(async move {
        loop {
            match store.apply(command.clone()).await {
                Outcome::Done(reply) => return Ok(reply),
                Outcome::Refused(refusal) => return Err(refusal),
                // Written or not: every command is safe to repeat.
                Outcome::Unknown => {}
            }
        }
    })
}

/// A sale of three shards with an order for every caller on its first one.
async fn prepared(store: &Arc<dyn Store>, name: &str) -> (World, Vec<ReserveItem>) {
    let world = World { shards: 3, ..World::named(name) };
    world.create(store.as_ref(), NewWorld { shards: 3, stock: 10 * CALLERS as u64, ..NewWorld::default() }).await;
    let items: Vec<ReserveItem> = (0..CALLERS).map(|buyer| world.item(buyer, 1, &[(0, 2)])).collect();
    world.take_in(store.as_ref(), Wall(5), &[(1, items.clone())]).await;
    (world, items)
}

pub async fn a_snapshot_stands_still(store: &Arc<dyn Store>) {
    let (world, items) = prepared(store, "still").await;
    let pair = |(number, item): (usize, &ReserveItem)| {
        [start(store, cancel(&world, item)), start(store, top_up(&world, number))]
    };
    let writers: Vec<_> = items.iter().enumerate().flat_map(pair).collect();
    for _ in 0..10 {
        let snapshot = store.snapshot().await.expect("a snapshot can be taken");
        let before = world.everything(snapshot.as_ref()).await;
        world.check(snapshot.as_ref()).await;
        tokio::task::yield_now().await;
        assert_eq!(world.everything(snapshot.as_ref()).await, before, "a snapshot does not move while writes go on");
    }
    for writer in writers {
        writer.await.expect("a writer does not panic").expect("nothing speaks against it");
    }
    world.check(store.snapshot().await.expect("a snapshot can be taken").as_ref()).await;
}

pub async fn concurrent_commands_are_serialisable(store: &Arc<dyn Store>) {
    let (world, items) = prepared(store, "serial").await;
    let before = sku_row(store.as_ref(), world.sale, sku(0)).await.total;
    let mut callers = Vec::new();
    for (number, item) in items.iter().enumerate() {
        // Each order is ended by two callers: exactly one of them may.
        callers.push(start(store, cancel(&world, item)));
        callers.push(start(store, cancel(&world, item)));
        callers.push(start(store, top_up(&world, number)));
    }
    let mut done = 0;
    for caller in callers {
        done += usize::from(caller.await.expect("a caller does not panic").is_ok());
    }
    assert_eq!(done, 2 * CALLERS, "of two cancels of one order one is done, and no top-up is lost");
    let after = sku_row(store.as_ref(), world.sale, sku(0)).await.total;
    assert_eq!(after - before, 3 * CALLERS as u64, "every top-up counts once");
    let snapshot = store.snapshot().await.expect("a snapshot can be taken");
    world.check(snapshot.as_ref()).await;
    let (rows, orders) = world.everything(snapshot.as_ref()).await;
    assert_eq!(rows.stock[&(world.shard(0), sku(0))].consumed, 0, "every unit came back");
    assert!(orders.iter().all(|order| order.status == Status::Cancelled(Ending::Operator)));
}

pub async fn money_and_cancel_have_one_winner(store: &Arc<dyn Store>) {
    let (world, items) = prepared(store, "winner").await;
    let mut races = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let (pay, order) = (payment(&format!("winner-{number}")), world.order(item));
        done(store.as_ref(), Command::Payment(PaymentCommand::Start { payment: pay, order, user: user(number) })).await;
        races.push((order, Command::Payment(PaymentCommand::Settle { payment: pay, verdict: Verdict::Succeeded })));
    }
    let started: Vec<_> = races
        .iter()
        .zip(&items)
        .map(|((order, settle), item)| (*order, start(store, settle.clone()), start(store, cancel(&world, item))))
        .collect();
    for (order, money, cancelled) in started {
        let money = money.await.expect("a caller does not panic").expect("money that was taken is always told");
        let cancelled = cancelled.await.expect("a caller does not panic").is_ok();
        let Reply::Payment(money) = money else { panic!("a payment's command is answered with its row") };
        let status = order_row(store.as_ref(), order).await.map(|row| row.status);
        match money.status {
            PaymentStatus::Paid => assert_eq!((status, cancelled), (Some(Status::Paid), false)),
            PaymentStatus::Late => {
                assert_eq!((status, cancelled), (Some(Status::Cancelled(Ending::Operator)), true));
            }
            other => panic!("money either pays the order or is late, not {other:?}"),
        }
    }
    world.check(store.snapshot().await.expect("a snapshot can be taken").as_ref()).await;
}
