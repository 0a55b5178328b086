//! The report and the history for machines.

use crate::history::History;
use crate::report::Report;

/// The report as indented JSON.
#[must_use]
pub fn report(report: &Report) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(report).expect("a report is plain data");
    bytes.push(b'\n');
    bytes
}

/// The history as JSON lines: attempts first, then commands.
#[must_use]
pub fn history(history: &History) -> Vec<u8> {
    let mut bytes = Vec::new();
    for attempt in &history.attempts {
        serde_json::to_writer(&mut bytes, attempt).expect("an attempt is plain data");
        bytes.push(b'\n');
    }
    for command in &history.commands {
        serde_json::to_writer(&mut bytes, command).expect("a command is plain data");
        bytes.push(b'\n');
    }
    bytes
}
