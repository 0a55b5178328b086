//! Programs that know a format better than we do: used where they are, and missed by name where they are not.

use std::path::PathBuf;
use std::process::{Command, Output};

/// A program of the path.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|candidate| candidate.is_file())
}

/// Says which test had to do without what; the gate reads such lines and counts them.
pub fn skip(test: &str, reason: &str) {
    println!("{test}: skipped, {reason}");
}

/// Runs it to its end; its words belong to whoever sees the test fail.
///
/// # Panics
/// When it cannot be run.
pub fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// What it printed, for a message.
pub fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
