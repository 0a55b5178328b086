//! The smallest store: rows in memory, one transaction at a time, the product's own decisions.

use doorbuster_core::database::command::{Command, Refusal};
use doorbuster_core::database::decide::{self, Decision};
use doorbuster_core::database::tables::{Rows, View};
use doorbuster_core::time::Wall;

/// Reads in rolling rounds until the command asks for nothing more, then decides.
pub fn decide(rows: &Rows, command: &Command, at: Wall) -> Result<Decision, Refusal> {
    let mut view = View::default();
    loop {
        let wanted = decide::reads(command, &view);
        if wanted.is_empty() {
            return decide::decide(&view, command, at);
        }
        let found = rows.select(&wanted);
        view.absorb(wanted, found);
    }
}
