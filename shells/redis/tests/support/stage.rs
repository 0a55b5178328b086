//! Simulated servers on the thread of a test, and the ways to them, which can be cut.

use async_trait::async_trait;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::{Mono, Now, Wall};
use doorbuster_redis::config::RedisConfig;
use doorbuster_redis::dial::{Address, ByteStream, Dial};
use doorbuster_redis::discover::Discover;
use doorbuster_redis::servers::Servers;
use doorbuster_runtime::env::{Env, SharedEnv};
use doorbuster_sim::hosts::redis::{Identity, Mounted, RedisHost, SyncPolicy, serve};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

/// Bytes that a stream holds before its reader must read.
const PIPE_BYTES: usize = 1 << 16;
/// Some time in 2026.
const BEGINNING_MS: u64 = 1_790_000_000_000;
/// How often a server looks at its timers.
const TICK: Duration = Duration::from_millis(5);

/// The runtime's clock, which a test may have paused, and entropy that can be repeated.
struct StageEnv {
    began: Instant,
    rng: Mutex<Rng>,
}

impl Env for StageEnv {
    #[allow(clippy::disallowed_methods, reason = "this is the Env that everything else is told to ask")]
    fn now(&self) -> Now {
        let passed = Instant::now().duration_since(self.began);
        Now { mono: Mono(passed.as_micros() as u64), wall: Wall(BEGINNING_MS + passed.as_millis() as u64) }
    }

    fn entropy(&self) -> u64 {
        self.rng.lock().expect("no holder panics").draw()
    }
}

/// One simulated server.
pub type Server = Rc<RefCell<Mounted>>;

/// The ways to the servers.
pub struct Network {
    accepted: mpsc::UnboundedSender<(Address, DuplexStream)>,
    /// The longest part of making a connection.
    pub handshake: Mutex<Duration>,
    refused: Mutex<Vec<Address>>,
    dialled: Mutex<Vec<Address>>,
    served: Arc<Mutex<Vec<(Address, AbortHandle)>>>,
}

impl Network {
    /// Ends all streams to a server, and lets none begin.
    pub fn cut(&self, server: &Address) {
        self.refuse(server);
        let served = self.served.lock().expect("no holder panics");
        served.iter().filter(|(address, _)| address == server).for_each(|(_, task)| task.abort());
    }

    /// Lets no new stream to a server begin.
    pub fn refuse(&self, server: &Address) {
        self.refused.lock().expect("no holder panics").push(server.clone());
    }

    pub fn mend(&self) {
        self.refused.lock().expect("no holder panics").clear();
    }

    /// How often servers were dialled.
    pub fn dialled(&self) -> usize {
        self.dialled.lock().expect("no holder panics").len()
    }
}

#[async_trait]
impl Dial for Network {
    async fn dial(&self, server: &Address) -> io::Result<Box<dyn ByteStream>> {
        self.dialled.lock().expect("no holder panics").push(server.clone());
        if self.refused.lock().expect("no holder panics").contains(server) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let handshake = *self.handshake.lock().expect("no holder panics");
        if !handshake.is_zero() {
            sleep(handshake).await;
        }
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        self.accepted.send((server.clone(), far)).map_err(|_| io::Error::other("the servers are gone"))?;
        Ok(Box::new(near))
    }
}

/// A guide that tells of one master; what it says and when is the test's.
pub struct Guide {
    known: Mutex<Address>,
    pub truth: Mutex<Address>,
    asked: Mutex<usize>,
    /// Whether it answers only when it is notified.
    pub is_slow: Mutex<bool>,
    pub answer: Notify,
}

impl Guide {
    pub fn to(master: &Address) -> Arc<Guide> {
        Arc::new(Guide {
            known: Mutex::new(master.clone()),
            truth: Mutex::new(master.clone()),
            asked: Mutex::default(),
            is_slow: Mutex::default(),
            answer: Notify::new(),
        })
    }

    pub fn asked(&self) -> usize {
        *self.asked.lock().expect("no holder panics")
    }
}

#[async_trait]
impl Discover for Guide {
    fn known(&self, _: &str) -> Option<Address> {
        Some(self.known.lock().expect("no holder panics").clone())
    }

    async fn refresh(&self) -> Result<(), String> {
        *self.asked.lock().expect("no holder panics") += 1;
        let is_slow = *self.is_slow.lock().expect("no holder panics");
        if is_slow {
            self.answer.notified().await;
        }
        *self.known.lock().expect("no holder panics") = self.truth.lock().expect("no holder panics").clone();
        Ok(())
    }
}

/// Everything of one test, on its thread.
pub struct Stage {
    pub env: SharedEnv,
    pub network: Arc<Network>,
    pub servers: Vec<(Address, Server)>,
}

#[allow(clippy::disallowed_methods, reason = "the simulated servers run on this very thread, beside the test")]
impl Stage {
    /// So many servers, which know nothing of each other. To be called within a `LocalSet`.
    pub fn new(count: u64) -> Stage {
        let env: SharedEnv = Arc::new(StageEnv { began: Instant::now(), rng: Mutex::new(Rng::seeded(7)) });
        let servers: Vec<(Address, Server)> = (0..count).map(|number| Stage::serve(number, &env)).collect();
        let (accepted, mut streams) = mpsc::unbounded_channel::<(Address, DuplexStream)>();
        let served: Arc<Mutex<Vec<(Address, AbortHandle)>>> = Arc::default();
        let (by_address, clock, tasks) =
            (servers.iter().cloned().collect::<BTreeMap<_, _>>(), env.clone(), served.clone());
        tokio::task::spawn_local(async move {
            while let Some((address, stream)) = streams.recv().await {
                let (server, clock) = (by_address[&address].clone(), clock.clone());
                let task = tokio::task::spawn_local(async move { serve(&server, stream, || clock.now()).await });
                tasks.lock().expect("no holder panics").push((address, task.abort_handle()));
            }
        });
        let (handshake, refused, dialled) = Default::default();
        let network = Arc::new(Network { accepted, handshake, refused, dialled, served });
        Stage { env, network, servers }
    }

    fn serve(number: u64, env: &SharedEnv) -> (Address, Server) {
        let identity = Identity::from_entropy([number, 1, 2], [number, 3, 4]);
        let server = Rc::new(RefCell::new(Mounted::new(RedisHost::new(identity, SyncPolicy::Always))));
        let (own, clock) = (server.clone(), env.clone());
        tokio::task::spawn_local(async move {
            loop {
                own.borrow_mut().tick(clock.now());
                sleep(TICK).await;
            }
        });
        (Address::parse(&format!("server-{number}:6379")).expect("an address"), server)
    }

    pub fn address(&self, number: usize) -> &Address {
        &self.servers[number].0
    }

    /// The servers as a process sees them whom this guide leads.
    pub fn seen_through(&self, guide: &Arc<Guide>) -> Arc<Servers> {
        Servers::discovered_by(guide.clone(), RedisConfig::default(), self.network.clone(), self.env.clone())
    }
}
