//! The calls of the delay queue.

use super::{argument, script};
use crate::script::{Argument, ArgumentKind, Fencing, Key, Repeats, Script};

const READY: Key = Key { name: "{sale:k}:ready", kind: "ZSET: order to due time" };
const PROCESSING: Key = Key { name: "{sale:k}:processing", kind: "ZSET: order to end of its lease" };
const OWNER: Key = Key { name: "{sale:k}:owner", kind: "HASH: order to version, token, later wish" };

const ORDER: Argument = argument("order", ArgumentKind::Text, "the order's id");
const UNFENCED: Fencing = Fencing::None("a queue belongs to no epoch: the sweep makes good what an old server knows");

/// Adds or moves tasks.
pub static DELAY_SCHEDULE: Script = script!(
    "delay_schedule",
    purpose: "Adds tasks, or moves them when their version is later than the known one; a claimed task keeps its claim.",
    keys: &[READY, OWNER],
    arguments: &[
        ORDER,
        argument("version", ArgumentKind::Decimal, "of the order"),
        argument("due", ArgumentKind::Decimal, "in milliseconds since 1970"),
    ],
    repeats: Repeats::PerItem,
    reply: "a letter per task: `R` ready, `A` after the claim, `I` ignored",
    model: "Queue::schedule",
    fence: UNFENCED,
    writes: true,
    commands: &["HMGET", "ZADD", "HSET"],
);

/// Takes due tasks.
pub static DELAY_CLAIM: Script = script!(
    "delay_claim",
    purpose: "Moves due tasks to processing under one token, the longest due first.",
    keys: &[READY, PROCESSING, OWNER],
    arguments: &[
        argument("limit", ArgumentKind::Decimal, "at most so many, 1 to 256"),
        argument("token", ArgumentKind::Opaque, "8 bytes, drawn for this claim"),
        argument("lease_ms", ArgumentKind::Decimal, "until they may be recovered"),
    ],
    repeats: Repeats::No,
    reply: "an array: now 8, then the orders",
    model: "Queue::claim",
    fence: UNFENCED,
    writes: true,
    commands: &["TIME", "ZRANGEBYSCORE", "HMGET", "ZADD", "ZREM", "HSET"],
);

/// Ends claims.
pub static DELAY_COMPLETE: Script = script!(
    "delay_complete",
    purpose: "Ends claims, each only under its current token.",
    keys: &[READY, PROCESSING, OWNER],
    arguments: &[
        ORDER,
        argument("token", ArgumentKind::Opaque, "the claim's 8 bytes"),
        argument("again_ms", ArgumentKind::Decimal, "due again after so long; empty: the task is done"),
    ],
    repeats: Repeats::PerItem,
    reply: "now 8, then a letter per completion: `D` done, `S` stale token",
    model: "Queue::complete",
    fence: UNFENCED,
    writes: true,
    commands: &["TIME", "HMGET", "ZREM", "ZADD", "HSET", "HDEL"],
);

/// Returns tasks whose lease has ended.
pub static DELAY_RECOVER: Script = script!(
    "delay_recover",
    purpose: "Moves tasks whose lease has ended back to ready.",
    keys: &[READY, PROCESSING, OWNER],
    arguments: &[argument("limit", ArgumentKind::Decimal, "at most so many, 1 to 256")],
    repeats: Repeats::No,
    reply: "now 8, count 8",
    model: "Queue::recover",
    fence: UNFENCED,
    writes: true,
    commands: &["TIME", "ZRANGEBYSCORE", "HMGET", "ZADD", "ZREM", "HSET"],
);
