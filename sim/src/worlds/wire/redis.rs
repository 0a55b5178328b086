//! The two servers of shards: a primary and its replica, each on a host of its own.

use super::process::Process;
use crate::hosts::redis::{Identity, Mounted, RedisHost, SyncPolicy, replicate, serve};
use async_trait::async_trait;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::Now;
use doorbuster_redis::dial::{Address, ByteStream, Dial};
use doorbuster_redis::discover::Discover;
use doorbuster_runtime::env::Env;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::spawn_local;

/// Where every server listens.
const PORT: u16 = 6379;
/// How often a server looks at its timers.
const TICK: Duration = Duration::from_millis(10);
/// Names of the hosts.
pub const NAMES: [&str; 2] = ["redis-0", "redis-1"];

/// One server; it outlives its process, as a disk does.
pub type Server = Rc<RefCell<Mounted>>;

/// Both servers, and who follows whom.
pub struct Pair {
    /// By number.
    pub servers: [Server; 2],
    /// The server that is in charge.
    pub primary: usize,
    /// Which of them run.
    pub is_up: [bool; 2],
    /// The two are connected.
    is_linked: bool,
    /// Whether replication goes on where the link would carry it.
    pub replicates: bool,
    rng: Rng,
}

impl Pair {
    /// The first is in charge, the second follows.
    pub fn new(policy: SyncPolicy, mut rng: Rng) -> Pair {
        let mut server = || Rc::new(RefCell::new(Mounted::new(RedisHost::new(identity(&mut rng), policy))));
        let servers = [server(), server()];
        drop(servers[1].borrow_mut().host().follow(NAMES[0]));
        Pair { servers, primary: 0, is_up: [true, true], is_linked: false, replicates: true, rng }
    }

    /// An identity that no server had before.
    pub fn fresh_identity(&mut self) -> Identity {
        identity(&mut self.rng)
    }

    /// Forty digits that no history had before.
    pub fn fresh_history(&mut self) -> String {
        identity(&mut self.rng).replication_id
    }

    /// The server in charge.
    pub fn in_charge(&self) -> &Server {
        &self.servers[self.primary]
    }

    /// One round of what the two servers do over their connection; `carries` is whether the link lets it through.
    pub fn replicate(&mut self, now: Now, carries: bool) {
        let (primary, replica) = (self.primary, 1 - self.primary);
        let follows = self.servers[replica].borrow_mut().host().facts().is_replica();
        let linked = self.replicates && carries && self.is_up[0] && self.is_up[1] && follows;
        let mut old = self.servers[primary].borrow_mut();
        let mut new = self.servers[replica].borrow_mut();
        if !linked {
            if std::mem::take(&mut self.is_linked) {
                old.host().replica_lost(NAMES[replica]);
                new.host().primary_lost();
            }
            return;
        }
        self.is_linked = true;
        // Now and then it falls behind by a round.
        if self.rng.below(4) == 0 {
            return;
        }
        let (first, second) = replicate(old.host(), new.host(), NAMES[replica], usize::MAX, now);
        old.route(first);
        new.route(second);
    }

    /// How many records the replica lacks.
    pub fn behind(&self) -> u64 {
        let offset = |server: usize| self.servers[server].borrow_mut().host().facts().offset;
        offset(self.primary).saturating_sub(offset(1 - self.primary))
    }
}

fn identity(rng: &mut Rng) -> Identity {
    let mut three = || [rng.draw(), rng.draw(), rng.draw()];
    Identity::from_entropy(three(), three())
}

/// What the host of a server runs.
///
/// # Errors
/// Never: the port is its own.
#[allow(clippy::disallowed_methods, reason = "a server's connections share it on this very thread, beside its clock")]
pub async fn run(process: Arc<Process>, server: Server) -> turmoil::Result {
    process.begin_life();
    let listener = process.listen(PORT).await?;
    let (own, clock) = (server.clone(), process.clone());
    spawn_local(async move {
        loop {
            own.borrow_mut().tick(clock.now());
            tokio::time::sleep(TICK).await;
        }
    });
    loop {
        let (stream, _) = listener.accept().await?;
        let (own, clock) = (server.clone(), process.clone());
        spawn_local(async move { serve(&own, stream, || clock.now()).await });
    }
}

/// The way of a process to other hosts.
pub struct WireDial(pub Arc<Process>);

#[async_trait]
impl Dial for WireDial {
    async fn dial(&self, server: &Address) -> io::Result<Box<dyn ByteStream>> {
        let port =
            server.as_str().rsplit(':').next().and_then(|port| port.parse().ok()).expect("only host:port is parsed");
        Ok(Box::new(self.0.connect(server.host(), port).await?))
    }
}

/// Which server a process takes for the one in charge.
pub struct Belief(pub Arc<Process>);

#[async_trait]
impl Discover for Belief {
    fn known(&self, _: &str) -> Option<Address> {
        let believed = self.0.believes.load(Ordering::Relaxed);
        Address::parse(&format!("{}:{PORT}", NAMES[believed]))
    }

    async fn refresh(&self) -> Result<(), String> {
        Ok(())
    }
}
