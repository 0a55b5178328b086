//! `zoo`: every known bug, planted and hunted.

use crate::choice::Where;
use clap::ValueEnum;
use doorbuster_sim::plan::World;
use doorbuster_sim::zoo::hunt::{self, Catch};
use doorbuster_sim::zoo::scratch::Scratch;
use doorbuster_sim::zoo::{By, LIST, Mutant, Zoo as List, sample};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Zoo {
    /// Only these, by their ids.
    #[arg(long, value_delimiter = ',')]
    ids: Vec<String>,
    /// The canary, the bugs in scripts, and two of the others, which the commit chooses.
    #[arg(long, conflicts_with = "ids")]
    sample: bool,
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
        let ids = if self.sample { sample::ids(&list, &sample::commit(root)?) } else { self.ids.clone() };
        let wanted = |mutant: &&Mutant| ids.is_empty() || ids.contains(&mutant.id);
        // Whoever names a bug wants it hunted, whatever it waits for.
        let waits = |mutant: &Mutant| mutant.waits.clone().filter(|_| self.ids.is_empty());
        let (later, now): (Vec<&Mutant>, Vec<&Mutant>) =
            list.mutants.iter().filter(wanted).partition(|mutant| waits(mutant).is_some());
        let sound = self.hunt_all(root, &now)?;
        for mutant in &later {
            println!("{:<12} waits: {}   {}", mutant.id, waits(mutant).unwrap_or_default(), mutant.title);
        }
        for bug in list.unexpressed.iter().filter(|_| ids.is_empty()) {
            println!("{:<12} not expressed: {}   {}", bug.id, bug.reason, bug.title);
        }
        Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn hunt_all(&self, root: &Path, mutants: &[&Mutant]) -> Result<bool, String> {
        // A build beside this one replaces the file, which Linux then calls deleted: its path is resolved before.
        let own = std::env::current_exe().map_err(|error| format!("where this program is: {error}"))?;
        let scratch = Scratch::of(root)?;
        let world = self.place.world.and_then(|choice| choice.to_possible_value());
        let world = world.as_ref().map(|value| value.get_name());
        try_clean(&scratch, &own, mutants, world)?;
        println!("{:<12} {:<10} {:>6}  {:<20} bug", "id", "verdict", "seeds", "invariant");
        let mut killed = 0;
        for mutant in mutants {
            // A bug that cannot be planted or run is told, and the others are still hunted.
            let (verdict, seeds, found) =
                match program(&scratch, &own, mutant).and_then(|program| hunt::hunt(mutant, &program, world)) {
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
}

/// The program in which the bug is. A bug in scripts is planted by this one as it runs.
fn program(scratch: &Scratch, own: &Path, mutant: &Mutant) -> Result<PathBuf, String> {
    if mutant.is_script() { Ok(own.to_path_buf()) } else { scratch.build(mutant, mutant.is_embedded()) }
}

/// Without a bug nothing may fall, or every kill would be worth nothing.
fn try_clean(scratch: &Scratch, own: &Path, mutants: &[&Mutant], world: Option<&str>) -> Result<(), String> {
    for of in [World::Fast, World::Wire] {
        let hunted = mutants.iter().filter(|mutant| mutant.by == By::Swarm && mutant.world == of);
        let Some(most) = hunted.max_by_key(|mutant| mutant.seeds_max) else { continue };
        let clean = Mutant { id: "clean".to_owned(), edits: Vec::new(), ..(*most).clone() };
        let program = match mutants.iter().any(|mutant| mutant.world == of && !mutant.is_script()) {
            true => scratch.build(&clean, mutants.iter().any(|mutant| mutant.is_embedded()))?,
            false => own.to_path_buf(),
        };
        match hunt::hunt(&clean, &program, world)? {
            Catch::Survived => {}
            Catch::Killed { id, seeds } => return Err(format!("the product itself breaks {id} at seed {}", seeds - 1)),
            Catch::Elsewhere { id, seed } => return Err(format!("the product itself breaks {id} at seed {seed}")),
        }
    }
    Ok(())
}
