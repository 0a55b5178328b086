//! One call of a script: what it is given, and what its answer means.

use crate::delay::{decimal, encode_claim, encode_completions, encode_tasks};
use crate::grant::{Grant, encode_grants};
use crate::identity::ScriptFence;
use crate::keys::{ShardKeys, cache_key, rate_key};
use crate::load::{encode_records, encode_stock};
use crate::rate::encode_rate;
use crate::reserve::encode_batch;
use crate::script::{self, Script};
use crate::settle::{GiveBack, encode_changes};
use doorbuster_core::admission::rate::Rate;
use doorbuster_core::cache::Value as Product;
use doorbuster_core::delay::queue::{Completion, Task, Token};
use doorbuster_core::ids::{ProductId, Seq, SkuId, Version};
use doorbuster_core::ledger::load::{Chunk, LoadHead};
use doorbuster_core::ledger::reserve::ReserveItem;
use doorbuster_core::limits::{CACHE_FILL_MS, CACHE_FLOOR_MS, CACHE_SHARED_AGE_MS, DELAY_TASKS_MAX};
use doorbuster_core::time::Wall;

/// Entries that one `ack` takes off the pending list: several transactions' worth, and far from the stack of Lua.
pub const ACK_ENTRIES_MAX: u64 = 1_024;

/// One call of each script; every batch has its limit in `doorbuster_core::limits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Rule 1.
    Reserve(ScriptFence, Vec<ReserveItem>),
    /// Rule 5.
    Settle(Vec<GiveBack>),
    /// Rule 6.
    Grant(Vec<Grant>),
    /// Rule 7: so many units of one SKU, or what there is.
    Withdraw(ScriptFence, SkuId, u64),
    /// Ends an epoch's reservations; the nonce is not compared.
    Seal(ScriptFence),
    /// One chunk of a rebuild.
    Load(ScriptFence, Chunk),
    /// Ends a rebuild.
    Open {
        /// Under which identity.
        fence: ScriptFence,
        /// How many chunks there were.
        chunks: u32,
        /// Whether it is stopped from the beginning.
        paused: bool,
    },
    /// Stops or resumes.
    SetState(ScriptFence, bool),
    /// Notes that the durable log holds all entries up to one.
    Ack {
        /// Under which identity.
        fence: ScriptFence,
        /// Up to this one.
        last: Seq,
        /// The consumer group, and the first entry to take off its pending list; the last one is `last`.
        pending: Option<(&'static str, Seq)>,
    },
    /// Removes entries of the log up to one, if they are old.
    Trim {
        /// Under which identity.
        fence: ScriptFence,
        /// Up to this one.
        decided: Seq,
        /// And at least so old, by the server's clock.
        age_ms: u64,
    },
    /// Adds or moves tasks.
    DelaySchedule(Vec<Task>),
    /// Takes due tasks.
    DelayClaim {
        /// At most so many.
        limit: usize,
        /// Under this token.
        token: Token,
        /// For so long.
        lease_ms: u64,
    },
    /// Ends claims.
    DelayComplete(Vec<Completion>),
    /// Returns at most so many tasks whose lease has ended.
    DelayRecover(usize),
    /// Fills the shared cache.
    CacheFill {
        /// Which product.
        product: ProductId,
        /// Of its row.
        version: Version,
        /// The product.
        value: Product,
        /// The server's clock when its reader asked.
        asked_at: Wall,
    },
    /// Writes a floor into the shared cache.
    CacheFloor(ProductId, Version),
    /// Counts one request of a name.
    RateLimit(String, Rate),
}

/// A call as it is sent: EVALSHA, and EVAL after NOSCRIPT.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// What runs.
    pub script: &'static Script,
    /// KEYS.
    pub keys: Vec<String>,
    /// ARGV.
    pub arguments: Vec<Vec<u8>>,
}

