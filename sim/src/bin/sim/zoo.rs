//! `zoo`: every known bug, planted and hunted.

use crate::choice::Where;
use clap::ValueEnum;
use doorbuster_sim::plan::World;
use doorbuster_sim::runner::Runner;
use doorbuster_sim::zoo::hunt::{self, Catch};
use doorbuster_sim::zoo::scratch::Scratch;
use doorbuster_sim::zoo::{By, LIST, Mutant, Zoo as List};
use std::path::Path;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Zoo {
    /// Only these, by their ids.
    #[arg(long, value_delimiter = ',')]
    ids: Vec<String>,
    /// Only looks whether every bug can still be planted.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    place: Where,
}

impl Zoo {
    pub fn run(&self) -> Result<ExitCode, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate stands in the repository");
        let list = List::read(root)?;
        let stale = list.stale(root);
        if !stale.is_empty() {
            return Err(stale.join("\n"));
        }
        let known = |id: &String| list.mutants.iter().any(|mutant| mutant.id == *id);
        if let Some(unknown) = self.ids.iter().find(|id| !known(id)) {
            return Err(format!("no bug {unknown} in {LIST}"));
        }
        if self.check {
            println!("{} bugs can be planted, {} not yet", list.mutants.len(), list.unexpressed.len());
            return Ok(ExitCode::SUCCESS);
        }
        let wanted = |mutant: &&Mutant| self.ids.is_empty() || self.ids.contains(&mutant.id);
        let (now, later): (Vec<&Mutant>, Vec<&Mutant>) = list
            .mutants
            .iter()
            .filter(wanted)
            .partition(|mutant| self.place.world.is_some() || Runner::of(mutant.world).is_ok());
        let sound = self.hunt_all(root, &now)?;
        for mutant in &later {
            println!("{:<12} waits: its world is not in this build   {}", mutant.id, mutant.title);
        }
        for bug in list.unexpressed.iter().filter(|_| self.ids.is_empty()) {
            println!("{:<12} not expressed: {}   {}", bug.id, bug.reason, bug.title);
        }
        Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn hunt_all(&self, root: &Path, mutants: &[&Mutant]) -> Result<bool, String> {
        let scratch = Scratch::of(root)?;
        let world = self.place.world.and_then(|choice| choice.to_possible_value());
        let world = world.as_ref().map(|value| value.get_name());
        self.try_clean(&scratch, mutants, world)?;
        println!("{:<12} {:<10} {:>6}  {:<20} bug", "id", "verdict", "seeds", "invariant");
        let mut killed = 0;
        for mutant in mutants {
            // A bug that cannot be planted or run is told, and the others are still hunted.
            let (verdict, seeds, found) = match scratch
                .build(&mutant.id, &mutant.edits)
                .and_then(|program| hunt::hunt(mutant, &program, world))
            {
                Ok(Catch::Killed { id, seeds }) => {
                    killed += 1;
                    ("killed", seeds.to_string(), id)
                }
                Ok(Catch::Elsewhere { id, seed }) => {
                    ("ELSEWHERE", (seed + 1).to_string(), format!("{id}, not {}", mutant.expected.join(" ")))
                }
                Ok(Catch::Survived) => ("SURVIVED", mutant.seeds_max.to_string(), mutant.expected.join(" ")),
                Err(why) => {
                    eprintln!("{why}");
                    ("ERROR", "-".to_owned(), mutant.expected.join(" "))
                }
            };
            println!("{:<12} {verdict:<10} {seeds:>6}  {found:<20} {}", mutant.id, mutant.title);
        }
        println!("{killed} of {} killed", mutants.len());
        Ok(killed == mutants.len())
    }

    /// Without a bug nothing may fall, or every kill below would be worth nothing.
    fn try_clean(&self, scratch: &Scratch, mutants: &[&Mutant], world: Option<&str>) -> Result<(), String> {
        let Some(most) = mutants.iter().filter(|mutant| mutant.by == By::Swarm).max_by_key(|mutant| mutant.seeds_max)
        else {
            return Ok(());
        };
        let clean = Mutant { id: "clean".to_owned(), edits: Vec::new(), world: World::Fast, ..(*most).clone() };
        let program = scratch.build(&clean.id, &[])?;
        match hunt::hunt(&clean, &program, world)? {
            Catch::Survived => Ok(()),
            Catch::Killed { id, seeds } => Err(format!("the product itself breaks {id} at seed {}", seeds - 1)),
            Catch::Elsewhere { id, seed } => Err(format!("the product itself breaks {id} at seed {seed}")),
        }
    }
}
