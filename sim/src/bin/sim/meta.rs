//! `meta`: the same seeds in two processes.

use crate::choice::Where;
use doorbuster_sim::meta::{self, Fingerprint};
use doorbuster_sim::plan::World;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Meta {
    #[command(flatten)]
    seeds: Seeds,
}

#[derive(clap::Args)]
pub struct Fingerprints {
    #[command(flatten)]
    seeds: Seeds,
    /// The last seed first.
    #[arg(long)]
    reverse: bool,
}

#[derive(clap::Args)]
struct Seeds {
    #[command(flatten)]
    place: Where,
    /// How many seeds.
    #[arg(long, default_value_t = 50)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
}

impl Meta {
    pub fn run(&self) -> Result<ExitCode, String> {
        let Seeds { place, seeds, first } = &self.seeds;
        // A world that is not there is told before two processes fail at it.
        place.runner(World::Fast)?;
        match meta::compare(*first, *seeds, &place.words())? {
            None => {
                println!("{seeds} seeds from {first}: the same in two processes");
                Ok(ExitCode::SUCCESS)
            }
            Some((seed, events)) => {
                println!("S22: seed {seed} differs between two processes, at event {events} they were still the same");
                println!("{}", meta::first_difference(seed, events, &place.words())?);
                Ok(ExitCode::FAILURE)
            }
        }
    }
}

impl Fingerprints {
    pub fn run(&self) -> Result<ExitCode, String> {
        let Seeds { place, seeds, first } = &self.seeds;
        let runner = place.runner(World::Fast)?;
        for index in 0..*seeds {
            let seed = first + if self.reverse { seeds - 1 - index } else { index };
            println!("{}", Fingerprint::of(&runner, seed).line());
        }
        Ok(ExitCode::SUCCESS)
    }
}
