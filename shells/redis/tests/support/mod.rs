//! What the tests against real servers share: a server on a free port of the loopback, and the ports over it.
#![allow(dead_code, reason = "each test binary uses its own part of it")]

use async_trait::async_trait;
use doorbuster_core::database::rows::AckLevel;
use doorbuster_core::ids::{SaleId, ShardId};
use doorbuster_core::time::Wall;
use doorbuster_redis::config::RedisConfig;
use doorbuster_redis::dial::{Address, ByteStream, Dial, TcpDial};
use doorbuster_redis::directory::Directory;
use doorbuster_redis::ledger::RedisLedger;
use doorbuster_redis::servers::Servers;
use doorbuster_runtime::contract::{Clock, World};
use doorbuster_runtime::env::SystemEnv;
use doorbuster_runtime::ports::Unavailable;
use std::io::{self, BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Starts on a port that somebody else took in between.
const STARTS_MAX: usize = 10;
/// Looks at a state that a server comes to by itself, and the pause between two of them.
pub const LOOKS_MAX: usize = 1_000;
pub const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// A server of one test.
pub struct Server {
    child: Child,
    /// Kept open: the server goes on writing to it.
    _output: BufReader<ChildStdout>,
    _directory: tempfile::TempDir,
    pub port: u16,
}

impl Server {
    /// `None`, and a line that says so, where no server is installed. `REDIS_BIN` names another one, such as Valkey's.
    pub fn start(test: &str) -> Option<Server> {
        let binary = std::env::var("REDIS_BIN").unwrap_or_else(|_| "redis-server".to_owned());
        if Command::new(&binary).arg("--version").stdout(Stdio::null()).status().is_err() {
            println!("{test}: skipped, there is no {binary}");
            return None;
        }
        Some(Server::start_as(&binary, |_| Vec::new()))
    }

    /// A node of a cluster that has no slots yet.
    pub fn start_node(test: &str) -> Option<Server> {
        let binary = std::env::var("REDIS_BIN").unwrap_or_else(|_| "redis-server".to_owned());
        drop(Server::start(test)?);
        let options =
            |_: &Path| vec!["--cluster-enabled".into(), "yes".into(), "--cluster-port".into(), port().to_string()];
        Some(Server::start_as(&binary, options))
    }

    /// A Sentinel that watches one master, which it calls `main`.
    pub fn start_sentinel(test: &str, master: &Server) -> Option<Server> {
        let binary = std::env::var("REDIS_BIN").unwrap_or_else(|_| "redis-server".to_owned());
        drop(Server::start(test)?);
        let options = |directory: &Path| {
            let lines = format!(
                "sentinel monitor main 127.0.0.1 {} 1\nsentinel down-after-milliseconds main 300\n\
                 sentinel failover-timeout main 2000\n",
                master.port
            );
            let file = directory.join("sentinel.conf");
            std::fs::write(&file, lines).expect("a file");
            vec![file.display().to_string(), "--sentinel".into()]
        };
        Some(Server::start_as(&binary, options))
    }

    fn start_as(binary: &str, options: impl Fn(&Path) -> Vec<String>) -> Server {
        (0..STARTS_MAX).find_map(|_| Server::try_start(binary, &options)).expect("one of many ports is free")
    }

    fn try_start(binary: &str, options: impl Fn(&Path) -> Vec<String>) -> Option<Server> {
        let (port, directory) = (port(), tempfile::tempdir().expect("a directory"));
        let options = options(directory.path());
        let sentinel = options.iter().any(|option| option == "--sentinel");
        let of_data: &[&str] = match sentinel {
            true => &[],
            false => &["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"],
        };
        let mut child = Command::new(binary)
            .args(&options)
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(of_data)
            .arg("--dir")
            .arg(directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary was just found");
        let mut output = BufReader::new(child.stdout.take().expect("it was piped"));
        let mut line = String::new();
        while !line.contains("eady to accept connections") && !line.contains("Sentinel ID is") {
            line.clear();
            if output.read_line(&mut line).expect("the server talks") == 0 {
                child.wait().expect("it has ended");
                return None;
            }
        }
        Some(Server { child, _output: output, _directory: directory, port })
    }

    pub fn address(&self) -> Address {
        Address::parse(&format!("127.0.0.1:{}", self.port)).expect("an address")
    }

    /// Asks on a connection of its own.
    pub fn ask(&self, words: &[&str]) -> redis::RedisResult<redis::Value> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).expect("an address");
        let mut connection = client.get_connection()?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut connection)
    }

    /// Asks what cannot fail.
    pub fn tell(&self, words: &[&str]) -> redis::Value {
        self.ask(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    pub fn info(&self) -> String {
        match self.tell(&["INFO", "everything"]) {
            redis::Value::BulkString(text) => String::from_utf8(text).expect("INFO is text"),
            other => panic!("INFO is text, not {other:?}"),
        }
    }

    /// Makes it a replica, and returns when it has everything.
    pub async fn follow(&self, master: &Server) {
        self.tell(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
        until("the replica is in step", || self.info().contains("master_link_status:up")).await;
    }

    /// Lets it stand still, as a machine that is paused, or go on.
    pub fn pause(&self, paused: bool) {
        let signal = if paused { "-STOP" } else { "-CONT" };
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{signal} cannot be sent");
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was killed");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed by its test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of the loopback that nobody listens on.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port()
}

/// Waits for what a server comes to by itself.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..LOOKS_MAX {
        if holds() {
            return;
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    panic!("never came to be: {what}");
}

/// A name that leads to one server now and to another later.
#[derive(Clone)]
pub struct MovingName(Arc<Mutex<Address>>);

impl MovingName {
    pub fn of(server: &Server) -> MovingName {
        MovingName(Arc::new(Mutex::new(server.address())))
    }

    pub fn move_to(&self, server: &Server) {
        *self.0.lock().expect("no holder panics") = server.address();
    }
}

#[async_trait]
impl Dial for MovingName {
    async fn dial(&self, _: &Address) -> io::Result<Box<dyn ByteStream>> {
        let address = self.0.lock().expect("no holder panics").clone();
        TcpDial.dial(&address).await
    }
}

/// Sales that all promise the same.
pub struct OneLevel {
    pub level: AckLevel,
    pub sales: Vec<&'static str>,
}

#[async_trait]
impl Directory for OneLevel {
    async fn ack(&self, _: SaleId) -> Result<AckLevel, Unavailable> {
        Ok(self.level)
    }

    async fn shards(&self) -> Result<Vec<ShardId>, Unavailable> {
        Ok(self.sales.iter().map(|name| World::named(name).shard(0)).collect())
    }
}

/// The configuration for one server.
pub fn config(server: &Server) -> RedisConfig {
    RedisConfig { addresses: vec![server.address().as_str().to_owned()], ..RedisConfig::default() }
}

pub fn servers(config: RedisConfig) -> Arc<Servers> {
    Servers::new(config, Arc::new(TcpDial), SystemEnv::shared())
}

/// The shards' servers, where every sale promises this.
pub fn ledger(servers: &Arc<Servers>, level: AckLevel) -> RedisLedger {
    RedisLedger::new(servers.clone(), Arc::new(OneLevel { level, sales: Vec::new() }))
}

/// The server's own clock.
pub struct ServerClock(pub u16);

#[async_trait]
impl Clock for ServerClock {
    async fn now(&self) -> Wall {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.0)).expect("an address");
        let mut connection = client.get_connection().expect("the server listens");
        let (seconds, micros): (u64, u64) = redis::cmd("TIME").query(&mut connection).expect("a time");
        Wall(seconds * 1000 + micros / 1000)
    }

    async fn pass_ms(&self, millis: u64) {
        // Nothing moves the clock of a real server but time.
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}
