//! Redis, or another server that speaks as it does: one, one with a replica and a Sentinel, or a cluster of three masters.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::Trouble;
use super::cache::{create, write};
use super::launch::{Installed, Launch, Site};

/// Names another program than the `redis-server` of the path, such as Valkey's.
const PROGRAM: &str = "REDIS_BIN";
/// What a Sentinel calls the master that it watches.
const WATCHED: &str = "main";
/// Masters of a cluster: the fewest with which a majority outlives one.
const MASTERS: usize = 3;
/// How many slots the masters share.
const SLOTS: usize = 16_384;
/// How long a server may take to answer one question about itself.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// How many servers there are, and what they are to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// One server
    #[default]
    Single,
    /// A master, its replica and a Sentinel that watches both
    Sentinel,
    /// Three masters that share the slots
    Cluster,
}

impl Layout {
    /// Ports that it needs, counted from its first.
    pub fn offsets(self) -> &'static [u16] {
        match self {
            Layout::Single => &[0],
            Layout::Sentinel => &[0, 1, 2],
            // The last three are those by which the masters talk to each other.
            Layout::Cluster => &[0, 1, 2, 3, 4, 5],
        }
    }
}

/// A server program and how its processes are laid out.
pub struct Redis {
    program: PathBuf,
    version: String,
    layout: Layout,
}

impl Redis {
    /// Finds it.
    pub fn obtain(layout: Layout) -> Result<Redis, Trouble> {
        let program = std::env::var_os(PROGRAM).map_or_else(|| PathBuf::from("redis-server"), PathBuf::from);
        let said = Command::new(&program).arg("--version").output();
        let said = said.ok().filter(|output| output.status.success()).ok_or_else(|| Trouble::Missing {
            reason: format!("there is no `{}`", program.display()),
            remedy: format!("install Redis (Debian: redis-server), or name a program by {PROGRAM}"),
        })?;
        // Such as: Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let version = said.split_whitespace().find_map(|word| word.strip_prefix("v=")).unwrap_or("unknown");
        Ok(Redis { program, version: version.to_owned(), layout })
    }

    /// A process with its file. What a server or a Sentinel learns is kept there, such as who follows whom since a failover: a
    /// file that is there already is left as it is.
    fn launch(&self, site: &Site, name: &str, port: u16, settings: &str) -> Result<Launch, String> {
        let directory = site.directory.join(name);
        create(&directory)?;
        let file = directory.join("redis.conf");
        if !file.is_file() {
            let place = format!("bind 127.0.0.1\nport {port}\ndaemonize no\ndir \"{}\"\n", directory.display());
            write(&file, place + settings)?;
        }
        Ok(Launch { name: name.to_owned(), program: self.program.clone(), arguments: vec![file.into()] })
    }

    fn sentinel(&self, site: &Site) -> Result<Launch, String> {
        let mut launch = self.launch(site, "sentinel", site.ports[2], "")?;
        launch.arguments.push("--sentinel".into());
        Ok(launch)
    }

    fn master(&self, site: &Site, place: usize) -> Result<Launch, String> {
        let bus = site.ports[place + MASTERS];
        let cluster = format!("cluster-enabled yes\ncluster-node-timeout 2000\ncluster-port {bus}\n");
        self.launch(site, &format!("master-{place}"), site.ports[place], &(IN_MEMORY.to_owned() + &cluster))
    }
}

/// Nothing is written to the disk: what a server that ends has lost is what the tests want to see. A replica is sent the
/// data at once instead of after five seconds in which others might join.
const IN_MEMORY: &str = "save \"\"\nappendonly no\nrepl-diskless-sync-delay 0\n";

impl Installed for Redis {
    fn version(&self) -> &str {
        &self.version
    }

    fn launches(&self, site: &Site) -> Result<Vec<Launch>, String> {
        match self.layout {
            Layout::Single => Ok(vec![self.launch(site, "redis", site.ports[0], IN_MEMORY)?]),
            Layout::Sentinel => {
                let follow = format!("{IN_MEMORY}replicaof 127.0.0.1 {}\n", site.ports[0]);
                Ok(vec![
                    self.launch(site, "master", site.ports[0], IN_MEMORY)?,
                    self.launch(site, "replica", site.ports[1], &follow)?,
                    self.sentinel(site)?,
                ])
            }
            Layout::Cluster => (0..MASTERS).map(|place| self.master(site, place)).collect(),
        }
    }
}

