//! The gate as its users call it.

use std::process::{Command, Output};

fn lab(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab")).args(arguments).output().expect("the lab can be started")
}

#[test]
fn the_steps_can_be_listed_without_running_one() {
    let output = lab(&["ci", "--list"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let steps: Vec<&str> = doorbuster_chaos::ci::STEPS.iter().map(|step| step.name).collect();
    assert_eq!(names, steps);
}

#[test]
fn an_unknown_step_is_refused_and_nothing_runs() {
    for option in ["--from", "--only"] {
        let output = lab(&["ci", option, "no-such-step"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        assert!(
            String::from_utf8(output.stderr).unwrap().contains("there is no step `no-such-step`; the steps are fmt")
        );
    }
}
