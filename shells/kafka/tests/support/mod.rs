//! What the tests against a real cluster share: topics of their own, plain clients beside the ports, and sources that the
//! suites need on the other side of the topics.
#![allow(dead_code, reason = "each test binary uses its own part of it")]

pub mod plain;
pub mod sources;

use doorbuster_kafka::config::KafkaConfig;
use doorbuster_kafka::kafka::Kafka;
use doorbuster_kafka::topic::wanted;
use doorbuster_runtime::env::SystemEnv;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;

/// Names the cluster: `host:port`.
const VARIABLE: &str = "DOORBUSTER_KAFKA";

/// Topics of one test; they go with it.
pub struct Cluster {
    pub bootstrap: String,
    pub config: KafkaConfig,
}

impl Cluster {
    /// `None`, and a line that says so, where no cluster is named.
    pub fn of(test: &str, partitions: u32) -> Option<Cluster> {
        let Some(bootstrap) = std::env::var(VARIABLE).ok().filter(|bootstrap| !bootstrap.is_empty()) else {
            println!("{test}: skipped, {VARIABLE} names no server (cargo lab up starts one)");
            return None;
        };
        let config = KafkaConfig {
            bootstrap: vec![bootstrap.clone()],
            prefix: format!("test-{:016x}.", SystemEnv::shared().entropy()),
            partitions,
            replication: 1,
            min_in_sync: 1,
            // The least that brokers allow.
            session_ms: 6_000,
            ..KafkaConfig::default()
        };
        Some(Cluster { bootstrap, config })
    }

    /// A process of its own over these topics.
    pub async fn connect(&self) -> Kafka {
        Kafka::connect(self.config.clone(), SystemEnv::shared()).await.expect("the cluster answers")
    }

    /// A topic's name in the cluster.
    pub fn name(&self, topic: &str) -> String {
        format!("{}{topic}", self.config.prefix)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let (bootstrap, topics) = (self.bootstrap.clone(), wanted(&self.config));
        // On a thread of its own, because this one may be an executor's.
        let removal = thread(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let admin =
                ClientConfig::new().set("bootstrap.servers", bootstrap).create::<AdminClient<DefaultClientContext>>();
            let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
            // What is left over is in nobody's way: names are never used again.
            drop(admin.map(|admin| runtime.block_on(admin.delete_topics(&names, &AdminOptions::new()))));
        });
        drop(removal.join());
    }
}

#[allow(clippy::disallowed_methods, reason = "tests wait for what blocks beside the executor that they test")]
pub fn thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    std::thread::spawn(work)
}
