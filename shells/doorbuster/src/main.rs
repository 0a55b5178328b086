//! The one binary: the whole platform in one process, or, in production, its roles together or apart.

mod demo;
mod depths;
mod platform;
mod provider;
#[cfg(feature = "production")]
mod serve;
mod token;
mod up;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(name = "doorbuster", version, about = "A flash-sale platform that cannot oversell, and proves it.")]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Starts the whole platform in this process, durable in one directory, with a demo sale (the default).
    Up(up::UpArguments),
    /// Runs roles of production over Redis, Kafka, Spanner and Elasticsearch.
    #[cfg(feature = "production")]
    Serve(serve::ServeArguments),
    /// Brings the database's schema, the topics and the search index to what this release needs.
    #[cfg(feature = "production")]
    Migrate(serve::migrate::MigrateArguments),
    /// Prints a token signed by a data directory's development key.
    Token(token::TokenArguments),
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let verb = Arguments::parse().verb.unwrap_or_else(|| Verb::Up(up::UpArguments::default()));
    let ended = match verb {
        Verb::Up(arguments) => up::run(arguments),
        #[cfg(feature = "production")]
        Verb::Serve(arguments) => serve::run(&arguments),
        #[cfg(feature = "production")]
        Verb::Migrate(arguments) => serve::migrate::run(&arguments),
        Verb::Token(arguments) => token::run(&arguments),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("doorbuster: {error}");
            ExitCode::FAILURE
        }
    }
}
