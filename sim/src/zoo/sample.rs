//! What of the zoo is hunted where there is little time: what always must be found, and two others, which change with
//! every commit.

use super::{Mutant, Zoo};
use crate::plan::World;
use std::path::Path;
use std::process::Command;

/// Bugs beside the canary and those in scripts. Each takes a build.
const OTHERS: usize = 2;

/// The commit on which the working directory stands, in hexadecimal digits.
///
/// # Errors
/// When git does not tell it.
pub fn commit(root: &Path) -> Result<String, String> {
    let output = Command::new("git").current_dir(root).args(["rev-parse", "HEAD"]).output();
    let output = output.map_err(|error| format!("git: {error}"))?;
    if !output.status.success() {
        return Err(format!("git rev-parse: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The ids of a sample: the canary, the bugs in scripts, and those that the commit chooses.
pub fn ids(zoo: &Zoo, commit: &str) -> Vec<String> {
    let always = |mutant: &&Mutant| mutant.id == "canary" || mutant.is_script();
    let hunted = || zoo.mutants.iter().filter(|mutant| mutant.waits.is_none());
    let mut ids: Vec<&Mutant> = hunted().filter(always).collect();
    // A bug in a shell is built with everything that the wire world needs, which alone takes all the time there is.
    let others: Vec<&Mutant> = hunted().filter(|mutant| !always(mutant) && mutant.world == World::Fast).collect();
    // The first digits of a commit are as good as drawn; the second bug stands half a round behind the first.
    let start = commit.get(..12).and_then(|digits| usize::from_str_radix(digits, 16).ok()).unwrap_or(0);
    let place = |turn: usize| (start + turn * others.len() / OTHERS) % others.len().max(1);
    ids.extend((0..OTHERS.min(others.len())).map(|turn| others[place(turn)]));
    ids.into_iter().map(|mutant| mutant.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zoo() -> Zoo {
        let bug = |id: &str, file: &str| {
            format!(
                "[[mutant]]\nid = '{id}'\ntitle = ''\nexpected = ['S1']\nworld = 'fast'\nseeds_max = 5\n\
                 [[mutant.edit]]\nfile = '{file}'\nfind = 'a'\nreplace = 'b'\n"
            )
        };
        let core: String = (0..7).map(|id| bug(&id.to_string(), "core/src/relay.rs")).collect();
        let text = bug("canary", "core/src/intake.rs") + &bug("script", "lua/scripts/reserve.lua") + &core;
        toml::from_str(&text).expect("it is a list")
    }

    #[test]
    fn a_sample_has_the_canary_the_scripts_and_two_others() {
        let ids = ids(&zoo(), "00000000000a00000000");
        assert_eq!(ids, ["canary", "script", "3", "6"]);
    }

    #[test]
    fn in_time_every_bug_is_in_a_sample() {
        let commits = (0..7).map(|turn| format!("{turn:012x}"));
        let seen: std::collections::BTreeSet<String> = commits.flat_map(|commit| ids(&zoo(), &commit)).collect();
        assert_eq!(seen.len(), zoo().mutants.len());
    }
}
