//! Records that are no records: set aside with their bytes, listed with the reason, and sent again.

mod support;

use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::ids::{Epoch, ProductId, SaleId, ShardId, Version};
use doorbuster_core::inbox::{Offset, Partition, Record};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::outcome::Outcome;
use doorbuster_kafka::topic::TopicId;
use doorbuster_runtime::ports::feed::Feed;
use doorbuster_runtime::ports::group::Group;
use doorbuster_runtime::ports::publish::Publish;
use rdkafka::message::{Headers, Message};
use support::{Cluster, plain};

const POISON: &[u8] = &[7, 0, 255, 13];
const HEADERS: [(&str, &[u8]); 2] = [("trace", b"abc"), ("raw", &[0, 159])];
/// Fetches that may find nothing before a record that stands there comes.
const TRIES_MAX: usize = 40;

/// So many records of the only member's partition.
async fn records<T: 'static>(port: &dyn Group<T>, partition: Partition, count: usize) -> Vec<Record<T>> {
    for _ in 0..TRIES_MAX {
        // Whoever asks is in the group.
        let _ = port.assigned(0).await;
        if let Outcome::Done(records) = port.fetch(partition, Offset(0), 10).await
            && records.len() >= count
        {
            return records;
        }
    }
    panic!("{count} records do not come");
}

#[tokio::test]
async fn a_record_that_is_no_intent_is_kept_with_its_bytes_and_can_be_sent_again() {
    let Some(cluster) = Cluster::of("poison", 2) else { return };
    let (kafka, partition) = (cluster.connect().await, Partition(1));
    plain::write(&cluster, "intents", 1, POISON, &HEADERS).await;
    let seal = Intent::Seal(ShardId { sale: SaleId::parse("poisoned").expect("a sale"), k: 0 }, Epoch(1));
    let publish = kafka.publish();
    let Outcome::Done(producer) = publish.take_producer(partition).await else { panic!("not taken") };
    assert_eq!(publish.publish_intents(producer, partition, vec![seal.clone()]).await, Outcome::Done(()));
    let port = kafka.intents();
    let told = records(&port, partition, 2).await;
    assert_eq!(told, [Record::Undecodable(Offset(0)), Record::Delivered(Offset(1), seal.clone())]);
    // The first answer may have been lost: asked again, it is kept twice, and recognised by its place.
    for _ in 0..2 {
        assert_eq!(port.set_aside(partition, Offset(0)).await, Outcome::Done(()));
    }
    assert_eq!(port.commit(partition, Offset(2)).await, Outcome::Done(()));
    let kept = plain::read(&cluster, "intents.dead").await;
    assert_eq!(kept.len(), 2, "a letter may stand twice");
    for message in &kept {
        assert_eq!((message.payload(), message.key(), message.partition()), (Some(POISON), Some(&b"a key"[..]), 1));
        let headers = message.headers().expect("it has headers");
        let own: Vec<_> = headers.iter().take(2).map(|header| (header.key, header.value)).collect();
        assert_eq!(own, HEADERS.map(|(name, value)| (name, Some(value))));
    }
    let dead = kafka.dead();
    let listed = dead.list(TopicId::Intents, 10).await.expect("letters can be listed");
    let [letter] = &listed[..] else { panic!("each place once: {listed:?}") };
    assert_eq!(
        (letter.letter.topic.as_str(), letter.letter.partition, letter.letter.offset),
        (cluster.name("intents").as_str(), 1, 0)
    );
    assert_eq!((letter.group.as_str(), letter.reason.as_str()), ("intake", "format 7 is not known here"));
    assert!(!letter.is_replayed);
    assert_eq!(dead.replay(TopicId::Intents, 10).await.expect("letters can be sent again"), 1);
    let again = plain::read(&cluster, "intents").await;
    let last = again.last().expect("it was sent again");
    assert_eq!((last.payload(), last.key(), last.partition()), (Some(POISON), Some(&b"a key"[..]), 1));
    let headers = last.headers().expect("it has its headers");
    let own: Vec<_> = headers.iter().map(|header| (header.key, header.value)).collect();
    assert_eq!(own, HEADERS.map(|(name, value)| (name, Some(value))), "and no others");
    assert_eq!(again.len(), 3);
    let fenced = publish.publish_intents(producer, partition, vec![seal]).await;
    assert_ne!(fenced, Outcome::Done(()), "whoever wrote there is fenced, and takes its producer again");
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_told_as_such_and_is_not_lost() {
    let Some(cluster) = Cluster::of("poison", 1) else { return };
    let kafka = cluster.connect().await;
    let event = |version| Event::CatalogChanged {
        product: ProductId::parse("p").expect("a product"),
        version: Version(version),
    };
    let (publish, feed) = (kafka.publish(), kafka.feed());
    assert_eq!(publish.publish_events(vec![event(1)]).await, Outcome::Done(()));
    plain::write(&cluster, "catalog", 0, POISON, &HEADERS).await;
    assert_eq!(publish.publish_events(vec![event(2)]).await, Outcome::Done(()));
    plain::write(&cluster, "catalog", 0, POISON, &[]).await;
    let member = feed.join("indexer", Topic::Catalog);
    let told = records(member.as_ref(), Partition(0), 4).await;
    let delivered = |version, offset| Record::Delivered(Offset(offset), event(version));
    let unreadable = |offset| Record::Undecodable(Offset(offset));
    assert_eq!(told, [delivered(1, 0), unreadable(1), delivered(2, 2), unreadable(3)]);
    for offset in [1, 3] {
        assert_eq!(member.set_aside(Partition(0), Offset(offset)).await, Outcome::Done(()));
    }
    assert_eq!(member.commit(Partition(0), Offset(4)).await, Outcome::Done(()));
    let places = plain::committed(&cluster, "indexer.catalog", "catalog").await;
    assert_eq!(places, [(0, 4)].into(), "what was set aside is done too");
    let listed = kafka.dead().list(TopicId::Outbox(Topic::Catalog), 10).await.expect("letters can be listed");
    let offsets: Vec<u64> = listed.iter().map(|letter| letter.letter.offset).collect();
    assert_eq!(offsets, [1, 3]);
    assert_eq!(kafka.dead().replay(TopicId::Outbox(Topic::Catalog), 1).await.expect("it can be sent again"), 1);
    let replayed: Vec<bool> = kafka
        .dead()
        .list(TopicId::Outbox(Topic::Catalog), 10)
        .await
        .expect("letters can be listed")
        .iter()
        .map(|letter| letter.is_replayed)
        .collect();
    assert_eq!(&replayed[..2], [true, false]);
}
