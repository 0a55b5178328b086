//! A tool that installs something: bounded in time, its words kept for the one case in which somebody wants to read them.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Process;
use crate::stop;

/// How often a running tool is looked at: it takes seconds.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How many of the last lines are told of a tool or server that failed: enough for a cause, few enough to be read.
const LINES_TOLD: usize = 12;

/// Runs a tool to its end. Fails, with the last it said, when it fails, takes longer than `max`, or this program is told
/// to stop; it and what it started are ended then.
pub fn run(command: &mut Command, log: &Path, max: Duration) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let file = File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
    let copy = file.try_clone().map_err(|error| error.to_string())?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(copy)
        .spawn()
        .map_err(|error| format!("`{name}` cannot be started: {error}"))?;
    match wait(&mut child, max) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("`{name}` failed:\n{}", last_lines(log))),
        Err(why) => {
            let tool = Process::of(child.id().cast_signed());
            let offspring = tool.as_ref().map_or(Vec::new(), Process::offspring);
            for process in tool.into_iter().chain(offspring) {
                // One that has ended by itself meanwhile is what is wanted.
                process.send(Signal::KILL);
            }
            let _ = child.wait();
            Err(format!("`{name}` was ended: {why}"))
        }
    }
}

/// The end of a log, indented.
pub fn last_lines(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LINES_TOLD)..];
    last.iter().map(|line| format!("    {line}")).collect::<Vec<String>>().join("\n")
}

fn wait(child: &mut Child, max: Duration) -> Result<bool, String> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(status.success());
        }
        if let Some(signal) = stop::asked() {
            return Err(format!("this program got signal {signal}"));
        }
        if began.elapsed() >= max {
            return Err(format!("it took more than its {} s", max.as_secs()));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_shell(script: &str, max: Duration) -> Result<(), String> {
        let place = tempfile::tempdir().unwrap();
        run(Command::new("sh").args(["-c", script]), &place.path().join("log"), max)
    }

    #[test]
    fn a_failure_is_told_with_the_last_words() {
        assert_eq!(run_shell("echo fine", Duration::from_secs(60)), Ok(()));
        let failure = run_shell("seq 100; echo broken >&2; exit 1", Duration::from_secs(60)).unwrap_err();
        assert!(failure.starts_with("`sh` failed:\n    90\n"), "{failure}");
        assert!(failure.ends_with("    broken"), "{failure}");
    }

    #[test]
    fn a_tool_past_its_bound_is_ended_with_its_children() {
        let failure = run_shell("sleep 1000 & sleep 1000", Duration::ZERO).unwrap_err();
        assert_eq!(failure, "`sh` was ended: it took more than its 0 s");
    }

    #[test]
    fn a_tool_that_is_not_there_is_named() {
        let place = tempfile::tempdir().unwrap();
        let failure = run(&mut Command::new("no-such-tool"), &place.path().join("log"), Duration::ZERO).unwrap_err();
        assert!(failure.starts_with("`no-such-tool` cannot be started"), "{failure}");
    }
}
