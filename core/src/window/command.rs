//! What may be asked of the windows.

use super::hour::Hour;
use super::movement::Movement;
use crate::ids::SkuId;
use crate::inbox::{Offset, Partition};

/// One change of the windows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SalesCommand {
    /// Counts a micro-batch and moves the cursor, both or neither.
    Count(SalesBatch),
    /// Moves windows to the hour that is now by the database's clock, less `SALES_EMIT_DELAY_MS`; marks the products of
    /// those that changed, and drops the spent ones. A window is told once per hour.
    Emit {
        /// The earliest hour to tell of; refused while that clock has not come so far.
        hour: Hour,
        /// Which; at most `SALES_EMIT_MAX`.
        skus: Vec<SkuId>,
    },
}

/// Movements of one partition in the order of their offsets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SalesBatch {
    /// Which partition.
    pub partition: Partition,
    /// The place that the cursor must be at: another one means that another worker counts, or that this was done.
    pub expected: Offset,
    /// The place that the cursor moves to.
    pub next: Offset,
    /// What stands between the two places; at most `SALES_BATCH_MAX`.
    pub movements: Vec<Movement>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SalesReport {
    /// Movements that changed a slot.
    pub counted: usize,
    /// Movements that had been dealt with before.
    pub repeated: usize,
    /// Movements whose hour had left the ring.
    pub too_late: usize,
    /// Refunds before their payment, and the payments after them.
    pub unpaired: usize,
}
