//! Two processes in one group: nothing is lost when partitions move, and only what is finished is committed.

mod support;

use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::ids::{Epoch, ProductId, SaleId, ShardId, SkuId};
use doorbuster_core::inbox::{NotAssigned, Offset, Partition, Record};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use doorbuster_core::window::movement::{Movement, Sign};
use doorbuster_kafka::kafka::Kafka;
use doorbuster_runtime::contract::Clock;
use doorbuster_runtime::contract::clock::SteppedEnv;
use doorbuster_runtime::ports::feed::Feed;
use doorbuster_runtime::ports::group::{Assignment, Group};
use doorbuster_runtime::ports::publish::Publish;
use std::sync::Arc;
use support::{Cluster, plain};

const PARTITIONS: u32 = 4;
/// Intents of each partition.
const COUNT: u64 = 40;
/// Looks at something that comes by itself.
const TRIES_MAX: usize = 120;

fn intent(number: u64) -> Intent {
    Intent::Seal(ShardId { sale: SaleId::parse("grouped").expect("a sale"), k: 0 }, Epoch(number))
}

async fn fill(kafka: &Kafka) {
    let publish = kafka.publish();
    for partition in (0..PARTITIONS).map(Partition) {
        let Outcome::Done(producer) = publish.take_producer(partition).await else { panic!("not taken") };
        let intents = (0..COUNT).map(intent).collect();
        assert_eq!(publish.publish_intents(producer, partition, intents).await, Outcome::Done(()));
    }
}

/// Everything that a member is given of a partition from a place on; at least one record.
async fn read(port: &dyn Group<Intent>, partition: Partition, from: Offset) -> Vec<(Offset, Intent)> {
    let mut found: Vec<(Offset, Intent)> = Vec::new();
    for _ in 0..TRIES_MAX {
        let next = found.last().map_or(from, |(offset, _)| offset.next());
        let Outcome::Done(page) = port.fetch(partition, next, 100).await else { panic!("not read") };
        if page.is_empty() && !found.is_empty() {
            return found;
        }
        found.extend(page.into_iter().map(|record| match record {
            Record::Delivered(offset, intent) => (offset, intent),
            Record::Undecodable(offset) => panic!("no intent at {}", offset.0),
        }));
    }
    found
}

#[tokio::test]
async fn a_partition_that_moves_is_read_on_at_what_was_finished() {
    let Some(cluster) = Cluster::of("groups", PARTITIONS) else { return };
    let (kafka, second) = (cluster.connect().await, cluster.connect().await);
    fill(&kafka).await;
    let (one, other) = (kafka.intents(), second.intents());
    let has = |count: u32| move |own: &Assignment| own.partitions.len() as u32 == count;
    assignment(&one, has(PARTITIONS)).await;
    for partition in (0..PARTITIONS).map(Partition) {
        assert_eq!(read(&one, partition, Offset(0)).await.len() as u64, COUNT, "there is only this member");
        assert_eq!(one.commit(partition, Offset(COUNT / 2)).await, Outcome::Done(()));
    }
    // Half of the partitions move: the records that were not finished come again there, and no others.
    let (_, moved) = tokio::join!(assignment(&one, has(PARTITIONS / 2)), assignment(&other, has(PARTITIONS / 2)));
    let expected: Vec<Intent> = (COUNT / 2..COUNT).map(intent).collect();
    for (partition, from) in &moved.partitions {
        let told = read(&other, *partition, *from).await;
        assert_eq!(told.into_iter().map(|(_, intent)| intent).collect::<Vec<_>>(), expected);
    }
    // The first member finishes everything that it was given: of what is the other's now, nothing is kept.
    let is_moved = |partition: Partition| moved.partitions.iter().any(|(of, _)| *of == partition);
    for partition in (0..PARTITIONS).map(Partition) {
        let kept = if is_moved(partition) { Outcome::Refused(NotAssigned) } else { Outcome::Done(()) };
        assert_eq!(one.commit(partition, Offset(COUNT)).await, kept);
    }
    let places = plain::committed(&cluster, "intake.intents", "intents").await;
    for partition in (0..PARTITIONS).map(Partition) {
        let expected = if is_moved(partition) { COUNT / 2 } else { COUNT };
        assert_eq!(places.get(&partition.0), Some(&expected), "{partition:?}");
    }
    // When it is gone, the other has everything, from where each was finished.
    drop(one);
    let all = assignment(&other, has(PARTITIONS)).await;
    for (partition, from) in all.partitions {
        assert_eq!(from, Offset(if is_moved(partition) { COUNT / 2 } else { COUNT }), "{partition:?}");
    }
}

