//! `load`: generates load on a platform of this machine, and asks afterwards whether it kept its promises.
//!
//! Exit codes: 0 the verdict is green; 1 it is red; 2 the run could not be made; 3 something could not be checked.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a load generator measures real time and paces itself by it; nothing of it runs inside a simulated world"
)]

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use doorbuster_load::bare::{self, Bare};
use doorbuster_load::burst::{self, Burst};
use doorbuster_load::compare::{self, Compare, Comparison};
use doorbuster_load::error::LoadError;
use doorbuster_load::mixed::{self, Mixed};
use doorbuster_load::report::Report;
use doorbuster_load::verdict::Colour;

#[derive(Parser)]
#[command(name = "load", version, about = "Open-loop load on a flash sale of this machine, judged afterwards")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One sale, many buyers at a constant rate; then payment, expiry, probe buyers and the verdict.
    Burst(Burst),
    /// Several sales, baskets, cancellations, double clicks, reused keys, and an operator.
    Mixed(Mixed),
    /// Throughput of the platform as a ratio to a bare hyper answer.
    Compare(Compare),
    /// The bare hyper answer.
    Bare(Bare),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    // The bare server gets what a server by itself would have: a thread for each core.
    let workers = match &command {
        Command::Burst(burst) => usize::from(burst.settings.workers),
        Command::Mixed(mixed) => usize::from(mixed.settings.workers),
        Command::Compare(compare) => usize::from(compare.settings.workers),
        Command::Bare(_) => std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(run(command));
            // A thread that reads standard input cannot be woken; nothing waits for it.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(LoadError::Generator(error.to_string())),
    };
    result.unwrap_or_else(|error| {
        eprintln!("load: {error}");
        ExitCode::from(2)
    })
}

async fn run(command: Command) -> Result<ExitCode, LoadError> {
    match command {
        Command::Burst(burst) => finish(&burst::run(&burst).await?, burst.settings.output.as_deref()),
        Command::Mixed(mixed) => finish(&mixed::run(&mixed).await?, mixed.settings.output.as_deref()),
        Command::Compare(compare) => {
            finish_comparison(&compare::run(&compare).await?, compare.settings.output.as_deref())
        }
        Command::Bare(bare) => bare::run(&bare).await.map(|()| ExitCode::SUCCESS),
    }
}

fn finish(report: &Report, output: Option<&Path>) -> Result<ExitCode, LoadError> {
    println!("{}", report.text());
    if let Some(directory) = output {
        report.write(directory)?;
        println!("report: {}", directory.join("report.html").display());
    }
    Ok(match report.colour {
        Colour::Green => ExitCode::SUCCESS,
        Colour::Red => ExitCode::from(1),
        Colour::NotChecked => ExitCode::from(3),
    })
}

fn finish_comparison(comparison: &Comparison, output: Option<&Path>) -> Result<ExitCode, LoadError> {
    for (target, per_second) in &comparison.per_second {
        let [median, least, greatest] = comparison.ratios[target];
        println!("{target:?}: {per_second:.0}/s, ratio to bare {median:.2} ({least:.2} to {greatest:.2})");
    }
    for doubt in &comparison.doubts {
        println!("doubtful: {doubt}");
    }
    if let Some(directory) = output {
        let path = directory.join("report.json");
        let json = serde_json::to_vec_pretty(comparison).expect("a comparison is plain data");
        std::fs::create_dir_all(directory)
            .and_then(|()| std::fs::write(&path, json))
            .map_err(|source| LoadError::Output { path: path.clone(), source })?;
        println!("report: {}", path.display());
    }
    Ok(if comparison.doubts.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}
