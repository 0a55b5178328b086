//! What a process of the fleet is told: the configuration of production, written for the servers of a lab.

use std::net::SocketAddr;
use std::path::Path;

use toml::{Table, Value};

use super::Link;
use crate::servers::{Lab, Layout, Server};

/// Signs the tokens of buyers and operators; of no value beyond the loopback.
pub const TOKENS: &str = "a secret of the lab that signs tokens and nothing else";
const RECEIPTS: &str = "a secret of the lab that signs receipts and nothing else";
const WEBHOOKS: &str = "a secret of the lab that signs webhooks and nothing else";
/// Few enough that sixteen processes start at once, and more than a group has members.
const PARTITIONS: i64 = 4;
/// The emulator lets one transaction at a time write and aborts the others, so more than one of a process only disturb it.
const TRANSACTIONS_MAX: i64 = 1;
/// Some buyers click again and again while nobody answers; limits of buyers are tried elsewhere.
const CLICKS: i64 = 100;

/// Where the servers of a lab are.
#[derive(Clone, Debug)]
pub struct Servers {
    layout: Layout,
    redis: Vec<SocketAddr>,
    kafka: SocketAddr,
    spanner: SocketAddr,
    elasticsearch: SocketAddr,
}

impl Servers {
    /// All four are needed.
    pub fn of(lab: &Lab) -> Result<Servers, String> {
        if let Some((server, trouble)) = lab.missing().first() {
            return Err(format!("{server}: {trouble}"));
        }
        let find = |name: &str| lab.running().find(|running| running.server.name() == name).ok_or(format!("no {name}"));
        let redis = find("redis")?;
        let Server::Redis(layout) = redis.server else { return Err("redis has no layout".to_owned()) };
        let addresses = match layout {
            Layout::Single => vec![redis.site.address()],
            Layout::Sentinel => vec![redis.site.address_of(2)],
            Layout::Cluster => (0..3).map(|place| redis.site.address_of(place)).collect(),
        };
        Ok(Servers {
            layout,
            redis: addresses,
            kafka: find("kafka")?.site.address(),
            spanner: find("spanner")?.site.address(),
            elasticsearch: find("elasticsearch")?.site.address(),
        })
    }

    /// What a proxy can stand before.
    pub fn behind_links(&self) -> Vec<(Link, SocketAddr)> {
        let redis = (self.layout == Layout::Single).then(|| (Link::Redis, self.redis[0]));
        let others = [(Link::Spanner, self.spanner), (Link::Elasticsearch, self.elasticsearch)];
        redis.into_iter().chain(others).collect()
    }

    /// A process's file. `by` says where it finds what a proxy may stand before.
    pub fn config(
        &self,
        by: impl Fn(Link, SocketAddr) -> SocketAddr,
        watch: SocketAddr,
        listen: SocketAddr,
        door: SocketAddr,
    ) -> Table {
        let text = |address: SocketAddr| Value::String(address.to_string());
        let words = |word: &str| Value::String(word.to_owned());
        let list = |addresses: Vec<SocketAddr>| Value::Array(addresses.into_iter().map(text).collect());
        let mut redis = match self.layout {
            Layout::Single => section([("addresses", list(vec![by(Link::Redis, self.redis[0])]))]),
            Layout::Sentinel => section([("mode", words("sentinel")), ("master_name", words("main"))]),
            Layout::Cluster => section([("mode", words("cluster"))]),
        };
        redis.entry("addresses").or_insert(list(self.redis.clone()));
        let search = format!("http://{}", by(Link::Elasticsearch, self.elasticsearch));
        section([
            ("redis", Value::Table(redis)),
            (
                "http",
                Value::Table(section([
                    ("listen", text(listen)),
                    ("watch", text(watch)),
                    ("callback", text(door)),
                    ("clicks_per_second", Value::Integer(CLICKS)),
                    ("clicks_burst", Value::Integer(CLICKS)),
                ])),
            ),
            (
                "kafka",
                Value::Table(section([
                    ("bootstrap", list(vec![self.kafka])),
                    ("partitions", Value::Integer(PARTITIONS)),
                    ("replication", Value::Integer(1)),
                    ("min_in_sync", Value::Integer(1)),
                ])),
            ),
            (
                "spanner",
                Value::Table(section([
                    ("emulator", text(by(Link::Spanner, self.spanner))),
                    ("transactions_max", Value::Integer(TRANSACTIONS_MAX)),
                ])),
            ),
            (
                "elasticsearch",
                Value::Table(section([
                    ("urls", Value::Array(vec![Value::String(search)])),
                    ("replicas", Value::Integer(0)),
                ])),
            ),
            (
                "secrets",
                Value::Table(section([
                    ("tokens", words(TOKENS)),
                    ("receipts", words(RECEIPTS)),
                    ("webhooks", words(WEBHOOKS)),
                ])),
            ),
        ])
    }
}

fn section<const N: usize>(fields: [(&str, Value); N]) -> Table {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Writes a process's file.
pub fn write(path: &Path, config: &Table) -> Result<(), String> {
    std::fs::write(path, config.to_string()).map_err(|error| format!("{}: {error}", path.display()))
}

/// The load tool finds the key of tokens where an embedded platform keeps its own.
pub fn write_key(directory: &Path) -> Result<(), String> {
    let path = directory.join("dev.key");
    std::fs::write(&path, TOKENS).map_err(|error| format!("{}: {error}", path.display()))
}
