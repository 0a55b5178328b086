//! The same seeds in two processes, with and without a leak.

use std::process::{Command, Output};

fn sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).output().expect("the simulator starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn two_processes_run_the_same() {
    let output = sim(&["meta", "--world", "toy", "--seeds", "20"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn a_leak_of_the_process_is_noticed_and_shown() {
    let output = sim(&["meta", "--world", "toy", "--seeds", "20", "--leak"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with("S22: seed 0"), "{text}");
    for run in ["first ", "second "] {
        let line = text.lines().find(|line| line.trim_start().starts_with(run)).expect("both runs are shown");
        assert!(line.contains("tells its id"), "{line}");
    }
}

#[test]
fn a_leak_in_the_fast_world_is_noticed_too() {
    assert_eq!(sim(&["meta", "--world", "fast", "--seeds", "2", "--leak"]).status.code(), Some(1));
}

#[test]
fn a_seed_is_told_the_same_in_two_processes() {
    let run = || said(&sim(&["run", "5", "--world", "toy"]));
    let (first, second) = (run(), run());
    assert!(first == second && first.contains("\nhash "), "{first}");
}

#[test]
fn the_exit_code_is_the_verdict() {
    let swarm = sim(&["swarm", "--world", "toy", "--seeds", "100", "--until-violation"]);
    let text = said(&swarm);
    assert_eq!(swarm.status.code(), Some(1), "{text}");
    let (_, seed) = text.split_once("first violation: S1 at seed ").expect("the seed is told");
    let seed = seed.lines().next().expect("it is a number");
    assert_eq!(sim(&["run", seed, "--world", "toy", "--quiet"]).status.code(), Some(1));
    assert_eq!(sim(&["replay", "no-such-plan.toml"]).status.code(), Some(2), "a plan that is not there");
}
