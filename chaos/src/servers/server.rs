use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cache::Cache;
use super::elasticsearch::Elasticsearch;
use super::kafka::Kafka;
use super::launch::{Installed, Site};
use super::redis::{Layout, Redis};
use super::spanner::Spanner;
use super::{Trouble, elasticsearch, kafka, redis, spanner};

/// A server that the platform runs on in production.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    Kafka,
    Elasticsearch,
    Spanner,
    Redis(Layout),
}

impl Server {
    /// What they are called where somebody chooses among them.
    pub const NAMES: [&str; 4] = ["kafka", "elasticsearch", "spanner", "redis"];

    /// All of them, Redis laid out like this.
    pub fn all(layout: Layout) -> [Server; 4] {
        [Server::Kafka, Server::Elasticsearch, Server::Spanner, Server::Redis(layout)]
    }

    /// The server of this name.
    pub fn named(name: &str, layout: Layout) -> Option<Server> {
        Server::all(layout).into_iter().find(|server| server.name() == name)
    }

    /// Its name, whatever its layout.
    pub fn name(self) -> &'static str {
        match self {
            Server::Kafka => "kafka",
            Server::Elasticsearch => "elasticsearch",
            Server::Spanner => "spanner",
            Server::Redis(_) => "redis",
        }
    }

    /// The first of its ports where nobody asked for another: not the one that its makers chose, so that a server that
    /// somebody runs for themselves is neither in the way nor taken for this one.
    pub fn default_port(self) -> u16 {
        match self {
            Server::Kafka => 19_192,
            Server::Elasticsearch => 19_292,
            Server::Spanner => 19_110,
            Server::Redis(_) => 19_379,
        }
    }

    /// Its ports, as distances from the first, in the order in which a site holds them.
    pub fn port_offsets(self) -> &'static [u16] {
        match self {
            Server::Kafka => Kafka::OFFSETS,
            Server::Elasticsearch => Elasticsearch::OFFSETS,
            Server::Spanner => Spanner::OFFSETS,
            Server::Redis(layout) => layout.offsets(),
        }
    }

    /// How long it may take from its start until it can be used: about ten times what it takes on two busy cores.
    pub fn ready_max(self) -> Duration {
        match self {
            Server::Kafka | Server::Elasticsearch => Duration::from_secs(180),
            Server::Spanner | Server::Redis(_) => Duration::from_secs(30),
        }
    }

    /// Installs it, if it is not here yet and can be had.
    pub fn obtain(self, cache: &Cache) -> Result<Box<dyn Installed>, Trouble> {
        match self {
            Server::Kafka => Ok(Box::new(Kafka::obtain(cache)?)),
            Server::Elasticsearch => Ok(Box::new(Elasticsearch::obtain(cache)?)),
            Server::Spanner => Ok(Box::new(Spanner::obtain()?)),
            Server::Redis(layout) => Ok(Box::new(Redis::obtain(layout)?)),
        }
    }

    /// Asks it whether it can be used, and brings it a step nearer to that where somebody has to. To be asked again and again
    /// until it says yes; fails with what is still wanting. Returns within some seconds, whatever the server does.
    pub fn ask(self, site: &Site) -> Result<(), String> {
        match self {
            Server::Kafka => kafka::ask(site),
            Server::Elasticsearch => elasticsearch::ask(site),
            Server::Spanner => spanner::ask(site),
            Server::Redis(layout) => redis::ask(layout, site),
        }
    }

    /// What tests read to find it at this site: names of environment variables, and addresses as host:port.
    pub fn variables(self, site: &Site) -> Vec<(&'static str, String)> {
        let at = |place: usize| site.address_of(place).to_string();
        match self {
            Server::Kafka => vec![("DOORBUSTER_KAFKA", at(0))],
            Server::Elasticsearch => vec![("DOORBUSTER_ELASTICSEARCH", at(0))],
            Server::Spanner => vec![("DOORBUSTER_SPANNER", at(0))],
            Server::Redis(Layout::Single) => vec![("DOORBUSTER_REDIS", at(0))],
            Server::Redis(Layout::Sentinel) => {
                vec![("DOORBUSTER_REDIS", at(0)), ("DOORBUSTER_REDIS_SENTINEL", at(2))]
            }
            Server::Redis(Layout::Cluster) => {
                vec![("DOORBUSTER_REDIS_CLUSTER", [at(0), at(1), at(2)].join(","))]
            }
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Server::Kafka | Server::Elasticsearch | Server::Spanner | Server::Redis(Layout::Single) => {
                write!(formatter, "{}", self.name())
            }
            Server::Redis(Layout::Sentinel) => write!(formatter, "redis, a replica and a Sentinel"),
            Server::Redis(Layout::Cluster) => write!(formatter, "redis, three masters"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    #[test]
    fn every_name_names_a_server() {
        for (name, server) in Server::NAMES.into_iter().zip(Server::all(Layout::Cluster)) {
            assert_eq!(Server::named(name, Layout::Cluster), Some(server));
        }
        assert_eq!(Server::named("mysql", Layout::Single), None);
    }

    #[test]
    fn no_two_servers_want_the_same_port_or_one_that_the_system_gives_away() {
        let ports_of = |server: Server| server.port_offsets().iter().map(move |offset| server.default_port() + offset);
        let ports: Vec<u16> = Server::all(Layout::Cluster).into_iter().flat_map(ports_of).collect();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
        assert!(ports.iter().all(|port| (1024..32_768).contains(port)));
    }

    #[test]
    fn a_layout_names_what_its_clients_dial() {
        let site = Site { directory: PathBuf::new(), ports: vec![1, 2, 3, 4, 5, 6] };
        let told = |layout: Layout| Server::Redis(layout).variables(&site);
        assert_eq!(told(Layout::Single), [("DOORBUSTER_REDIS", "127.0.0.1:1".to_owned())]);
        assert_eq!(told(Layout::Sentinel)[1], ("DOORBUSTER_REDIS_SENTINEL", "127.0.0.1:3".to_owned()));
        let cluster = "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3".to_owned();
        assert_eq!(told(Layout::Cluster), [("DOORBUSTER_REDIS_CLUSTER", cluster)]);
    }
}
