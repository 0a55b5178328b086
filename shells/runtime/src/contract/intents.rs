//! The contract of the durable log of intents, together with the shards' servers that write it.

use super::group::{Placed, a_crash_repeats_and_loses_nothing, commit_half, read_all};
use super::world::{Memory, World, certain, reserve, sku, taken};
use super::{Start, Subject};
use crate::drive::spawn;
use crate::ports::Partition;
use crate::ports::drain::Drain;
use crate::ports::group::Group;
use crate::ports::ledger::Ledger;
use doorbuster_core::ids::{Epoch, Seq, ShardId};
use doorbuster_core::ledger::entry::{Entry, EntryKind, Intent};
use doorbuster_core::ledger::reserve::ItemReply;
use doorbuster_core::ledger::shard::Fence;
use doorbuster_core::outcome::Outcome;
use std::sync::Arc;

/// What writes the log, and what reads it.
pub struct LedgerAndIntents {
    /// Writes.
    pub ledger: Arc<dyn Ledger>,
    /// Reads.
    pub intents: Arc<dyn Group<Intent>>,
    /// Writes seals.
    pub drain: Arc<dyn Drain>,
}

/// Holds a log of intents to [`Group`]'s contract, and its ends of epochs to [`Drain`]'s.
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

/// One shard's intents, in the order of the log.
async fn of_shard(intents: &dyn Group<Intent>, shard: ShardId) -> Vec<Intent> {
    let placed: Vec<Placed<Intent>> = read_all(intents).await;
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
    certain(async || port.drain.drain(shard, fence.epoch, None).await).await.expect("the log can be asked");
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
        certain(async || port.drain.drain(shard, Epoch(1), Some(Seq(0))).await).await.expect("the log can be asked");
    }
    let told = of_shard(port.intents.as_ref(), shard).await;
    assert!(!told.is_empty(), "a drain that is done has put its seal into the log");
    assert!(told.iter().all(|intent| *intent == Intent::Seal(shard, Epoch(1))), "and nothing else: {told:?}");
}
