//! The calls about the log.

use super::{EPOCH, LOG, MEMORY, NONCE, REPLICATION_ID, argument, script};
use crate::script::{ArgumentKind, Fencing, Repeats, Script};

/// Notes what is durable.
pub static ACK: Script = script!(
    "ack",
    purpose: "Notes that the durable log holds all entries up to one, and takes the caller's off the pending list.",
    keys: &[MEMORY, LOG],
    arguments: &[
        REPLICATION_ID,
        EPOCH,
        NONCE,
        argument("last", ArgumentKind::Decimal, "all up to this entry"),
        argument("group", ArgumentKind::Text, "the consumer group"),
        argument("first", ArgumentKind::Decimal, "the first entry to take off its pending list; 0: none"),
    ],
    repeats: Repeats::No,
    reply: "the last entry known to be durable 8",
    model: "Shard::ack",
    fence: Fencing::Memory,
    writes: true,
    commands: &["INFO", "HMGET", "HSET", "XACK"],
);

/// Removes what is decided and old.
pub static TRIM: Script = script!(
    "trim",
    purpose: "Removes entries that are decided and old from the log, at most 4,096 in one call.",
    keys: &[MEMORY, LOG],
    arguments: &[
        REPLICATION_ID,
        EPOCH,
        NONCE,
        argument("decided", ArgumentKind::Decimal, "up to this entry"),
        argument("age_ms", ArgumentKind::Decimal, "and at least so old by the server's clock"),
    ],
    repeats: Repeats::No,
    reply: "now 8, count of entries removed 8",
    model: "Model::trim (no model in core: it has no log)",
    fence: Fencing::Memory,
    writes: true,
    commands: &["INFO", "HMGET", "TIME", "XRANGE", "XTRIM"],
);
