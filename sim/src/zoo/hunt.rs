//! The hunt for one planted bug: the swarm or `meta` of the program that has it.

use super::{By, Mutant};
use crate::plan::World;
use std::path::Path;
use std::process::Command;

/// The line in which a swarm names its lowest failing seed.
const FIRST: &str = "first violation: ";

/// What S23 consists of: a world may name the part that fell.
const LEDGER: [&str; 5] = ["I1", "I2", "I3", "I4", "I5"];

/// How a hunt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Catch {
    /// Found by an invariant that was expected.
    Killed {
        /// Which.
        id: String,
        /// Seeds that it took.
        seeds: u64,
    },
    /// Found, but something else fell first.
    Elsewhere {
        /// What fell.
        id: String,
        /// At which seed.
        seed: u64,
    },
    /// Not found.
    Survived,
}

/// Runs the program that has the bug, or, for a bug in scripts, lets this program plant it; `world` replaces the
/// mutant's own.
///
/// # Errors
/// When it cannot be run, or ends as no swarm ends.
pub fn hunt(mutant: &Mutant, program: &Path, world: Option<&str>) -> Result<Catch, String> {
    let own = match mutant.world {
        World::Fast => "fast",
        World::Wire => "wire",
    };
    let seeds = mutant.seeds_max.to_string();
    let mut command = Command::new(program);
    match mutant.by {
        By::Swarm => command.args(["swarm", "--until-violation"]),
        By::Meta => command.arg("meta"),
    };
    if mutant.is_script() {
        command.args(["--plant", &mutant.id]);
    }
    let output = command.args(["--world", world.unwrap_or(own), "--seeds", &seeds]).output();
    let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match (output.status.code(), mutant.by) {
        (Some(0), By::Swarm | By::Meta) => Ok(Catch::Survived),
        (Some(1), By::Swarm) => judge(mutant, &text),
        (Some(1), By::Meta) => Ok(weigh(mutant, "S22".to_owned(), 0)),
        (code, By::Swarm | By::Meta) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("mutant {}: the hunt ended with {code:?}: {said}", mutant.id))
        }
    }
}

fn judge(mutant: &Mutant, text: &str) -> Result<Catch, String> {
    let first = text.lines().find_map(|line| line.strip_prefix(FIRST)?.split_once(" at seed "));
    let (id, seed) = first.ok_or_else(|| format!("mutant {}: the swarm names no seed:\n{text}", mutant.id))?;
    let seed = seed.parse().map_err(|error| format!("mutant {}: seed {seed}: {error}", mutant.id))?;
    Ok(weigh(mutant, id.to_owned(), seed))
}

fn weigh(mutant: &Mutant, id: String, seed: u64) -> Catch {
    let is_meant = |expected: &String| *expected == id || (expected == "S23" && LEDGER.contains(&id.as_str()));
    if mutant.expected.iter().any(is_meant) {
        Catch::Killed { id, seeds: seed + 1 }
    } else {
        Catch::Elsewhere { id, seed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant() -> Mutant {
        let text = "id = '9'\ntitle = ''\nexpected = ['S1']\nworld = 'fast'\nseeds_max = 5\nedit = []";
        toml::from_str(text).expect("it is a mutant")
    }

    #[test]
    fn a_part_of_the_ledger_is_the_ledger() {
        let whole = Mutant { expected: vec!["S23".to_owned()], ..mutant() };
        assert_eq!(weigh(&whole, "I3".into(), 0), Catch::Killed { id: "I3".into(), seeds: 1 });
        assert_eq!(weigh(&mutant(), "I3".into(), 0), Catch::Elsewhere { id: "I3".into(), seed: 0 });
    }

    #[test]
    fn only_a_declared_invariant_kills() {
        let said = |id: &str| judge(&mutant(), &format!("x\nfirst violation: {id} at seed 3\nVIOLATED\n"));
        assert_eq!(said("S1"), Ok(Catch::Killed { id: "S1".into(), seeds: 4 }));
        assert_eq!(said("S2"), Ok(Catch::Elsewhere { id: "S2".into(), seed: 3 }));
        assert!(judge(&mutant(), "nothing").is_err());
    }
}
