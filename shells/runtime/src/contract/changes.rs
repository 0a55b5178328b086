//! The contract of the outbox's change stream, together with the database that writes it.

use super::world::{IntoCommand, NewWorld, World, certain, done, sku};
use super::{Clock, Subject};
use crate::ports::changes::Changes;
use crate::ports::store::Store;
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::ids::Key;
use doorbuster_core::limits::LEASE_MS;
use doorbuster_core::relay::partitions::{CommitTime, PartitionChange, PartitionRefusal, PartitionRow, StreamToken};
use doorbuster_core::relay::{ChangePage, Place};
use doorbuster_core::sale::command::SaleCommand;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What writes the stream, and what reads it.
pub struct StoreAndChanges {
    /// Writes.
    pub store: Arc<dyn Store>,
    /// Reads.
    pub changes: Arc<dyn Changes>,
}

/// Top-ups of the suite's sale.
const TOP_UPS: u64 = 20;
/// Partitions that a suite looks at.
const LIMIT: usize = 64;
/// Pages in a row without a record, after which a partition counts as read to its end.
const EMPTY_MAX: usize = 3;
/// Records of one page.
const PAGE: usize = 7;

/// Holds a change stream to [`Changes`]' contract.
///
/// # Panics
/// With the sentence that was broken.
pub async fn changes_contract(make: impl AsyncFn() -> Subject<StoreAndChanges>) {
    let subject = make().await;
    let (port, clock) = (&subject.port, subject.clock.as_ref());
    write(port.store.as_ref()).await;
    let begun = begin_all(port.changes.as_ref(), 1).await;
    every_event_comes_in_the_order_of_commits(port, &begun).await;
    a_partition_is_one_relays_while_its_lease_lasts(port.changes.as_ref(), clock, &begun).await;
}

/// A sale, and top-ups of it one after the other.
async fn write(store: &dyn Store) {
    let world = World::named("streamed");
    world.create(store, NewWorld::default()).await;
    for number in 1..=TOP_UPS {
        let key = Key::parse(&format!("top-up-{number}")).expect("a suite names a key");
        let top_up = SaleCommand::TopUp { sale: world.sale, sku: sku(0), quantity: number, key };
        done(store, top_up.into_command()).await;
    }
}

async fn change(
    changes: &dyn Changes,
    owner: u64,
    token: StreamToken,
    change: PartitionChange,
) -> Result<PartitionRow, PartitionRefusal> {
    certain(async || changes.change(owner, token, change.clone()).await).await
}

async fn ready(changes: &dyn Changes, owner: u64) -> Vec<PartitionRow> {
    match certain(async || changes.ready(owner, LIMIT).await).await {
        Ok(rows) => rows,
        Err(never) => match never {},
    }
}

async fn begin_all(changes: &dyn Changes, owner: u64) -> BTreeMap<StreamToken, PartitionRow> {
    let mut begun = BTreeMap::new();
    for row in ready(changes, owner).await {
        assert!(row.watermark >= row.start, "nothing is relayed before a partition's first commit time");
        begun.insert(row.token, change(changes, owner, row.token, PartitionChange::Begin).await.expect("it was ready"));
    }
    assert!(!begun.is_empty(), "a stream has a partition");
    begun
}

/// Everything in a partition behind a place, with the last page's heartbeat.
async fn read(changes: &dyn Changes, token: StreamToken, from: Place) -> (Vec<(CommitTime, Event)>, ChangePage) {
    let (mut records, mut next, mut empty) = (Vec::new(), from, 0);
    loop {
        let page = match certain(async || changes.read(token, next, PAGE).await).await {
            Ok(page) => page,
            Err(never) => match never {},
        };
        assert!(page.records.len() <= PAGE, "at most {PAGE} records were asked for");
        next = page.next;
        empty = if page.records.is_empty() { empty + 1 } else { 0 };
        records.extend(page.records.iter().cloned());
        if empty == EMPTY_MAX || page.end.is_some() {
            return (records, page);
        }
    }
}

async fn every_event_comes_in_the_order_of_commits(
    port: &StoreAndChanges,
    begun: &BTreeMap<StreamToken, PartitionRow>,
) {
    let changes = port.changes.as_ref();
    let mut granted = Vec::new();
    for (token, row) in begun {
        let (records, last) = read(changes, *token, Place::From(row.start)).await;
        assert!(records.windows(2).all(|pair| pair[0].0 <= pair[1].0), "commit times do not go back");
        if let (Some((time, _)), Some(through)) = (records.last(), last.through) {
            assert!(through >= *time, "a heartbeat does not stand before a record that it follows");
        }
        if let Some((time, _)) = records.get(records.len() / 2) {
            let (again, _) = read(changes, *token, Place::From(*time)).await;
            let expected: Vec<_> = records.iter().filter(|(at, _)| at >= time).cloned().collect();
            assert_eq!(again, expected, "reading can begin at every commit time");
        }
        let down = records.into_iter().filter(|(_, event)| event.topic() == Topic::ShardDown);
        granted.extend(down.filter_map(|(_, event)| {
            let Event::Granted { grant_seq, .. } = event else { return None };
            Some(grant_seq)
        }));
    }
    let expected: Vec<u64> = (1..=granted.len() as u64).collect();
    assert_eq!(granted, expected, "one shard's grants stand in one partition, in their order, each once");
    assert!(granted.len() as u64 >= TOP_UPS, "every top-up is told");
}

async fn a_partition_is_one_relays_while_its_lease_lasts(
    changes: &dyn Changes,
    clock: &dyn Clock,
    begun: &BTreeMap<StreamToken, PartitionRow>,
) {
    let (token, row) = begun.first_key_value().expect("one was begun");
    let reached = CommitTime(row.watermark.0 + 1);
    let advanced = change(changes, 1, *token, PartitionChange::Advance(reached)).await.expect("the lease is its own");
    assert_eq!(advanced.watermark, reached);
    assert_eq!(change(changes, 2, *token, PartitionChange::Begin).await, Err(PartitionRefusal::LeaseHeld));
    assert!(ready(changes, 2).await.iter().all(|other| other.token != *token), "it is not another's to relay");
    clock.pass_ms(LEASE_MS + 1).await;
    let taken = change(changes, 2, *token, PartitionChange::Begin).await.expect("its lease has run out");
    assert_eq!(taken.watermark, reached, "whoever takes it goes on where everything is published");
    let late = change(changes, 1, *token, PartitionChange::Advance(CommitTime(u64::MAX))).await;
    assert_eq!(late, Err(PartitionRefusal::LeaseHeld), "a relay that lost it moves nothing");
    let finished = change(changes, 2, *token, PartitionChange::Finish(Vec::new())).await;
    assert!(finished.is_ok(), "its holder ends it");
    assert_eq!(change(changes, 2, *token, PartitionChange::Begin).await, Err(PartitionRefusal::Finished));
}
