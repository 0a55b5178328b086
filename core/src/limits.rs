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
/// An effect that is not answered for so long counts as `Unknown`: longer than any adapter's own timeout, so this is
/// only the net below them.
pub const ANSWER_MS_MAX: u64 = 15_000;
/// First pause before a question is asked again: about one round trip and some work of a busy server.
pub const BACKOFF_MS_MIN: u64 = 20;
/// Longest pause between two attempts: a healed server is found again within seconds.
pub const BACKOFF_MS_MAX: u64 = 5_000;
/// Pause before an empty partition, queue or log is asked again, where the answer did not wait for news itself.
pub const IDLE_POLL_MS: u64 = 20;
/// Records of one fetch: several transactions' worth, a few hundred kilobytes.
pub const FETCH_RECORDS_MAX: usize = 256;
/// Records of one partition that are fetched and not finished; then fetching pauses. Enough to keep all lanes busy.
pub const INBOX_RECORDS_MAX: usize = 2_048;
/// Reservations of one intake transaction: 2,048 orders with quota rows and events, some 25 cells each, stay below
/// the 80,000 mutations of one Spanner commit.
pub const INTAKE_RESERVATIONS_MAX: usize = 2_048;
/// Intake transactions of one process in flight, each of another shard: hides a round trip, bounds the memory.
pub const INTAKE_FLIGHTS_MAX: usize = 16;
/// Tasks of one call to the delay queue: one script call stays below about a millisecond of server time.
pub const DELAY_TASKS_MAX: usize = 256;
/// Calls of one reaper that schedule tasks in flight, each to another shard's queue.
pub const DELAY_FLIGHTS_MAX: usize = 16;
/// Claimed tasks that one reaper holds: two transactions' worth, so that a lease seldom ends before its turn.
pub const CLAIMED_MAX: usize = 512;
/// Shards whose claimed tasks one reaper works on at once.
pub const REAPER_FLIGHTS_MAX: usize = 8;
/// Pause between two claims when nothing was due: adds at most so much to the end of a pay window.
pub const CLAIM_PERIOD_MS: u64 = 200;
/// Pause between two looks for expired leases.
pub const RECOVERY_PERIOD_MS: u64 = 1_000;
/// A task whose order refused to end comes back after this pause.
pub const POSTPONE_MS: u64 = 1_000;
/// Overdue orders of one page of the sweep.
pub const SWEEP_PAGE_MAX: usize = 256;
/// Shards that one sweep reads at once: it is a background task and must not crowd out buyers.
pub const SWEEP_FLIGHTS_MAX: usize = 4;
/// Log entries of one producer transaction: enough to share its cost, small enough to send again.
pub const PUBLISH_ENTRIES_MAX: usize = 64;
/// Log entries of one read, and entries of one shard that are read and not yet published.
pub const LOG_PAGE_MAX: usize = 128;
/// How often a forwarder reads each shard's row.
pub const ROW_PERIOD_MS: u64 = 1_000;
/// A replay or a seal whose effect is still not seen in the row is sent again after this.
pub const RESEND_MS: u64 = 10_000;
/// How often decided entries are trimmed.
pub const TRIM_PERIOD_MS: u64 = 60_000;
/// Records of one page of a change stream.
pub const CHANGES_MAX: usize = 256;
/// Change-stream partitions that one relay reads at once: Spanner splits a busy stream into some tens.
pub const RELAY_PARTITIONS_MAX: usize = 64;
/// How often the relay reads the partitions' rows, to take what became ready or was left by a dead one.
pub const PARTITIONS_PERIOD_MS: u64 = 1_000;
/// The same for a whole load, whose chunks carry every order of a shard; the lease is kept meanwhile.
pub const LOAD_ANSWER_MS: u64 = 10 * 60_000;
/// A keeper looks at its shard and its server this often: a lost server is noticed within a second.
pub const LOOK_MS: u64 = 1_000;
/// A lease is renewed this long before its end: two renewals may be lost before it runs out.
pub const LEASE_RENEWAL_MS: u64 = 6_000;
/// Looks in a row that found no server before an open epoch is ended: about a quarter of a minute, longer than a failover.
pub const UNREACHABLE_MAX: u32 = 12;
/// Settlements in one call to a shard's server: as many as orders may end in one transaction.
pub const SETTLEMENTS_MAX: usize = 256;
/// Payments that one worker treats at a time: each is a call to the provider, which limits its clients.
pub const PAYMENTS_MAX: usize = 64;
/// Tries of a late payment to find a unit; then its money goes back. With the longest delay about two minutes.
pub const LATE_TRIES_MAX: u32 = 30;
/// A late payment whose order is not there after so many tries asks whether its reservation is lost.
pub const LATE_LOOK_TRIES: u32 = 4;
/// Tries of one reservation whose answer was lost, the batch included; then its buyer is told that nobody knows.
pub const LANE_TRIES_MAX: u8 = 4;
/// Longest wait of a reservation in a lane: below the patience of browsers and load balancers.
pub const LANE_PATIENCE_MS: u64 = 5_000;
/// A lane takes a batch without an answer for this long as `Unknown`; a buyer can be answered after one retry.
pub const LANE_ANSWER_MS: u64 = 2_000;
/// Clicks of one key that wait for the same answer: more of them are a script, not a buyer.
pub const JOINED_MAX: usize = 8;
/// Buyers whose rate is remembered: 4 MB; idle ones leave first.
pub const RATE_KEYS_MAX: usize = 262_144;
/// Requests that one buyer may make at once: a page that reloads, a double click, and a retry.
pub const USER_BURST: u32 = 20;
/// Requests of one buyer per second, sustained: faster is a script.
pub const USER_PER_SECOND: u32 = 10;
/// Sold-out latches of one process, one per (shard, SKU): as many as one sale may have rows of stock.
pub const LATCHES_MAX: usize = STOCK_ROWS_MAX;

const _: () = assert!(BATCH_MAX <= GROUP_MAX);
const _: () = assert!(LANE_WAITING_MAX >= GROUP_MAX);
const _: () = assert!(GRACE_MS >= LEASE_MS, "a worker may lose its lease once within the grace");
const _: () = assert!(DRAIN_TIMEOUT_MS < LEASE_MS, "a keeper outlives the drain that it waits for");
const _: () = assert!(HOLD_MS_MIN < HOLD_MS_MAX);
const _: () = assert!(BACKOFF_MS_MIN < BACKOFF_MS_MAX && BACKOFF_MS_MAX < ANSWER_MS_MAX);
const _: () = assert!(GROUP_MAX <= INTAKE_RESERVATIONS_MAX, "every entry fits into a transaction");
const _: () = assert!(FETCH_RECORDS_MAX <= INBOX_RECORDS_MAX);
const _: () = assert!(ENDINGS_MAX <= CLAIMED_MAX && DELAY_TASKS_MAX <= ENDINGS_MAX);
const _: () = assert!(PUBLISH_ENTRIES_MAX <= LOG_PAGE_MAX);
const _: () = assert!(LEASE_MS >= 3 * ROW_PERIOD_MS, "a lease survives two lost renewals");
const _: () = assert!(LEASE_RENEWAL_MS < LEASE_MS);
const _: () = assert!(DRAIN_TIMEOUT_MS < ANSWER_MS_MAX, "a drain that ran to its end is still heard");
const _: () = assert!(LANE_ANSWER_MS < LANE_PATIENCE_MS, "a buyer whose batch was lost gets one retry");
