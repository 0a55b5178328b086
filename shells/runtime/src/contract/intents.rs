//! The contract of the durable log of intents, together with the shards' servers that write it.

use super::world::{Memory, World, certain, reserve, sku, taken};
use super::{Start, Subject};
use crate::drive::spawn;
use crate::ports::intents::Intents;
use crate::ports::ledger::Ledger;
use crate::ports::{FETCH_WAIT_MS, Offset, Partition};
use doorbuster_core::ids::{Epoch, Seq, ShardId};
use doorbuster_core::inbox::Record;
use doorbuster_core::ledger::entry::{Entry, EntryKind, Intent};
use doorbuster_core::ledger::reserve::ItemReply;
use doorbuster_core::ledger::shard::Fence;
use doorbuster_core::outcome::Outcome;
use std::sync::Arc;
use std::time::Duration;

/// What writes the log, and what reads it.
pub struct LedgerAndIntents {
    /// Writes.
    pub ledger: Arc<dyn Ledger>,
    /// Reads, and writes seals.
    pub intents: Arc<dyn Intents>,
}

/// Fetches in a row that find nothing, after which a partition counts as read to its end.
const EMPTY_MAX: usize = 2;
/// A fetch that waits longer than this is not bounded: many times what it may wait.
const BOUND: Duration = Duration::from_millis(20 * FETCH_WAIT_MS);

/// Holds a log of intents to [`Intents`]' contract.
///
/// # Panics
/// With the sentence that was broken.
pub async fn intents_contract(make: impl AsyncFn(Start) -> Subject<LedgerAndIntents>) {
    let subject = make(Start::Fresh).await;
    entries_come_in_order(&subject.port).await;
    nothing_of_an_epoch_stands_behind_its_seal(&subject.port).await;
    a_drain_can_be_repeated(&subject.port).await;
    let before = read_all(subject.port.intents.as_ref()).await;
    let committed = commit_half(subject.port.intents.as_ref(), &before).await;
    drop(subject);
    let again = make(Start::Again).await;
    a_crash_repeats_and_loses_nothing(again.port.intents.as_ref(), &before, &committed).await;
}

/// One record where it stands.
type Placed = (Partition, Offset, Intent);

async fn fetch(intents: &dyn Intents, partition: Partition, from: Offset, limit: usize) -> Vec<(Offset, Intent)> {
    let asked = certain(async || {
        tokio::time::timeout(BOUND, intents.fetch(partition, from, limit)).await.expect("a fetch waits a bounded time")
    });
    let records = asked.await.expect("the partition is this consumer's");
    assert!(records.len() <= limit, "at most {limit} records were asked for");
    let read = |record| match record {
        Record::Delivered(offset, intent) => (offset, intent),
        Record::Undecodable(offset) => panic!("the record at {} is no intent", offset.0),
    };
    let records: Vec<(Offset, Intent)> = records.into_iter().map(read).collect();
    assert!(records.iter().all(|(offset, _)| *offset >= from), "records of this place");
    assert!(records.windows(2).all(|pair| pair[0].0 < pair[1].0), "offsets grow");
    records
}

async fn read_from(intents: &dyn Intents, places: &[(Partition, Offset)]) -> Vec<Placed> {
    let mut found = Vec::new();
    for (partition, from) in places {
        let (mut next, mut empty) = (*from, 0);
        while empty < EMPTY_MAX {
            let page = fetch(intents, *partition, next, 5).await;
            empty = if page.is_empty() { empty + 1 } else { 0 };
            next = page.last().map_or(next, |(offset, _)| offset.next());
            found.extend(page.into_iter().map(|(offset, intent)| (*partition, offset, intent)));
        }
    }
    found
}

/// Everything that is not committed.
async fn read_all(intents: &dyn Intents) -> Vec<Placed> {
    let places = intents.assigned().await.expect("the log can be read");
    read_from(intents, &places).await
}

/// One shard's intents, in the order of the log.
async fn of_shard(intents: &dyn Intents, shard: ShardId) -> Vec<Intent> {
    let placed = read_all(intents).await;
    let partitions: std::collections::BTreeSet<Partition> =
        placed.iter().filter(|(_, _, intent)| intent.shard() == shard).map(|(partition, _, _)| *partition).collect();
    assert!(partitions.len() <= 1, "one shard's intents stand in one partition");
    placed.into_iter().map(|(_, _, intent)| intent).filter(|intent| intent.shard() == shard).collect()
}

/// The entries, repetitions dropped: the first time that each place is told counts.
fn first_told(intents: Vec<Intent>) -> Vec<Entry> {
    let mut last = (Epoch(0), Seq(0));
    let mut told = Vec::new();
    for intent in intents {
        let Intent::Entry(_, entry) = intent else { continue };
        if (entry.epoch, entry.seq) > last {
            last = (entry.epoch, entry.seq);
            told.push(entry);
        }
    }
    told
}

