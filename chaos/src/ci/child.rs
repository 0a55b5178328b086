use std::ffi::OsStr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};

use crate::stop;

/// How often a running child is looked at: a step takes seconds, so this costs nothing and delays nothing.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a child that was asked to end may take before it is made to.
const GRACE: Duration = Duration::from_secs(5);
/// Ending a process can set its own children free, which are then ended in the next round; deeper than this
/// is no tree of processes but something that makes new ones as fast as they are ended.
const ROUNDS_MAX: usize = 16;

/// How a child ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    Succeeded,
    /// Completes a sentence that begins with the command.
    Failed(String),
}

/// The time by which a child must have ended.
pub struct Bound {
    deadline: Instant,
    length: Duration,
}

impl Bound {
    /// A bound that begins now.
    pub fn of_minutes(minutes: u64) -> Bound {
        Bound::of(Duration::from_secs(minutes * 60))
    }

    fn of(length: Duration) -> Bound {
        Bound { deadline: Instant::now() + length, length }
    }
}

/// Runs one program in `directory` without standard input until it ends, the bound is reached, or this program
/// is told to stop; the variables are added to its environment. Whatever it started and left behind is ended too.
pub fn run(
    program: &Path,
    arguments: &[&str],
    variables: &[(&'static str, String)],
    directory: &Path,
    bound: &Bound,
) -> Ending {
    // What a child leaves behind is found as a child of this process, so two children at once would end each other's.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // Orphans below this process become its children instead of vanishing from its sight.
    if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        return Ending::Failed(format!("was not started: orphans cannot be adopted ({error})"));
    }
    stop::heed();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null()).process_group(0);
    command.envs(variables.iter().map(|(name, value)| (*name, value.as_str())));
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_this_package(name)) {
        command.env_remove(name);
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ending::Failed(format!("cannot be started: {error}")),
    };
    let early = wait(&child, bound);
    end_group(&child);
    let status = child.wait();
    let left = end_orphans();
    if left > 0 {
        println!("=== processes left behind and ended: {left}");
    }
    match (early, status) {
        (Some(why), _) => Ending::Failed(why),
        (None, Ok(status)) => ending_of(status),
        (None, Err(error)) => Ending::Failed(format!("cannot be waited for: {error}")),
    }
}

/// Waits without taking the child's status, so that its process id stays its own until its group is ended.
/// Returns why the child has to be ended, if it does not end by itself.
fn wait(child: &Child, bound: &Bound) -> Option<String> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let ended = || !matches!(rustix::process::waitid(WaitId::Pid(pid_of(child)), options), Ok(None) | Err(Errno::INTR));
    let why = loop {
        if ended() {
            return None;
        }
        if let Some(signal) = stop::asked() {
            break format!("was ended: this program got signal {signal}");
        }
        if Instant::now() >= bound.deadline {
            break format!("was ended: it took more than its {}", super::report::seconds(bound.length));
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let _ = rustix::process::kill_process_group(pid_of(child), Signal::TERM);
    let patience = Instant::now() + GRACE;
    while !ended() && Instant::now() < patience {
        std::thread::sleep(LOOK_EVERY);
    }
    Some(why)
}

/// Ends what is left of the child's process group. The child has not been waited for, so its id cannot belong
/// to anybody else; a group that is gone already is what is wanted.
fn end_group(child: &Child) {
    let _ = rustix::process::kill_process_group(pid_of(child), Signal::KILL);
}

/// Ends processes that left the group but came back as orphans. Returns how many were still running.
fn end_orphans() -> usize {
    let mut ended = 0;
    for _ in 0..ROUNDS_MAX {
        let found = orphans();
        if found.is_empty() {
            break;
        }
        for orphan in found {
            let reaped = rustix::process::waitpid(Some(orphan), WaitOptions::NOHANG);
            if matches!(reaped, Ok(Some(_)) | Err(_)) {
                continue;
            }
            let _ = rustix::process::kill_process(orphan, Signal::KILL);
            let _ = rustix::process::waitpid(Some(orphan), WaitOptions::empty());
            ended += 1;
        }
    }
    ended
}

/// The children of this process that are not of its own group: whatever a step started came in the step's group
/// or left it for one of its own, while what this process starts by itself elsewhere stays with it.
fn orphans() -> Vec<Pid> {
    let (own, group) = (rustix::process::getpid(), rustix::process::getpgrp());
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let orphan = |entry: std::fs::DirEntry| {
        let id: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name in parentheses may itself hold spaces and parentheses; state, parent and group follow the last one.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_whitespace().skip(1).map_while(|field| field.parse().ok());
        let (parent, its_group): (i32, i32) = (fields.next()?, fields.next()?);
        Pid::from_raw(id).filter(|_| parent == own.as_raw_pid() && its_group != group.as_raw_pid())
    };
    entries.filter_map(orphan).collect()
}

fn ending_of(status: ExitStatus) -> Ending {
    match status.signal() {
        Some(signal) => Ending::Failed(format!("was ended by signal {signal}")),
        None if status.success() => Ending::Succeeded,
        None => Ending::Failed(format!("ended with {status}")),
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// What `cargo run` says of this package would make a cargo below it rebuild every crate whose build script asks.
fn is_of_this_package(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_BIN_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_shell(script: &str, bound: Duration) -> Ending {
        run(Path::new("sh"), &["-c", script], &[], &crate::repository_root(), &Bound::of(bound))
    }

    /// Far longer than any of these scripts takes: reached only when ending them does not work.
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_status_of_a_child_is_told() {
        assert_eq!(run_shell("exit 0", LONG), Ending::Succeeded);
        assert_eq!(run_shell("exit 7", LONG), Ending::Failed("ended with exit status: 7".to_owned()));
        assert_eq!(run_shell("kill -9 $$", LONG), Ending::Failed("was ended by signal 9".to_owned()));
    }

    #[test]
    fn a_child_past_its_bound_is_ended_and_has_failed() {
        let ending = run_shell("sleep 1000", Duration::ZERO);
        assert_eq!(ending, Ending::Failed("was ended: it took more than its 0.0 s".to_owned()));
    }

    #[test]
    fn what_a_child_leaves_behind_is_ended_with_it() {
        // An argument that no other process has, by which the process table can be searched.
        let length = format!("10{}", std::process::id());
        for script in ["sleep L &", "setsid sleep L & exit 0", "(setsid sh -c 'sleep L & sleep L' &)"] {
            assert_eq!(run_shell(&script.replace('L', &length), LONG), Ending::Succeeded);
            assert!(!is_an_argument(&length), "{script}");
        }
    }

    fn is_an_argument(word: &str) -> bool {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
        lines.into_iter().any(|line| line.split('\0').any(|argument| argument == word))
    }

    #[test]
    fn a_program_that_is_not_there_is_a_failure() {
        let ending = run(Path::new("no-such-program"), &[], &[], &crate::repository_root(), &Bound::of(LONG));
        assert!(matches!(ending, Ending::Failed(why) if why.starts_with("cannot be started")));
    }
}
