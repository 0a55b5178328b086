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
/// Events of one partition that the settler keeps for shards that must retry; then it reads no more of it.
pub const PARKED_MAX: usize = 10_000;
/// Shards of one sale.
pub const SHARDS_MAX: u16 = 256;
/// SKUs of one sale: a rebuild reads them in one snapshot, an import writes them whole or not at all.
pub const SKUS_MAX: usize = 10_000;
/// Stock rows of one sale, SKUs times shards: a close and a creation touch all of them in one transaction.
pub const STOCK_ROWS_MAX: usize = 50_000;
/// Rows of one import, each a SKU and at most one product of its own: a file is one transaction, whole or not at all.
pub const IMPORT_ROWS_MAX: usize = 10_000;
/// Rows that one transaction writes at most, its events aside: those of an import of new products and SKUs, their stock
/// and the sale's range. Every store takes so many at once, or the import would not be whole or not at all.
pub const TRANSACTION_ROWS_MAX: usize = 2 * IMPORT_ROWS_MAX + STOCK_ROWS_MAX + 1;
/// Bytes of one row of an import in the store, product and SKU together, their stock aside: four texts, seven ids, and
/// numbers. One transaction has at most 24 MB of them: a group of commits may be so large once.
pub const IMPORT_ROW_BYTES_MAX: usize = 4 * TEXT_MAX + 7 * 33 + 100;
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
/// Records of one partition that are fetched and not done; then fetching pauses. Enough to keep all lanes busy.
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
/// The pause between two such repetitions doubles up to this: while the database is away for minutes nothing is decided,
/// and every repetition is a copy of the whole backlog in the durable log.
pub const RESEND_MS_MAX: u64 = 80_000;
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
/// A sale whose buyers are refused is looked at this often: about as long as a move of units takes.
pub const BALANCE_LOOK_MS: u64 = 250;
/// Longest pause between two looks of which none found anything to move, and between two looks at what pools hold.
pub const BALANCE_REST_MS: u64 = 5_000;
/// A move brings units within this: what a shard's own buyers take meanwhile it keeps.
pub const BALANCE_REACH_MS: u64 = 1_000;
/// A buyer who was refused counts as waiting for this long: people press again within seconds.
pub const BALANCE_WANT_MS: u64 = 10_000;
/// Units that a shard was given stay there at least this long: as long as their buyer may take to come again.
pub const BALANCE_STAY_MS: u64 = 10_000;
/// Moves of one sale in a minute. Each is an entry of a log or a transaction, so twenty a second cost buyers about a
/// hundredth of what intake decides; and a share is halved at each move, so a shard of a million units needs twenty.
pub const BALANCE_MOVES_PER_MINUTE: usize = 1_200;
/// SKUs of one look: their rows in all shards are one read.
pub const BALANCE_SKUS_MAX: usize = 64;
/// Refused wishes that one balancer remembers, one per shard and SKU: 64 SKUs of 64 shards.
pub const BALANCE_WANTS_MAX: usize = 4_096;
/// SKUs of which a keeper is asked to take units back in one run: those of one look.
pub const WISHES_MAX: usize = BALANCE_SKUS_MAX;
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
/// Age at which a product in a process's own cache is asked for again: a change whose message was lost is seen within
/// a second, at the price of one read of the shared cache per product and second.
pub const CACHE_LOCAL_AGE_MS: u64 = 1_000;
/// Age at which the shared cache forgets a product: a floor that was lost with its server is made good within a minute,
/// at the price of one read of the database per product and minute.
pub const CACHE_SHARED_AGE_MS: u64 = 60_000;
/// How long a process remembers that a product does not exist: one that is created is seen soon even without its
/// message, and whoever asks for invented names costs one read per name and second.
pub const CACHE_ABSENT_AGE_MS: u64 = 1_000;
/// A read of the shared cache without an answer for so long counts as `Unknown`: the database is then the shorter way.
pub const CACHE_READ_MS: u64 = 250;
/// A load from the database without an answer for so long counts as `Unknown`; longer than its adapter's own timeout.
pub const CACHE_LOAD_MS: u64 = 2_000;
/// Longest wait for a product: shorter than a load may take, so that a slow one still serves whoever comes next.
pub const CACHE_PATIENCE_MS: u64 = 1_500;
/// Loads of one product in a row that a newer version overtook; then its callers come again.
pub const CACHE_LOADS_MAX: u32 = 3;
/// Longest time from a question to the shared cache to the fill that follows it: a longest row of loads and pauses.
pub const CACHE_FILL_MS: u64 = 10_000;
/// By so much the clock of the shared cache's server may step, and so much may it drift while a document lives.
pub const CACHE_CLOCK_SLACK_MS: u64 = 10_000;
/// How long a floor stands in the shared cache: longer than any load that began before it may take to fill.
pub const CACHE_FLOOR_MS: u64 = CACHE_FILL_MS + CACHE_CLOCK_SLACK_MS;
/// How long a process remembers which version of a product it served last: for so long the shared cache may hold an
/// older one, filled by the last of the loads that began before.
pub const CACHE_MEMORY_MS: u64 = CACHE_SHARED_AGE_MS + CACHE_FILL_MS + CACHE_CLOCK_SLACK_MS;
/// After a floor was written, a process that missed its message serves older versions no longer than this: as long as
/// the oldest thing it may answer from, an own document, a read or a load.
pub const CACHE_LAG_MS: u64 = CACHE_LOAD_MS;
/// The same after the shared cache lost what it held, the floor included.
pub const CACHE_LAG_AFTER_LOSS_MS: u64 = CACHE_MEMORY_MS + CACHE_LAG_MS;
/// Products that one process keeps: some megabytes of ordinary ones, 128 MB of the longest.
pub const CACHE_PRODUCTS_MAX: usize = 8_192;
/// Absent products that one process remembers; apart from the others, so that invented names do not drive them out.
pub const CACHE_ABSENT_MAX: usize = 1_024;
/// Versions that one process remembers, 100 bytes each; more than that served within `CACHE_MEMORY_MS`, and products
/// without one are read from the database for as long.
pub const CACHE_VERSIONS_MAX: usize = 65_536;
/// Products that one process asks for at once: bounds what a cold start does to the database.
pub const CACHE_FLIGHTS_MAX: usize = 1_024;
/// Products whose load failed and which wait for the next try; the first to end leaves early when there are more.
pub const CACHE_PAUSES_MAX: usize = 4_096;
/// Callers that wait for one product: more than a burst on one product brings within its patience.
pub const CACHE_WAITING_MAX: usize = 16_384;
/// Callers of one process that wait for products: a megabyte.
pub const CACHE_CALLERS_MAX: usize = 65_536;
/// Bytes of one cached product: three texts of `TEXT_MAX` characters, escaped. Longer ones are served, not kept.
pub const CACHE_VALUE_BYTES_MAX: usize = 16_384;
/// Floors that one call of an invalidator writes: each is one short script, and all of them one round trip.
pub const CACHE_FLOORS_MAX: usize = 64;
/// Documents of one bulk of the indexer: whole products of some kilobytes, so a bulk stays below a megabyte.
pub const INDEX_BULK_MAX: usize = 128;
/// Closed hours that the sales of seven days count.
pub const SALES_HOURS: u64 = 7 * 24;
/// Slots of a SKU's ring: the closed hours, the open one, and one for a clock that is ahead.
pub const SALES_SLOTS: u64 = SALES_HOURS + 2;
/// A movement of sales is remembered for so long after it was counted: longer than its hour stays in the ring, so that
/// one that is delivered again counts once.
pub const COUNTED_TTL_MS: u64 = 8 * 24 * 3_600_000;
/// Movements of sales wait so long for others to share their transaction: windows are told by the hour.
pub const SALES_BATCH_MS: u64 = 10_000;
/// Movements of one transaction: each touches a ring of at most 3 kB and a mark, so it stays below 2 MB.
pub const SALES_BATCH_MAX: usize = 512;
/// Windows are told so long after the end of the hour: its last movements are counted by then, as a rule.
pub const SALES_EMIT_DELAY_MS: u64 = 2 * 60_000;
/// Rings of one page, and of one transaction that tells of their windows.
pub const SALES_EMIT_MAX: usize = 256;

