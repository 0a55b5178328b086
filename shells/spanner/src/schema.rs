//! The schema: numbered steps of DDL, each applied once, and never by an older program over a newer one.
//!
//! DDL is not transactional. A step whose program died half-way is applied again: each statement is one that may be
//! repeated, or is left out where its object exists. Two programs that migrate at once do each other's work.

use crate::config::SpannerConfig;
use crate::connection::{ConnectError, Connection, database_admin, instance_admin, root, within};
use crate::rows::{Partitions, StoredPartition};
use crate::trouble::Trouble;
use crate::value::{micros_of, number};
use doorbuster_core::relay::partitions::{CommitTime, PartitionRow, PartitionState, StreamToken};
use google_cloud_lro::Poller;
use google_cloud_spanner::Error;
use google_cloud_spanner::client::{DatabaseAdmin, Spanner};
use google_cloud_spanner::mutation::Mutation;
use google_cloud_spanner::statement::Statement;
use google_cloud_spanner::transaction::Timestamp;
use google_cloud_spanner_admin_instance_v1::model::Instance;
use std::collections::BTreeSet;

/// The steps, in their order. A step that was released is never changed: what is to be different is a further step.
const STEPS: [&str; 2] = [include_str!("../schema/0001_ledger.sql"), include_str!("../schema/0002_outbox.sql")];

/// The version that this program knows: the number of its steps.
pub const VERSION: u64 = STEPS.len() as u64;

/// The row that stands for the question for the stream's first partitions.
pub(crate) const ROOT: StreamToken = StreamToken(0);

/// The step that made the stream: with it begins the relay.
const STREAM_STEP: u64 = 2;

const VERSION_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_version (
  version INT64 NOT NULL,
  applied_at TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true)
) PRIMARY KEY (version)";

