//! The gate: named steps, one after the other, until one fails.
//!
//! The steps are data, in [`steps`]; what runs them knows none of them by name. Each step is a child process
//! with a bound in minutes, and whatever it started is ended with it.

mod child;
mod report;
mod steps;

use std::path::{Path, PathBuf};
use std::time::Instant;

pub use report::seconds;
pub use steps::{STEPS, Step};

use crate::servers::{Cache, Lab, Server, Trouble, on_path};
use child::Ending;
use report::{Report, Verdict};
use steps::Need;

/// Which of the steps to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    All,
    /// This step and all behind it.
    From(String),
    /// These steps, in the order of the list.
    Only(Vec<String>),
}

/// Runs the selected steps. The last line printed is the count of steps passed, failed and skipped.
///
/// Returns whether none failed; fails, in words, when a selected step does not exist.
pub fn run(root: &Path, steps: &[Step], selection: &Selection) -> Result<bool, String> {
    let chosen = select(steps, selection)?;
    // Building the workspace replaces this very file, and Linux then calls it deleted: resolve its path once, now.
    let lab = std::env::current_exe().map_err(|error| format!("the lab cannot find itself: {error}"))?;
    let mut report = Report::default();
    let mut stopped = false;
    for (index, step) in chosen.iter().enumerate() {
        if stopped {
            report.add(step.name, Verdict::NotReached, None);
            continue;
        }
        println!("\n=== [{}/{}] {}: {}", index + 1, chosen.len(), step.name, step.about);
        let begun = Instant::now();
        let verdict = run_step(root, &lab, step);
        println!("=== {}: {verdict}, {}", step.name, report::seconds(begun.elapsed()));
        stopped = matches!(verdict, Verdict::Failed(_));
        report.add(step.name, verdict, Some(begun.elapsed()));
    }
    print!("{report}");
    Ok(!stopped)
}

/// One line per step: its name, its bound, and what it runs.
pub fn list(steps: &[Step]) -> String {
    let name_width = steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
    let line = |step: &Step| {
        let commands: Vec<String> = step.commands.iter().map(|command| command.join(" ")).collect();
        format!("{:name_width$}  {:>3} min  {}\n", step.name, step.minutes_max, commands.join(" && "))
    };
    steps.iter().map(line).collect()
}

fn select<'steps>(steps: &'steps [Step], selection: &Selection) -> Result<Vec<&'steps Step>, String> {
    let place = |name: &String| {
        let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
        let unknown = || format!("there is no step `{name}`; the steps are {}", names.join(", "));
        names.iter().position(|known| known == name).ok_or_else(unknown)
    };
    let mut places = match selection {
        Selection::All => (0..steps.len()).collect(),
        Selection::From(name) => (place(name)?..steps.len()).collect(),
        Selection::Only(names) => names.iter().map(place).collect::<Result<Vec<usize>, String>>()?,
    };
    places.sort_unstable();
    places.dedup();
    Ok(places.into_iter().map(|place| &steps[place]).collect())
}

fn run_step(root: &Path, lab: &Path, step: &Step) -> Verdict {
    let bound = child::Bound::of_minutes(step.minutes_max);
    match &step.needs {
        None => run_commands(root, lab, step, &[], &bound),
        Some(Need::Program { name, without }) if !on_path(name) => {
            Verdict::Skipped(format!("`{name}` is not here: {without}"))
        }
        Some(Need::Program { .. }) => run_commands(root, lab, step, &[], &bound),
        Some(Need::Servers(wanted)) => {
            let started = Cache::of_user().and_then(|cache| Lab::start(&cache, wanted));
            let failed = |why| Verdict::Failed(format!("its servers did not start: {why}"));
            started.map_or_else(failed, |servers| run_with_servers(root, lab, step, servers, &bound))
        }
    }
}

/// The servers are this process's own, so that they are ended whatever becomes of the commands.
fn run_with_servers(root: &Path, lab: &Path, step: &Step, servers: Lab, bound: &child::Bound) -> Verdict {
    for running in servers.running() {
        let took = running.ready_in.map_or("-".to_owned(), seconds);
        println!("=== {} {} at {}, ready in {took}", running.server, running.version, running.site.address());
    }
    let named = |(server, why): &(Server, Trouble)| format!("{server} ({why})");
    let missing: Vec<String> = servers.missing().iter().map(named).collect();
    missing.iter().for_each(|missing| println!("=== without {missing}"));
    if servers.running().next().is_none() {
        return Verdict::Skipped(missing.join(", "));
    }
    let verdict = run_commands(root, lab, step, &servers.variables(), bound);
    match servers.stop() {
        Ok(took) => println!("=== servers ended in {}", seconds(took)),
        Err(why) => return Verdict::Failed(why),
    }
    if verdict == Verdict::Passed && !missing.is_empty() { Verdict::PassedWithout(missing) } else { verdict }
}

