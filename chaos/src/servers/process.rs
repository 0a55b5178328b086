//! One process of this machine, known by more than its number: numbers are given again.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// A process that ran once. Whether it still does is asked anew each time; a later process of the same number is another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The number that the system gave it.
    pub pid: i32,
    /// When it began, in the kernel's ticks since the machine was started.
    began_ticks: u64,
    /// Which start of the machine those ticks are counted from.
    boot: String,
}

impl Process {
    /// The process that has this number now; none if there is none, or if it has ended and was only not yet waited for.
    pub fn of(pid: i32) -> Option<Process> {
        let entry = Entry::of(pid).filter(|entry| !entry.ended)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        Some(Process { pid, began_ticks: entry.began_ticks, boot })
    }

    /// This program itself.
    pub fn own() -> Option<Process> {
        Process::of(rustix::process::getpid().as_raw_pid())
    }

    /// Whether it still runs, or is stopped by a signal.
    pub fn is_running(&self) -> bool {
        Process::of(self.pid).as_ref() == Some(self)
    }

    /// Sends a signal to this very process. Returns whether it was there to be told.
    pub fn send(&self, signal: Signal) -> bool {
        // The handle is taken first and the identity asked after: a number that was given again in between does not
        // match, and one that matches belongs to the process of the handle.
        let Some(handle) = Pid::from_raw(self.pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
            return false;
        };
        self.is_running() && pidfd_send_signal(handle, signal).is_ok()
    }

    /// Its children and theirs that run now, in the order of their numbers.
    pub fn offspring(&self) -> Vec<Process> {
        if !self.is_running() {
            return Vec::new();
        }
        let parents: BTreeMap<i32, i32> = entries().map(|entry| (entry.pid, entry.parent)).collect();
        // A chain of parents has no circles, but one read from a table that changes meanwhile might: it is cut there.
        let descends = |pid: i32| {
            let mut chain = std::iter::successors(Some(pid), |pid| parents.get(pid).copied()).take(parents.len());
            pid != self.pid && chain.any(|ancestor| ancestor == self.pid)
        };
        parents.keys().filter(|pid| descends(**pid)).filter_map(|pid| Process::of(*pid)).collect()
    }
}

/// What the kernel's table says of a process.
struct Entry {
    pid: i32,
    parent: i32,
    began_ticks: u64,
    ended: bool,
}

impl Entry {
    fn of(pid: i32) -> Option<Entry> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may itself hold spaces and parentheses; the state and the numbers follow the last one.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // proc_pid_stat(5) counts from 1 and two fields are before the state: the parent is its fourth, the start its 22nd.
        let (state, parent, began) = (*fields.first()?, fields.get(1)?, fields.get(19)?);
        let ended = matches!(state, "Z" | "X" | "x");
        Some(Entry { pid, parent: parent.parse().ok()?, began_ticks: began.parse().ok()?, ended })
    }
}

fn entries() -> impl Iterator<Item = Entry> {
    let directories = fs::read_dir("/proc").into_iter().flatten().flatten();
    directories.filter_map(|directory| Entry::of(directory.file_name().to_str()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_of_the_same_number_that_began_at_another_time_is_left_alone() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Process::of(child.id().cast_signed()).unwrap();
        let earlier = Process { began_ticks: process.began_ticks - 1, ..process.clone() };
        let before_boot = Process { boot: "another start of the machine".to_owned(), ..process.clone() };
        for stranger in [earlier, before_boot] {
            assert!(!stranger.is_running());
            assert!(!stranger.send(Signal::KILL));
        }
        assert!(process.is_running());
        assert!(process.send(Signal::KILL));
        child.wait().unwrap();
        assert!(!process.is_running());
        assert!(!process.send(Signal::KILL));
    }

    #[test]
    fn a_process_that_ended_and_was_not_waited_for_does_not_run() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let process = Process::of(child.id().cast_signed()).unwrap();
        drop(child.stdin.take());
        while process.is_running() {
            std::thread::yield_now();
        }
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn the_children_of_a_child_are_its_offspring() {
        let mut shell =
            Command::new("sh").args(["-c", "sh -c 'cat; true'; true"]).stdin(Stdio::piped()).spawn().unwrap();
        let process = Process::of(shell.id().cast_signed()).unwrap();
        while process.offspring().len() < 2 {
            std::thread::yield_now();
        }
        assert!(Process::own().unwrap().offspring().contains(&process));
        assert!(!process.offspring().contains(&process));
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert!(process.offspring().is_empty());
    }
}
