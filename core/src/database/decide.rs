//! The one function that decides, and what it needs to read.

use super::command::{Command, Refusal, Reply};
use super::draft::{Change, Draft};
use super::tables::{Reads, View};
use crate::time::Wall;
use crate::{intake, ledger, order, payment, sale, window};

/// A decision: what to write, and what to tell the caller once it is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What to write.
    pub change: Change,
    /// What to tell.
    pub reply: Reply,
}

/// The rows that `command` needs, given what `view` holds already.
///
/// A store calls it again after each read, until it asks for nothing that the view has not: an order's row names
/// its user and lines, and these name the rows to read next. Two rounds are enough for every command.
pub fn reads(command: &Command, view: &View) -> Reads {
    let wanted = match command {
        Command::Intake(batch) => intake::reads(batch, view),
        Command::Order(command) => order::lifecycle::reads(command, view),
        Command::Payment(command) => payment::decide::reads(command, view),
        Command::Sale(command) => sale::decide::reads(command, view),
        Command::Ladder(command) => ledger::epoch::reads(command, view),
        Command::Sales(command) => window::decide::reads(command),
    };
    wanted.without(&view.asked)
}

/// Decides; `at` is the database's clock read in the transaction. Run again on abort: it has no effects.
pub fn decide(view: &View, command: &Command, at: Wall) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(view, at);
    let reply = match command {
        Command::Intake(batch) => Reply::Intake(intake::decide(&mut draft, batch)),
        Command::Order(command) => order::lifecycle::decide(&mut draft, command)?,
        Command::Payment(command) => payment::decide::decide(&mut draft, command)?,
        Command::Sale(command) => sale::decide::decide(&mut draft, command)?,
        Command::Ladder(command) => ledger::epoch::decide(&mut draft, command)?,
        Command::Sales(command) => window::decide::decide(&mut draft, command)?,
    };
    Ok(Decision { change: draft.finish(), reply })
}
