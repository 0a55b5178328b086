//! `doorbuster migrate`: brings the database's schema, the topics and the index to what this release needs.

use super::config::{Config, told};
use clap::Args;
use doorbuster_elasticsearch::cluster::Cluster;
use doorbuster_elasticsearch::template;
use doorbuster_kafka::topics;
use doorbuster_runtime::env::SystemEnv;
use doorbuster_spanner::connection::Connection;
use doorbuster_spanner::schema;
use std::error::Error;
use std::path::PathBuf;

/// By which configuration.
#[derive(Args)]
pub struct MigrateArguments {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Make the database itself where there is none, as an emulator's: in production whoever pays for it does.
    #[arg(long)]
    create_database: bool,
    /// Take the secrets of development where none are given.
    #[arg(long)]
    dev: bool,
}

/// Repeating it is harmless; a newer release's work is left alone, with an error.
pub fn run(arguments: &MigrateArguments) -> Result<(), Box<dyn Error>> {
    let config = Config::read(&arguments.config, arguments.dev).map_err(|errors| errors.join("\n"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(migrate(config, arguments.create_database))
}

async fn migrate(config: Config, create_database: bool) -> Result<(), Box<dyn Error>> {
    if create_database {
        schema::create_database(&config.spanner).await?;
    }
    let database = Connection::open(config.spanner, SystemEnv::shared()).await?;
    schema::migrate(&database).await?;
    println!("database  schema version {}", schema::VERSION);
    topics::ensure(&config.kafka).await?;
    println!("topics    {} partitions each", config.kafka.partitions);
    let cluster = Cluster::new(config.elasticsearch).map_err(told)?;
    template::install(&cluster).await?;
    println!("index     {}", cluster.names().reads());
    Ok(())
}
