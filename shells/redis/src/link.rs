//! One connection to one server for one purpose, made again when it is lost.

use crate::connection::{Connection, Credentials};
use crate::dial::{Address, Dial};
use crate::trouble::Trouble;
use doorbuster_core::call::Call as Attempt;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::Mono;
use doorbuster_lua::value::Value;
use doorbuster_runtime::drive::spawn_on;
use doorbuster_runtime::env::SharedEnv;
use redis::Pipeline;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// From one look whether a server is still the same one to the next: a stale caller asks some times a second, and each
/// look is a connection. Whoever comes in between waits and shares the next one.
const LOOK_PAUSE_MS: u64 = 250;

/// What every link of a process needs.
pub struct Connector {
    /// Opens streams.
    pub dial: Arc<dyn Dial>,
    /// Who we are.
    pub credentials: Credentials,
    /// The longest time to a connection, and the longest that a caller waits for one.
    pub connect: Duration,
    /// Clocks and entropy.
    pub env: SharedEnv,
    /// Where connections are opened and driven: they serve every caller, and a caller's own runtime may stand still or
    /// end before they do.
    pub runtime: Handle,
}

/// See the module.
pub struct Link {
    connector: Arc<Connector>,
    address: Address,
    /// As the server's list of clients shows it.
    name: String,
    /// Whoever has it hands a call over or makes the connection; the others wait in the order in which they came, so
    /// that calls leave in the order in which they were started.
    turn: Mutex<Turn>,
    /// The last look; one at a time.
    last_look: Mutex<Look>,
    /// Microseconds of the monotonic clock: when somebody last asked for this link.
    used_at: AtomicU64,
}

/// When a look whether a server is still the same one began, and whether the server answered.
#[derive(Clone, Copy, Default)]
struct Look {
    begun_at: Option<Mono>,
    is_answered: bool,
}

/// A connection on its way.
type Opening = JoinHandle<Result<Connection, String>>;

struct Turn {
    current: Option<Arc<Connection>>,
    /// It outlives the patience of whoever began it: else callers who wait out most of the pause before a try would leave
    /// it no time, one after the other.
    opening: Option<Opening>,
    /// The next try to connect, after a failure.
    attempt: Attempt,
    rng: Rng,
}

impl Connector {
    async fn open(&self, address: &Address, name: &str) -> Result<Connection, String> {
        // One line per try, and tries have pauses; a server that swallows everything shows as tries without an end.
        tracing::info!(server = %address, name, "connecting");
        let stream = self.dial.dial(address).await.map_err(|error| format!("{address} cannot be reached: {error}"))?;
        let opened = Connection::open(stream, address.clone(), &self.credentials, name).await;
        opened.map_err(|error| format!("{address} cannot be used: {error}"))
    }
}

impl Link {
    pub fn new(connector: Arc<Connector>, address: Address, name: String) -> Link {
        let rng = Rng::seeded(connector.env.entropy());
        let turn = Mutex::new(Turn { current: None, opening: None, attempt: Attempt::QUIET, rng });
        let used_at = AtomicU64::new(connector.env.now().mono.0);
        Link { connector, address, name, turn, last_look: Mutex::default(), used_at }
    }

    /// Where it leads.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Notes that somebody asks for it.
    pub fn touch(&self) {
        self.used_at.store(self.connector.env.now().mono.0, Ordering::Relaxed);
    }

    /// Whether nobody has asked for it for so long, and nothing is on its way. Callers are not seen here: each holds a
    /// reference while it calls.
    pub fn is_idle(&self, now: Mono, idle_ms: u64) -> bool {
        let is_opening = |turn: &Turn| turn.opening.as_ref().is_some_and(|opening| !opening.is_finished());
        let is_quiet = self.turn.try_lock().is_ok_and(|turn| !is_opening(&turn));
        is_quiet && now >= Mono(self.used_at.load(Ordering::Relaxed)).after_ms(idle_ms)
    }

    /// The connection, made if there is none.
    pub async fn connection(&self) -> Result<Arc<Connection>, Trouble> {
        Ok(self.ready().await?.1)
    }

    /// Sends commands on `wanted`, or on whatever connection there is. `Unknown` when they are not answered in time.
    pub async fn send(
        &self,
        commands: &Pipeline,
        wanted: Option<&Arc<Connection>>,
        answer: Duration,
    ) -> Result<(Vec<Value>, Arc<Connection>), Trouble> {
        let (turn, connection) = self.ready().await?;
        if wanted.is_some_and(|wanted| !Arc::ptr_eq(wanted, &connection)) {
            return Err(Trouble::Nothing("the connection was lost before the call was sent".to_owned()));
        }
        let own = connection.clone();
        let mut sending = pin!(own.send(commands));
        // One poll hands the call over: the next one's turn comes behind it.
        let begun = poll_fn(|context| Poll::Ready(sending.as_mut().poll(context))).await;
        drop(turn);
        let replies = match begun {
            Poll::Ready(replies) => Ok(replies),
            Poll::Pending => timeout(answer, sending).await,
        };
        match replies {
            Ok(Ok(replies)) => Ok((replies, connection)),
            // The stream ended behind the call: it may have arrived.
            Ok(Err(error)) => Err(give_up(&connection, error)),
            // A slow server and a dead one look the same; what is still answered on it nobody waits for.
            Err(_) => Err(give_up(&connection, format!("no answer within {answer:?}"))),
        }
    }

