//! The rows of the windows.

use super::hour::Hour;
use super::ring::{Placement, Ring};
use crate::ids::ProductId;
use crate::inbox::{Offset, Partition};
use crate::time::Wall;
use serde::{Deserialize, Serialize};

/// One SKU's sales; a SKU without a row has sold nothing that any window counts, and shows 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SalesRingRow {
    /// The partition of `sales` that the SKU's movements come through: its worker tells of the window.
    pub partition: Partition,
    /// The product that is marked when the window changes: that of the last movement.
    pub product: ProductId,
    /// Units by hour.
    pub ring: Ring,
    /// Whether a movement has changed a slot since the window was last told.
    pub dirty: bool,
    /// The sales of seven days that were last told: what search shows.
    pub emitted: u64,
    /// The hour of which that was told; `None` before the first time.
    pub emitted_hour: Option<Hour>,
}

/// How far the movements of a partition are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SalesCursorRow {
    /// First record that is not counted; 0 where there is no row yet.
    pub next: Offset,
    /// Movements that came when their hour had left the ring.
    pub too_late: u64,
    /// Refunds whose payment had not been counted before them.
    pub unpaired: u64,
}

/// A movement that was dealt with: delivered again, it changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CountedRow {
    /// What became of it.
    pub placement: Placement,
    /// When the store may drop the row. Its hour has left the ring by then, so it matters to no window.
    pub expires_at: Wall,
}

impl SalesRingRow {
    /// A SKU that has sold nothing yet.
    pub fn new(partition: Partition, product: ProductId) -> SalesRingRow {
        SalesRingRow { partition, product, ring: Ring::default(), dirty: false, emitted: 0, emitted_hour: None }
    }
}
