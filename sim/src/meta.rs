//! Whether a seed is the same run twice: two processes run it, the second in the opposite order of seeds, and their
//! hashes are compared checkpoint by checkpoint.

use crate::report::Report;
use crate::runner::Runner;
use crate::trace::CHECKPOINT_EVERY;
use crate::worlds::fast::Keep;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Lines before the first difference that are shown.
const CONTEXT_LINES: usize = 5;

/// What one process says of one seed: one line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The seed.
    pub seed: u64,
    /// The hash of the whole run.
    pub hash: u64,
    /// Its events.
    pub events: u64,
    /// The hash after each [`CHECKPOINT_EVERY`] events.
    pub checkpoints: Vec<u64>,
}

impl Fingerprint {
    /// Runs a seed.
    pub fn of(runner: &Runner, seed: u64) -> Fingerprint {
        let Report { trace, .. } = runner.run(&runner.draw(seed), Keep::Hash);
        Fingerprint { seed, hash: trace.hash(), events: trace.events(), checkpoints: trace.checkpoints }
    }

    /// As a line of text.
    pub fn line(&self) -> String {
        let words = self.checkpoints.iter().map(|hash| format!(" {hash:016x}"));
        format!("{} {:016x} {}{}", self.seed, self.hash, self.events, words.collect::<String>())
    }

    /// From its line.
    ///
    /// # Errors
    /// When it is none: the other process wrote something else.
    pub fn parse(line: &str) -> Result<Fingerprint, String> {
        let wrong = || format!("no fingerprint: {line:?}");
        let hex = |word: &str| u64::from_str_radix(word, 16).ok();
        let mut words = line.split(' ');
        let seed = words.next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
        let hash = words.next().and_then(hex).ok_or_else(wrong)?;
        let events = words.next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
        let checkpoints = words.map(hex).collect::<Option<Vec<u64>>>().ok_or_else(wrong)?;
        Ok(Fingerprint { seed, hash, events, checkpoints })
    }

    /// Events after which two runs were last seen the same; `None` when they are the same to the end.
    pub fn same_until(&self, other: &Fingerprint) -> Option<u64> {
        if self == other {
            return None;
        }
        let same = self.checkpoints.iter().zip(&other.checkpoints).take_while(|(left, right)| left == right);
        Some(same.count() as u64 * CHECKPOINT_EVERY)
    }
}

/// Starts this program again; `arguments` are those of a verb.
fn spawn(arguments: &[String]) -> Result<Child, String> {
    let program = std::env::current_exe().map_err(|error| format!("where this program is: {error}"))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().map_err(|error| format!("a second process: {error}"))
}

fn lines_of(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let output = child.stdout.take().expect("it was piped");
    BufReader::new(output).lines().map_while(Result::ok)
}

/// Compares the seeds of two processes; `common` are the options that both get. Returns the lowest seed that differs
/// and the events until which its runs are known to be the same.
///
/// # Errors
/// When a process cannot be started or says something else than fingerprints.
pub fn compare(first: u64, seeds: u64, common: &[String]) -> Result<Option<(u64, u64)>, String> {
    let arguments = |reverse: bool| {
        let mut words: Vec<String> = ["fingerprint", "--first"].map(str::to_owned).into();
        words.extend([first.to_string(), "--seeds".to_owned(), seeds.to_string()]);
        words.extend(reverse.then(|| "--reverse".to_owned()));
        words.extend(common.iter().cloned());
        words
    };
    let mut processes = [spawn(&arguments(false))?, spawn(&arguments(true))?];
    let mut said: [BTreeMap<u64, Fingerprint>; 2] = Default::default();
    for (process, said) in processes.iter_mut().zip(&mut said) {
        for line in lines_of(process) {
            let fingerprint = Fingerprint::parse(&line)?;
            said.insert(fingerprint.seed, fingerprint);
        }
        let status = process.wait().map_err(|error| format!("a second process: {error}"))?;
        if !status.success() || said.len() as u64 != seeds {
            return Err(format!("a second process ended with {status} after {} of {seeds} seeds", said.len()));
        }
    }
    let [left, right] = said;
    let mut pairs = left.values().zip(right.values());
    Ok(pairs.find_map(|(left, right)| left.same_until(right).map(|events| (left.seed, events))))
}

/// Runs one seed in two processes again, with lines from `events` on, and tells where they part.
///
/// # Errors
/// When a process cannot be started.
pub fn first_difference(seed: u64, events: u64, common: &[String]) -> Result<String, String> {
    let mut words = vec!["run".to_owned(), seed.to_string(), "--from".to_owned(), events.to_string()];
    words.extend(common.iter().cloned());
    let mut processes = [spawn(&words)?, spawn(&words)?];
    let [left, right] = &mut processes;
    let told = part(lines_of(left), lines_of(right));
    for process in &mut processes {
        // Its pipe may be closed before it has said all: how it ends says nothing. It is ours and must not linger.
        let _ended = process.kill();
        process.wait().map_err(|error| format!("a second process: {error}"))?;
    }
    Ok(told)
}

/// The first pair of lines that differ, with what stood before them.
fn part(mut left: impl Iterator<Item = String>, mut right: impl Iterator<Item = String>) -> String {
    let mut before: Vec<String> = Vec::new();
    loop {
        match (left.next(), right.next()) {
            (None, None) => {
                return "no line differs: the difference is in something that no line shows".to_owned();
            }
            (one, two) if one == two => {
                if before.len() == CONTEXT_LINES {
                    before.remove(0);
                }
                before.extend(one);
            }
            (one, two) => {
                let end = || "(it ended)".to_owned();
                let context: String = before.iter().map(|line| format!("  both   {line}\n")).collect();
                return format!("{context}  first  {}\n  second {}", one.unwrap_or_else(end), two.unwrap_or_else(end));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_survives_its_line() {
        let fingerprint = Fingerprint { seed: 7, hash: 0xab, events: 2_001, checkpoints: vec![1, u64::MAX] };
        assert_eq!(Fingerprint::parse(&fingerprint.line()), Ok(fingerprint));
    }

    #[test]
    fn runs_are_the_same_until_the_last_common_checkpoint() {
        let one = Fingerprint { seed: 7, hash: 1, events: 2_900, checkpoints: vec![5, 6] };
        assert_eq!(one.same_until(&one.clone()), None);
        assert_eq!(one.same_until(&Fingerprint { hash: 2, ..one.clone() }), Some(2_000));
        assert_eq!(one.same_until(&Fingerprint { checkpoints: vec![5, 7], ..one.clone() }), Some(1_000));
    }

    #[test]
    fn lines_part_where_they_differ() {
        let lines = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>().into_iter();
        let told = part(lines(&["a", "b", "c"]), lines(&["a", "x", "c"]));
        assert_eq!(told, "  both   a\n  first  b\n  second x");
        assert!(part(lines(&["a"]), lines(&["a"])).contains("no line differs"));
    }
}
