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
use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard};

/// Between two questions where the servers are: a server that is lost is missed by every caller at once.
const REFRESH_MS: u64 = 250;
/// An answer to that question that is older than this is asked for anew by whoever looks, though nothing is amiss: a
/// master that was replaced behind its back still answers well. One connection to a guide in this time.
const LOCATION_AGE_MS: u64 = 5_000;
/// A shard's own link that nobody used for so long is closed. A lane or a log without a call for five minutes is asleep
/// or closed for ever, and opening a connection again takes milliseconds.
const IDLE_MS: u64 = 300_000;

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

impl Purpose {
    /// Whether its links belong to one shard: there are as many as shards, and shards come and go.
    fn is_of_one_shard(self) -> bool {
        match self {
            Purpose::Lane(_) | Purpose::News(_) => true,
            Purpose::Ledger | Purpose::Log | Purpose::Delay | Purpose::Cache | Purpose::Rate => false,
        }
    }
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
    /// When the last question where the servers are ended; whoever asks it holds this.
    refreshing: Mutex<Option<Mono>>,
    links: RwLock<BTreeMap<(Address, Purpose), Arc<Link>>>,
}

impl Servers {
    /// Servers as the configuration names them. Nothing is dialled yet. To be called on the runtime on which connections
    /// are to be opened and driven.
    ///
    /// # Panics
    /// When the configuration was not validated, or there is no runtime.
    pub fn new(config: RedisConfig, dial: Arc<dyn Dial>, env: SharedEnv) -> Arc<Servers> {
        let addresses = config.validate().expect("the configuration was validated");
        let patience = Duration::from_millis(config.connect_ms);
        let guides = Guides { dial: dial.clone(), credentials: of_guides(&config), patience };
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

    /// Servers that `discover` knows; the addresses of the configuration are not used. Called as [`Servers::new`].
    ///
    /// # Panics
    /// When there is no runtime.
    pub fn discovered_by(
        discover: Arc<dyn Discover>,
        config: RedisConfig,
        dial: Arc<dyn Dial>,
        env: SharedEnv,
    ) -> Arc<Servers> {
        let connect = Duration::from_millis(config.connect_ms);
        let runtime = Handle::current();
        let connector = Arc::new(Connector { dial, credentials: of_servers(&config), connect, env, runtime });
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
        let (link, connection, own) = self.fence(keys, purpose, fence).await?;
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

    /// Sends commands that only read, if the server at the other end is the one that the fence names.
    pub(crate) async fn ask_fenced(
        &self,
        keys: &ShardKeys,
        purpose: Purpose,
        fence: Fence,
        commands: &Pipeline,
        answer: Duration,
    ) -> Result<Answered<Vec<Value>>, Trouble> {
        let (link, connection, _) = self.fence(keys, purpose, fence).await?;
        let (value, connection) = self.seen(link.send(commands, Some(&connection), answer).await)?;
        Ok(Answered { value, connection })
    }

    /// What a script is to compare, and the connection to the server that it names.
    async fn fence(&self, keys: &ShardKeys, purpose: Purpose, fence: Fence) -> Result<Bound, Trouble> {
        self.seen(self.fence_once(keys, purpose, fence).await)
    }

    /// Before it says `Fenced`, the server is asked anew who it is.
    async fn fence_once(&self, keys: &ShardKeys, purpose: Purpose, fence: Fence) -> Result<Bound, Trouble> {
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

    /// The next look asks where the servers are, if that was not asked for long.
    pub(crate) fn doubt_an_old_answer(&self) {
        // Whoever holds it is asking.
        let Ok(asked_at) = self.refreshing.try_lock() else { return };
        let now = self.connector.env.now().mono;
        if asked_at.is_none_or(|at| now >= at.after_ms(LOCATION_AGE_MS)) {
            self.doubt();
        }
    }

    /// The link to the master of this key.
    pub(crate) async fn link(&self, key: &str, purpose: Purpose) -> Result<Arc<Link>, Trouble> {
        let place = (self.locate(key).await?, purpose);
        let known = self.links.read().expect("no holder of this lock panics").get(&place).cloned();
        let link = known.unwrap_or_else(|| self.make_link(place));
        link.touch();
        Ok(link)
    }

    fn make_link(&self, place: (Address, Purpose)) -> Arc<Link> {
        let now = self.connector.env.now().mono;
        let mut links = self.links.write().expect("no holder of this lock panics");
        // Whoever calls over a link holds a reference to it, and gets one only while nobody holds this lock.
        links.retain(|(_, purpose), link| {
            !purpose.is_of_one_shard() || Arc::strong_count(link) > 1 || !link.is_idle(now, IDLE_MS)
        });
        let name = format!("doorbuster:{}", place.1);
        let made = || Arc::new(Link::new(self.connector.clone(), place.0.clone(), name));
        links.entry(place.clone()).or_insert_with(made).clone()
    }

    async fn locate(&self, key: &str) -> Result<Address, Trouble> {
        if let Some(address) = self.trusted(key) {
            return Ok(address);
        }
        let refreshed = match (self.discover.known(key), self.refreshing.try_lock()) {
            // Somebody else is asking, which may take long: until then what is known is as good as anything.
            (Some(address), Err(_)) => return Ok(address),
            (Some(_) | None, Ok(asked_at)) => self.refresh(asked_at).await,
            (None, Err(_)) => {
                let asked_at = self.refreshing.lock().await;
                match self.trusted(key) {
                    Some(address) => return Ok(address),
                    None => self.refresh(asked_at).await,
                }
            }
        };
        match (self.discover.known(key), refreshed) {
            (Some(address), _) => Ok(address),
            (None, Err(error)) => Err(Trouble::Nothing(error)),
            (None, Ok(())) => Err(Trouble::Nothing(format!("no server has {key}"))),
        }
    }

    /// The master of this key, if it is known and nobody doubts it.
    fn trusted(&self, key: &str) -> Option<Address> {
        self.discover.known(key).filter(|_| !self.doubted.load(Ordering::Relaxed))
    }

    /// One at a time, and not more often than is useful.
    async fn refresh(&self, mut asked_at: MutexGuard<'_, Option<Mono>>) -> Result<(), String> {
        let now = self.connector.env.now().mono;
        if asked_at.is_some_and(|at| now < at.after_ms(REFRESH_MS)) {
            return Ok(());
        }
        // A doubt that comes while somebody is asked is not answered by it.
        self.doubted.store(false, Ordering::Relaxed);
        let mut question = Question { doubted: &self.doubted, has_ended: false };
        let refreshed = self.discover.refresh().await;
        // Whether or not it was answered: the next call that fails doubts anew.
        question.has_ended = true;
        *asked_at = Some(self.connector.env.now().mono);
        refreshed.inspect_err(|error| tracing::warn!(error, "the servers cannot be found"))
    }

    /// A server that does not answer as it should may not be the one to ask any more.
    fn seen<T>(&self, outcome: Result<T, Trouble>) -> Result<T, Trouble> {
        outcome.inspect_err(|_| self.doubt())
    }
}

/// A question that its asker may give up: then the doubt that it took away stands again.
struct Question<'a> {
    doubted: &'a AtomicBool,
    has_ended: bool,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.doubted.store(true, Ordering::Relaxed);
        }
    }
}

