//! One connection to one server for one purpose, made again when it is lost.

use crate::connection::{Connection, Credentials};
use crate::dial::{Address, Dial};
use crate::trouble::Trouble;
use doorbuster_core::call::Call as Attempt;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::Mono;
use doorbuster_lua::value::Value;
use doorbuster_runtime::env::SharedEnv;
use redis::Pipeline;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

/// For so long a look whether a server is still the same one counts: a stale caller asks some times a second, and each
/// look is a connection. A fence names a server that was asked before its row was written, so it is rarely younger.
const LOOK_AGE_MS: u64 = 250;

/// What every link of a process needs.
pub struct Connector {
    /// Opens streams.
    pub dial: Arc<dyn Dial>,
    /// Who we are.
    pub credentials: Credentials,
    /// The longest time to a connection.
    pub connect: Duration,
    /// Clocks and entropy.
    pub env: SharedEnv,
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
    /// When the server was last looked at; one look at a time.
    looked_at: Mutex<Option<Mono>>,
}

struct Turn {
    current: Option<Arc<Connection>>,
    /// The next try to connect, after a failure.
    attempt: Attempt,
    rng: Rng,
}

impl Link {
    pub fn new(connector: Arc<Connector>, address: Address, name: String) -> Link {
        let rng = Rng::seeded(connector.env.entropy());
        let turn = Turn { current: None, attempt: Attempt::QUIET, rng };
        Link { connector, address, name, turn: Mutex::new(turn), looked_at: Mutex::new(None) }
    }

    /// Where it leads.
    pub fn address(&self) -> &Address {
        &self.address
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
    /// meanwhile.
    pub async fn look(&self) -> Result<(), Trouble> {
        let mut looked = self.looked_at.lock().await;
        let before = self.connection().await?;
        let now = self.connector.env.now().mono;
        if looked.is_some_and(|at| now < at.after_ms(LOOK_AGE_MS)) {
            return Ok(());
        }
        *looked = Some(now);
        let fresh = self.within(self.open()).await?;
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
        if let Some(connection) = turn.current.as_ref().filter(|connection| connection.is_usable()) {
            return Ok(connection.clone());
        }
        let now = self.connector.env.now().mono;
        if let Some(lost) = turn.current.take() {
            if lost.has_answered() {
                turn.attempt.rest();
            }
            turn.attempt.retry(now, &mut turn.rng);
        }
        if let Some(at) = turn.attempt.wake_at() {
            let pause = Duration::from_micros(at.0.saturating_sub(now.0));
            if pause >= self.connector.connect {
                return Err(format!("{} is tried again in {pause:?}", self.address));
            }
            tokio::time::sleep(pause).await;
        }
        // Should this be dropped because its time is over, the pause before the next try stands already.
        turn.attempt.retry(self.connector.env.now().mono, &mut turn.rng);
        let connection = Arc::new(self.open().await?);
        turn.current = Some(connection.clone());
        Ok(connection)
    }

    async fn open(&self) -> Result<Connection, String> {
        // One line per try, and tries have pauses; a server that swallows everything shows as tries without an end.
        tracing::info!(server = %self.address, name = self.name, "connecting");
        let opening = async {
            let stream = self.connector.dial.dial(&self.address).await;
            let stream = stream.map_err(|error| format!("{} cannot be reached: {error}", self.address))?;
            let opened = Connection::open(stream, self.address.clone(), &self.connector.credentials, &self.name).await;
            opened.map_err(|error| format!("{} cannot be used: {error}", self.address))
        };
        opening.await.inspect_err(|error| tracing::warn!(name = self.name, error, "no connection"))
    }

    async fn within<T>(&self, making: impl Future<Output = Result<T, String>>) -> Result<T, Trouble> {
        let made = timeout(self.connector.connect, making).await;
        let made = made.unwrap_or_else(|_| Err(format!("{} gave no connection in time", self.address)));
        made.map_err(Trouble::Nothing)
    }
}

fn give_up(connection: &Connection, why: String) -> Trouble {
    connection.hang_up();
    tracing::warn!(server = %connection.address(), why, "a call was not answered");
    Trouble::Unknown(why)
}
