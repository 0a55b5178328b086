//! The numbers of the commits, kept in both keyspaces, and what an opening demands of them.
//!
//! The last number of each keyspace shows a lost end; a tick every few numbers, without a gap, shows a lost middle.

use super::key;
use super::mark::Mark;
use super::read::{self, ReadError};
use super::store::Shelf;
use super::write::encode;
use fjall::{Keyspace, OwnedWriteBatch};

/// Every so many groups leave a tick: a journal of the store holds thousands of groups.
const TICK_EVERY: u64 = 16;
/// Ticks that are kept: a million groups, more than all journals of the store may hold together.
const TICKS_KEPT: u64 = 65_536;

/// What is wrong with the rows as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The last commits are gone.
    End {
        /// The last number that is there, in the keyspace that has fewer.
        found: u64,
        /// The number that was synced once.
        synced: u64,
    },
    /// Commits before later ones are gone.
    Middle {
        /// The first number that should have left a tick and has not.
        missing: u64,
    },
}

/// Puts the number of this group into both keyspaces.
pub fn stage(batch: &mut OwnedWriteBatch, shelf: &Shelf, number: u64) {
    for keyspace in [&shelf.rows, &shelf.outbox] {
        batch.insert(keyspace, key::commits(), encode(&number));
        if number.is_multiple_of(TICK_EVERY) {
            let tick = number / TICK_EVERY;
            batch.insert(keyspace, key::tick(tick), []);
            if let Some(old) = tick.checked_sub(TICKS_KEPT) {
                batch.remove(keyspace, key::tick(old));
            }
        }
    }
}

/// The last number, if nothing is lost.
pub fn check(shelf: &Shelf, mark: &Mark) -> Result<Result<u64, Lost>, ReadError> {
    let (rows, outbox) = (last(shelf, &shelf.rows)?, last(shelf, &shelf.outbox)?);
    let synced = mark.last().number;
    if rows.min(outbox) < synced || rows != outbox {
        return Ok(Err(Lost::End { found: rows.min(outbox), synced: synced.max(rows.max(outbox)) }));
    }
    for keyspace in [&shelf.rows, &shelf.outbox] {
        if let Some(missing) = missing_tick(keyspace, rows)? {
            return Ok(Err(Lost::Middle { missing: missing * TICK_EVERY }));
        }
    }
    Ok(Ok(rows))
}

fn last(shelf: &Shelf, keyspace: &Keyspace) -> Result<u64, ReadError> {
    Ok(read::one(&shelf.database.snapshot(), keyspace, &key::commits())?.unwrap_or(0))
}

/// Ticks begin at 1 and are taken away from below only.
fn missing_tick(keyspace: &Keyspace, last: u64) -> Result<Option<u64>, ReadError> {
    let end = last / TICK_EVERY;
    let mut expected = (end + 1).saturating_sub(TICKS_KEPT).max(1);
    for guard in keyspace.prefix(key::ticks()) {
        let found = key::parse_tick(&guard.key()?);
        if found == Some(expected) {
            expected += 1;
        } else {
            return Ok(Some(expected));
        }
    }
    Ok((expected <= end).then_some(expected))
}
