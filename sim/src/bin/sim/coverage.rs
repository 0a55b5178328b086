//! `coverage`: what an ensemble's faults did, and at which stage.

use crate::choice::Where;
use crate::swarm::timed;
use doorbuster_sim::coverage::{self, cells};
use doorbuster_sim::plan::World;
use doorbuster_sim::swarm;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Coverage {
    #[command(flatten)]
    place: Where,
    /// How many seeds.
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Every cell of the matrix must be filled or explained: takes tens of thousands of seeds.
    #[arg(long)]
    cells: bool,
}

impl Coverage {
    pub fn run(&self) -> Result<ExitCode, String> {
        let runner = self.place.runner(World::Fast)?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let failures_max = swarm::FAILURES_MAX;
        let wanted = swarm::Swarm { runner, first: self.first, seeds: self.seeds, failures_max, threads };
        let (ensemble, _seconds) = timed(&wanted);
        let (faults, world) = (&ensemble.faults, self.place.world());
        println!("{}", coverage::kinds_table(faults, Some(world)));
        println!("{}", cells::matrix(faults, world));
        println!("{}", coverage::moments_table(faults, coverage::MOMENTS));
        let mut gaps = coverage::gaps(faults, world, coverage::MOMENTS, coverage::EXCUSED);
        if self.cells {
            gaps.extend(cells::gaps(faults, world, cells::UNMET));
        }
        gaps.extend(ensemble.failures.iter().map(|(seed, found)| format!("seed {seed}: {}: {}", found.id, found.what)));
        for gap in &gaps {
            println!("MISSING: {gap}");
        }
        println!("{} seeds, {} gaps", ensemble.seeds, gaps.len());
        Ok(if gaps.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
