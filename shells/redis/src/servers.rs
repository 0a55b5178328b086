//! The servers of a platform: a link to each for each purpose, and the fence that belongs to the one at its end.

use crate::config::{Mode, RedisConfig};
use crate::connection::{Connection, Credentials};
use crate::dial::{Address, Dial};
use crate::discover::{Cluster, Discover, Guides, Sentinel, Standalone};
use crate::link::{Connector, Link};
use crate::script::{self, Answered};
use crate::trouble::Trouble;
use doorbuster_core::ids::ShardId;
use doorbuster_core::ledger::shard::Fence;
use doorbuster_core::time::Mono;
use doorbuster_lua::call::Call;
use doorbuster_lua::identity::ScriptFence;
use doorbuster_lua::keys::ShardKeys;
use doorbuster_lua::reply::Reply;
use doorbuster_lua::value::Value;
use doorbuster_runtime::env::SharedEnv;
use redis::Pipeline;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;

/// Between two questions where the servers are: a server that is lost is missed by every caller at once.
const REFRESH_MS: u64 = 250;

/// What a connection is for. Calls of one purpose go to one server over one connection, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// The shards' memories.
    Ledger,
    /// Reservations of one shard whose sale waits for replicas: a wait holds up its connection.
    Lane(ShardId),
    /// Marks and trims of the logs, and what is read without waiting.
    Log,
    /// News of one shard's log: waiting for them holds up the connection.
    News(ShardId),
    /// The delay queues.
    Delay,
    /// The shared cache.
    Cache,
    /// Rate limits.
    Rate,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Purpose::Ledger => f.write_str("ledger"),
            Purpose::Lane(shard) => write!(f, "lane:{}.{}", shard.sale, shard.k),
            Purpose::Log => f.write_str("log"),
            Purpose::News(shard) => write!(f, "news:{}.{}", shard.sale, shard.k),
            Purpose::Delay => f.write_str("delay"),
            Purpose::Cache => f.write_str("cache"),
            Purpose::Rate => f.write_str("rate"),
        }
    }
}

/// All servers of one platform, as one process sees them.
pub struct Servers {
    pub(crate) connector: Arc<Connector>,
    pub(crate) config: RedisConfig,
    discover: Arc<dyn Discover>,
    doubted: AtomicBool,
    refreshing: Mutex<Option<Mono>>,
    links: RwLock<BTreeMap<(Address, Purpose), Arc<Link>>>,
}

impl Servers {
    /// Servers as the configuration names them. Nothing is dialled yet.
    ///
    /// # Panics
    /// When the configuration was not validated.
    pub fn new(config: RedisConfig, dial: Arc<dyn Dial>, env: SharedEnv) -> Arc<Servers> {
        let addresses = config.validate().expect("the configuration was validated");
        let credentials = Credentials { username: config.username.clone(), password: config.password.clone() };
        let patience = Duration::from_millis(config.connect_ms);
        let guides = Guides { dial: dial.clone(), credentials, patience };
        let discover: Arc<dyn Discover> = match config.mode {
            Mode::Standalone => Arc::new(Standalone(addresses[0].clone())),
            Mode::Sentinel => {
                let name = config.master_name.clone().expect("the configuration was validated");
                Arc::new(Sentinel::new(guides, addresses, name))
            }
            Mode::Cluster => Arc::new(Cluster::new(guides, addresses)),
        };
        Servers::discovered_by(discover, config, dial, env)
    }

    /// Servers that `discover` knows; the addresses of the configuration are not used.
    pub fn discovered_by(
        discover: Arc<dyn Discover>,
        config: RedisConfig,
        dial: Arc<dyn Dial>,
        env: SharedEnv,
    ) -> Arc<Servers> {
        let credentials = Credentials { username: config.username.clone(), password: config.password.clone() };
        let connect = Duration::from_millis(config.connect_ms);
        let connector = Arc::new(Connector { dial, credentials, connect, env });
        Arc::new(Servers {
            connector,
            config,
            discover,
            doubted: AtomicBool::new(false),
            refreshing: Mutex::new(None),
            links: RwLock::default(),
        })
    }

    /// Whether the server of this key can be used: for a process that is about to start.
    ///
    /// # Errors
    /// Why not, in words for an operator: unreachable, no master, or settings under which it may forget.
    pub async fn check(&self, key: &str) -> Result<(), Trouble> {
        let link = self.link(key, Purpose::Ledger).await?;
        link.connection().await.map(|_| ())
    }

