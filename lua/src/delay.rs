//! The delay queue as bytes.
//!
//! A member is the order's id as text. An owner's value is the version 8; while claimed, then the token 8; after a later
//! wish came during the claim, then its due time 8.

use crate::bytes::Reader;
use crate::value::{ReplyError, Value};
use doorbuster_core::delay::queue::{Completion, Scheduled, StaleToken, Task, Token};
use doorbuster_core::ids::OrderId;
use doorbuster_core::limits::DELAY_TASKS_MAX;
use doorbuster_core::time::Wall;

/// Three arguments per task: order, version, due time. At least one task, at most `DELAY_TASKS_MAX`.
pub fn encode_tasks(tasks: &[Task]) -> Vec<Vec<u8>> {
    assert!((1..=DELAY_TASKS_MAX).contains(&tasks.len()), "one call schedules 1 to {DELAY_TASKS_MAX} tasks");
    let arguments = |task: &Task| {
        assert!(task.version.0 < EXACT && task.due.0 < EXACT, "a number of Lua is exact below 2^53");
        [task.order.to_string().into_bytes(), decimal(task.version.0), decimal(task.due.0)]
    };
    tasks.iter().flat_map(arguments).collect()
}

/// Three arguments per completion: order, token, pause in milliseconds or nothing.
pub fn encode_completions(completions: &[Completion]) -> Vec<Vec<u8>> {
    assert!((1..=DELAY_TASKS_MAX).contains(&completions.len()), "one call ends 1 to {DELAY_TASKS_MAX} claims");
    let arguments = |completion: &Completion| {
        let again = completion.again_ms.map(decimal).unwrap_or_default();
        [completion.order.to_string().into_bytes(), encode_token(completion.token), again]
    };
    completions.iter().flat_map(arguments).collect()
}

/// A token as the owner hash holds it.
pub fn encode_token(token: Token) -> Vec<u8> {
    token.0.to_be_bytes().to_vec()
}

/// Whole numbers below it are exact in Lua, whose numbers are doubles.
const EXACT: u64 = 1 << 53;

pub(crate) fn decimal(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

pub(crate) fn decode_scheduled(count: usize, bytes: &[u8]) -> Result<Vec<Scheduled>, ReplyError> {
    let scheduled = |letter: &u8| match letter {
        b'R' => Ok(Scheduled::Ready),
        b'A' => Ok(Scheduled::AfterClaim),
        b'I' => Ok(Scheduled::Ignored),
        letter => Err(ReplyError::meaning(char::from(*letter))),
    };
    let replies: Vec<Scheduled> = bytes.iter().map(scheduled).collect::<Result<_, _>>()?;
    if replies.len() == count { Ok(replies) } else { Err(ReplyError::Truncated) }
}

pub(crate) fn decode_claimed(value: &Value) -> Result<(Wall, Vec<OrderId>), ReplyError> {
    let (clock, orders) = value.array()?.split_first().ok_or(ReplyError::Truncated)?;
    let mut reader = Reader::new(clock.bytes()?);
    let now = Wall(reader.number(8)?);
    reader.end()?;
    if orders.len() > DELAY_TASKS_MAX {
        return Err(ReplyError::Surplus);
    }
    let order = |value: &Value| value.text()?.parse().map_err(ReplyError::meaning);
    Ok((now, orders.iter().map(order).collect::<Result<_, _>>()?))
}

/// What became of one completion.
pub type Completed = Result<(), StaleToken>;

pub(crate) fn decode_completed(count: usize, bytes: &[u8]) -> Result<(Wall, Vec<Completed>), ReplyError> {
    let mut reader = Reader::new(bytes);
    let now = Wall(reader.number(8)?);
    let completed = |letter: &u8| match letter {
        b'D' => Ok(Ok(())),
        b'S' => Ok(Err(StaleToken)),
        letter => Err(ReplyError::meaning(char::from(*letter))),
    };
    let replies = reader.raw(count)?.iter().map(completed).collect::<Result<_, _>>()?;
    reader.end()?;
    Ok((now, replies))
}

/// The token in an owner's value, if the task is claimed.
pub(crate) fn decode_owner(bytes: &[u8]) -> Result<Option<Token>, ReplyError> {
    let mut reader = Reader::new(bytes);
    reader.number(8)?;
    if reader.is_empty() {
        return Ok(None);
    }
    let token = Token(reader.number(8)?);
    if !reader.is_empty() {
        reader.number(8)?;
    }
    reader.end()?;
    Ok(Some(token))
}

/// The bounds of `claim` as arguments.
pub(crate) fn encode_claim(limit: usize, token: Token, lease_ms: u64) -> Vec<Vec<u8>> {
    assert!((1..=DELAY_TASKS_MAX).contains(&limit), "a script's work is bounded");
    vec![decimal(limit as u64), encode_token(token), decimal(lease_ms)]
}
