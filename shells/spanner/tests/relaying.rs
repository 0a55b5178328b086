//! A relay over the real stream, while its partitions split, merge and move: nothing is missing, nothing in disorder.

mod support;

use doorbuster_core::database::command::Command;
use doorbuster_core::database::event::Event;
use doorbuster_core::ids::{Key, SkuId};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::relay::Place;
use doorbuster_core::relay::partitions::{PartitionChange, PartitionRow};
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_runtime::contract::{NewWorld, World};
use doorbuster_runtime::ports::changes::Changes;
use doorbuster_runtime::ports::store::Store;
use doorbuster_spanner::changes::SpannerChanges;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use support::{Database, database};

/// An emulator's partition lives 20 to 40 s.
const ENDS_WANTED: usize = 3;
const ROUNDS_MAX: usize = 400;
const ROUNDS_OF_A_PROCESS: usize = 7;
/// Writers and readers take turns in one task, so that the test has no clock.
const PER_ROUND: usize = 1;

async fn top_up(store: &dyn Store, world: &World, number: usize) {
    let key = Key::parse(&format!("top-up-{number}")).expect("a test names a key");
    let sku = SkuId::parse("sku-0").expect("a test names a SKU");
    let command = Command::Sale(SaleCommand::TopUp { sale: world.sale, sku, quantity: 1, key });
    for _ in 0..50 {
        match store.apply(command.clone()).await {
            Outcome::Done(_) => return,
            // Written or not: the key makes it safe to repeat.
            Outcome::Unknown => {}
            Outcome::Refused(refusal) => panic!("a top-up was refused: {refusal:?}"),
        }
    }
    panic!("nobody ever knew");
}

/// Relays one page of a partition; whether it has ended.
async fn relay(changes: &dyn Changes, row: &PartitionRow, seen: &mut Vec<u64>) -> bool {
    let Outcome::Done(row) = changes.change(1, row.token, PartitionChange::Begin).await else { return false };
    let mut place = Place::From(row.watermark);
    loop {
        let Outcome::Done(page) = changes.read(row.token, place, 7).await else { return false };
        place = page.next;
        seen.extend(page.records.iter().filter_map(|(_, event)| match event {
            Event::Granted { grant_seq, .. } => Some(*grant_seq),
            _ => None,
        }));
        if let Some(children) = page.end {
            // Unknown: it is listed again, and read to its end again.
            return matches!(changes.change(1, row.token, PartitionChange::Finish(children)).await, Outcome::Done(_));
        }
        if let Some(reached) = page.through.max(page.records.last().map(|(at, _)| *at)) {
            let _ = changes.change(1, row.token, PartitionChange::Advance(reached)).await;
        }
        if page.records.is_empty() {
            return false;
        }
    }
}

fn relay_of(database: &Database) -> Arc<dyn Changes> {
    Arc::new(SpannerChanges::new(database.connection.clone()))
}

async fn run(database: &Database) -> (usize, usize, Vec<u64>, usize) {
    let (store, world) = (database.store(), World::named("relayed"));
    world.create(store.as_ref(), NewWorld::default()).await;
    let mut changes = relay_of(database);
    let (mut ended, mut written, mut seen, mut doubts) = (0, 0, Vec::new(), 0);
    for round in 1..=ROUNDS_MAX {
        if round % ROUNDS_OF_A_PROCESS == 0 {
            // A process that knows nothing but the rows.
            changes = relay_of(database);
        }
        if ended < ENDS_WANTED {
            for _ in 0..PER_ROUND {
                written += 1;
                top_up(store.as_ref(), &world, written).await;
            }
        }
        let Outcome::Done(ready) = changes.ready(1, 64).await else {
            doubts += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        for row in &ready {
            ended += usize::from(relay(changes.as_ref(), row, &mut seen).await);
        }
        let distinct: BTreeSet<u64> = seen.iter().copied().collect();
        if ended >= ENDS_WANTED && distinct.len() > written {
            break;
        }
    }
    (ended, written, seen, doubts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_relayed_across_the_ends_of_partitions() {
    let Some(database) = database("relaying").await else { return };
    let (ended, written, seen, doubts) = run(&database).await;
    println!("{written} top-ups, {} records relayed, {ended} partitions ended, {doubts} doubts", seen.len());
    assert!(ended >= ENDS_WANTED, "partitions of this stream end");
    // The grant of the sale's creation, and one for each top-up.
    let distinct: BTreeSet<u64> = seen.iter().copied().collect();
    let expected: BTreeSet<u64> = (1..=written as u64 + 1).collect();
    assert_eq!(distinct, expected, "nothing is missing");
    // Read again from a watermark, a record comes twice; but the first time of each is in order.
    let mut first = Vec::new();
    for grant in seen {
        if !first.contains(&grant) {
            first.push(grant);
        }
    }
    assert!(first.is_sorted(), "one shard's grants come in their order: {first:?}");
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_relays_begin_the_same_stream() {
    let Some(database) = database("relaying").await else { return };
    let (one, other) = (relay_of(&database), relay_of(&database));
    let (first, second) = tokio::join!(one.ready(1, 64), other.ready(2, 64));
    let (Outcome::Done(first), Outcome::Done(second)) = (first, second) else { panic!("both are answered") };
    assert!(!first.is_empty(), "a stream has a partition");
    assert_eq!(first, second, "whoever asks finds the same partitions");
    assert!(first.iter().all(|row| row.parents.is_empty()), "the first have no parents");
    database.drop().await;
}
