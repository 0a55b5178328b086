//! Rule 5 as bytes: reservations that are to end.
//!
//! ```text
//! change  epoch 8, length of user 1, user, id 16
//! answer  per change a letter: D done, R retry
//! ```

use crate::bytes::Writer;
use crate::value::ReplyError;
use doorbuster_core::ids::{Epoch, ReservationId, UserId};
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::limits::SETTLEMENTS_MAX;

/// One reservation that is to end and give its units back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GiveBack {
    /// The row's epoch at the time of the change.
    pub epoch: Epoch,
    /// Whose page.
    pub user: UserId,
    /// Which record.
    pub id: ReservationId,
}

/// Changes as one argument. At least one, at most `SETTLEMENTS_MAX`.
pub fn encode_changes(changes: &[GiveBack]) -> Vec<u8> {
    assert!((1..=SETTLEMENTS_MAX).contains(&changes.len()), "one call settles 1 to {SETTLEMENTS_MAX}");
    let mut out = Writer::default();
    for change in changes {
        out.number(change.epoch.0, 8).text(change.user.as_str()).raw(&change.id.0);
    }
    out.0
}

/// One answer per change; also what `grant` answers.
pub fn decode_settlements(count: usize, bytes: &[u8]) -> Result<Vec<Settlement>, ReplyError> {
    if bytes.len() != count {
        return Err(if bytes.len() < count { ReplyError::Truncated } else { ReplyError::Surplus });
    }
    let settlement = |letter: &u8| match letter {
        b'D' => Ok(Settlement::Done),
        b'R' => Ok(Settlement::Retry),
        letter => Err(ReplyError::meaning(char::from(*letter))),
    };
    bytes.iter().map(settlement).collect()
}
