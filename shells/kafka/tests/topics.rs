//! Topics as they are made and compared, and records as any consumer reads them.

mod support;

use doorbuster_core::database::event::Event;
use doorbuster_core::ids::{Epoch, SaleId, ShardId, SkuId};
use doorbuster_core::inbox::Partition;
use doorbuster_core::outcome::Outcome;
use doorbuster_kafka::config::KafkaConfig;
use doorbuster_kafka::kafka::Kafka;
use doorbuster_kafka::topics::TopicsError;
use doorbuster_runtime::env::SystemEnv;
use doorbuster_runtime::ports::publish::Publish;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Headers, Message};
use support::{Cluster, plain};

/// Another count than any broker's own.
const PARTITIONS: u32 = 5;

#[tokio::test]
async fn a_changed_count_of_partitions_is_refused_with_what_to_do() {
    let Some(cluster) = Cluster::of("topics", PARTITIONS) else { return };
    drop(cluster.connect().await);
    drop(cluster.connect().await);
    let config = KafkaConfig { partitions: 7, ..cluster.config.clone() };
    let Err(error) = Kafka::connect(config, SystemEnv::shared()).await else { panic!("it was taken") };
    assert!(matches!(&error, TopicsError::OtherCount { found: 5, wanted: 7, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("partitions = 5") && text.contains("another prefix"), "{text}");
}

#[tokio::test]
async fn topics_are_made_with_the_settings_that_the_promises_rest_on() {
    let Some(cluster) = Cluster::of("topics", PARTITIONS) else { return };
    drop(cluster.connect().await);
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &cluster.bootstrap).create().expect("a client");
    let names = [cluster.name("intents"), cluster.name("intents.dead")];
    let resources = names.each_ref().map(|name| ResourceSpecifier::Topic(name));
    let described = admin.describe_configs(&resources, &AdminOptions::new()).await.expect("the broker answers");
    for (resource, retention_ms) in described.into_iter().zip(["604800000", "7776000000"]) {
        let resource = resource.expect("the topic is there");
        let value = |name: &str| resource.get(name).and_then(|entry| entry.value.clone());
        assert_eq!(value("min.insync.replicas").as_deref(), Some("1"));
        assert_eq!(value("unclean.leader.election.enable").as_deref(), Some("false"));
        assert_eq!(value("retention.ms").as_deref(), Some(retention_ms));
    }
    support::thread(move || drop(admin)).join().expect("a client ends");
}

#[tokio::test]
async fn a_wrong_section_is_refused_before_anything_is_asked() {
    let config = KafkaConfig { partitions: 0, bootstrap: Vec::new(), ..KafkaConfig::default() };
    let Err(error) = Kafka::connect(config, SystemEnv::shared()).await else { panic!("it was taken") };
    let text = error.to_string();
    assert!(text.contains("bootstrap") && text.contains("partitions"), "{text}");
}

#[tokio::test]
async fn a_cluster_that_is_away_is_told_within_bounds() {
    let config = KafkaConfig { bootstrap: vec!["127.0.0.1:1".to_owned()], connect_ms: 300, ..KafkaConfig::default() };
    let Err(error) = Kafka::connect(config, SystemEnv::shared()).await else { panic!("nobody listens there") };
    assert!(matches!(&error, TopicsError::Cluster { bootstrap, .. } if bootstrap == "127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn an_event_is_a_cloud_event_for_whoever_reads_it() {
    let Some(cluster) = Cluster::of("topics", PARTITIONS) else { return };
    let kafka = cluster.connect().await;
    let shard = ShardId { sale: SaleId::parse("demo").expect("a sale"), k: 3 };
    let sku = SkuId::parse("sku-1").expect("a SKU");
    let event = Event::Granted { shard, epoch: Epoch(2), sku, quantity: 30, grant_seq: 4 };
    assert_eq!(kafka.publish().publish_events(vec![event]).await, Outcome::Done(()));
    let read = plain::read(&cluster, "shard-down").await;
    let [message] = &read[..] else { panic!("one record: {read:?}") };
    let header = |name: &str| {
        let headers = message.headers().expect("it has headers");
        let found = headers.iter().find(|header| header.key == name).and_then(|header| header.value);
        found.map(|value| String::from_utf8(value.to_vec()).expect("text"))
    };
    let text = |name| header(name).unwrap_or_else(|| panic!("there is no {name}"));
    assert_eq!(text("ce_specversion"), "1.0");
    assert_eq!(text("ce_type"), "doorbuster.granted.v1");
    assert_eq!(text("ce_source"), "/doorbuster/shard-down");
    assert_eq!(text("ce_subject"), "demo.3");
    assert_eq!(text("content-type"), "application/json");
    assert_eq!(text("ce_id").len(), 32);
    assert_eq!(message.key(), Some(&b"demo.3"[..]));
    assert_eq!(message.partition() as u32, Partition::of_shard(shard, PARTITIONS).0);
    let data: serde_json::Value = serde_json::from_slice(message.payload().expect("data")).expect("JSON");
    assert_eq!((data["quantity"].as_u64(), data["sku"].as_str()), (Some(30), Some("sku-1")));
}