    /// The usual time of an answer.
    pub(crate) fn answer(&self) -> Duration {
        Duration::from_millis(self.config.answer_ms)
    }

    /// Runs a script that needs no fence.
    pub(crate) async fn run(
        &self,
        keys: &ShardKeys,
        purpose: Purpose,
        call: &Call,
        answer: Duration,
    ) -> Result<Answered<Reply>, Trouble> {
        let link = self.link(&call.keys(keys)[0], purpose).await?;
        self.seen(script::run(&link, call, keys, None, answer).await)
    }

    /// Runs a script under this fence, if the server at the other end is the one that the fence names.
    pub(crate) async fn run_fenced(
        &self,
        keys: &ShardKeys,
        purpose: Purpose,
        fence: Fence,
        make: impl FnOnce(ScriptFence) -> Call,
    ) -> Result<Answered<Reply>, Trouble> {
        let (link, connection, own) = self.seen(self.fence(keys, purpose, fence).await)?;
        self.seen(script::run(&link, &make(own), keys, Some(&connection), self.answer()).await)
    }

    /// Sends commands that only read, or that may be repeated.
    pub(crate) async fn ask(
        &self,
        key: &str,
        purpose: Purpose,
        commands: &Pipeline,
        answer: Duration,
    ) -> Result<Answered<Vec<Value>>, Trouble> {
        let link = self.link(key, purpose).await?;
        let (value, connection) = self.seen(link.send(commands, None, answer).await)?;
        Ok(Answered { value, connection })
    }

    /// What a script is to compare, and the connection to the server that it names. Before it says `Fenced`, the server
    /// is asked anew who it is.
    pub(crate) async fn fence(
        &self,
        keys: &ShardKeys,
        purpose: Purpose,
        fence: Fence,
    ) -> Result<(Arc<Link>, Arc<Connection>, ScriptFence), Trouble> {
        let link = self.link(&keys.memory, purpose).await?;
        let connection = link.connection().await?;
        if let Some(own) = connection.identity().fence(fence) {
            return Ok((link, connection, own));
        }
        // A promotion gives a server a new name behind a connection that stays; or another server is the master now.
        self.doubt();
        let link = self.link(&keys.memory, purpose).await?;
        link.look().await?;
        let connection = link.connection().await?;
        let own = connection.identity().fence(fence).ok_or(Trouble::Fenced)?;
        Ok((link, connection, own))
    }

    /// The next call asks where the servers are.
    pub(crate) fn doubt(&self) {
        self.doubted.store(true, Ordering::Relaxed);
    }

    /// The link to the master of this key.
    pub(crate) async fn link(&self, key: &str, purpose: Purpose) -> Result<Arc<Link>, Trouble> {
        let address = self.locate(key).await?;
        let place = (address, purpose);
        if let Some(link) = self.links.read().expect("no holder of this lock panics").get(&place) {
            return Ok(link.clone());
        }
        let mut links = self.links.write().expect("no holder of this lock panics");
        let name = format!("doorbuster:{purpose}");
        let made = || Arc::new(Link::new(self.connector.clone(), place.0.clone(), name));
        Ok(links.entry(place.clone()).or_insert_with(made).clone())
    }

    async fn locate(&self, key: &str) -> Result<Address, Trouble> {
        let known = self.discover.known(key);
        if let Some(address) = known.as_ref().filter(|_| !self.doubted.load(Ordering::Relaxed)) {
            return Ok(address.clone());
        }
        let refreshed = self.refresh().await;
        match (self.discover.known(key), refreshed) {
            (Some(address), _) => Ok(address),
            (None, Err(error)) => Err(Trouble::Nothing(error)),
            (None, Ok(())) => Err(Trouble::Nothing(format!("no server has {key}"))),
        }
    }

    /// One at a time, and not more often than is useful.
    async fn refresh(&self) -> Result<(), String> {
        let mut asked = self.refreshing.lock().await;
        let now = self.connector.env.now().mono;
        if asked.is_some_and(|at| now < at.after_ms(REFRESH_MS)) {
            return Ok(());
        }
        *asked = Some(now);
        self.doubted.store(false, Ordering::Relaxed);
        self.discover.refresh().await.inspect_err(|error| tracing::warn!(error, "the servers cannot be found"))
    }

    /// A server that does not answer as it should may not be the one to ask any more.
    fn seen<T>(&self, outcome: Result<T, Trouble>) -> Result<T, Trouble> {
        outcome.inspect_err(|_| self.doubt())
    }
}
