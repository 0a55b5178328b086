//! One connection: opened, checked, and asked.

use crate::dial::{Address, ByteStream};
use crate::value::understand;
use doorbuster_lua::identity::Identity;
use doorbuster_lua::value::Value;
use doorbuster_runtime::drive::spawn;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, ProtocolVersion, PushInfo, RedisConnectionInfo};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinHandle;

/// Calls that wait to be written: two flights of every lane of a large process fit.
const WAITING_MAX: usize = 4_096;

/// Who we are to a server.
#[derive(Clone, Default)]
pub struct Credentials {
    pub username: Option<String>,
    pub password: Option<String>,
}

/// Takes what a server pushes.
pub type TakePush = Box<dyn Fn(PushInfo) + Send + Sync>;

/// A stream that speaks the protocol, before anybody has asked who is at its other end.
pub struct RawConnection {
    client: MultiplexedConnection,
    driver: JoinHandle<()>,
}

/// A connection to a master whose settings were looked at.
pub struct Connection {
    raw: RawConnection,
    address: Address,
    identity: Identity,
    doomed: AtomicBool,
    answered: AtomicBool,
}

impl RawConnection {
    /// Greets the server. What it pushes goes to `push`, which needs the third version of the protocol.
    pub async fn open(
        stream: Box<dyn ByteStream>,
        credentials: &Credentials,
        push: Option<TakePush>,
    ) -> Result<RawConnection, String> {
        let mut info = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(username) = &credentials.username {
            info = info.set_username(username);
        }
        if let Some(password) = &credentials.password {
            info = info.set_password(password);
        }
        // Every caller brings its own time, because a call that waits in the server takes longer than others.
        let mut config = AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(WAITING_MAX);
        if let Some(push) = push {
            info = info.set_protocol(ProtocolVersion::RESP3);
            config = config.set_push_sender(move |pushed| {
                push(pushed);
                Ok::<(), redis::aio::SendError>(())
            });
        }
        let opened = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (client, driver) = opened.map_err(|error| error.to_string())?;
        Ok(RawConnection { client, driver: spawn(driver) })
    }

    /// Sends commands, one after the other and nothing in between; one reply each. They are on their way, behind those
    /// of earlier calls, when this was polled once.
    pub async fn send(&self, commands: &Pipeline) -> Result<Vec<Value>, String> {
        let mut client = self.client.clone();
        let replies = client.send_packed_commands(commands, 0, commands.len()).await;
        let replies: Vec<Value> = replies.map_err(|error| error.to_string())?.into_iter().map(understand).collect();
        if replies.len() == commands.len() { Ok(replies) } else { Err("a reply is missing".to_owned()) }
    }

    /// Asks for the messages of a channel; they are pushed.
    pub async fn subscribe(&self, channel: &str) -> Result<(), String> {
        self.client.clone().subscribe(channel).await.map_err(|error| error.to_string())
    }

    /// Whether nobody has noticed an end yet.
    pub fn is_alive(&self) -> bool {
        !self.driver.is_finished()
    }
}

impl Drop for RawConnection {
    fn drop(&mut self) {
        // Else the stream would stay open until the last call is answered, which may be never.
        self.driver.abort();
    }
}

impl Connection {
    /// Greets the server, learns who it is, and refuses one that is no master or may forget what it was told.
    pub async fn open(
        stream: Box<dyn ByteStream>,
        address: Address,
        credentials: &Credentials,
        name: &str,
    ) -> Result<Connection, String> {
        let raw = RawConnection::open(stream, credentials, None).await?;
        let mut questions = Pipeline::new();
        questions.cmd("CLIENT").arg("SETNAME").arg(name);
        ask_identity(&mut questions);
        questions.cmd("CONFIG").arg("GET").arg("maxmemory-policy");
        let replies = raw.send(&questions).await?;
        let [named, server, replication, policy] = &replies[..] else { unreachable!("one reply per question") };
        named.bytes().map_err(|error| error.to_string())?;
        let identity = read_identity(server, replication)?;
        check_policy(policy)?;
        Ok(Connection { raw, address, identity, doomed: AtomicBool::new(false), answered: AtomicBool::new(false) })
    }

    /// Sends commands as [`RawConnection::send`] does.
    pub async fn send(&self, commands: &Pipeline) -> Result<Vec<Value>, String> {
        let replies = self.raw.send(commands).await;
        if replies.as_ref().is_ok_and(|replies| replies.iter().any(|reply| !matches!(reply, Value::Error(_)))) {
            self.answered.store(true, Ordering::Relaxed);
        }
        replies
    }

    /// Who was at the other end when it was opened.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where it leads.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Nobody is to begin anything on it; what is under way may still be answered.
    pub fn hang_up(&self) {
        self.doomed.store(true, Ordering::Relaxed);
    }

    /// Whether new calls may use it.
    pub fn is_usable(&self) -> bool {
        !self.doomed.load(Ordering::Relaxed) && self.raw.is_alive()
    }

    /// Whether anything but errors was ever answered on it beyond the greeting.
    pub fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }
}

/// Adds the two questions that [`read_identity`] reads.
pub fn ask_identity(questions: &mut Pipeline) {
    questions.cmd("INFO").arg("server");
    questions.cmd("INFO").arg("replication");
}

/// Who answered; an error when it is no master.
pub fn read_identity(server: &Value, replication: &Value) -> Result<Identity, String> {
    let mut info = server.text().map_err(|error| error.to_string())?.to_owned();
    let replication = replication.text().map_err(|error| error.to_string())?;
    if !replication.lines().any(|line| line.trim_end() == "role:master") {
        return Err("the server is not a master".to_owned());
    }
    info.push('\n');
    info.push_str(replication);
    Identity::parse(&info).ok_or_else(|| "INFO does not name the server".to_owned())
}

/// A server that evicts would lose units without a trace.
fn check_policy(policy: &Value) -> Result<(), String> {
    let pairs = policy.array().map_err(|error| format!("CONFIG GET maxmemory-policy: {error}"))?;
    match pairs.get(1).and_then(|value| value.text().ok()) {
        Some("noeviction") => Ok(()),
        found => Err(format!(
            "maxmemory-policy is {}, but must be noeviction: an evicted key is a lost sale",
            found.unwrap_or("not told")
        )),
    }
}
