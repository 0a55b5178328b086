//! The contract of the topics as they are written, read back as their groups read them.

use super::world::{World, certain, sku};
use super::{Subject, group};
use crate::ports::Partition;
use crate::ports::feed::Feed;
use crate::ports::group::Group;
use crate::ports::publish::Publish;
use crate::roles::reaper::READER;
use doorbuster_core::database::event::Event;
use doorbuster_core::forwarder::{Producer, ProducerFenced};
use doorbuster_core::ids::{Epoch, Seq, Version};
use doorbuster_core::ledger::entry::{Entry, EntryKind, Intent};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use std::sync::Arc;

/// What writes the topics, and what reads them.
pub struct PublishAndReads {
    /// Writes.
    pub publish: Arc<dyn Publish>,
    /// Reads intents.
    pub intents: Arc<dyn Group<Intent>>,
    /// Reads events.
    pub feed: Arc<dyn Feed>,
}

/// Where the suite's intents go.
const PARTITION: Partition = Partition(0);
/// Subjects of the suite's events, and versions of each.
const SUBJECTS: usize = 6;
const VERSIONS: u64 = 5;

/// Holds the topics to [`Publish`]'s contract. The subject reads everything from the beginning, alone.
///
/// # Panics
/// With the sentence that was broken.
pub async fn publish_contract(make: impl AsyncFn() -> Subject<PublishAndReads>) {
    transactions_come_whole_and_in_order(&make().await.port).await;
    a_taken_producer_fences_every_older_one(&make().await.port).await;
    events_of_one_subject_keep_their_order(&make().await.port).await;
}

fn intents(seqs: std::ops::RangeInclusive<u64>) -> Vec<Intent> {
    let shard = World::named("published").shard(0);
    let kind = EntryKind::Withdrawn { sku: sku(0), quantity: 1 };
    seqs.map(|seq| Intent::Entry(shard, Entry { epoch: Epoch(1), seq: Seq(seq), kind: kind.clone() })).collect()
}

async fn take(port: &PublishAndReads) -> Producer {
    match certain(async || port.publish.take_producer(PARTITION).await).await {
        Ok(producer) => producer,
        Err(never) => match never {},
    }
}

/// Publishes with this producer, or with another where nobody knows whether it did; answers the one that is good now.
async fn publish(
    port: &PublishAndReads,
    mut producer: Producer,
    intents: &[Intent],
) -> (Producer, Result<(), ProducerFenced>) {
    let asked = certain(async || match port.publish.publish_intents(producer, PARTITION, intents.to_vec()).await {
        Outcome::Unknown => Outcome::Done(None),
        Outcome::Done(()) => Outcome::Done(Some(())),
        Outcome::Refused(fenced) => Outcome::Refused(fenced),
    });
    match asked.await {
        Ok(Some(())) => (producer, Ok(())),
        Err(fenced) => (producer, Err(fenced)),
        Ok(None) => {
            // Published or not: taking the producer ends the transaction, and a record may stand twice.
            producer = take(port).await;
            let again = certain(async || port.publish.publish_intents(producer, PARTITION, intents.to_vec()).await);
            (producer, again.await)
        }
    }
}

/// Everything in the suite's partition, from its beginning.
async fn read_intents(port: &PublishAndReads) -> Vec<Intent> {
    let mut places = group::places(port.intents.as_ref()).await;
    places.retain(|(partition, _)| *partition == PARTITION);
    let placed = group::read_from(port.intents.as_ref(), &places, 7).await;
    placed.into_iter().map(|(_, _, intent)| intent).collect()
}

/// Without repetitions of what stands there already.
fn first_told<T: PartialEq>(told: Vec<T>) -> Vec<T> {
    let mut first: Vec<T> = Vec::new();
    for one in told {
        if !first.contains(&one) {
            first.push(one);
        }
    }
    first
}

async fn transactions_come_whole_and_in_order(port: &PublishAndReads) {
    let mut producer = take(port).await;
    for part in [1..=20, 21..=21, 22..=40] {
        let published;
        (producer, published) = publish(port, producer, &intents(part)).await;
        assert_eq!(published, Ok(()), "nobody else has taken the producer");
    }
    assert_eq!(first_told(read_intents(port).await), intents(1..=40), "every intent, in order, without a gap");
}

async fn a_taken_producer_fences_every_older_one(port: &PublishAndReads) {
    let older = take(port).await;
    let (older, published) = publish(port, older, &intents(1..=3)).await;
    assert_eq!(published, Ok(()));
    let newer = take(port).await;
    for _ in 0..2 {
        let refused = certain(async || port.publish.publish_intents(older, PARTITION, intents(4..=6)).await).await;
        assert_eq!(refused, Err(ProducerFenced), "an older producer is refused, and stays refused");
    }
    let (_, published) = publish(port, newer, &intents(7..=9)).await;
    assert_eq!(published, Ok(()), "the newest one is not");
    let mut expected = intents(1..=3);
    expected.extend(intents(7..=9));
    assert_eq!(first_told(read_intents(port).await), expected, "what was refused was not appended");
}

async fn events_of_one_subject_keep_their_order(port: &PublishAndReads) {
    let world = World::named("told");
    let event = |subject: usize, version: u64| Event::TimeoutDue {
        order: world.order(&world.item(subject, 1, &[(0, 1)])),
        version: Version(version),
        expires_at: Wall(version),
    };
    for version in 1..=VERSIONS {
        let events: Vec<Event> = (0..SUBJECTS).map(|subject| event(subject, version)).collect();
        let kept = certain(async || port.publish.publish_events(events.clone()).await).await;
        kept.expect("the topics can be asked");
    }
    let told = first_told(read_events(port).await);
    for subject in 0..SUBJECTS {
        let expected: Vec<Event> = (1..=VERSIONS).map(|version| event(subject, version)).collect();
        let own: Vec<&Event> = told.iter().filter(|told| expected.contains(told)).collect();
        assert_eq!(own, expected.iter().collect::<Vec<_>>(), "events of one subject keep their order");
    }
    assert_eq!(told.len() as u64, SUBJECTS as u64 * VERSIONS, "and nothing else is told");
}

async fn read_events(port: &PublishAndReads) -> Vec<Event> {
    let member = port.feed.join(READER.group, READER.topic);
    group::read_all(member.as_ref()).await.into_iter().map(|(_, _, event)| event).collect()
}
