//! Limits of the rate of requests: the generic cell rate algorithm (ITU-T I.371), one number per key.
//!
//! A key's number is its theoretical arrival time: when it is past, the key is idle and needs no entry.

use crate::time::Mono;

/// How many requests are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Requests per second, sustained.
    pub per_second: u32,
    /// Requests at once, of a key that was idle.
    pub burst: u32,
}

/// Whether a request is taken, as the RateLimit headers tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is.
    Allow {
        /// Requests that would still be taken now.
        remaining: u32,
        /// Milliseconds until the whole burst is free again.
        reset_ms: u64,
    },
    /// It is not; nothing was counted.
    Refuse {
        /// Milliseconds until one request would be taken.
        retry_after_ms: u64,
    },
}

/// A theoretical arrival time in nanoseconds on the monotonic clock: microseconds would round a high rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arrival(pub u64);

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_MS: u64 = 1_000_000;

impl Rate {
    /// Nanoseconds that one request costs.
    fn cost(self) -> u64 {
        assert!(self.per_second > 0 && self.burst > 0, "a rate lets something through");
        NANOS_PER_SECOND / u64::from(self.per_second)
    }

    /// Counts one request of a key with this arrival time, or refuses it. An idle key's arrival time is zero.
    pub fn decide(self, arrival: Arrival, now: Mono) -> Result<(Arrival, Verdict), Verdict> {
        let (cost, now) = (self.cost(), nanos(now));
        let next = arrival.0.max(now) + cost;
        let (used, room) = (next - now, cost * u64::from(self.burst));
        if used > room {
            return Err(Verdict::Refuse { retry_after_ms: (used - room).div_ceil(NANOS_PER_MS) });
        }
        let remaining = u32::try_from((room - used) / cost).expect("at most the burst");
        Ok((Arrival(next), Verdict::Allow { remaining, reset_ms: used.div_ceil(NANOS_PER_MS) }))
    }
}

fn nanos(at: Mono) -> u64 {
    at.0.saturating_mul(1000)
}

/// Keys of one set: with their arrival times they fill one cache line.
const WAYS: usize = 4;

/// One rate for each of many keys: a bounded table whose every request touches one cache line.
///
/// Keys are hashes of names, as good as random, so that sets fill evenly and nobody chooses whom he meets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RateTable {
    rate: Rate,
    sets: Vec<Set>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(align(64))]
struct Set([Slot; WAYS]);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Slot {
    key: u64,
    arrival: Arrival,
}

impl RateTable {
    /// An empty table of at most `keys_max` keys.
    pub fn new(rate: Rate, keys_max: usize) -> RateTable {
        assert!(keys_max >= WAYS, "a table has room");
        RateTable { rate, sets: vec![Set::default(); keys_max / WAYS] }
    }

    /// Counts one request of this key, or refuses it.
    ///
    /// A newcomer takes the place of the key of its set that is nearest to idle: an idle one loses nothing, and one
    /// that is not gets at most one more burst by it, which is better than to turn newcomers away.
    pub fn take(&mut self, now: Mono, key: u64) -> Verdict {
        // The low bits may have chosen this table already.
        let index = (key >> 32) as usize % self.sets.len();
        let slots = &mut self.sets[index].0;
        let place = slots.iter().position(|slot| slot.key == key);
        let arrival = place.map_or(Arrival::default(), |place| slots[place].arrival);
        let (arrival, verdict) = match self.rate.decide(arrival, now) {
            Ok(decided) => decided,
            Err(refused) => return refused,
        };
        let idlest = || slots.iter().enumerate().min_by_key(|(_, slot)| slot.arrival).expect("a set has slots").0;
        let place = place.unwrap_or_else(idlest);
        slots[place] = Slot { key, arrival };
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 3 };

    /// Keys of a table with one set.
    const ANN: u64 = 1;
    const BOB: u64 = 2;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut table = RateTable::new(RATE, 8);
        for remaining in [2, 1, 0] {
            let reset_ms = 100 * u64::from(3 - remaining);
            assert_eq!(table.take(Mono(0), ANN), Verdict::Allow { remaining, reset_ms });
        }
        assert_eq!(table.take(Mono(0), ANN), Verdict::Refuse { retry_after_ms: 100 });
        assert_eq!(table.take(Mono(40_000), ANN), Verdict::Refuse { retry_after_ms: 60 });
        assert_eq!(table.take(Mono(100_000), ANN), Verdict::Allow { remaining: 0, reset_ms: 300 });
        assert_eq!(table.take(Mono(100_000), BOB), Verdict::Allow { remaining: 2, reset_ms: 100 });
    }

    #[test]
    fn a_newcomer_takes_the_place_of_whoever_is_nearest_to_idle() {
        let mut table = RateTable::new(RATE, WAYS);
        for busy in 1..=3 {
            table.take(Mono(0), busy);
            table.take(Mono(0), busy);
        }
        table.take(Mono(0), 4);
        for newcomer in 100..200 {
            let at = Mono(newcomer);
            assert!(matches!(table.take(at, newcomer), Verdict::Allow { remaining: 2, .. }), "nobody is turned away");
            assert!(matches!(table.take(at, 1), Verdict::Refuse { .. } | Verdict::Allow { remaining: 0, .. }));
        }
    }
}
