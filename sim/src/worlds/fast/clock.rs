//! A host's two clocks, and the way from its time to the world's.

use doorbuster_core::time::{Mono, Now, Wall};

/// The wall clock at the beginning of every run: 2026-01-01 00:59:30 UTC, half a minute before an hour ends.
pub const BEGIN: Wall = Wall(1_767_229_170_000);

/// One host's clocks. The monotonic one may run too fast or too slow; the other one may also be wrong by any step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Clock {
    /// Since when the drift is what it is, in the world's and in the host's microseconds.
    since_us: u64,
    mono_us: u64,
    /// Parts per million by which it runs too fast.
    fast_ppm: u64,
    /// Milliseconds by which the wall clock is ahead; behind when negative.
    ahead_ms: i64,
}

impl Clock {
    /// What the host reads at this time of the world.
    pub fn read(&self, at_us: u64) -> Now {
        let mono_us = self.mono(at_us);
        let wall = BEGIN.0.saturating_add(mono_us / 1000).saturating_add_signed(self.ahead_ms);
        Now { mono: Mono(mono_us), wall: Wall(wall) }
    }

    fn mono(&self, at_us: u64) -> u64 {
        let passed = at_us.saturating_sub(self.since_us);
        self.mono_us + passed + passed * self.fast_ppm / 1_000_000
    }

    /// The first time of the world at which the host reads at least this.
    pub fn reaches(&self, mono: Mono) -> u64 {
        let ahead = mono.0.saturating_sub(self.mono_us);
        let passed = (ahead * 1_000_000).div_ceil(1_000_000 + self.fast_ppm);
        self.since_us + passed
    }

    /// Steps the wall clock by so many milliseconds.
    pub fn step(&mut self, by_ms: i64) {
        self.ahead_ms += by_ms;
    }

    /// Both clocks jump ahead, as those of a suspended host do when it goes on.
    pub fn leap(&mut self, at_us: u64, by_ms: u64) {
        self.mono_us = self.mono(at_us) + by_ms * 1000;
        self.since_us = at_us;
    }

    /// Runs too fast from now on.
    pub fn drift(&mut self, at_us: u64, fast_ppm: u64) {
        *self = Clock { since_us: at_us, mono_us: self.mono(at_us), fast_ppm, ahead_ms: self.ahead_ms };
    }

    /// Is right from now on, as far as a monotonic clock can be.
    pub fn heal(&mut self, at_us: u64) {
        self.drift(at_us, 0);
        let off = (self.mono_us as i64 - at_us as i64) / 1000;
        self.ahead_ms = -off;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_never_early() {
        let mut clock = Clock::default();
        clock.drift(1_000, 12_345);
        for mono in [1_000, 1_001, 5_000_000, 123_456_789] {
            let at = clock.reaches(Mono(mono));
            assert!(clock.read(at).mono.0 >= mono);
        }
    }
}