fn movement(number: u64) -> Event {
    Event::SalesMoved(Movement {
        sku: SkuId::parse("sku").expect("a SKU"),
        order: "demo.0.aaaaaaaaaaaaaaaaaaaaaaaaaa".parse().expect("an order"),
        sign: Sign::Paid,
        product: ProductId::parse("product").expect("a product"),
        quantity: 1,
        paid_at: Wall(number),
    })
}

/// A member of the workers' group.
fn sales(kafka: &Kafka) -> Arc<dyn Group<Event>> {
    kafka.feed().join("sales", Topic::Sales)
}

async fn assignment<T: 'static>(port: &dyn Group<T>, wanted: impl Fn(&Assignment) -> bool) -> Assignment {
    let mut last = Assignment::default();
    for _ in 0..TRIES_MAX {
        match port.assigned(last.generation).await {
            Ok(next) if wanted(&next) => return next,
            Ok(next) => last = next,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
    panic!("the assignment does not come: {last:?}");
}

async fn movements(port: &dyn Group<Event>, from: u64, count: usize) -> Vec<u64> {
    for _ in 0..TRIES_MAX {
        if let Outcome::Done(records) = port.fetch(Partition(0), Offset(from), count).await
            && !records.is_empty()
        {
            return records.iter().map(|record| record.offset().0).collect();
        }
    }
    panic!("nothing comes from {from}");
}

#[tokio::test]
async fn a_worker_reads_by_offsets_where_it_wants_and_hears_of_assignments() {
    let Some(cluster) = Cluster::of("groups", 1) else { return };
    let (kafka, second) = (cluster.connect().await, cluster.connect().await);
    assert_eq!(kafka.publish().publish_events((0..50).map(movement).collect()).await, Outcome::Done(()));
    let (one, other) = (sales(&kafka), sales(&second));
    let first = assignment(one.as_ref(), |assignment| !assignment.partitions.is_empty()).await;
    assert_eq!(first.partitions, [(Partition(0), Offset(0))]);
    assert_eq!(movements(one.as_ref(), 0, 3).await, [0, 1, 2]);
    assert_eq!(movements(one.as_ref(), 30, 3).await, [30, 31, 32], "the database may be further than the group");
    assert_eq!(movements(one.as_ref(), 10, 3).await, [10, 11, 12], "or behind what was read");
    assert_eq!(one.commit(Partition(0), Offset(13)).await, Outcome::Done(()));
    assert_eq!(one.commit(Partition(0), Offset(5)).await, Outcome::Done(()), "an older place changes nothing");
    assert_eq!(plain::committed(&cluster, "sales.sales", "sales").await, [(0, 13)].into());
    drop(one);
    let next = assignment(other.as_ref(), |assignment| !assignment.partitions.is_empty()).await;
    assert_eq!(next.partitions, [(Partition(0), Offset(13))], "the group's place");
    assert_eq!(movements(other.as_ref(), 13, 2).await, [13, 14]);
    assert_eq!(other.fetch(Partition(7), Offset(0), 1).await, Outcome::Refused(NotAssigned));
    assert_eq!(other.commit(Partition(7), Offset(1)).await, Outcome::Refused(NotAssigned));
    assert_eq!(other.set_aside(Partition(7), Offset(1)).await, Outcome::Refused(NotAssigned));
}

#[tokio::test]
async fn a_worker_that_hangs_gives_its_partitions_away_and_gets_them_when_it_is_back() {
    let Some(cluster) = Cluster::of("groups", 1) else { return };
    let clock = SteppedEnv::shared(1);
    let first = Kafka::connect(cluster.config.clone(), clock.clone()).await.expect("the cluster answers");
    let (one, other) = (sales(&first), sales(&cluster.connect().await));
    let has_it = |assignment: &Assignment| !assignment.partitions.is_empty();
    assignment(one.as_ref(), has_it).await;
    // Nobody asks for a session's time, by the clock of its process; the process itself lives and polls.
    clock.pass_ms(cluster.config.session_ms + 1).await;
    let taken = assignment(other.as_ref(), has_it).await;
    assert_eq!(taken.partitions, [(Partition(0), Offset(0))]);
    drop(other);
    assignment(one.as_ref(), |next| has_it(next) && next.generation > 1).await;
}
