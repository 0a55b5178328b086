//! Known bugs, planted one at a time in a copy of the product: each must be found, by the invariant that it breaks.

pub mod hunt;
pub mod sample;
pub mod scratch;

use crate::plan::World;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;

/// Where the bugs are listed, below the repository's root.
pub const LIST: &str = "sim/zoo/zoo.toml";

/// Where the scripts are.
const SCRIPTS: &str = "lua/scripts/";

/// Where the embedded platform is.
const EMBEDDED: &str = "shells/embedded/";

/// All known bugs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zoo {
    /// Those that can be planted in today's code.
    #[serde(rename = "mutant")]
    pub mutants: Vec<Mutant>,
    /// Those that cannot, yet.
    #[serde(default, rename = "unexpressed")]
    pub unexpressed: Vec<Unexpressed>,
}

/// One planted bug.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// Its number in the list of bugs, with a word where one bug is planted in two places.
    pub id: String,
    /// What is wrong with it.
    pub title: String,
    /// The first invariant that falls must be one of these.
    pub expected: Vec<String>,
    /// The world that can express it.
    pub world: World,
    /// What finds it.
    #[serde(default)]
    pub by: By,
    /// It must be found within so many seeds.
    pub seeds_max: u64,
    /// Why it cannot be found yet, though it can be planted: what its world or the judge lacks. Then it is hunted only
    /// by its name.
    #[serde(default)]
    pub waits: Option<String>,
    /// How it is planted.
    #[serde(rename = "edit")]
    pub edits: Vec<Edit>,
}

/// What finds a planted bug.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// A swarm.
    #[default]
    Swarm,
    /// Two processes with the same seeds.
    Meta,
}

/// A text that stands exactly once in a file, and what stands there instead.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The file, below the repository's root.
    pub file: String,
    /// The text.
    pub find: String,
    /// What replaces it.
    pub replace: String,
}

/// A bug that cannot be planted yet.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unexpressed {
    /// Its number in the list of bugs.
    pub id: String,
    /// What would be wrong.
    pub title: String,
    /// Why it cannot be planted.
    pub reason: String,
}

impl Zoo {
    /// The list of this repository.
    ///
    /// # Errors
    /// When it cannot be read; says where.
    pub fn read(root: &Path) -> Result<Zoo, String> {
        let file = root.join(LIST);
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        toml::from_str(&text).map_err(|error| format!("{LIST}: {error}"))
    }

    /// Edits that no longer apply, one line each.
    pub fn stale(&self, root: &Path) -> Vec<String> {
        let edits = self.mutants.iter().flat_map(|mutant| mutant.edits.iter().map(move |edit| (mutant, edit)));
        edits
            .filter_map(|(mutant, edit)| edit.changed(root).err().map(|why| format!("mutant {}: {why}", mutant.id)))
            .collect()
    }
}

impl Mutant {
    /// Whether the bug is in scripts alone: the simulated Redis can run those without anything being built.
    pub fn is_script(&self) -> bool {
        !self.edits.is_empty() && self.edits.iter().all(|edit| edit.file.starts_with(SCRIPTS))
    }

    /// Whether the bug is in the embedded platform: a build without the disk does not have it.
    pub fn is_embedded(&self) -> bool {
        self.edits.iter().any(|edit| edit.file.starts_with(EMBEDDED))
    }

    /// The scripts that the bug changes: as they are shipped, and with the bug in them.
    ///
    /// # Errors
    /// When the bug is not in scripts alone, or no longer applies.
    pub fn scripts(&self, root: &Path) -> Result<Vec<(String, String)>, String> {
        if !self.is_script() {
            return Err(format!("bug {} is not in scripts alone: it takes a build", self.id));
        }
        let files: BTreeSet<&str> = self.edits.iter().map(|edit| edit.file.as_str()).collect();
        let planted = |file| {
            let shipped = read(root, file)?;
            let mut edits = self.edits.iter().filter(|edit| edit.file == file);
            let changed = edits.try_fold(shipped.clone(), |text, edit| edit.apply(&text))?;
            Ok((shipped, changed))
        };
        files.into_iter().map(planted).collect()
    }
}

