//! S18 and L9 of the sales windows, judged while a run goes on: every told window is recounted from the orders.
//!
//! The recount shares nothing with the rings but the length of the window and the meaning of an hour: it keeps every
//! order of the run and adds up those that count.

use super::verdict::{Checked, Findings, Missing};
use crate::database::rows::OrderRow;
use crate::ids::{OrderId, ProductId, SkuId};
use crate::order::status::Status;
use crate::time::Wall;
use crate::window::movement::{MovementId, Sign};
use std::collections::BTreeMap;

/// Hours of a window, said a second time: a wrong limit must not make its own proof wrong.
const WINDOW_HOURS: u64 = 7 * 24;
const HOUR_MS: u64 = 3_600_000;

/// Units per SKU that these orders sold in the 168 hours before this one: paid then, and the money is not back.
pub fn recount<'a>(orders: impl IntoIterator<Item = &'a OrderRow>, hour: u64) -> BTreeMap<SkuId, u64> {
    let mut sums = BTreeMap::new();
    for order in orders {
        let sold = match order.status {
            Status::Paid | Status::Refunding(_) => true,
            Status::PendingPayment | Status::Cancelled(_) | Status::Refunded(_) | Status::Rejected(_) => false,
        };
        let (Some(origin), Some(paid_at)) = (&order.origin, order.paid_at) else { continue };
        if sold && in_window(paid_at, hour) {
            for line in origin.basket.lines() {
                *sums.entry(line.sku).or_default() += u64::from(line.quantity);
            }
        }
    }
    sums
}

fn in_window(paid_at: Wall, hour: u64) -> bool {
    let paid = paid_at.0 / HOUR_MS;
    paid < hour && hour <= paid + WINDOW_HOURS
}

/// Watches one run from outside: told of committed rows, never of what a worker believes.
#[derive(Clone, Debug, Default)]
pub struct WindowWatch {
    lines: BTreeMap<(SkuId, OrderId), Line>,
    shown: BTreeMap<ProductId, Shown>,
    emissions: usize,
    sums: Findings,
    versions: Findings,
}

/// A line of an order that was paid.
#[derive(Clone, Copy, Debug)]
struct Line {
    paid_at: Wall,
    units: u64,
    refunded: bool,
    paid_counted: bool,
    refund_counted: bool,
}

impl Line {
    /// Units that a window owes to this line, as far as its movements were counted.
    fn counts(&self) -> u64 {
        if self.paid_counted && !self.refund_counted { self.units } else { 0 }
    }
}

/// What search shows of a product.
#[derive(Clone, Copy, Debug)]
struct Shown {
    version: u64,
    units: u64,
}

impl WindowWatch {
    /// An order's row was committed; others than paid and refunded ones are passed over.
    pub fn order_moved(&mut self, row: &OrderRow) {
        let (Some(sign), Some(origin), Some(paid_at)) = (Sign::of(row.status), &row.origin, row.paid_at) else {
            return;
        };
        for line in origin.basket.lines() {
            let units = u64::from(line.quantity);
            let new = Line { paid_at, units, refunded: false, paid_counted: false, refund_counted: false };
            let known = self.lines.entry((line.sku, row.id)).or_insert(new);
            known.refunded |= sign == Sign::Refunded;
        }
    }

    /// A transaction was committed that marked this movement; once its mark has expired that may happen again.
    pub fn movement_counted(&mut self, (sku, order, sign): MovementId) {
        let Some(line) = self.lines.get_mut(&(sku, order)) else {
            return self.sums.add(order, format!("{sign:?} was counted without such an order"));
        };
        let mark = match sign {
            Sign::Paid => &mut line.paid_counted,
            Sign::Refunded => &mut line.refund_counted,
        };
        *mark = true;
        let unfounded = sign == Sign::Refunded && !line.refunded;
        self.sums.expect(!unfounded, order, || format!("a refund of {sku} was counted that never was"));
    }

    /// A transaction was committed that told this SKU's sales of the 168 hours before `hour`.
    pub fn window_emitted(&mut self, sku: SkuId, hour: u64, units: u64) {
        self.emissions += 1;
        let expected = self.units_of(sku, hour);
        self.sums.expect(units == expected, sku, || format!("told {units} at hour {hour}, the orders say {expected}"));
    }

    /// Search took a document of this product, with its version in microseconds and its sales of seven days.
    pub fn document_shown(&mut self, product: ProductId, version: u64, units: u64) {
        let before = self.shown.insert(product, Shown { version, units });
        let Some(before) = before else { return };
        self.versions.expect(before.version <= version, product, || {
            format!("version {version} was shown after {}", before.version)
        });
        self.versions.expect(before.version != version || before.units == units, product, || {
            format!("version {version} shows {units} after {}", before.units)
        });
    }

    /// S18: every told window was the exact sum, and search never went back to an older version.
    pub fn judge(&self) -> Checked {
        if self.emissions == 0 && self.shown.is_empty() {
            return Err(Missing("windows that were told".to_owned()));
        }
        let mut findings = self.sums.clone();
        if let Ok(super::verdict::Judgement::Red { findings: more, count }) = self.versions.clone().judge() {
            findings.absorb(more, count);
        }
        findings.judge()
    }

    /// L9: every movement was counted, and what is told of every SKU is its sum at this hour. For a quiet point after
    /// the windows of this hour were told; `told` is what the rows say, a SKU without a row being 0.
    pub fn judge_converged(&self, hour: u64, told: &BTreeMap<SkuId, u64>) -> Checked {
        let mut findings = Findings::default();
        for ((sku, order), line) in &self.lines {
            let owes = !line.paid_counted || (line.refunded && !line.refund_counted);
            findings.expect(!owes, order, || format!("a movement of {sku} was never counted"));
        }
        let mut sums: BTreeMap<SkuId, u64> = told.keys().map(|sku| (*sku, 0)).collect();
        for ((sku, _), line) in &self.lines {
            let counts = !line.refunded && in_window(line.paid_at, hour);
            *sums.entry(*sku).or_default() += if counts { line.units } else { 0 };
        }
        for (sku, expected) in sums {
            let units = told.get(&sku).copied().unwrap_or(0);
            findings.expect(units == expected, sku, || format!("shows {units} at hour {hour}, sold {expected}"));
        }
        findings.judge()
    }

    fn units_of(&self, sku: SkuId, hour: u64) -> u64 {
        let lines = self.lines.iter().filter(|((other, _), line)| *other == sku && in_window(line.paid_at, hour));
        lines.map(|(_, line)| line.counts()).sum()
    }
}
