//! Rows that leave by age: marks of counted sales, of which every order leaves some.
//!
//! Each transaction that writes marks takes expired ones along, so the store keeps what was written in one time to live
//! and nothing has to scan it.

use super::key;
use doorbuster_core::limits::COUNTED_TTL_MS;
use doorbuster_core::time::Wall;
use doorbuster_core::window::movement::MovementId;
use doorbuster_core::window::rows::CountedRow;
use fjall::{Keyspace, OwnedWriteBatch};
use std::collections::BTreeMap;

/// Expired marks that leave for each new one: more than one, so that what is left behind is made up for.
const REMOVED_PER_MARK: usize = 2;

/// Notes when these marks expire, and removes some that have.
pub fn stage(
    batch: &mut OwnedWriteBatch,
    rows: &Keyspace,
    marks: &BTreeMap<MovementId, CountedRow>,
) -> Result<(), fjall::Error> {
    for (id, mark) in marks {
        batch.insert(rows, key::expiry(mark.expires_at, &key::counted(id)), []);
    }
    let Some(written_at) = marks.values().map(|mark| mark.expires_at.before_ms(COUNTED_TTL_MS)).min() else {
        return Ok(());
    };
    let expired = rows.range(key::expired_by(Wall(0))..key::expired_by(written_at));
    for guard in expired.take(marks.len() * REMOVED_PER_MARK) {
        let expiry = guard.key()?;
        if let Some(row) = key::expiring(&expiry) {
            batch.remove(rows, row);
        }
        batch.remove(rows, expiry);
    }
    Ok(())
}
