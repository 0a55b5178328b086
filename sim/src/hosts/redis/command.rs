//! The commands: what each is called, what it may do, and how it is performed.
//!
//! Only those that the scripts and the product's own client use. A command that is not here is a panic that names
//! it and not an error: an error would be one more refusal that the product handles, and nobody would notice that
//! the simulator stands in its way.

mod claims;
mod groups;
mod hashes;
mod inspect;
mod keys;
mod parse;
mod server;
mod sorted_sets;
mod streams;
mod table;

use super::Bytes;
use super::context::Context;
use super::reply::Reply;
pub use groups::{GroupRead, parse_group_read, perform_group_read, timeout_ms};
pub use parse::integer;
pub use table::{TABLE, specification};

/// One command.
#[derive(Debug)]
pub struct Specification {
    /// Upper case; a subcommand stands behind a bar.
    pub name: &'static str,
    /// How many words it has, its own name included; negative where there may be more.
    pub arity: i32,
    /// When it may run.
    pub flags: Flags,
    /// How.
    pub run: Run,
}

/// When a command may run.
#[derive(Clone, Copy, Debug)]
pub struct Flags {
    /// It changes the data set.
    pub writes: bool,
    /// It may need more memory.
    pub may_grow: bool,
    /// Scripts may call it.
    pub in_script: bool,
    /// It is answered while the data set is being read from the disk.
    pub when_loading: bool,
    /// It is answered by a replica that does not serve what it has.
    pub when_stale: bool,
    /// It is answered while another client's script runs for too long.
    pub when_busy: bool,
}

/// How a command is performed.
#[derive(Clone, Copy)]
pub enum Run {
    /// By the data set alone; the words include the command's own name.
    Data(fn(&mut Context, &[Bytes]) -> Result<Reply, Reply>),
    /// By the host, because it concerns the connection or the scripts.
    Connection(ConnectionCommand),
}

/// A command about the connection that it came on, or about the scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionCommand {
    /// The protocol's version, and a greeting.
    Hello,
    /// A name for the connection.
    SetName,
    /// A script by its text.
    Eval,
    /// A script by its SHA-1.
    EvalSha,
    /// Keeps a script.
    ScriptLoad,
    /// Which scripts are kept.
    ScriptExists,
    /// Keeps no script any more.
    ScriptFlush,
    /// Messages of these channels, please.
    Subscribe,
    /// And no more of these.
    Unsubscribe,
    /// Waits until replicas have what this connection wrote.
    Wait,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Run::Data(_) => formatter.write_str("Data"),
            Run::Connection(command) => write!(formatter, "Connection({command:?})"),
        }
    }
}

impl Specification {
    /// Whether a command of so many words is complete.
    pub fn takes(&self, words: usize) -> bool {
        let words = i32::try_from(words).unwrap_or(i32::MAX);
        if self.arity >= 0 { words == self.arity } else { words >= -self.arity }
    }

    /// The answer to a command with too few or too many words.
    pub fn wrong_number(&self) -> Reply {
        Reply::error(format!("ERR wrong number of arguments for '{}' command", self.name.to_ascii_lowercase()))
    }
}

/// Performs a command of the data set; an error is a reply like any other.
pub fn perform(
    context: &mut Context,
    run: fn(&mut Context, &[Bytes]) -> Result<Reply, Reply>,
    words: &[Bytes],
) -> Reply {
    run(context, words).unwrap_or_else(|error| error)
}