const _: () = assert!(BATCH_MAX <= GROUP_MAX);
const _: () = assert!(LANE_WAITING_MAX >= GROUP_MAX);
const _: () = assert!(GRACE_MS >= LEASE_MS, "a worker may lose its lease once within the grace");
const _: () = assert!(DRAIN_TIMEOUT_MS < LEASE_MS, "a keeper outlives the drain that it waits for");
const _: () = assert!(HOLD_MS_MIN < HOLD_MS_MAX);
const _: () = assert!(IMPORT_ROWS_MAX <= SKUS_MAX, "a whole file fits into a sale");
const _: () = assert!(ENDINGS_MAX * (3 + LINES_MAX) <= TRANSACTION_ROWS_MAX, "ended orders, quotas, stock");
const _: () = assert!(INTAKE_RESERVATIONS_MAX * (2 + LINES_MAX) <= TRANSACTION_ROWS_MAX, "orders, quotas, stock");
const _: () = assert!(BACKOFF_MS_MIN < BACKOFF_MS_MAX && BACKOFF_MS_MAX < ANSWER_MS_MAX);
const _: () = assert!(GROUP_MAX <= INTAKE_RESERVATIONS_MAX, "every entry fits into a transaction");
const _: () = assert!(FETCH_RECORDS_MAX <= INBOX_RECORDS_MAX);
const _: () = assert!(ENDINGS_MAX <= CLAIMED_MAX && DELAY_TASKS_MAX <= ENDINGS_MAX);
const _: () = assert!(PUBLISH_ENTRIES_MAX <= LOG_PAGE_MAX);
const _: () = assert!(LEASE_MS >= 3 * ROW_PERIOD_MS, "a lease survives two lost renewals");
const _: () = assert!(LEASE_RENEWAL_MS < LEASE_MS);
const _: () = assert!(DRAIN_TIMEOUT_MS < ANSWER_MS_MAX, "a drain that ran to its end is still heard");
const _: () = assert!(LANE_ANSWER_MS < LANE_PATIENCE_MS, "a buyer whose batch was lost gets one retry");
const _: () =
    assert!(CACHE_LOCAL_AGE_MS <= CACHE_LAG_MS && CACHE_READ_MS <= CACHE_LAG_MS && CACHE_LOAD_MS <= CACHE_LAG_MS);