async fn entries_come_in_order(port: &LedgerAndIntents) {
    let (one, other) = (World::named("one"), World::named("other"));
    let (shard, beside) = (one.shard(0), other.shard(0));
    let (fence, fence_beside) = (
        Memory::of(100).open(port.ledger.as_ref(), shard, 1).await,
        Memory::of(100).open(port.ledger.as_ref(), beside, 1).await,
    );
    let mut ids = Vec::new();
    for number in 0..10 {
        let batch = [one.item(number, 1, &[(0, 1)]), one.item(100 + number, 1, &[(0, 2)])];
        reserve(port.ledger.as_ref(), shard, fence, &batch)
            .await
            .iter()
            .for_each(|reply| assert_eq!(taken(reply).epoch, fence.epoch));
        ids.push(batch.map(|item| item.id).to_vec());
        reserve(port.ledger.as_ref(), beside, fence_beside, &[other.item(number, 1, &[(0, 1)])]).await;
    }
    let withdrawn = certain(async || port.ledger.withdraw(shard, fence, sku(0), 5).await).await;
    assert_eq!(withdrawn, Ok(Some(Seq(11))));
    let told = first_told(of_shard(port.intents.as_ref(), shard).await);
    let seqs: Vec<u64> = told.iter().map(|entry| entry.seq.0).collect();
    assert_eq!(seqs, (1..=11).collect::<Vec<u64>>(), "every entry is in the log, in order, without a gap");
    for (entry, expected) in told.iter().zip(&ids) {
        let EntryKind::Reserved(reserved) = &entry.kind else { panic!("reservations came first: {entry:?}") };
        assert_eq!(&reserved.iter().map(|one| one.id).collect::<Vec<_>>(), expected, "a batch is one entry");
    }
    assert_eq!(told[10].kind, EntryKind::Withdrawn { sku: sku(0), quantity: 5 });
    assert_eq!(first_told(of_shard(port.intents.as_ref(), beside).await).len(), 10, "shards do not mix");
}

async fn nothing_of_an_epoch_stands_behind_its_seal(port: &LedgerAndIntents) {
    let world = World::named("drained");
    let shard = world.shard(0);
    let fence = Memory::of(1_000).open(port.ledger.as_ref(), shard, 3).await;
    taken(&reserve(port.ledger.as_ref(), shard, fence, &[world.item(999, 1, &[(0, 1)])]).await[0]);
    let buying = spawn(buy_until_refused(port.ledger.clone(), world, shard, fence));
    certain(async || port.intents.drain(shard, fence.epoch, None).await).await.expect("the log can be asked");
    let accepted = buying.await.expect("the buyers do not panic");
    let told = of_shard(port.intents.as_ref(), shard).await;
    let seal = told.iter().position(|intent| *intent == Intent::Seal(shard, fence.epoch));
    let behind = &told[seal.expect("a drain that is done has put its seal into the log")..];
    let entries =
        behind.iter().filter(|intent| matches!(intent, Intent::Entry(_, entry) if entry.epoch == fence.epoch));
    assert_eq!(entries.count(), 0, "nothing of an epoch stands behind its seal");
    assert_eq!(first_told(told).len(), accepted + 1, "every acceptance stands before it");
}

/// Buys one unit after the other until nothing is accepted any more; answers how many were.
async fn buy_until_refused(ledger: Arc<dyn Ledger>, world: World, shard: ShardId, fence: Fence) -> usize {
    for number in 0..900 {
        let item = world.item(number, 1, &[(0, 1)]);
        match ledger.reserve(shard, fence, vec![item]).await {
            Outcome::Done(replies) if matches!(replies[0], ItemReply::Accepted(_)) => {}
            // The suite's log answers: what is not accepted was not taken.
            Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unknown => return number,
        }
    }
    900
}

async fn a_drain_can_be_repeated(port: &LedgerAndIntents) {
    let world = World::named("twice-drained");
    let shard = world.shard(0);
    for _ in 0..2 {
        certain(async || port.intents.drain(shard, Epoch(1), Some(Seq(0))).await).await.expect("the log can be asked");
    }
    let told = of_shard(port.intents.as_ref(), shard).await;
    assert!(!told.is_empty(), "a drain that is done has put its seal into the log");
    assert!(told.iter().all(|intent| *intent == Intent::Seal(shard, Epoch(1))), "and nothing else: {told:?}");
}

async fn commit_half(intents: &dyn Intents, placed: &[Placed]) -> Vec<(Partition, Offset)> {
    let mut committed = Vec::new();
    for (partition, _) in intents.assigned().await.expect("the log can be read") {
        let own: Vec<&Placed> = placed.iter().filter(|(of, _, _)| *of == partition).collect();
        let Some((_, next, _)) = own.get(own.len() / 2) else { continue };
        certain(async || intents.commit(partition, *next).await).await.expect("the partition is this consumer's");
        committed.push((partition, *next));
    }
    assert!(!committed.is_empty(), "something was read");
    committed
}

async fn a_crash_repeats_and_loses_nothing(
    intents: &dyn Intents,
    before: &[Placed],
    committed: &[(Partition, Offset)],
) {
    let places = intents.assigned().await.expect("the log can be read");
    for (partition, next) in committed {
        let from = places.iter().find(|(of, _)| of == partition).expect("there is only this consumer").1;
        assert!(from <= *next, "reading does not go on behind what was committed");
    }
    let after = read_from(intents, &places).await;
    let is_committed =
        |partition: &Partition, offset: &Offset| committed.iter().any(|(of, next)| of == partition && offset < next);
    for (partition, offset, intent) in before.iter().filter(|(of, offset, _)| !is_committed(of, offset)) {
        let found = after.iter().any(|(of, at, told)| (of, at, told) == (partition, offset, intent));
        assert!(found, "the record at {} is lost: {intent:?}", offset.0);
    }
}
