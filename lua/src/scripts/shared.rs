//! The calls that belong to no shard.

use super::{argument, script};
use crate::script::{ArgumentKind, Fencing, Key, Repeats, Script};

const PRODUCT: Key = Key { name: "cache:PRODUCT", kind: "STRING: a product or its floor" };
const ARRIVAL: Key = Key { name: "rate:NAME", kind: "STRING: theoretical arrival time, microseconds 8, nanoseconds 2" };

/// Fills the shared cache.
pub static CACHE_FILL: Script = script!(
    "cache_fill",
    purpose: "Writes a product into the shared cache, unless something newer stands there or its reader asked too long ago.",
    keys: &[PRODUCT],
    arguments: &[
        argument("version", ArgumentKind::Decimal, "of the row"),
        argument("asked_at", ArgumentKind::Decimal, "the server's clock when the reader asked, in milliseconds"),
        argument("fill_ms", ArgumentKind::Decimal, "longest time from the question to the fill"),
        argument("age_ms", ArgumentKind::Decimal, "how long the product stands"),
        argument("value", ArgumentKind::Opaque, "the product"),
    ],
    repeats: Repeats::No,
    reply: "now 8, then `D` done, `L` late, or `N` newer + its version 8",
    model: "SharedCache::fill",
    fence: Fencing::None("versions decide; an old server's documents end with their age"),
    writes: true,
    commands: &["TIME", "GET", "SET"],
);

/// Writes a floor.
pub static CACHE_FLOOR: Script = script!(
    "cache_floor",
    purpose: "Writes the floor of a committed change: nothing older may be filled in while it stands.",
    keys: &[PRODUCT],
    arguments: &[
        argument("version", ArgumentKind::Decimal, "of the change"),
        argument("age_ms", ArgumentKind::Decimal, "how long the floor stands"),
    ],
    repeats: Repeats::No,
    reply: "now 8, then `W` written or `K` known",
    model: "SharedCache::floor",
    fence: Fencing::None("versions decide; an old server's documents end with their age"),
    writes: true,
    commands: &["TIME", "GET", "SET"],
);

/// Counts a request.
pub static RATE_LIMIT: Script = script!(
    "rate_limit",
    purpose: "Counts one request of a name, or refuses it.",
    keys: &[ARRIVAL],
    arguments: &[
        argument("per_second", ArgumentKind::Decimal, "requests per second, sustained"),
        argument("burst", ArgumentKind::Decimal, "requests at once"),
    ],
    repeats: Repeats::No,
    reply: "now in microseconds 8, taken 1, then remaining 8 and reset_ms 8, or retry_after_ms 8 and 0",
    model: "Rate::decide (an idle key has no entry)",
    fence: Fencing::None("a lost count costs one more burst"),
    writes: true,
    commands: &["TIME", "GET", "SET"],
);
