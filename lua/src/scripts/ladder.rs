//! The calls of the epoch ladder and of the operator.

use super::{EPOCH, LOG, MEMORY, NONCE, REPLICATION_ID, USERS, argument, script};
use crate::script::{ArgumentKind, Fencing, Repeats, Script};

/// Ends an epoch's reservations.
pub static SEAL: Script = script!(
    "seal",
    purpose: "Ends the reservations of one epoch on one server.",
    keys: &[MEMORY],
    arguments: &[REPLICATION_ID, EPOCH],
    repeats: Repeats::No,
    reply: "the last seq 8; nothing when the memory is missing or of another epoch",
    model: "Shard::seal",
    fence: Fencing::Server,
    writes: true,
    commands: &["INFO", "HMGET", "HSET"],
);

/// One chunk of a rebuild.
pub static LOAD: Script = script!(
    "load",
    purpose: "Takes one chunk of a rebuild; the first one empties the three keys where the memory is missing or older.",
    keys: &[MEMORY, USERS, LOG],
    arguments: &[
        REPLICATION_ID,
        EPOCH,
        NONCE,
        argument("number", ArgumentKind::Decimal, "of the chunk, from 1"),
        argument("records", ArgumentKind::Packed("load"), "at most 500 records of users"),
        argument("starts_at", ArgumentKind::Decimal, "first millisecond of the sale"),
        argument("ends_at", ArgumentKind::Decimal, "first millisecond after it"),
        argument("limit", ArgumentKind::Decimal, "most live units of one user"),
        argument("stock", ArgumentKind::Packed("load"), "a counter per SKU"),
    ],
    repeats: Repeats::Optional(4),
    reply: "`OK`, `WRONG_SERVER`, `TAKEN`, `INCOMPLETE`, `UNBALANCED` or `SEALED`",
    model: "Shard::load",
    fence: Fencing::Answered,
    writes: true,
    commands: &["INFO", "HMGET", "UNLINK", "HSET"],
);

/// Ends a rebuild.
pub static OPEN: Script = script!(
    "open",
    purpose: "Ends a rebuild: checks the count of chunks and I4 of every SKU, and opens or stops the shard.",
    keys: &[MEMORY],
    arguments: &[
        REPLICATION_ID,
        EPOCH,
        NONCE,
        argument("chunks", ArgumentKind::Decimal, "how many there were"),
        argument("paused", ArgumentKind::Decimal, "1: stopped from the beginning, else 0"),
    ],
    repeats: Repeats::No,
    reply: "`OK`, `WRONG_SERVER`, `TAKEN`, `INCOMPLETE`, `UNBALANCED` or `SEALED`",
    model: "Shard::open",
    fence: Fencing::Answered,
    writes: true,
    commands: &["INFO", "HMGET", "HGETALL", "HSET"],
);

/// Stops or resumes.
pub static SET_STATE: Script = script!(
    "set_state",
    purpose: "Stops or resumes the sale in this shard; a sealed or loading memory stays as it is.",
    keys: &[MEMORY],
    arguments: &[
        REPLICATION_ID,
        EPOCH,
        NONCE,
        argument("paused", ArgumentKind::Decimal, "1: stop, 0: resume"),
    ],
    repeats: Repeats::No,
    reply: "the state that holds now: `loading`, `open`, `stopped` or `sealed`",
    model: "Shard::set_state",
    fence: Fencing::Memory,
    writes: true,
    commands: &["INFO", "HMGET", "HSET"],
);
