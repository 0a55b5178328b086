//! The scripts as data: what each takes, answers and means. `README.md` is made from this table.

pub use crate::scripts::delay::{DELAY_CLAIM, DELAY_COMPLETE, DELAY_RECOVER, DELAY_SCHEDULE};
pub use crate::scripts::ladder::{LOAD, OPEN, SEAL, SET_STATE};
pub use crate::scripts::log::{ACK, TRIM};
pub use crate::scripts::shared::{CACHE_FILL, CACHE_FLOOR, RATE_LIMIT};
pub use crate::scripts::units::{GRANT, RESERVE, SETTLE, WITHDRAW};
use sha1::{Digest, Sha1};
use std::fmt::{self, Write};
use std::sync::LazyLock;

/// One shipped script.
pub struct Script {
    /// Its name; its file is `scripts/NAME.lua`.
    pub name: &'static str,
    /// What it does, as one sentence.
    pub purpose: &'static str,
    /// What a server is sent.
    pub source: &'static str,
    /// SHA-1 of the source in hexadecimal digits: how EVALSHA names it.
    pub sha1: LazyLock<String>,
    /// KEYS, in order.
    pub keys: &'static [Key],
    /// ARGV, in order.
    pub arguments: &'static [Argument],
    /// How ARGV goes on after the last argument.
    pub repeats: Repeats,
    /// What it answers.
    pub reply: &'static str,
    /// The Rust function that says what it means.
    pub model: &'static str,
    /// What it compares before anything else.
    pub fence: Fencing,
    /// Whether it may write.
    pub writes: bool,
    /// The commands that it calls, as a simulated server must know them.
    pub commands: &'static [&'static str],
}

/// One of KEYS.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// How it is named.
    pub name: &'static str,
    /// What Redis holds there.
    pub kind: &'static str,
}

/// One of ARGV.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// What it is called.
    pub name: &'static str,
    /// How it is written.
    pub kind: ArgumentKind,
    /// What it means.
    pub meaning: &'static str,
}

/// How an argument is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    /// A whole number in decimal digits.
    Decimal,
    /// Text as it is.
    Text,
    /// Bytes in the layout that the named module of this crate tells.
    Packed(&'static str),
    /// Bytes that mean nothing here.
    Opaque,
}

/// Whether ARGV is as long as its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// It is.
    No,
    /// All of it comes once per item.
    PerItem,
    /// The last so many may be absent, all together.
    Optional(usize),
}

/// What a script compares before it does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fencing {
    /// Replication id, epoch and nonce; else the error FENCED.
    Memory,
    /// Replication id, else the error FENCED; another epoch is an answer.
    Server,
    /// The same as `Memory`, but what differs is an answer, not an error.
    Answered,
    /// Nothing: each change names its epoch.
    PerChange,
    /// Nothing, for this reason.
    None(&'static str),
}

/// Every shipped script.
pub static ALL: [&Script; 17] = [
    &RESERVE,
    &SETTLE,
    &GRANT,
    &WITHDRAW,
    &SEAL,
    &LOAD,
    &OPEN,
    &SET_STATE,
    &ACK,
    &TRIM,
    &DELAY_SCHEDULE,
    &DELAY_CLAIM,
    &DELAY_COMPLETE,
    &DELAY_RECOVER,
    &CACHE_FILL,
    &CACHE_FLOOR,
    &RATE_LIMIT,
];

/// The format characters of `struct` that the scripts use, always big-endian (`>`), never aligned.
pub const STRUCT_FORMATS: &[&str] = &[">", "B", "I2", "I4", "I6", "I8", "i8", "c0", "c16", "c32"];

impl Script {
    /// The script of this name.
    pub fn named(name: &str) -> Option<&'static Script> {
        ALL.into_iter().find(|script| script.name == name)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

pub(crate) fn digest(source: &str) -> String {
    let mut digits = String::with_capacity(40);
    for byte in Sha1::digest(source.as_bytes()) {
        write!(digits, "{byte:02x}").expect("a string takes what is written");
    }
    digits
}