/// From now on every simulated Redis of this process runs its scripts with this bug in them.
///
/// # Errors
/// When there is no such bug, it is not in scripts alone, or it no longer applies.
#[cfg(feature = "wire")]
pub fn plant_in_scripts(id: &str) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate stands in the repository");
    let zoo = Zoo::read(root)?;
    let mutant = zoo.mutants.iter().find(|mutant| mutant.id == id).ok_or_else(|| format!("no bug {id} in {LIST}"))?;
    crate::hosts::redis::script::plant(mutant.scripts(root)?);
    Ok(())
}

fn read(root: &Path, file: &str) -> Result<String, String> {
    std::fs::read_to_string(root.join(file)).map_err(|error| format!("{file}: {error}"))
}

impl Edit {
    /// The file's text with the bug in it.
    ///
    /// # Errors
    /// When the text does not stand exactly once in the file, or nothing would change.
    pub fn changed(&self, root: &Path) -> Result<String, String> {
        self.apply(&read(root, &self.file)?)
    }

    fn apply(&self, text: &str) -> Result<String, String> {
        let times = text.matches(&self.find).count();
        if times != 1 {
            return Err(format!("{} has {times} times, not once: {}", self.file, self.find));
        }
        if self.find == self.replace {
            return Err(format!("{}: nothing is changed by: {}", self.file, self.find));
        }
        Ok(text.replacen(&self.find, &self.replace, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate stands in the repository")
    }

    #[test]
    fn every_bug_can_be_planted_in_the_code_of_today() {
        let stale = Zoo::read(root()).expect("the list can be read").stale(root());
        assert!(stale.is_empty(), "{}", stale.join("\n"));
    }

    #[test]
    fn every_bug_is_listed_once_and_says_what_finds_it() {
        let zoo = Zoo::read(root()).expect("the list can be read");
        let ids: Vec<&str> = zoo.mutants.iter().map(|mutant| mutant.id.as_str()).collect();
        let ids: Vec<&str> = ids.into_iter().chain(zoo.unexpressed.iter().map(|bug| bug.id.as_str())).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an id stands twice");
        assert!(zoo.mutants.iter().all(|mutant| !mutant.expected.is_empty() && mutant.seeds_max > 0));
        assert!(zoo.mutants.iter().all(|mutant| mutant.waits.as_ref().is_none_or(|reason| !reason.is_empty())));
        assert!(zoo.mutants.iter().any(|mutant| mutant.id == "canary"), "nothing shows that the hunt can find");
    }

    #[test]
    fn bugs_in_scripts_are_planted_without_a_build() {
        let zoo = Zoo::read(root()).expect("the list can be read");
        let (scripts, others): (Vec<&Mutant>, Vec<&Mutant>) = zoo.mutants.iter().partition(|mutant| mutant.is_script());
        assert!(!scripts.is_empty(), "no bug is in scripts alone");
        for mutant in scripts {
            let planted = mutant.scripts(root()).expect("its texts stand where they should");
            assert!(planted.iter().all(|(shipped, changed)| shipped != changed), "bug {}", mutant.id);
        }
        assert!(others.iter().all(|mutant| mutant.scripts(root()).is_err()));
    }

    #[test]
    fn a_text_that_stands_twice_is_refused() {
        let directory = std::env::temp_dir().join(format!("doorbuster-zoo-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a scratch directory");
        std::fs::write(directory.join("file"), "one two two").expect("a scratch file");
        let edit = |find: &str| Edit { file: "file".into(), find: find.into(), replace: "three".into() };
        assert_eq!(edit("one").changed(&directory), Ok("three two two".to_owned()));
        assert!(edit("two").changed(&directory).is_err());
        assert!(edit("four").changed(&directory).is_err());
        std::fs::remove_dir_all(&directory).expect("it is ours");
    }
}