/// Asks whether it can be used, and makes known to each other those that have to know each other.
pub fn ask(layout: Layout, site: &Site) -> Result<(), String> {
    let asked = match layout {
        Layout::Single => tell(site.address(), &["PING"]).map(|_| Ok(())),
        Layout::Sentinel => ask_sentinel(site),
        Layout::Cluster => ask_cluster(site),
    };
    asked.map_err(|error| error.to_string())?
}

/// The Sentinel is told of the master when the replica is in step: it would ask for replicas only every ten seconds.
fn ask_sentinel(site: &Site) -> redis::RedisResult<Result<(), String>> {
    let replication = text(tell(site.address_of(1), &["INFO", "replication"])?);
    // After a failover the replica is the master, and what was the master follows it or is not there.
    if !replication.contains("master_link_status:up") && !replication.contains("role:master") {
        return Ok(Err("the replica is not in step".to_owned()));
    }
    let sentinel = site.address_of(2);
    let watched = text(tell(sentinel, &["INFO", "sentinel"])?);
    if watched.contains("sentinel_masters:0") {
        let port = site.ports[0].to_string();
        tell(sentinel, &["SENTINEL", "MONITOR", WATCHED, "127.0.0.1", &port, "1"])?;
        // A second or two for a failover, where production would give half a minute: tests wait for it.
        let patience = [("down-after-milliseconds", "1000"), ("failover-timeout", "5000")];
        for (name, value) in patience {
            tell(sentinel, &["SENTINEL", "SET", WATCHED, name, value])?;
        }
    }
    let known = watched.lines().any(|line| line.starts_with("master0:") && line.contains("slaves=1"));
    Ok(if known { Ok(()) } else { Err("the Sentinel does not know the replica".to_owned()) })
}

/// A watched pair as it stands: a failover swaps the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The process that the Sentinel takes for the master.
    pub master: &'static str,
    /// The other one.
    pub replica: &'static str,
    /// Whether the other one follows and can be promoted.
    pub in_step: bool,
}

impl Watched {
    /// Asks the Sentinel and the other one.
    pub fn of(site: &Site) -> Result<Watched, String> {
        let asked = || -> redis::RedisResult<Watched> {
            let told = tell(site.address_of(2), &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", WATCHED])?;
            let (_, port): (String, u16) = redis::from_redis_value(told)?;
            let (master, replica, place) =
                if port == site.ports[0] { ("master", "replica", 1) } else { ("replica", "master", 0) };
            let replication = text(tell(site.address_of(place), &["INFO", "replication"])?);
            let in_step = replication.contains("role:slave") && replication.contains("master_link_status:up");
            Ok(Watched { master, replica, in_step })
        };
        asked().map_err(|error| error.to_string())
    }
}

/// Each node is brought to where it should be from wherever it is, so that this may be asked again after any failure.
fn ask_cluster(site: &Site) -> redis::RedisResult<Result<(), String>> {
    let mut wanting = None;
    for place in 0..MASTERS {
        let node = site.address_of(place);
        let state = text(tell(node, &["CLUSTER", "INFO"])?);
        let is = |line: &str| state.lines().any(|known| known == line);
        if is("cluster_known_nodes:1") && is("cluster_slots_assigned:0") {
            let (first, last) = (SLOTS * place / MASTERS, SLOTS * (place + 1) / MASTERS - 1);
            // Epochs of their own, so that the masters need not settle who comes first; refused where it is set already.
            let _ = tell(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(place + 1).to_string()]);
            tell(node, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
        }
        if place > 0 && is("cluster_known_nodes:1") {
            let (port, bus) = (site.ports[0].to_string(), site.ports[MASTERS].to_string());
            tell(node, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
        }
        if !(is("cluster_state:ok") && is("cluster_slots_ok:16384") && is("cluster_size:3")) {
            wanting = Some(format!("the cluster is not whole for its master {place}"));
        }
    }
    Ok(wanting.map_or(Ok(()), Err))
}

/// Asks on a connection of its own.
fn tell(address: SocketAddr, words: &[&str]) -> redis::RedisResult<redis::Value> {
    let client = redis::Client::open(format!("redis://{address}"))?;
    let mut connection = client.get_connection_with_timeout(ANSWER_MAX)?;
    connection.set_read_timeout(Some(ANSWER_MAX))?;
    redis::cmd(words[0]).arg(&words[1..]).query(&mut connection)
}

/// Its lines without the carriage returns.
fn text(value: redis::Value) -> String {
    let text: String = redis::from_redis_value(value).unwrap_or_default();
    text.replace('\r', "")
}