/// Why the schema is not this program's.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A newer program was here: this one must not touch what it does not know.
    #[error(
        "the database has schema version {found}, and this program knows versions up to {known}: run the program that \
         migrated it, or a newer one"
    )]
    Newer {
        /// The database's.
        found: u64,
        /// This program's.
        known: u64,
    },
    /// It was not migrated yet.
    #[error("the database has schema version {found}, and this program needs {needed}: migrate it first")]
    Older {
        /// The database's.
        found: u64,
        /// This program's.
        needed: u64,
    },
    /// There is no connection.
    #[error("{0}")]
    Connect(#[from] ConnectError),
    /// The server said no, or nothing.
    #[error("{0}")]
    Trouble(#[from] Trouble),
}

impl From<Error> for SchemaError {
    fn from(error: Error) -> SchemaError {
        SchemaError::Trouble(Trouble::Client(error))
    }
}

/// Makes the database where there is none, and in an emulator, which begins empty, its instance too. A real instance is
/// made by whoever pays for it.
///
/// # Errors
/// When the server refuses or does not answer.
pub async fn create_database(config: &SpannerConfig) -> Result<(), SchemaError> {
    let spanner = root(config).await?;
    if config.emulator.is_some() {
        create_instance(&spanner, config).await?;
    }
    let databases = database_admin(&spanner, config).await?;
    let statement = format!("CREATE DATABASE `{}`", config.database);
    let create = databases.create_database().set_parent(config.instance_name()).set_create_statement(statement);
    within(config.schema_ms, async { unless_there(create.poller().until_done().await) }).await?;
    Ok(())
}

async fn create_instance(spanner: &Spanner, config: &SpannerConfig) -> Result<(), SchemaError> {
    let instances = instance_admin(spanner, config).await?;
    let parent = format!("projects/{}", config.project);
    let instance = Instance::new()
        .set_config(format!("{parent}/instanceConfigs/emulator-config"))
        .set_display_name(config.instance.clone())
        .set_node_count(1);
    let create = instances.create_instance().set_parent(parent).set_instance_id(config.instance.clone());
    let create = create.set_instance(instance);
    within(config.schema_ms, async { unless_there(create.poller().until_done().await) }).await?;
    Ok(())
}

/// Takes the whole database away: for tests that made it.
///
/// # Errors
/// When the server refuses or does not answer.
pub async fn drop_database(config: &SpannerConfig) -> Result<(), SchemaError> {
    let spanner = root(config).await?;
    let databases = database_admin(&spanner, config).await?;
    let drop = databases.drop_database().set_database(config.database_name());
    within(config.schema_ms, async { Ok(drop.send().await?) }).await?;
    Ok(())
}

/// Brings the schema to this program's version; harmless where it is there.
///
/// # Errors
/// [`SchemaError::Newer`] when the database was migrated by a newer program; nothing is changed then.
pub async fn migrate(connection: &Connection) -> Result<(), SchemaError> {
    let admin = database_admin(connection.spanner(), connection.config()).await?;
    apply(connection, &admin, vec![VERSION_TABLE.to_owned()]).await?;
    let found = version(connection).await?;
    if found > VERSION {
        return Err(SchemaError::Newer { found, known: VERSION });
    }
    for (number, step) in (1..).zip(STEPS).skip(found as usize) {
        let there = change_streams(connection).await?;
        let missing = statements(step).into_iter().filter(|statement| match stream_of(statement) {
            Some(stream) => !there.contains(stream),
            None => true,
        });
        apply(connection, &admin, missing.collect()).await?;
        finish(connection, number).await?;
    }
    Ok(())
}

/// Looks whether the schema is this program's.
///
/// # Errors
/// [`SchemaError::Newer`] and [`SchemaError::Older`] when it is not.
pub async fn check(connection: &Connection) -> Result<(), SchemaError> {
    let found = match tables(connection).await?.contains("schema_version") {
        true => version(connection).await?,
        false => 0,
    };
    match found {
        VERSION => Ok(()),
        found if found > VERSION => Err(SchemaError::Newer { found, known: VERSION }),
        found => Err(SchemaError::Older { found, needed: VERSION }),
    }
}

/// The statements of a step: what stands between semicolons, without comments.
fn statements(step: &str) -> Vec<String> {
    let lines = step.lines().filter(|line| !line.trim_start().starts_with("--"));
    let text = lines.collect::<Vec<_>>().join("\n");
    text.split(';').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

/// Of all objects, change streams alone cannot be made only where they are missing.
fn stream_of(statement: &str) -> Option<&str> {
    statement.strip_prefix("CREATE CHANGE STREAM ")?.split_whitespace().next()
}

async fn apply(connection: &Connection, admin: &DatabaseAdmin, statements: Vec<String>) -> Result<(), Trouble> {
    if statements.is_empty() {
        return Ok(());
    }
    let config = connection.config();
    let update = admin.update_database_ddl().set_database(config.database_name()).set_statements(statements);
    within(config.schema_ms, async { Ok(update.poller().until_done().await.map(|_| ())?) }).await
}

/// Writes that a step is done, and with the one that made the stream how the relay begins: with everything since before its
/// first record.
async fn finish(connection: &Connection, step: u64) -> Result<(), Trouble> {
    let at = clock(connection).await?;
    connection
        .transact("migrate", move |transaction| {
            Box::pin(async move {
                let reader = crate::read::Reader::Writing(&transaction);
                let known = reader.query(Statement::builder("SELECT MAX(version) FROM schema_version").build());
                let row = known.await?.next().await.transpose()?;
                let known = row.map(|row| row.get::<Option<i64>>(0)).transpose()?.flatten().unwrap_or(0);
                if known.cast_unsigned() >= step {
                    return Ok(());
                }
                let done = Mutation::new_insert_builder("schema_version").set("version").to(number(step));
                let done = done.set("applied_at").to("spanner.commit_timestamp()").build();
                transaction.buffer([done].into_iter().chain((step == STREAM_STEP).then(|| root_row(at))))?;
                Ok(())
            })
        })
        .await
}

fn root_row(at: CommitTime) -> Mutation {
    let row = PartitionRow {
        token: ROOT,
        parents: BTreeSet::new(),
        start: at,
        watermark: at,
        state: PartitionState::Created,
        lease: None,
    };
    let stored = StoredPartition { row, token: None };
    crate::rows::put::<Partitions>(&ROOT, &stored, crate::rows::Before::Absent).mutation
}

/// A time of the database behind every step of its schema, and before every row.
async fn clock(connection: &Connection) -> Result<CommitTime, Trouble> {
    within(connection.config().scan_ms, async {
        let statement = Statement::builder("SELECT CURRENT_TIMESTAMP()").build();
        let mut found = connection.reads().single_use().build().execute_query(statement).await?;
        let row = found.next().await.transpose()?;
        let row = row.ok_or_else(|| Trouble::Broken("the database does not tell its time".to_owned()))?;
        Ok(CommitTime(micros_of(row.get::<Timestamp>(0)?)))
    })
    .await
}

async fn version(connection: &Connection) -> Result<u64, Trouble> {
    within(connection.config().scan_ms, async {
        let statement = Statement::builder("SELECT MAX(version) FROM schema_version").build();
        let mut found = connection.reads().single_use().build().execute_query(statement).await?;
        let row = found.next().await.transpose()?;
        let version = row.map(|row| row.get::<Option<i64>>(0)).transpose()?.flatten();
        Ok(version.unwrap_or(0).cast_unsigned())
    })
    .await
}

async fn tables(connection: &Connection) -> Result<BTreeSet<String>, Trouble> {
    names(connection, "SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = ''").await
}

async fn change_streams(connection: &Connection) -> Result<BTreeSet<String>, Trouble> {
    names(connection, "SELECT CHANGE_STREAM_NAME FROM INFORMATION_SCHEMA.CHANGE_STREAMS").await
}

async fn names(connection: &Connection, sql: &str) -> Result<BTreeSet<String>, Trouble> {
    within(connection.config().scan_ms, async {
        let statement = Statement::builder(sql).build();
        let mut found = connection.reads().single_use().build().execute_query(statement).await?;
        let mut names = BTreeSet::new();
        while let Some(row) = found.next().await {
            names.insert(row?.get::<String>(0)?);
        }
        Ok(names)
    })
    .await
}

fn unless_there<T>(result: Result<T, Error>) -> Result<(), Trouble> {
    match result {
        Ok(_) => Ok(()),
        Err(error) if error.status().is_some_and(|status| status.code.name() == "ALREADY_EXISTS") => Ok(()),
        Err(error) if error.to_string().contains("lready exists") => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_split_into_its_statements() {
        let all: Vec<String> = STEPS.iter().flat_map(|step| statements(step)).collect();
        assert!(all.iter().all(|statement| statement.starts_with("CREATE ")), "{all:?}");
        assert!(all.iter().all(|statement| !statement.contains("--")));
        let repeatable = |statement: &String| statement.contains(" IF NOT EXISTS ") || stream_of(statement).is_some();
        assert!(all.iter().all(repeatable), "a step may be applied again");
        assert_eq!(all.iter().filter_map(|statement| stream_of(statement)).collect::<Vec<_>>(), ["outbox_stream"]);
    }

    #[test]
    fn no_key_begins_with_a_time() {
        for statement in STEPS.iter().flat_map(|step| statements(step)) {
            let Some((_, key)) = statement.split_once("PRIMARY KEY (") else { continue };
            let first = key.split([',', ')']).next().expect("a key has a column");
            assert!(!statement.contains(&format!("  {first} TIMESTAMP")), "{first} leads a key");
        }
    }
}