    /// Looks whether the server's name leads to the server that it led to; if not, calls go to the new one. Calls go on
    /// meanwhile. Whoever is told that it was looked at can rely on an answer that was asked for since it called.
    pub async fn look(&self) -> Result<(), Trouble> {
        let wished_at = self.connector.env.now().mono;
        let mut last = self.last_look.lock().await;
        if last.begun_at.is_some_and(|at| at >= wished_at) {
            let failed = || Trouble::Nothing(format!("{} could not be asked who it is", self.address));
            return last.is_answered.then_some(()).ok_or_else(failed);
        }
        let now = self.connector.env.now().mono;
        let next = last.begun_at.map_or(now, |at| at.after_ms(LOOK_PAUSE_MS));
        tokio::time::sleep(Duration::from_micros(next.0.saturating_sub(now.0))).await;
        *last = Look { begun_at: Some(self.connector.env.now().mono), is_answered: false };
        let before = self.connection().await?;
        let fresh = self.within(opened(self.open(Duration::ZERO))).await?;
        // Only a server that answered was looked at.
        last.is_answered = true;
        if fresh.identity() != before.identity() {
            self.turn.lock().await.current = Some(Arc::new(fresh));
        }
        Ok(())
    }

    /// The turn, with a connection that calls may use.
    async fn ready(&self) -> Result<(MutexGuard<'_, Turn>, Arc<Connection>), Trouble> {
        self.within(async {
            let mut turn = self.turn.lock().await;
            let connection = self.connect(&mut turn).await?;
            Ok((turn, connection))
        })
        .await
    }

    async fn connect(&self, turn: &mut Turn) -> Result<Arc<Connection>, String> {
        loop {
            if let Some(connection) = turn.current.as_ref().filter(|connection| connection.is_usable()) {
                return Ok(connection.clone());
            }
            if turn.opening.is_none() {
                turn.opening = Some(self.begin(turn)?);
            }
            // Should this be dropped because its time is over, the opening stays for the next caller.
            let ended = opened(turn.opening.as_mut().expect("it was just begun")).await;
            turn.opening = None;
            // One that nobody fetched for long may be lost again: then it is opened once more, after a pause.
            turn.current = Some(Arc::new(ended?));
        }
    }

    /// Begins a try, unless its time is too far away for whoever waits.
    fn begin(&self, turn: &mut Turn) -> Result<Opening, String> {
        let now = self.connector.env.now().mono;
        if let Some(lost) = turn.current.take() {
            if lost.has_answered() {
                turn.attempt.rest();
            }
            turn.attempt.retry(now, &mut turn.rng);
        }
        let at = turn.attempt.wake_at().map_or(now, |at| at.max(now));
        let pause = Duration::from_micros(at.0 - now.0);
        if pause >= self.connector.connect {
            return Err(format!("{} is tried again in {pause:?}", self.address));
        }
        turn.attempt.retry(at, &mut turn.rng);
        Ok(self.open(pause))
    }

    /// Opens a connection after a pause, on the connector's runtime; it ends by itself, whoever still waits for it.
    fn open(&self, pause: Duration) -> Opening {
        let (connector, address, name) = (self.connector.clone(), self.address.clone(), self.name.clone());
        let opening = async move {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            let opened = timeout(connector.connect, connector.open(&address, &name)).await;
            let opened = opened.unwrap_or_else(|_| Err(format!("{address} gave no connection in time")));
            opened.inspect_err(|error| tracing::warn!(name, error, "no connection"))
        };
        spawn_on(&self.connector.runtime, opening)
    }

    async fn within<T>(&self, making: impl Future<Output = Result<T, String>>) -> Result<T, Trouble> {
        let made = timeout(self.connector.connect, making).await;
        let made = made.unwrap_or_else(|_| Err(format!("{} gave no connection in time", self.address)));
        made.map_err(Trouble::Nothing)
    }
}

/// What an opening came to; one that was cut off with its runtime opened nothing.
async fn opened(opening: impl Future<Output = <Opening as Future>::Output>) -> Result<Connection, String> {
    opening.await.unwrap_or_else(|error| Err(format!("the opening ended early: {error}")))
}

fn give_up(connection: &Connection, why: String) -> Trouble {
    connection.hang_up();
    tracing::warn!(server = %connection.address(), why, "a call was not answered");
    Trouble::Unknown(why)
}