/// A link, its connection to the server that a fence names, and what a script there is to compare.
type Bound = (Arc<Link>, Arc<Connection>, ScriptFence);

fn of_servers(config: &RedisConfig) -> Credentials {
    Credentials { username: config.username.clone(), password: config.password.clone() }
}

/// Nodes of a cluster are the servers themselves; Sentinels are others, and what is secret between us and the servers is
/// none of their business.
fn of_guides(config: &RedisConfig) -> Credentials {
    match config.mode {
        Mode::Standalone | Mode::Cluster => of_servers(config),
        Mode::Sentinel => {
            let (username, password) = (config.sentinel_username.clone(), config.sentinel_password.clone());
            Credentials { username, password }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dial::ByteStream;
    use async_trait::async_trait;
    use doorbuster_core::ids::SaleId;
    use doorbuster_runtime::contract::Clock;
    use doorbuster_runtime::contract::clock::SteppedEnv;
    use futures_util::FutureExt;
    use std::io;
    use std::sync::atomic::AtomicUsize;

    /// Nobody is dialled.
    struct Nowhere;

    #[async_trait]
    impl Dial for Nowhere {
        async fn dial(&self, _: &Address) -> io::Result<Box<dyn ByteStream>> {
            Err(io::ErrorKind::ConnectionRefused.into())
        }
    }

    fn names(servers: &Servers) -> Vec<String> {
        let links = servers.links.read().expect("no holder of this lock panics");
        links.keys().map(|(_, purpose)| purpose.to_string()).collect()
    }

    #[tokio::test]
    async fn a_link_of_a_shard_that_nobody_uses_is_closed_when_another_is_made() {
        let env = SteppedEnv::shared(1);
        let servers = Servers::new(RedisConfig::default(), Arc::new(Nowhere), env.clone());
        let shard = |k| ShardId { sale: SaleId::parse("many").expect("a name"), k };
        let link = async |purpose| servers.link("key", purpose).await.expect("one address");
        for purpose in [Purpose::Ledger, Purpose::Lane(shard(0)), Purpose::News(shard(0))] {
            link(purpose).await;
        }
        let held = link(Purpose::News(shard(1))).await;
        env.pass_ms(IDLE_MS - 1).await;
        link(Purpose::News(shard(0))).await;
        env.pass_ms(1).await;
        link(Purpose::News(shard(2))).await;
        assert_eq!(names(&servers), ["ledger", "news:many.0", "news:many.1", "news:many.2"], "one slept, one is held");
        drop(held);
        link(Purpose::News(shard(3))).await;
        assert_eq!(names(&servers), ["ledger", "news:many.0", "news:many.2", "news:many.3"]);
    }

    /// A guide that is asked and never answers.
    #[derive(Default)]
    struct Silent(AtomicUsize);

    #[async_trait]
    impl Discover for Silent {
        fn known(&self, _: &str) -> Option<Address> {
            Address::parse("known:1")
        }

        async fn refresh(&self) -> Result<(), String> {
            self.0.fetch_add(1, Ordering::Relaxed);
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn a_caller_who_gives_up_while_he_asks_leaves_the_doubt_to_the_next() {
        let guide = Arc::new(Silent::default());
        let servers =
            Servers::discovered_by(guide.clone(), RedisConfig::default(), Arc::new(Nowhere), SteppedEnv::shared(1));
        servers.link("key", Purpose::Ledger).await.expect("what is known, while nobody doubts");
        servers.doubt();
        for asked in 1..=2 {
            assert!(servers.link("key", Purpose::Ledger).now_or_never().is_none(), "the guide is silent");
            assert_eq!(guide.0.load(Ordering::Relaxed), asked);
        }
    }

    #[tokio::test]
    async fn sentinels_are_not_told_the_servers_password() {
        let secret = |text: &str| Some(text.to_owned());
        let config = RedisConfig { password: secret("of the servers"), ..RedisConfig::default() };
        assert_eq!(of_guides(&RedisConfig { mode: Mode::Cluster, ..config.clone() }).password, config.password);
        let watched = RedisConfig { mode: Mode::Sentinel, ..config };
        assert_eq!(of_guides(&watched).password, None);
        let own = RedisConfig { sentinel_password: secret("of the Sentinels"), ..watched };
        assert_eq!(of_guides(&own).password, own.sentinel_password);
        assert_eq!(of_servers(&own).password, own.password);
    }
}
