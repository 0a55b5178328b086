//! Hours of the wall clock, in UTC: the unit of the windows.

use crate::limits::SALES_HOURS;
use crate::time::Wall;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Milliseconds of an hour.
pub const HOUR_MS: u64 = 3_600_000;

/// Whole hours since the Unix epoch, UTC. No daylight saving: an hour is never repeated and never left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hour(pub u64);

impl Hour {
    /// The hour in which this time lies.
    pub fn of(at: Wall) -> Hour {
        Hour(at.0 / HOUR_MS)
    }

    /// When it begins.
    pub fn start(self) -> Wall {
        Wall(self.0.saturating_mul(HOUR_MS))
    }

    /// The hour after this one.
    pub fn next(self) -> Hour {
        Hour(self.0 + 1)
    }

    /// The closed hours whose units are the sales of seven days at this hour: the 168 before it.
    pub fn window(self) -> Range<u64> {
        self.0.saturating_sub(SALES_HOURS)..self.0
    }
}
