//! The calls that move units.

use super::{EPOCH, LOG, MEMORY, NONCE, REPLICATION_ID, USERS, argument, script};
use crate::script::{ArgumentKind, Fencing, Repeats, Script};

/// Rule 1.
pub static RESERVE: Script = script!(
    "reserve",
    purpose: "Decides up to 64 wishes, takes what it accepts, and writes one entry of the log for all of them.",
    keys: &[MEMORY, USERS, LOG],
    arguments: &[
        REPLICATION_ID,
        EPOCH,
        NONCE,
        argument("batch", ArgumentKind::Packed("reserve"), "1 to 64 wishes"),
    ],
    repeats: Repeats::No,
    reply: "bytes, see `reserve`: now, seq of the entry, a letter per wish",
    model: "Shard::reserve",
    fence: Fencing::Memory,
    writes: true,
    commands: &["INFO", "HMGET", "TIME", "XADD", "HSET"],
);

/// Rule 5.
pub static SETTLE: Script = script!(
    "settle",
    purpose: "Ends reservations and gives their units back, each once.",
    keys: &[MEMORY, USERS],
    arguments: &[argument("changes", ArgumentKind::Packed("settle"), "1 to 256 reservations")],
    repeats: Repeats::No,
    reply: "a letter per change: `D` done, `R` retry",
    model: "Shard::settle",
    fence: Fencing::PerChange,
    writes: true,
    commands: &["HMGET", "HSET"],
);

/// Rule 6.
pub static GRANT: Script = script!(
    "grant",
    purpose: "Takes in units that the database gives, each grant once and in the order of their numbers.",
    keys: &[MEMORY],
    arguments: &[argument("grants", ArgumentKind::Packed("grant"), "1 to 256 grants")],
    repeats: Repeats::No,
    reply: "a letter per grant: `D` done, `R` retry",
    model: "Shard::grant",
    fence: Fencing::PerChange,
    writes: true,
    commands: &["HMGET", "HSET"],
);

/// Rule 7.
pub static WITHDRAW: Script = script!(
    "withdraw",
    purpose: "Takes units that nobody holds back for the database, and logs it.",
    keys: &[MEMORY, LOG],
    arguments: &[
        REPLICATION_ID,
        EPOCH,
        NONCE,
        argument("sku", ArgumentKind::Text, "of which SKU"),
        argument("quantity", ArgumentKind::Decimal, "at most so many units"),
    ],
    repeats: Repeats::No,
    reply: "nothing, or now 8, seq of the entry 8, quantity 8",
    model: "Shard::withdraw",
    fence: Fencing::Memory,
    writes: true,
    commands: &["INFO", "HMGET", "TIME", "XADD", "HSET"],
);
