//! `swarm`: many seeds on all cores.

use crate::choice::Where;
use doorbuster_sim::coverage;
use doorbuster_sim::plan::World;
use doorbuster_sim::swarm::{self, Ensemble, FAILURES_MAX};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

#[derive(clap::Args)]
pub struct Swarm {
    #[command(flatten)]
    place: Where,
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Stops at the lowest failing seed.
    #[arg(long)]
    until_violation: bool,
    /// Threads; as many as there are cores.
    #[arg(long)]
    threads: Option<usize>,
}

impl Swarm {
    pub fn run(&self) -> Result<ExitCode, String> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let swarm = swarm::Swarm {
            runner: self.place.runner(World::Fast)?,
            first: self.first,
            seeds: self.seeds,
            failures_max: if self.until_violation { 1 } else { FAILURES_MAX },
            threads: self.threads.unwrap_or(cores),
        };
        let (ensemble, seconds) = timed(&swarm);
        print!("{}", self.tell(&ensemble, seconds));
        Ok(if ensemble.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn tell(&self, ensemble: &Ensemble, seconds: f64) -> String {
        let seconds = seconds.max(1e-6);
        let simulated = ensemble.simulated_us as f64 / 1e6;
        let mut text = coverage::kinds_table(&ensemble.faults, Some(self.place.world()));
        for (name, count) in &ensemble.counts {
            text += &format!("  {name:<32} {count:>12}\n");
        }
        text += &format!(
            "{} seeds in {seconds:.1} s: {:.1} seeds/s, {:.0} simulated s per s, {:.0} events/s\n",
            ensemble.seeds,
            ensemble.seeds as f64 / seconds,
            simulated / seconds,
            ensemble.events as f64 / seconds,
        );
        let options: String = self.place.words().iter().map(|word| format!(" {word}")).collect();
        for (seed, found) in &ensemble.failures {
            text += &format!("{}: {}\n    cargo sim run {seed}{options}\n", found.id, found.what);
        }
        if let Some((seed, found)) = ensemble.failures.first_key_value() {
            // What the zoo reads.
            text += &format!("first violation: {} at seed {seed}\n", found.id);
        }
        text + if ensemble.failures.is_empty() { "nothing is violated\n" } else { "VIOLATED\n" }
    }
}

/// Runs it with its progress on standard error: every second on a terminal, every tenth elsewhere.
#[allow(clippy::disallowed_methods, reason = "reports the swarm's own cost; no run sees it")]
pub fn timed(swarm: &swarm::Swarm) -> (Ensemble, f64) {
    let began = Instant::now();
    let terminal = std::io::stderr().is_terminal();
    let told = Mutex::new((0, 0));
    let progress = |done: u64| {
        let seconds = began.elapsed().as_secs();
        let tenth = done * 10 / swarm.seeds.max(1);
        let mut told = told.lock().expect("no thread dies with it");
        let due = if terminal { seconds > told.0 } else { tenth > told.1 };
        if due {
            *told = (seconds, tenth);
            let end = if terminal { "\r" } else { "\n" };
            eprint!(
                "{done} of {} seeds, {:.0} per second{end}",
                swarm.seeds,
                done as f64 / began.elapsed().as_secs_f64()
            );
            // Only a courtesy: a terminal that is gone is no reason to stop.
            let _flushed = std::io::stderr().flush();
        }
    };
    let ensemble = swarm::run(swarm, &progress);
    (ensemble, began.elapsed().as_secs_f64())
}
