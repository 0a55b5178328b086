//! `shrink FILE|SEED`: the smallest plan that breaks the same invariant, as TOML.

use crate::choice::Where;
use crate::run::write;
use doorbuster_sim::plan::{Plan, World};
use doorbuster_sim::runner::Runner;
use doorbuster_sim::worlds::fast::Keep;
use doorbuster_sim::{replay, shrink};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Shrink {
    /// A plan's file, or a seed.
    plan: String,
    #[command(flatten)]
    place: Where,
    /// Where the plan goes; standard output otherwise.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Takes what it has after so many runs.
    #[arg(long, default_value_t = shrink::RUNS_MAX)]
    runs_max: u64,
}

impl Shrink {
    pub fn run(&self) -> Result<ExitCode, String> {
        let (runner, plan) = self.read()?;
        let broken = |plan: &Plan| runner.run(plan, Keep::Hash).violation.map(|found| found.id);
        let Some(id) = broken(&plan) else { return Err("nothing is violated: there is nothing to shrink".to_owned()) };
        let mut runs = 0_u64;
        let mut shrunk = shrink::shrink(&plan, self.runs_max, &mut |smaller| {
            runs += 1;
            if runs.is_multiple_of(100) {
                eprintln!("{runs} runs: {} strikes, {} buyers", smaller.strikes.len(), smaller.setup.buyers.len());
            }
            broken(smaller).as_deref() == Some(&id)
        });
        eprintln!(
            "{id} with {} strikes instead of {} and {} buyers instead of {}, after {} runs{}",
            shrunk.plan.strikes.len(),
            plan.strikes.len(),
            shrunk.plan.setup.buyers.len(),
            plan.setup.buyers.len(),
            shrunk.runs,
            if shrunk.minimal { "" } else { ", cut: it may be smaller still" }
        );
        if shrunk.plan.story.is_empty() {
            shrunk.plan.story = format!("{id} from seed {}", plan.seed);
        }
        let text = replay::write(&shrunk.plan);
        match &self.output {
            Some(file) => write(file, &text)?,
            None => print!("{text}"),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn read(&self) -> Result<(Runner, Plan), String> {
        match self.plan.parse::<u64>() {
            Ok(seed) => {
                let runner = self.place.runner(World::Fast)?;
                Ok((runner, runner.draw(seed)))
            }
            Err(_) => {
                let plan = replay::read(Path::new(&self.plan))?;
                Ok((self.place.runner(plan.world)?, plan))
            }
        }
    }
}