fn run_commands(
    root: &Path,
    lab: &Path,
    step: &Step,
    variables: &[(&'static str, String)],
    bound: &child::Bound,
) -> Verdict {
    for command in step.commands {
        println!("$ {}", command.join(" "));
        match child::run(&program_of(lab, command), &command[1..], variables, root, bound) {
            Ending::Succeeded => {}
            Ending::Failed(how) => return Verdict::Failed(format!("`{}` {how}", command.join(" "))),
        }
    }
    Verdict::Passed
}

fn program_of(lab: &Path, command: &[&str]) -> PathBuf {
    match command[0] {
        "lab" => lab.to_path_buf(),
        "sim" => lab.with_file_name("sim"),
        // Cargo tells those that it runs which cargo it is, so that one toolchain serves the whole run.
        "cargo" => std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from),
        program => PathBuf::from(program),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::Layout;

    const fn step(name: &'static str, commands: &'static [&'static [&'static str]]) -> Step {
        Step { name, about: "a step of a test", commands, minutes_max: 1, needs: None }
    }

    const TRIAL: &[Step] = &[
        step("good", &[&["true"]]),
        step("bad", &[&["true"], &["sh", "-c", "exit 3"], &["true"]]),
        step("late", &[&["true"]]),
    ];

    fn names(selection: &Selection) -> Vec<&'static str> {
        select(TRIAL, selection).unwrap().iter().map(|step| step.name).collect()
    }

    #[test]
    fn the_selection_keeps_the_order_of_the_list() {
        assert_eq!(names(&Selection::All), ["good", "bad", "late"]);
        assert_eq!(names(&Selection::From("bad".to_owned())), ["bad", "late"]);
        let only = Selection::Only(vec!["late".to_owned(), "good".to_owned(), "late".to_owned()]);
        assert_eq!(names(&only), ["good", "late"]);
    }

    #[test]
    fn an_unknown_step_is_refused_with_the_list_of_those_there_are() {
        let refusal = select(TRIAL, &Selection::From("none".to_owned())).err().unwrap();
        assert_eq!(refusal, "there is no step `none`; the steps are good, bad, late");
    }

    #[test]
    fn a_run_tells_whether_a_step_failed() {
        let root = crate::repository_root();
        let only = |name: &str| Selection::Only(vec![name.to_owned()]);
        assert!(run(&root, TRIAL, &only("good")).unwrap());
        assert!(!run(&root, TRIAL, &only("bad")).unwrap());
        assert!(!run(&root, TRIAL, &Selection::All).unwrap());
    }

    #[test]
    fn a_failed_command_is_named_and_ends_its_step() {
        let verdict = run_step(&crate::repository_root(), Path::new("lab"), &TRIAL[1]);
        assert_eq!(verdict, Verdict::Failed("`sh -c exit 3` ended with exit status: 3".to_owned()));
    }

    #[test]
    fn a_step_whose_tool_is_missing_is_skipped_with_the_reason() {
        let need = Need::Program { name: "no-such-program", without: "nothing is lost" };
        let wanting = Step { needs: Some(need), ..TRIAL[1] };
        let verdict = run_step(&crate::repository_root(), Path::new("lab"), &wanting);
        assert_eq!(verdict, Verdict::Skipped("`no-such-program` is not here: nothing is lost".to_owned()));
    }

    #[test]
    fn a_step_finds_its_servers_by_its_environment_and_they_end_with_it() {
        if !on_path("redis-server") {
            println!("skipped, there is no redis-server");
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let root = crate::repository_root();
        let find = step("find", &[&["sh", "-c", "test -n \"$DOORBUSTER_REDIS\""]]);
        let fail = step("fail", &[&["sh", "-c", "exit 3"]]);
        for (step, passes) in [(find, true), (fail, false)] {
            let servers = Lab::start(&Cache::at(place.path()), &[Server::Redis(Layout::Single)]).unwrap();
            let process = servers.running().next().unwrap().process("redis").unwrap().clone();
            let verdict = run_with_servers(&root, Path::new("lab"), &step, servers, &child::Bound::of_minutes(1));
            assert_eq!(verdict == Verdict::Passed, passes);
            assert!(!process.is_running());
        }
    }

    #[test]
    fn every_step_has_its_own_name_a_bound_and_something_to_run() {
        for (index, step) in STEPS.iter().enumerate() {
            assert!(STEPS[..index].iter().all(|other| other.name != step.name), "{}", step.name);
            assert!(step.minutes_max > 0 && !step.commands.is_empty(), "{}", step.name);
            assert!(step.commands.iter().all(|command| !command.is_empty()), "{}", step.name);
        }
    }
}
