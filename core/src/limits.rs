//! Every bound of the platform, with its reason; relations between them hold at compile time.

/// Lines of one basket. A page record stays small and a script's work bounded.
pub const LINES_MAX: usize = 8;
/// Units of one line. Larger wishes are not a flash sale; keeps every sum far from overflow.
pub const QUANTITY_MAX: u32 = 1_000;
/// Idempotency keys that one user may have accepted in one sale; a ninth is refused, so a page stays small.
pub const KEYS_MAX: usize = 8;
/// Reservations of one script call over the network: a longer script blocks the server for other shards.
pub const BATCH_MAX: usize = 64;
/// Reservations of one call in one process, where a batch shares one disk sync instead of one round trip.
pub const GROUP_MAX: usize = 256;
/// Reservations that wait in one lane; above that a buyer is told to come again rather than kept waiting.
pub const LANE_WAITING_MAX: usize = 256;
/// Batches of one lane in flight: one is decided while the other's reply travels.
pub const LANE_FLIGHTS_MAX: usize = 2;
/// Orders of one shard that one transaction may end: bounds the transaction's rows.
pub const ENDINGS_MAX: usize = 256;
/// Log entries of one intake transaction: enough to share its cost, small enough to retry.
pub const INTAKE_ENTRIES_MAX: usize = 64;
/// Orders in one chunk of a load: one script call stays below about a millisecond of server time.
pub const LOAD_CHUNK_MAX: usize = 500;
/// Events that the settler keeps for a shard that must retry; then the partition pauses.
pub const PARKED_MAX: usize = 10_000;
/// Shards of one sale.
pub const SHARDS_MAX: u16 = 256;
/// SKUs of one sale: a rebuild reads them in one snapshot, an import writes them whole or not at all.
pub const SKUS_MAX: usize = 10_000;
/// Stock rows of one sale, SKUs times shards: a close and a creation touch all of them in one transaction.
pub const STOCK_ROWS_MAX: usize = 50_000;
/// Price of one unit in minor units: eight lines of a thousand units stay exact in JSON numbers.
pub const PRICE_MINOR_MAX: u64 = 1_000_000_000;
/// Characters of a title, name, category or URL.
pub const TEXT_MAX: usize = 500;
/// Units of one SKU: far below where sums of u64 could overflow.
pub const STOCK_MAX: u64 = 1_000_000_000;
/// Longest pay window: a week. A longer hold is not a flash sale, and the delay queue's horizon is bounded.
pub const HOLD_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// Shortest pay window: a buyer needs at least a second to pay.
pub const HOLD_MS_MIN: u64 = 1_000;
/// An order created late keeps at least this much of its pay window.
pub const GRACE_MS: u64 = 10_000;
/// How long a lease (keeper, forwarder, worker) lasts without renewal.
pub const LEASE_MS: u64 = 10_000;
/// How long the end of an epoch waits for the forwarder to drain the old server's log.
pub const DRAIN_TIMEOUT_MS: u64 = 5_000;
/// Keys answer after the close for a day; then order rows answer alone.
pub const KEYS_AFTER_CLOSE_MS: u64 = 24 * 3_600_000;
/// The sweep's period.
pub const SWEEP_PERIOD_MS: u64 = 60_000;
/// An unpaid order overdue by more than this was missed by the delay queue: the sweep schedules it again.
pub const OVERDUE_MS: u64 = 60_000;
/// A sale is loaded this long before its start.
pub const PRELOAD_MS: u64 = 60_000;
/// Age of a sold-out latch: at most so long is a refusal answered without asking the ledger.
pub const LATCH_MS: u64 = 100;
/// Log entries are kept this long after they are decided.
pub const TRIM_AGE_MS: u64 = 15 * 60_000;

const _: () = assert!(BATCH_MAX <= GROUP_MAX);
const _: () = assert!(LANE_WAITING_MAX >= GROUP_MAX);
const _: () = assert!(GRACE_MS >= LEASE_MS, "a worker may lose its lease once within the grace");
const _: () = assert!(DRAIN_TIMEOUT_MS < LEASE_MS, "a keeper outlives the drain that it waits for");
const _: () = assert!(HOLD_MS_MIN < HOLD_MS_MAX);
