//! The same equations in production, where nothing is at rest for long: cheap ones from counters, I3 by a rolling scan.

use crate::database::rows::{OrderRow, Phase, ShardRow, SkuRow, StockRow};
use crate::ids::{OrderId, ShardId, SkuId};
use crate::ledger::basket::Line;
use crate::ledger::shard::{Counter, Meta};
use crate::oracle::verdict::{Checked, Findings, Missing};
use crate::time::Wall;
use std::collections::BTreeMap;

/// I1 of one shard.
pub fn consumed_within_granted(shard: ShardId, stock: &[(SkuId, StockRow)]) -> Checked {
    let mut findings = Findings::default();
    for (sku, row) in stock {
        findings.expect(row.consumed <= row.granted, format_args!("{shard}, {sku}"), || format!("{row:?}"));
    }
    findings.judge()
}

/// I2 of one SKU: its row and the stock rows of all shards, from one snapshot.
pub fn granted_and_pool_are_total(row: &SkuRow, stock: impl Iterator<Item = StockRow>) -> Checked {
    let granted: u128 = stock.map(|row| u128::from(row.granted)).sum();
    let mut findings = Findings::default();
    findings.expect(granted + u128::from(row.pool) == u128::from(row.total), row.sku, || {
        format!("granted {granted} + pool {} is not total {}", row.pool, row.total)
    });
    findings.judge()
}

/// I4 of one shard's memory.
pub fn granted_is_available_and_live(shard: ShardId, counters: impl Iterator<Item = (SkuId, Counter)>) -> Checked {
    let mut findings = Findings::default();
    for (sku, counter) in counters {
        let whole = counter.available.checked_add(counter.live) == Some(counter.granted);
        findings.expect(whole, format_args!("{shard}, {sku}"), || format!("{counter:?}"));
    }
    findings.judge()
}

/// I5 of one shard, when nothing of it is in flight; else not checked.
///
/// `owed_down` counts the shard's outbox rows (Settled, Granted) that its memory has not taken in. The row and the memory
/// must have been read with nothing between them, or be read again when the second reading of the row differs.
pub fn agrees_when_quiet(
    row: &ShardRow,
    stock: &[(SkuId, StockRow)],
    meta: Option<&Meta>,
    counters: impl Iterator<Item = (SkuId, Counter)>,
    owed_down: u64,
) -> Checked {
    let missing = |what: &str| Err(Missing(what.to_owned()));
    if row.phase != Phase::Open {
        return missing("an open shard");
    }
    let Some(meta) = meta.filter(|meta| (meta.epoch, meta.nonce) == (row.epoch, row.nonce)) else {
        return missing("the memory that the row names");
    };
    if meta.seq != row.cursor || owed_down > 0 {
        return missing("a moment with nothing in flight");
    }
    let (counters, mut findings): (BTreeMap<SkuId, Counter>, _) = (counters.collect(), Findings::default());
    for (sku, row_of_sku) in stock {
        let counter = counters.get(sku).copied().unwrap_or_default();
        let agrees = counter.granted == row_of_sku.granted
            && row_of_sku.granted.checked_sub(row_of_sku.consumed) == Some(counter.available);
        findings.expect(agrees, format_args!("{}, {sku}", row.id), || {
            format!("the memory says {counter:?}, the row {row_of_sku:?}")
        });
    }
    findings.judge()
}

/// I3 of one shard by a scan that goes round and round over its orders, page by page, in the order of their ids.
///
/// Orders change between two pages, so the owner tells every committed change of the shard: one behind the scan corrects
/// the sum, one ahead of it will be read anyway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollingScan {
    shard: ShardId,
    position: Option<OrderId>,
    held: BTreeMap<SkuId, i128>,
    disturbed: bool,
    begun_at: Wall,
    last: Option<(Wall, Checked)>,
}

impl RollingScan {
    /// A scan that begins now.
    pub fn new(shard: ShardId, now: Wall) -> RollingScan {
        let held = BTreeMap::new();
        RollingScan { shard, position: None, held, disturbed: false, begun_at: now, last: None }
    }

    /// The next page begins behind this order; at the first one when there is none.
    pub fn position(&self) -> Option<OrderId> {
        self.position
    }

    /// Milliseconds since the round began whose judgement is shown: how old the judgement may be.
    pub fn age_ms(&self, now: Wall) -> Option<u64> {
        self.last.as_ref().map(|(begun_at, _)| now.0.saturating_sub(begun_at.0))
    }

    /// The judgement of the last finished round.
    pub fn judgement(&self) -> Checked {
        match &self.last {
            Some((_, checked)) => checked.clone(),
            None => Err(Missing("the first round of the scan".to_owned())),
        }
    }

    /// Takes the next page: orders of the shard behind [`RollingScan::position`], by rising id.
    pub fn feed<'a>(&mut self, page: impl IntoIterator<Item = &'a OrderRow>) {
        for order in page {
            assert!(order.id.shard == self.shard, "a scan is of one shard");
            assert!(self.position.is_none_or(|position| position < order.id), "pages follow each other by id");
            self.position = Some(order.id);
            self.count(order.held_lines(), 1);
        }
    }

    /// A committed transaction changed an order; `before` is absent for a new one.
    pub fn changed(&mut self, before: Option<&OrderRow>, after: &OrderRow) {
        if after.id.shard != self.shard || self.position.is_none_or(|position| position < after.id) {
            return;
        }
        if let Some(before) = before {
            self.count(before.held_lines(), -1);
        }
        self.count(after.held_lines(), 1);
    }

    /// Changes were committed that nobody tells: a difference at the end of this round then proves nothing.
    pub fn disturb(&mut self) {
        self.disturbed = true;
    }

    /// Ends the round with the stock rows as they are now, no page being left, and begins the next one.
    pub fn finish(&mut self, stock: impl IntoIterator<Item = (SkuId, StockRow)>, now: Wall) -> Checked {
        let (mut held, mut findings) = (std::mem::take(&mut self.held), Findings::default());
        for (sku, row) in stock {
            let units = held.remove(&sku).unwrap_or(0);
            findings.expect(units == i128::from(row.consumed), format_args!("{}, {sku}", self.shard), || {
                format!("consumed {}, but orders hold {units}", row.consumed)
            });
        }
        for (sku, units) in held.into_iter().filter(|(_, units)| *units != 0) {
            findings.add(format_args!("{}, {sku}", self.shard), format!("orders hold {units} units without a row"));
        }
        let checked = match (self.disturbed, findings.judge()) {
            (true, Ok(judgement)) if judgement.is_red() => Err(Missing("a round without untold changes".to_owned())),
            (true | false, checked) => checked,
        };
        self.last = Some((self.begun_at, checked.clone()));
        (self.position, self.disturbed, self.begun_at) = (None, false, now);
        checked
    }

    fn count(&mut self, lines: &[Line], sign: i128) {
        for line in lines {
            *self.held.entry(line.sku).or_default() += sign * i128::from(line.quantity);
        }
    }
}
