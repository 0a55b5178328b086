//! Clients that know nothing of this crate.

use super::{Cluster, thread};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(10);

/// Everything that is committed in a topic now, partition by partition.
pub async fn read(cluster: &Cluster, topic: &str) -> Vec<OwnedMessage> {
    let (bootstrap, topic, partitions) = (cluster.bootstrap.clone(), cluster.name(topic), cluster.config.partitions);
    joined(move || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "plain")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .create()
            .expect("a consumer");
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(&topic, partition as i32, Offset::Beginning).expect("a place");
        }
        consumer.assign(&list).expect("an assignment");
        let (mut found, mut ended) = (Vec::new(), 0);
        while ended < partitions {
            match consumer.poll(WAIT).expect("the broker answers") {
                Ok(message) => found.push(message.detach()),
                Err(KafkaError::PartitionEOF(_)) => ended += 1,
                Err(error) => panic!("{error}"),
            }
        }
        found.sort_by_key(|message| (message.partition(), message.offset()));
        found
    })
    .await
}

/// Writes one record without any transaction.
pub async fn write(cluster: &Cluster, topic: &str, partition: i32, value: &[u8], headers: &[(&str, &[u8])]) {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &cluster.bootstrap).create().expect("a producer");
    let headers = headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(*value) }));
    let topic = cluster.name(topic);
    let record = FutureRecord::to(&topic).partition(partition).key("a key").payload(value).headers(headers);
    producer.send(record, WAIT).await.expect("the record is kept");
    joined(move || drop(producer)).await;
}

/// The places that a group keeps of a topic, where it keeps one.
pub async fn committed(cluster: &Cluster, group: &str, topic: &str) -> BTreeMap<u32, u64> {
    let (bootstrap, group, topic) = (cluster.bootstrap.clone(), cluster.name(group), cluster.name(topic));
    let partitions = cluster.config.partitions;
    joined(move || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", group)
            .create()
            .expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&topic, 0, partitions as i32 - 1);
        let places = consumer.committed_offsets(list, WAIT).expect("the broker answers");
        let place = |offset: Offset| if let Offset::Offset(place) = offset { Some(place as u64) } else { None };
        places.elements().iter().filter_map(|one| Some((one.partition() as u32, place(one.offset())?))).collect()
    })
    .await
}

async fn joined<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (answer, answered) = tokio::sync::oneshot::channel();
    drop(thread(move || drop(answer.send(work()))));
    answered.await.expect("the thread does not panic")
}