impl Call {
    /// The script that it calls.
    pub fn script(&self) -> &'static Script {
        match self {
            Call::Reserve(..) => &script::RESERVE,
            Call::Settle(_) => &script::SETTLE,
            Call::Grant(_) => &script::GRANT,
            Call::Withdraw(..) => &script::WITHDRAW,
            Call::Seal(_) => &script::SEAL,
            Call::Load(..) => &script::LOAD,
            Call::Open { .. } => &script::OPEN,
            Call::SetState(..) => &script::SET_STATE,
            Call::Ack { .. } => &script::ACK,
            Call::Trim { .. } => &script::TRIM,
            Call::DelaySchedule(_) => &script::DELAY_SCHEDULE,
            Call::DelayClaim { .. } => &script::DELAY_CLAIM,
            Call::DelayComplete(_) => &script::DELAY_COMPLETE,
            Call::DelayRecover(_) => &script::DELAY_RECOVER,
            Call::CacheFill { .. } => &script::CACHE_FILL,
            Call::CacheFloor(..) => &script::CACHE_FLOOR,
            Call::RateLimit(..) => &script::RATE_LIMIT,
        }
    }

    /// KEYS and ARGV for the shard with these keys.
    pub fn invocation(&self, keys: &ShardKeys) -> Invocation {
        Invocation { script: self.script(), keys: self.keys(keys), arguments: self.arguments() }
    }

    /// KEYS, in the script's order.
    pub fn keys(&self, of: &ShardKeys) -> Vec<String> {
        let keys: &[&String] = match self {
            Call::Reserve(..) | Call::Load(..) => &[&of.memory, &of.users, &of.log],
            Call::Settle(_) => &[&of.memory, &of.users],
            Call::Withdraw(..) | Call::Ack { .. } | Call::Trim { .. } => &[&of.memory, &of.log],
            Call::Grant(_) | Call::Seal(_) | Call::Open { .. } | Call::SetState(..) => &[&of.memory],
            Call::DelaySchedule(_) => &[&of.ready, &of.owner],
            Call::DelayClaim { .. } | Call::DelayComplete(_) | Call::DelayRecover(_) => {
                &[&of.ready, &of.processing, &of.owner]
            }
            Call::CacheFill { product, .. } | Call::CacheFloor(product, _) => return vec![cache_key(*product)],
            Call::RateLimit(name, _) => return vec![rate_key(name)],
        };
        keys.iter().map(|key| (*key).clone()).collect()
    }

    /// ARGV, in the script's order.
    ///
    /// # Panics
    /// When a batch is empty or above its limit, or a number does not fit into its field: both are the caller's bugs.
    pub fn arguments(&self) -> Vec<Vec<u8>> {
        match self {
            Call::Reserve(fence, items) => fenced(fence, [encode_batch(items)]),
            Call::Settle(changes) => vec![encode_changes(changes)],
            Call::Grant(grants) => vec![encode_grants(grants)],
            Call::Withdraw(fence, sku, quantity) => {
                fenced(fence, [sku.as_str().as_bytes().to_vec(), decimal(*quantity)])
            }
            Call::Seal(fence) => vec![fence.replication_id.as_str().into(), decimal(fence.epoch.0)],
            Call::Load(fence, chunk) => load_arguments(fence, chunk),
            Call::Open { fence, chunks, paused } => fenced(fence, [decimal(u64::from(*chunks)), flag(*paused)]),
            Call::SetState(fence, paused) => fenced(fence, [flag(*paused)]),
            Call::Ack { fence, last, pending } => ack_arguments(fence, *last, *pending),
            Call::Trim { fence, decided, age_ms } => fenced(fence, [decimal(decided.0), decimal(*age_ms)]),
            Call::DelaySchedule(tasks) => encode_tasks(tasks),
            Call::DelayClaim { limit, token, lease_ms } => encode_claim(*limit, *token, *lease_ms),
            Call::DelayComplete(completions) => encode_completions(completions),
            Call::DelayRecover(limit) => {
                assert!((1..=DELAY_TASKS_MAX).contains(limit), "a script's work is bounded");
                vec![decimal(*limit as u64)]
            }
            Call::CacheFill { version, value, asked_at, .. } => {
                let numbers = [version.0, asked_at.0, CACHE_FILL_MS, CACHE_SHARED_AGE_MS];
                numbers.map(decimal).into_iter().chain([value.to_vec()]).collect()
            }
            Call::CacheFloor(_, version) => vec![decimal(version.0), decimal(CACHE_FLOOR_MS)],
            Call::RateLimit(_, rate) => encode_rate(*rate),
        }
    }
}

fn fenced<const N: usize>(fence: &ScriptFence, rest: [Vec<u8>; N]) -> Vec<Vec<u8>> {
    let head = [fence.replication_id.as_str().into(), decimal(fence.epoch.0), decimal(fence.nonce.0)];
    head.into_iter().chain(rest).collect()
}

fn flag(set: bool) -> Vec<u8> {
    decimal(u64::from(set))
}

fn load_arguments(fence: &ScriptFence, chunk: &Chunk) -> Vec<Vec<u8>> {
    assert!(chunk.head.is_some() || chunk.number > 1, "the first chunk carries the head");
    let mut arguments = fenced(fence, [decimal(u64::from(chunk.number)), encode_records(&chunk.records)]);
    if let Some(LoadHead { window, limit, stock }) = &chunk.head {
        arguments.extend([window.starts_at.0, window.ends_at.0, u64::from(*limit)].map(decimal));
        arguments.push(encode_stock(stock));
    }
    arguments
}

fn ack_arguments(fence: &ScriptFence, last: Seq, pending: Option<(&str, Seq)>) -> Vec<Vec<u8>> {
    let (group, first) = pending.unwrap_or(("", Seq(0)));
    if pending.is_some() {
        assert!(first.0 > 0 && last.0.saturating_sub(first.0) < ACK_ENTRIES_MAX, "a call's work is bounded");
    }
    fenced(fence, [decimal(last.0), group.into(), decimal(first.0)])
}
