//! The delays between tries: exponential, with jitter from a seed, so that many machines do not come back together.

use crate::limits::{BACKOFF_MS_MAX, BACKOFF_MS_MIN};
use crate::rng::Rng;
use crate::time::{Mono, Now};

/// How long to wait after each failure in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pace {
    rng: Rng,
    failures: u32,
}

impl Pace {
    /// The seed comes from the environment's entropy, or from the simulator.
    pub fn new(seed: u64) -> Pace {
        Pace { rng: Rng::seeded(seed), failures: 0 }
    }

    /// Notes a failure; the time of the next try, between half the doubled delay and the whole of it.
    pub fn fail(&mut self, now: Now) -> Mono {
        let doubled = BACKOFF_MS_MIN << self.failures.min(16);
        let delay_ms = doubled.min(BACKOFF_MS_MAX);
        self.failures = self.failures.saturating_add(1);
        now.mono.after_ms(delay_ms / 2 + self.rng.below(delay_ms / 2 + 1))
    }

    /// Whether the last try failed.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Notes a success: the next failure waits shortly again.
    pub fn succeed(&mut self) {
        self.failures = 0;
    }

    /// The next number of the seed's sequence.
    pub fn draw(&mut self) -> u64 {
        self.rng.draw()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let (mut pace, now) = (Pace::new(7), Now::default());
        for failures in 0..20 {
            let whole = (BACKOFF_MS_MIN << failures).min(BACKOFF_MS_MAX) * 1000;
            let delay = pace.fail(now).0;
            assert!(delay + 1000 >= whole / 2 && delay <= whole, "{delay} of {whole}");
        }
        pace.succeed();
        assert!(pace.fail(now).0 <= BACKOFF_MS_MIN * 1000);
    }
}
