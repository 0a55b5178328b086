//! The arrival schedule of an open loop: when each click is intended, whatever the server does.

use std::time::{Duration, Instant};

/// Wake-ups closer together than this cost more than their precision is worth; what is due by then goes at once.
const PACER_PAUSE_MIN: Duration = Duration::from_micros(100);

/// `count` arrivals at a constant rate from `start`.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    start: Instant,
    interval_ns: f64,
    count: usize,
}

impl Schedule {
    /// A schedule of `count` arrivals at `rate_per_second`, the first at `start`.
    #[must_use]
    pub fn new(start: Instant, rate_per_second: f64, count: usize) -> Self {
        assert!(rate_per_second > 0.0, "a rate is positive");
        Self { start, interval_ns: 1e9 / rate_per_second, count }
    }

    /// The intended start of the first arrival.
    #[must_use]
    pub fn start(&self) -> Instant {
        self.start
    }

    /// The intended start of one arrival.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "hours in nanoseconds fit"
    )]
    pub fn intended(&self, arrival: usize) -> Instant {
        self.start + Duration::from_nanos((arrival as f64 * self.interval_ns) as u64)
    }

    /// The intended start of the last arrival.
    #[must_use]
    pub fn end(&self) -> Instant {
        self.intended(self.count.saturating_sub(1))
    }

    /// How many arrivals are due at `now`.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "hours in nanoseconds fit"
    )]
    pub fn due(&self, now: Instant) -> usize {
        let Some(elapsed) = now.checked_duration_since(self.start) else { return 0 };
        (((elapsed.as_nanos() as f64 / self.interval_ns) as usize) + 1).min(self.count)
    }

    /// Runs on a thread of its own, because a sleep of the kernel is some ten times finer than a timer of the runtime:
    /// calls `release(n)` whenever `n` more arrivals are due, until all are or `release` says that nobody waits.
    pub fn pace(&self, mut release: impl FnMut(usize) -> bool) {
        let mut released = 0;
        while released < self.count {
            let due = self.due(Instant::now());
            if due > released {
                if !release(due - released) {
                    return;
                }
                released = due;
            } else {
                let pause = self.intended(released).saturating_duration_since(Instant::now());
                // A long pause is cut so that an ended run does not wait for this thread.
                std::thread::sleep(pause.clamp(PACER_PAUSE_MIN, Duration::from_millis(100)));
                if !release(0) {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_due_at_their_intended_start_and_not_before() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 1000.0, 5);
        assert_eq!(schedule.due(start), 1);
        assert_eq!(schedule.due(start + Duration::from_micros(999)), 1);
        assert_eq!(schedule.due(start + Duration::from_micros(1001)), 2);
        assert_eq!(schedule.due(start + Duration::from_secs(9)), 5);
        assert_eq!(schedule.intended(4) - start, Duration::from_millis(4));
        assert_eq!(schedule.end(), schedule.intended(4));
    }

    #[test]
    fn the_pacer_releases_every_arrival_once() {
        let mut released = 0;
        Schedule::new(Instant::now(), 1e6, 100).pace(|more| {
            released += more;
            true
        });
        assert_eq!(released, 100);
    }
}
