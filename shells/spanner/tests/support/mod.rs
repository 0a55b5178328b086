//! What the tests against a server share: a database of each test's own, and its clock.
#![allow(dead_code, reason = "each test binary uses its own part of it")]

pub mod proxy;

use async_trait::async_trait;
use doorbuster_core::time::Wall;
use doorbuster_runtime::contract::Clock;
use doorbuster_runtime::env::SystemEnv;
use doorbuster_runtime::ports::store::Store;
use doorbuster_spanner::config::SpannerConfig;
use doorbuster_spanner::connection::Connection;
use doorbuster_spanner::schema;
use doorbuster_spanner::store::SpannerStore;
use std::sync::Arc;
use std::time::Duration;

/// A database of one test.
pub struct Database {
    pub config: SpannerConfig,
    pub connection: Connection,
}

/// An empty database with its schema; `None`, and a line that says so, where no server is named.
pub async fn database(test: &str) -> Option<Database> {
    let config = config(test)?;
    schema::create_database(&config).await.expect("a database can be made");
    let connection = open(&config).await;
    schema::migrate(&connection).await.expect("an empty database can be migrated");
    schema::check(&connection).await.expect("it was just migrated");
    Some(Database { config, connection })
}

/// The configuration of a database that no other test has, now or earlier.
pub fn config(test: &str) -> Option<SpannerConfig> {
    let Some(emulator) = std::env::var("DOORBUSTER_SPANNER").ok().filter(|address| !address.is_empty()) else {
        println!("{test}: skipped, DOORBUSTER_SPANNER names no server (cargo lab up starts one)");
        return None;
    };
    // What a port hides behind `Unknown` is told to whoever reads a failed test.
    let _ = tracing_subscriber::fmt().with_env_filter("doorbuster_spanner=warn").with_test_writer().try_init();
    let database = format!("t{:016x}", SystemEnv::shared().entropy());
    // The emulator does one transaction that writes at a time: more clients would abort each other's.
    let config = SpannerConfig { emulator: Some(emulator), database, transactions_max: 2, ..SpannerConfig::default() };
    config.validate().expect("it names an emulator");
    Some(config)
}

/// A further process's connection.
pub async fn open(config: &SpannerConfig) -> Connection {
    Connection::open(config.clone(), SystemEnv::shared()).await.expect("the server answers")
}

impl Database {
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::new(SpannerStore::new(self.connection.clone()))
    }

    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(DatabaseClock(self.store()))
    }

    pub async fn drop(self) {
        schema::drop_database(&self.config).await.expect("a database can be dropped");
    }
}

/// The database's own clock: nobody can move it, so it is waited for.
pub struct DatabaseClock(Arc<dyn Store>);

#[async_trait]
impl Clock for DatabaseClock {
    async fn now(&self) -> Wall {
        self.0.snapshot().await.expect("a snapshot can be taken").taken_at()
    }

    async fn pass_ms(&self, millis: u64) {
        let until = self.now().await.after_ms(millis);
        while self.now().await < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
