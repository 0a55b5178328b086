//! `cargo sim ...`: runs, swarms and searches of the simulated worlds, and what shows that they can be trusted.

mod choice;
mod coverage;
mod explore;
mod meta;
mod run;
mod shrink;
mod swarm;
mod zoo;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "sim", about = "The simulator of Doorbuster")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs one seed and prints one line per transition.
    Run(run::Run),
    /// Runs a plan from a file.
    Replay(run::Replay),
    /// Runs many seeds on all cores.
    Swarm(swarm::Swarm),
    /// Makes a failing plan small.
    Shrink(shrink::Shrink),
    /// Shows that a seed is the same run in two processes.
    Meta(meta::Meta),
    /// Prints hashes for `meta`.
    #[command(hide = true)]
    Fingerprint(meta::Fingerprints),
    /// Shows which faults changed an outcome, and at which stage.
    Coverage(coverage::Coverage),
    /// Plants known bugs in a copy of the product; each must be found.
    Zoo(zoo::Zoo),
    /// Searches all interleavings of small worlds of the ledger.
    Explore(explore::Explore),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(run) => run.run(),
        Command::Replay(replay) => replay.run(),
        Command::Swarm(swarm) => swarm.run(),
        Command::Shrink(shrink) => shrink.run(),
        Command::Meta(meta) => meta.run(),
        Command::Fingerprint(fingerprints) => fingerprints.run(),
        Command::Coverage(coverage) => coverage.run(),
        Command::Zoo(zoo) => zoo.run(),
        Command::Explore(explore) => explore.run(),
    };
    // 0: nothing is violated. 1: something is. 2: it could not be tried.
    outcome.unwrap_or_else(|why| {
        eprintln!("{why}");
        ExitCode::from(2)
    })
}
