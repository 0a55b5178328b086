//! A deployment of the platform for a run that breaks it: every role in a process of its own, most of them twice, over the
//! servers of a lab, with a proxy between each process and each server that can stand behind one.

mod config;
mod door;
mod link;
mod member;
mod programs;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub use config::{Servers, TOKENS};
pub use link::Link;
pub use member::{Member, Place};
pub use programs::{Programs, Tool};

use crate::servers::{Lab, Ports};
use crate::stop;
use door::Door;

/// The processes by name and role. Readers of a topic stand twice, so that partitions move when one goes; what a second one
/// would only wait for a lease of, too, so that leases change hands.
const MEMBERS: [(&str, &str); 16] = [
    ("keeper-1", "keeper"),
    ("keeper-2", "keeper"),
    ("forwarder-1", "forwarder"),
    ("forwarder-2", "forwarder"),
    ("intake-1", "intake"),
    ("intake-2", "intake"),
    ("relay-1", "relay"),
    ("relay-2", "relay"),
    ("reaper-1", "reaper"),
    ("settler-1", "settler"),
    ("payment-1", "payment"),
    ("invalidator-1", "invalidator"),
    ("sales-1", "sales"),
    ("indexer-1", "indexer"),
    (EDGES[0], "edge"),
    (EDGES[1], "edge"),
];
const EDGES: [&str; 2] = ["edge-1", "edge-2"];
/// Where each process is watched, and where the edges listen.
const ADDRESSES: u16 = MEMBERS.len() as u16 + EDGES.len() as u16;
/// Sixteen processes that start at once on two cores, each of which compares the database's schema.
const READY_MAX: Duration = Duration::from_secs(90);
/// A process that is asked to stop answers what is in flight; the kernel ends one that does not within this.
const STOP_MAX: Duration = Duration::from_secs(40);
/// Making a schema takes an emulator some seconds.
const MIGRATE_MAX: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Names of all processes.
pub fn names() -> impl Iterator<Item = &'static str> {
    MEMBERS.into_iter().map(|(name, _)| name)
}

/// What a process talks to, of that which can stand behind a proxy.
pub fn links(name: &str) -> &'static [Link] {
    match name.split_once('-').map(|(role, _)| role) {
        Some("intake" | "relay" | "payment" | "sales") => &[Link::Spanner],
        Some("indexer") => &[Link::Spanner, Link::Elasticsearch],
        _ => &[Link::Redis, Link::Spanner],
    }
}

/// A running deployment; its processes are killed when it is dropped.
pub struct Fleet {
    members: Vec<Member>,
    edges: [SocketAddr; 2],
    door: Door,
    directory: PathBuf,
    _ports: Ports,
}

impl Fleet {
    /// Brings the servers' schema up to date, starts every process and waits until each is ready.
    ///
    /// # Errors
    /// A process ends at its start or is not ready in time: with the last that it said.
    pub fn start(binary: &Path, lab: &Lab, directory: &Path) -> Result<Fleet, String> {
        std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let servers = Servers::of(lab)?;
        migrate(binary, &servers, directory)?;
        config::write_key(directory)?;
        // Below the range from which connections get theirs: a process that is down for seconds must find its own again.
        let offsets: Vec<u16> = (0..ADDRESSES).collect();
        let ports = Ports::free(&offsets)?;
        let mut addresses = ports.numbers.iter().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, *port)));
        let mut next = || addresses.next().expect("there are as many as are needed");
        let edges = [next(), next()];
        // Behind whatever listens at its address, the provider's calls find an edge that lives.
        let door = Door::open(&edges)?;
        let mut members = Vec::new();
        for (name, role) in MEMBERS {
            let listen = EDGES.iter().position(|edge| *edge == name).map(|place| edges[place]);
            let place = Place { binary: binary.to_owned(), directory: directory.join(name), watch: next(), listen };
            members.push(Member::new(name, role, place, &servers, door.address())?);
        }
        let mut fleet = Fleet { members, edges, door, directory: directory.to_owned(), _ports: ports };
        for member in &mut fleet.members {
            member.start(0)?;
        }
        fleet.wait_until_ready(READY_MAX)?;
        Ok(fleet)
    }

    /// Where buyers go.
    pub fn url(&self) -> String {
        format!("http://{}", self.door.address())
    }

    /// The same as an address.
    pub fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// Where each edge listens.
    pub fn edges(&self) -> [SocketAddr; 2] {
        self.edges
    }

    /// Has the key that signs tokens, as a platform's data directory does.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// One of them.
    pub fn member(&mut self, name: &str) -> &mut Member {
        self.members.iter_mut().find(|member| member.name == name).expect("names are those of the fleet")
    }

    /// Lets every process go on, heals every link, and starts what does not run.
    ///
    /// # Errors
    /// A process cannot be started or is not ready in time.
    pub fn heal(&mut self) -> Result<(), String> {
        for member in &mut self.members {
            member.heal();
            if !member.is_running() {
                member.start(0)?;
            }
        }
        self.wait_until_ready(READY_MAX)
    }

    /// Asks every process to stop, and waits until all have. Returns those that did not end well.
    pub fn stop(mut self) -> Vec<String> {
        self.members.iter_mut().for_each(Member::ask_to_stop);
        let deadline = Instant::now() + STOP_MAX;
        self.members.iter_mut().filter_map(|member| member.wait_for_stop(deadline).err()).collect()
    }

    fn wait_until_ready(&mut self, most: Duration) -> Result<(), String> {
        let deadline = Instant::now() + most;
        for member in &mut self.members {
            while !member.is_ready() {
                if !member.is_running() {
                    return Err(format!("{} ended at its start: {}", member.name, member.last_words()));
                }
                if Instant::now() >= deadline {
                    return Err(format!(
                        "{} is not ready after {} s: {}",
                        member.name,
                        most.as_secs(),
                        member.last_words()
                    ));
                }
                if let Some(signal) = stop::asked() {
                    return Err(format!("this program got signal {signal}"));
                }
                std::thread::sleep(LOOK_EVERY);
            }
        }
        Ok(())
    }
}

fn migrate(binary: &Path, servers: &Servers, directory: &Path) -> Result<(), String> {
    let file = directory.join("migrate.toml");
    let somewhere = SocketAddr::from(([127, 0, 0, 1], 0));
    config::write(&file, &servers.config(|_, address| address, somewhere, somewhere, somewhere))?;
    let mut command = Command::new(binary);
    command.args(["migrate", "--create-database", "--config"]).arg(&file).stdout(Stdio::null());
    let status = Tool::start(&mut command)?.wait(MIGRATE_MAX)?;
    if status.success() { Ok(()) } else { Err(format!("the schema could not be made: {status}")) }
}
