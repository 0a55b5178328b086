//! The table's rows, by what they are about.

pub mod delay;
pub mod ladder;
pub mod log;
pub mod shared;
pub mod units;

use crate::script::{Argument, ArgumentKind, Key};

const MEMORY: Key = Key { name: "{sale:k}:m", kind: "HASH: the head of the memory and its counters" };
const USERS: Key = Key { name: "{sale:k}:u", kind: "HASH: user to page" };
const LOG: Key = Key { name: "{sale:k}:x", kind: "STREAM: the log" };

const REPLICATION_ID: Argument =
    Argument { name: "replication_id", kind: ArgumentKind::Text, meaning: "the server's `master_replid`, 40 digits" };
const EPOCH: Argument = Argument { name: "epoch", kind: ArgumentKind::Decimal, meaning: "the shard's row names it" };
const NONCE: Argument = Argument { name: "nonce", kind: ArgumentKind::Decimal, meaning: "the shard's row names it" };

const fn argument(name: &'static str, kind: ArgumentKind, meaning: &'static str) -> Argument {
    Argument { name, kind, meaning }
}

/// One row: the source and its digest follow from the name.
macro_rules! script {
    ($name:literal, $($field:ident: $value:expr),+ $(,)?) => {
        crate::script::Script {
            name: $name,
            source: include_str!(concat!("../../scripts/", $name, ".lua")),
            sha1: std::sync::LazyLock::new(|| {
                crate::script::digest(include_str!(concat!("../../scripts/", $name, ".lua")))
            }),
            $($field: $value),+
        }
    };
}
use script;
