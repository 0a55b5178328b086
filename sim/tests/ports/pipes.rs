//! Services behind pipes in memory, for tests that need no network.

use async_trait::async_trait;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::{Mono, Now, Wall};
use doorbuster_redis::dial::{Address, ByteStream, Dial};
use doorbuster_runtime::drive::spawn;
use doorbuster_runtime::env::{Env, SharedEnv};
use doorbuster_sim::seed::Seed;
use doorbuster_sim::services::broker::Broker;
use doorbuster_sim::services::database::Database;
use doorbuster_sim::services::provider::Provider;
use doorbuster_sim::services::search::Search;
use doorbuster_sim::worlds::wire::ports::{Services, Wired};
use doorbuster_sim::worlds::wire::rpc::host::{serve_connection, wake};
use doorbuster_sim::worlds::wire::rpc::mount::{Mount, Noted, Observe};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, copy};

/// Some time in 2026.
pub const BEGINNING_MS: u64 = 1_790_000_000_000;
/// Bytes that a pipe holds back from a reader who is slow.
const PIPE_BYTES: usize = 64 * 1024;

/// Clocks that read one function of passed time, and entropy that can be repeated.
pub struct PassedEnv {
    passed: Box<dyn Fn() -> Duration + Send + Sync>,
    rng: Mutex<Rng>,
}

impl PassedEnv {
    pub fn shared(rng: Rng, passed: impl Fn() -> Duration + Send + Sync + 'static) -> SharedEnv {
        Arc::new(PassedEnv { passed: Box::new(passed), rng: Mutex::new(rng) })
    }

    /// The paused clock of a test.
    #[allow(clippy::disallowed_methods, reason = "this is the Env that everything else is told to ask")]
    pub fn of_test(rng: Rng) -> SharedEnv {
        let began = tokio::time::Instant::now();
        PassedEnv::shared(rng, move || tokio::time::Instant::now().duration_since(began))
    }
}

impl Env for PassedEnv {
    fn now(&self) -> Now {
        let passed = (self.passed)();
        Now { mono: Mono(passed.as_micros() as u64), wall: Wall(BEGINNING_MS + passed.as_millis() as u64) }
    }

    fn entropy(&self) -> u64 {
        self.rng.lock().expect("no holder panics").draw()
    }
}

/// The services, as any world mounts them.
#[derive(Clone)]
pub struct Mounts {
    pub database: Arc<Mount<Database>>,
    pub broker: Arc<Mount<Broker>>,
    pub provider: Arc<Mount<Provider>>,
    pub search: Arc<Mount<Search>>,
    pub noted: Arc<Mutex<Vec<Noted>>>,
}

impl Mounts {
    pub fn new(seed: Seed) -> Mounts {
        let noted: Arc<Mutex<Vec<Noted>>> = Arc::default();
        let kept = noted.clone();
        let observe: Observe = Arc::new(move |_, _, told| kept.lock().expect("no holder panics").push(told));
        Mounts {
            database: Mount::new(Database::new(seed.stream("database")), seed.stream("1"), observe.clone()),
            broker: Mount::new(Broker::new(seed.stream("broker")), seed.stream("2"), observe.clone()),
            provider: Mount::new(Provider::default(), seed.stream("3"), observe.clone()),
            search: Mount::new(Search::new(seed.stream("search")), seed.stream("4"), observe),
            noted,
        }
    }

    pub fn services(&self) -> Services {
        Services {
            database: self.database.endpoint(address("database:1")),
            broker: self.broker.endpoint(address("broker:1")),
            provider: self.provider.endpoint(address("provider:1")),
            search: self.search.endpoint(address("search:1")),
        }
    }
}

pub fn address(text: &str) -> Address {
    Address::parse(text).expect("a test names an address")
}

/// What becomes of the next streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pipe {
    #[default]
    Whole,
    /// Nobody listens.
    Refused,
    /// It breaks when so many bytes have gone to the service.
    Torn(u64),
    /// What goes to the service stays on the way.
    Blackhole,
}

/// Dials the services of a test.
pub struct Pipes {
    pub mounts: Mounts,
    pub env: SharedEnv,
    pub next: Mutex<Pipe>,
}

impl Pipes {
    /// Services that are served by the calling test.
    pub fn new(seed: Seed) -> Arc<Pipes> {
        let (mounts, env) = (Mounts::new(seed), PassedEnv::of_test(seed.stream("env")));
        spawn(wake(mounts.database.clone(), env.clone()));
        spawn(wake(mounts.broker.clone(), env.clone()));
        spawn(wake(mounts.provider.clone(), env.clone()));
        spawn(wake(mounts.search.clone(), env.clone()));
        Arc::new(Pipes { mounts, env, next: Mutex::default() })
    }

    pub fn becomes(&self, pipe: Pipe) {
        *self.next.lock().expect("no holder panics") = pipe;
    }

    pub fn connect(self: &Arc<Pipes>) -> Wired {
        Wired::connect(&self.env, self.clone(), &self.mounts.services())
    }

    fn serve(&self, name: &str, stream: impl ByteStream) {
        let env = self.env.clone();
        match name {
            "database" => drop(spawn(serve_connection(self.mounts.database.clone(), stream, env))),
            "broker" => drop(spawn(serve_connection(self.mounts.broker.clone(), stream, env))),
            "search" => drop(spawn(serve_connection(self.mounts.search.clone(), stream, env))),
            _ => drop(spawn(serve_connection(self.mounts.provider.clone(), stream, env))),
        }
    }
}

#[async_trait]
impl Dial for Pipes {
    async fn dial(&self, server: &Address) -> io::Result<Box<dyn ByteStream>> {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let pipe = *self.next.lock().expect("no holder panics");
        match pipe {
            Pipe::Whole => self.serve(server.host(), far),
            Pipe::Refused => return Err(io::ErrorKind::ConnectionRefused.into()),
            Pipe::Torn(bytes) => {
                let (mut entry, exit) = tokio::io::duplex(PIPE_BYTES);
                self.serve(server.host(), exit);
                spawn(async move { copy(&mut far.take(bytes), &mut entry).await });
            }
            Pipe::Blackhole => drop(spawn(async move {
                let _open = far;
                std::future::pending::<()>().await;
            })),
        }
        Ok(Box::new(near))
    }
}