const _: () = assert!(CACHE_PATIENCE_MS < CACHE_LOAD_MS, "a slow load outlives its callers");
// Between two loads of a row is one of the first pauses.
const CACHE_ROW_MS: u64 = CACHE_LOADS_MAX as u64 * (CACHE_LOAD_MS + (BACKOFF_MS_MIN << CACHE_LOADS_MAX));
const _: () = assert!(CACHE_READ_MS + CACHE_ROW_MS < CACHE_FILL_MS, "the last load of a row may still fill");
const _: () = assert!(CACHE_FILL_MS < CACHE_FLOOR_MS, "a floor outlives every load that began before it");
const _: () = assert!(CACHE_FLOOR_MS < CACHE_SHARED_AGE_MS, "what replaces a floor stands at least as long");
const _: () = assert!(CACHE_FLIGHTS_MAX <= CACHE_PRODUCTS_MAX && CACHE_WAITING_MAX <= CACHE_CALLERS_MAX);
const _: () = assert!(COUNTED_TTL_MS > SALES_SLOTS * 3_600_000, "a mark outlives its hour's slot");
const _: () = assert!(SALES_BATCH_MAX <= INBOX_RECORDS_MAX, "a full batch can be gathered");
const _: () = assert!(SALES_BATCH_MS + ANSWER_MS_MAX < SALES_EMIT_DELAY_MS, "an hour's last batch is counted in time");
