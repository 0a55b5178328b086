//! The two clocks, told to core and never read by it.

use serde::{Deserialize, Serialize};

/// Microseconds of a monotonic clock since the process began: orders deadlines, is never stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mono(pub u64);

/// Milliseconds since the Unix epoch, UTC: data for rows and people; it never decides who owns a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Wall(pub u64);

/// Both clocks, read once per step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Now {
    /// Orders deadlines.
    pub mono: Mono,
    /// Only data.
    pub wall: Wall,
}

impl Mono {
    /// The instant `millis` later.
    pub fn after_ms(self, millis: u64) -> Mono {
        Mono(self.0.saturating_add(millis.saturating_mul(1000)))
    }
}

impl Wall {
    /// The time `millis` later.
    pub fn after_ms(self, millis: u64) -> Wall {
        Wall(self.0.saturating_add(millis))
    }

    /// The time `millis` earlier, not before the Unix epoch.
    pub fn before_ms(self, millis: u64) -> Wall {
        Wall(self.0.saturating_sub(millis))
    }
}
