//! The rate limit as bytes: now in microseconds 8, taken 1, then remaining 8 and reset 8, or retry after 8 and nothing 8.

use crate::bytes::Reader;
use crate::delay::decimal;
use crate::value::ReplyError;
use doorbuster_core::admission::rate::{Rate, Verdict};
use doorbuster_core::time::Mono;

/// The rate as arguments.
pub(crate) fn encode_rate(rate: Rate) -> Vec<Vec<u8>> {
    assert!(rate.per_second > 0 && rate.burst > 0, "a rate lets something through");
    let room = 1_000_000_000 / u64::from(rate.per_second) * u64::from(rate.burst);
    // Some hundred days of one key's requests.
    assert!(room < 1 << 53, "the nanoseconds of a whole burst are exact in a number of Lua");
    vec![decimal(u64::from(rate.per_second)), decimal(u64::from(rate.burst))]
}

/// The server's clock at the decision, and the decision.
pub(crate) fn decode_verdict(bytes: &[u8]) -> Result<(Mono, Verdict), ReplyError> {
    let mut reader = Reader::new(bytes);
    let now = Mono(reader.number(8)?);
    let taken = reader.byte()?;
    let (first, second) = (reader.number(8)?, reader.number(8)?);
    reader.end()?;
    let verdict = match taken {
        0 => Verdict::Refuse { retry_after_ms: first },
        1 => {
            let remaining = u32::try_from(first).map_err(|_| ReplyError::meaning(first))?;
            Verdict::Allow { remaining, reset_ms: second }
        }
        other => return Err(ReplyError::meaning(other)),
    };
    Ok((now, verdict))
}
