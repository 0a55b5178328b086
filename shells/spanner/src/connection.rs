//! The connections to one database, and the sessions that write.
//!
//! The client has one multiplexed session per `DatabaseClient`. The emulator allows one transaction that writes per
//! session, and answers wrongly when a session has two; real Spanner allows any number. So every transaction that writes
//! has a client of its own while it runs, out of a bounded pool, everywhere: one way is tested and used, and a session
//! costs Spanner next to nothing.

use crate::config::SpannerConfig;
use crate::trouble::Trouble;
use doorbuster_runtime::config::ConfigError;
use doorbuster_runtime::env::{SharedEnv, entropy_wide};
use google_cloud_spanner::channel_pool::StaticChannelPoolConfig;
use google_cloud_spanner::client::{DatabaseAdmin, DatabaseClient, InstanceAdmin, Spanner, SpannerBuilderExt};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The configuration is wrong: every mistake.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Config(Vec<ConfigError>),
    /// No client could be made: no credentials, no such address.
    #[error("no client for Spanner: {0}")]
    Client(String),
    /// The server said no, or nothing.
    #[error("{0}")]
    Trouble(#[from] Trouble),
}

/// One database, for every port over it; cheap to clone.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    config: SpannerConfig,
    env: SharedEnv,
    spanner: Spanner,
    /// For everything that writes nothing: its session takes any number at once.
    reads: DatabaseClient,
    permits: Semaphore,
    /// Clients without a transaction; at most as many as permits.
    idle: Mutex<Vec<DatabaseClient>>,
}

/// A client that nobody else uses.
pub(crate) struct Writer<'a> {
    pub client: DatabaseClient,
    _permit: SemaphorePermit<'a>,
}

/// Makes the root of all clients.
///
/// # Errors
/// When the configuration is wrong, or there is no server.
pub(crate) async fn root(config: &SpannerConfig) -> Result<Spanner, ConnectError> {
    config.validate().map_err(ConnectError::Config)?;
    let builder = Spanner::builder().with_channel_pool(StaticChannelPoolConfig::new(config.channels));
    let builder = match (config.emulator(), &config.endpoint) {
        (Some(emulator), _) => builder.with_endpoint(emulator.grpc),
        (None, Some(endpoint)) => builder.with_endpoint(endpoint),
        (None, None) => builder,
    };
    let building = async { Ok(builder.build().await.map_err(|error| ConnectError::Client(error.to_string()))) };
    within(config.scan_ms, building).await?
}

/// The client that administers databases. It speaks REST, which an emulator does on a port of its own.
pub(crate) async fn database_admin(spanner: &Spanner, config: &SpannerConfig) -> Result<DatabaseAdmin, ConnectError> {
    let builder = spanner.database_admin_builder();
    let builder = config.emulator().into_iter().fold(builder, |builder, emulator| builder.with_endpoint(emulator.rest));
    builder.build().await.map_err(|error| ConnectError::Client(error.to_string()))
}

/// The client that administers instances, in the same way.
pub(crate) async fn instance_admin(spanner: &Spanner, config: &SpannerConfig) -> Result<InstanceAdmin, ConnectError> {
    let builder = spanner.instance_admin_builder();
    let builder = config.emulator().into_iter().fold(builder, |builder, emulator| builder.with_endpoint(emulator.rest));
    builder.build().await.map_err(|error| ConnectError::Client(error.to_string()))
}

impl Connection {
    /// Connects to a database that exists; looks at nothing in it.
    ///
    /// # Errors
    /// When the configuration is wrong, or the database does not answer.
    pub async fn open(config: SpannerConfig, env: SharedEnv) -> Result<Connection, ConnectError> {
        let spanner = root(&config).await?;
        let reads = within(config.scan_ms, client(&spanner, &config)).await?;
        let permits = Semaphore::new(config.transactions_max);
        let shared = Shared { config, env, spanner, reads, permits, idle: Mutex::new(Vec::new()) };
        Ok(Connection { shared: Arc::new(shared) })
    }

    /// The configuration.
    pub fn config(&self) -> &SpannerConfig {
        &self.shared.config
    }

    pub(crate) fn spanner(&self) -> &Spanner {
        &self.shared.spanner
    }

    /// For reads.
    pub(crate) fn reads(&self) -> &DatabaseClient {
        &self.shared.reads
    }

    /// 128 bits that no other attempt has.
    pub(crate) fn draw(&self) -> String {
        format!("{:032x}", entropy_wide(self.shared.env.as_ref()))
    }

    /// A client for one transaction that writes; waits for its turn.
    pub(crate) async fn writer(&self) -> Result<Writer<'_>, Trouble> {
        let shared = &self.shared;
        let permit = shared.permits.acquire().await.expect("nobody closes it");
        let idle = shared.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let client = match idle {
            Some(client) => client,
            None => client(&shared.spanner, &shared.config).await?,
        };
        Ok(Writer { client, _permit: permit })
    }

    /// Gives a client back whose transaction has ended. One whose transaction may go on is dropped instead, with its
    /// session.
    pub(crate) fn put_back(&self, writer: Writer<'_>) {
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).push(writer.client);
    }
}

async fn client(spanner: &Spanner, config: &SpannerConfig) -> Result<DatabaseClient, Trouble> {
    Ok(spanner.database_client(config.database_name()).build().await?)
}

/// Waits so many milliseconds and no longer.
pub(crate) async fn within<T>(millis: u64, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    tokio::time::timeout(Duration::from_millis(millis), work).await.unwrap_or(Err(Trouble::Late(millis)))
}
