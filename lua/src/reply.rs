//! What a call was answered, in core's words.

use crate::bytes::Reader;
use crate::cache::{decode_fill, decode_floor};
use crate::call::Call;
use crate::delay::{Completed, decode_claimed, decode_completed, decode_scheduled};
use crate::load::decode_verdict;
use crate::reserve::{BatchAnswer, decode_answer};
use crate::settle::decode_settlements;
use crate::value::{ReplyError, Value};
use doorbuster_core::admission::rate::Verdict;
use doorbuster_core::cache::shared::{FillRefusal, Floored};
use doorbuster_core::delay::queue::Scheduled;
use doorbuster_core::ids::{OrderId, Seq};
use doorbuster_core::ledger::load::LoadRefusal;
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::ShardState;
use doorbuster_core::time::{Mono, Now, Wall};

/// The answer of a script. Those that depend on the time name it: `now` is the server's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Another server or another memory than the caller believes in; nothing was written.
    Fenced,
    /// `reserve`.
    Reserved(BatchAnswer),
    /// `settle` and `grant`: one per change.
    Settled(Vec<Settlement>),
    /// `withdraw`; absent when there was nothing to take.
    Withdrawn(Option<Withdrawal>),
    /// `seal`: the last entry; absent when the memory is missing or of another epoch.
    Sealed(Option<Seq>),
    /// `load` and `open`.
    Loaded(Result<(), LoadRefusal>),
    /// `set_state`: what holds now.
    State(ShardState),
    /// `ack`: the last entry known to be durable.
    Acked(Seq),
    /// `trim`.
    Trimmed {
        /// The server's clock.
        now: Wall,
        /// Entries that are gone.
        removed: u64,
    },
    /// `delay_schedule`: one per task.
    Scheduled(Vec<Scheduled>),
    /// `delay_claim`.
    Claimed {
        /// The server's clock.
        now: Wall,
        /// What was claimed, the longest due first.
        orders: Vec<OrderId>,
    },
    /// `delay_complete`.
    Completed {
        /// The server's clock.
        now: Wall,
        /// One per completion.
        completed: Vec<Completed>,
    },
    /// `delay_recover`.
    Recovered {
        /// The server's clock.
        now: Wall,
        /// Tasks that are ready again.
        count: u64,
    },
    /// `cache_fill`.
    Filled {
        /// The server's clock.
        now: Wall,
        /// Whether the product stands there.
        verdict: Result<(), FillRefusal>,
    },
    /// `cache_floor`.
    Floored {
        /// The server's clock.
        now: Wall,
        /// What it did.
        floored: Floored,
    },
    /// `rate_limit`.
    Limited {
        /// The server's clock in microseconds.
        now: Mono,
        /// Whether the request is taken.
        verdict: Verdict,
    },
}

/// Units that a shard gave back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// The server's clock.
    pub now: Wall,
    /// The entry that tells of it.
    pub seq: Seq,
    /// How many units.
    pub quantity: u64,
}

impl Reply {
    /// The server's clock at the call, if the answer names it; `mono` is the same clock in microseconds.
    pub fn clock(&self) -> Option<Now> {
        let at = |wall: Wall| Some(Now { mono: Mono(wall.0 * 1000), wall });
        match self {
            Reply::Reserved(answer) => at(answer.now),
            Reply::Withdrawn(Some(Withdrawal { now, .. }))
            | Reply::Trimmed { now, .. }
            | Reply::Claimed { now, .. }
            | Reply::Completed { now, .. }
            | Reply::Recovered { now, .. }
            | Reply::Filled { now, .. }
            | Reply::Floored { now, .. } => at(*now),
            Reply::Limited { now, .. } => Some(Now { mono: *now, wall: Wall(now.0 / 1000) }),
            Reply::Fenced
            | Reply::Settled(_)
            | Reply::Withdrawn(None)
            | Reply::Sealed(_)
            | Reply::Loaded(_)
            | Reply::State(_)
            | Reply::Acked(_)
            | Reply::Scheduled(_) => None,
        }
    }
}

impl Call {
    /// What the server's answer to this call means.
    pub fn decode(&self, value: &Value) -> Result<Reply, ReplyError> {
        if value.is_fenced() {
            return Ok(Reply::Fenced);
        }
        match self {
            Call::Reserve(fence, items) => Ok(Reply::Reserved(decode_answer(fence.epoch, items, value.bytes()?)?)),
            Call::Settle(changes) => Ok(Reply::Settled(decode_settlements(changes.len(), value.bytes()?)?)),
            Call::Grant(grants) => Ok(Reply::Settled(decode_settlements(grants.len(), value.bytes()?)?)),
            Call::Withdraw(..) => Ok(Reply::Withdrawn(decode_withdrawal(value)?)),
            Call::Seal(_) => match value {
                Value::Nil => Ok(Reply::Sealed(None)),
                value => Ok(Reply::Sealed(Some(Seq(numbers::<1>(value)?[0])))),
            },
            Call::Load(..) | Call::Open { .. } => Ok(Reply::Loaded(decode_verdict(value.bytes()?)?)),
            Call::SetState(..) => Ok(Reply::State(decode_state(value.bytes()?)?)),
            Call::Ack { .. } => Ok(Reply::Acked(Seq(numbers::<1>(value)?[0]))),
            Call::Trim { .. } => {
                let [now, removed] = numbers(value)?;
                Ok(Reply::Trimmed { now: Wall(now), removed })
            }
            Call::DelaySchedule(tasks) => Ok(Reply::Scheduled(decode_scheduled(tasks.len(), value.bytes()?)?)),
            Call::DelayClaim { .. } => decode_claimed(value).map(|(now, orders)| Reply::Claimed { now, orders }),
            Call::DelayComplete(completions) => {
                let (now, completed) = decode_completed(completions.len(), value.bytes()?)?;
                Ok(Reply::Completed { now, completed })
            }
            Call::DelayRecover(_) => {
                let [now, count] = numbers(value)?;
                Ok(Reply::Recovered { now: Wall(now), count })
            }
            Call::CacheFill { .. } => decode_fill(value.bytes()?).map(|(now, verdict)| Reply::Filled { now, verdict }),
            Call::CacheFloor(..) => decode_floor(value.bytes()?).map(|(now, floored)| Reply::Floored { now, floored }),
            Call::RateLimit(..) => {
                let (now, verdict) = crate::rate::decode_verdict(value.bytes()?)?;
                Ok(Reply::Limited { now, verdict })
            }
        }
    }
}

/// A state as the head of a memory names it.
pub fn decode_state(word: &[u8]) -> Result<ShardState, ReplyError> {
    match word {
        b"loading" => Ok(ShardState::Loading),
        b"open" => Ok(ShardState::Open),
        b"stopped" => Ok(ShardState::Stopped),
        b"sealed" => Ok(ShardState::Sealed),
        word => Err(ReplyError::meaning(String::from_utf8_lossy(word))),
    }
}

fn decode_withdrawal(value: &Value) -> Result<Option<Withdrawal>, ReplyError> {
    if *value == Value::Nil {
        return Ok(None);
    }
    let [now, seq, quantity] = numbers(value)?;
    Ok(Some(Withdrawal { now: Wall(now), seq: Seq(seq), quantity }))
}

fn numbers<const N: usize>(value: &Value) -> Result<[u64; N], ReplyError> {
    let mut reader = Reader::new(value.bytes()?);
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = reader.number(8)?;
    }
    reader.end()?;
    Ok(numbers)
}
