//! How the units of one SKU are to be shared among the shards of a sale, when some have buyers and others have units.
//!
//! Units move towards buyers who were refused, never away from them. A shard is *short* while it has fewer units than
//! somebody wanted of it; a shard that is not short gives at most half of what it can spare, and never so much that it
//! becomes short itself. So the sum over shards of min(available, wanted) grows with every unit that arrives, and while
//! no buyer comes, moves end: no unit is sent back and forth.

use crate::database::rows::{Phase, ShardRow, StockRow};
use crate::ids::ServerId;
use crate::ledger::shard::{Counter, Meta, ShardState};

/// One shard that sells, as far as one SKU is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// Which shard of the sale.
    pub k: u16,
    /// Units that its memory may still give to buyers.
    pub available: u64,
    /// The fewest units that a buyer lately wanted of it and did not get; 0 when nobody was refused. `None` where
    /// refusals are not known: then one buyer is assumed, so that each shard keeps a unit and gets one.
    pub wanted: Option<u64>,
    /// Units that its buyers are expected to take before a move could bring others.
    pub expected: u64,
    /// Whether it was given units so lately that they are not to move on yet.
    pub fed: bool,
    /// Units are on their way from it to the pool, or from the pool to it.
    pub moving: bool,
    /// The last grant of its row.
    pub grant_seq: u64,
}

/// One step towards a better share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// The shard gives so many units back to the pool.
    Withdraw {
        /// Which shard of the sale.
        k: u16,
        /// At least 1, at most what it has available.
        quantity: u64,
    },
    /// The pool gives so many units to the shard.
    Grant {
        /// Which shard of the sale.
        k: u16,
        /// At least 1; all grants of one plan together are at most the pool.
        quantity: u64,
        /// The last grant that was seen in the shard's row: a grant made meanwhile makes this one void.
        after: u64,
    },
    /// Nobody waits for what is in the pool: all shards share it.
    Distribute,
}

impl Slice {
    fn wants(&self) -> u64 {
        self.wanted.unwrap_or(1)
    }

    /// Whether somebody wanted more than it has.
    pub fn is_short(&self) -> bool {
        self.available < self.wants()
    }

    /// What neither those who were refused nor those who are about to come would take.
    fn spare(&self) -> u64 {
        if self.fed { 0 } else { self.available.saturating_sub(self.wants().max(self.expected)) }
    }
}

/// The next moves of one SKU; none when the share is good, or when units are on their way and may yet make it good.
pub fn plan(pool: u64, slices: &[Slice]) -> Vec<Move> {
    let short: Vec<&Slice> = slices.iter().filter(|slice| slice.is_short()).collect();
    if pool > 0 {
        return if slices.is_empty() { Vec::new() } else { share_pool(pool, &short) };
    }
    if short.is_empty() || slices.iter().any(|slice| slice.moving) {
        return Vec::new();
    }
    let half = |spare: u64| spare - spare / 2;
    let gives = slices.iter().map(|slice| (slice.k, half(slice.spare())));
    gives.filter(|(_, quantity)| *quantity > 0).map(|(k, quantity)| Move::Withdraw { k, quantity }).collect()
}

/// The pool, evenly to those who are short; the first ones get the remainder.
fn share_pool(pool: u64, short: &[&Slice]) -> Vec<Move> {
    let count = short.len() as u64;
    if count == 0 {
        return vec![Move::Distribute];
    }
    let share = |index: usize| pool / count + u64::from((index as u64) < pool % count);
    let grant =
        |(index, slice): (usize, &&Slice)| Move::Grant { k: slice.k, quantity: share(index), after: slice.grant_seq };
    let grants = short.iter().enumerate().map(grant);
    grants.filter(|step| !matches!(step, Move::Grant { quantity: 0, .. })).collect()
}

/// What was seen of one SKU in one shard; `None` unless the memory is the row's own and sells.
///
/// The two were read one after the other: if they differ in what was granted, units are on their way between them.
pub fn observe(row: &ShardRow, stock: &StockRow, server: ServerId, meta: &Meta, counter: &Counter) -> Option<Observed> {
    let own = server == row.server && meta.epoch == row.epoch && meta.nonce == row.nonce;
    let sells = own && row.phase == Phase::Open && meta.state == ShardState::Open;
    sells.then_some(Observed {
        k: row.id.k,
        available: counter.available,
        live: counter.live,
        moving: stock.granted != counter.granted,
        grant_seq: stock.grant_seq,
    })
}

/// See [`observe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Observed {
    /// Which shard of the sale.
    pub k: u16,
    /// Units that may still be taken.
    pub available: u64,
    /// Units that live records hold.
    pub live: u64,
    /// Units are on their way from it to the pool, or from the pool to it.
    pub moving: bool,
    /// The last grant of its row.
    pub grant_seq: u64,
}
