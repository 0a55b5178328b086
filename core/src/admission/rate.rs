//! Limits of the rate of requests: the generic cell rate algorithm (ITU-T I.371), one number per key.
//!
//! A key's number is its theoretical arrival time: when it is past, the key is idle and needs no entry.

use crate::ids::UserId;
use crate::limits::{GLOBAL_BURST, GLOBAL_PER_SECOND, RATE_KEYS_MAX, USER_BURST, USER_PER_SECOND};
use crate::time::Mono;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

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

/// A theoretical arrival time in nanoseconds on the monotonic clock: microseconds would round the global rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Arrival(u64);

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_MS: u64 = 1_000_000;

impl Rate {
    /// Nanoseconds that one request costs.
    fn cost(self) -> u64 {
        assert!(self.per_second > 0 && self.burst > 0, "a rate lets something through");
        NANOS_PER_SECOND / u64::from(self.per_second)
    }

    fn decide(self, arrival: Arrival, now: Mono) -> Result<(Arrival, Verdict), Verdict> {
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

/// One rate for each of many keys; a bounded table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RateTable<K> {
    rate: Rate,
    keys_max: usize,
    arrivals: BTreeMap<K, Arrival>,
    /// Where the search for idle keys goes on: each newcomer pays for looking at two.
    hand: Option<K>,
}

impl<K: Ord + Clone> RateTable<K> {
    /// An empty table of at most `keys_max` keys.
    pub fn new(rate: Rate, keys_max: usize) -> RateTable<K> {
        assert!(keys_max > 0, "a table has room");
        RateTable { rate, keys_max, arrivals: BTreeMap::new(), hand: None }
    }

    /// Counts one request of this key, or refuses it.
    pub fn take(&mut self, now: Mono, key: &K) -> Verdict {
        let known = self.arrivals.get_mut(key);
        let decided = self.rate.decide(known.as_deref().copied().unwrap_or_default(), now);
        let (arrival, verdict) = match decided {
            Ok(decided) => decided,
            Err(refused) => return refused,
        };
        match known {
            Some(entry) => *entry = arrival,
            None => {
                self.make_room(now);
                self.arrivals.insert(key.clone(), arrival);
            }
        }
        verdict
    }

    /// Keys in the table.
    pub fn len(&self) -> usize {
        self.arrivals.len()
    }

    /// Whether no key is in the table.
    pub fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }

    /// Two steps of the hand remove what is idle. A full table of busy keys gives up the one under the hand, which
    /// gets at most one more burst by it: better than to turn newcomers away.
    fn make_room(&mut self, now: Mono) {
        for step in 0..2 {
            let next = match &self.hand {
                Some(hand) => self.arrivals.range((Excluded(hand), Unbounded)).next(),
                None => self.arrivals.iter().next(),
            };
            let Some((key, arrival)) = next.map(|(key, arrival)| (key.clone(), *arrival)) else {
                self.hand = None;
                continue;
            };
            let last_chance = step == 1 && self.arrivals.len() >= self.keys_max;
            if arrival.0 <= nanos(now) || last_chance {
                self.arrivals.remove(&key);
            }
            self.hand = Some(key);
        }
        if self.arrivals.len() >= self.keys_max {
            // The hand stood at the end of the table for its last step.
            self.arrivals.pop_first();
        }
    }
}

/// The limits of one process: of each buyer, and of all together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Admission {
    users: RateTable<UserId>,
    all: Rate,
    arrival: Arrival,
}

impl Default for Admission {
    fn default() -> Admission {
        let user = Rate { per_second: USER_PER_SECOND, burst: USER_BURST };
        Admission::new(user, Rate { per_second: GLOBAL_PER_SECOND, burst: GLOBAL_BURST })
    }
}

impl Admission {
    /// With these rates of one buyer and of all.
    pub fn new(user: Rate, all: Rate) -> Admission {
        Admission { users: RateTable::new(user, RATE_KEYS_MAX), all, arrival: Arrival::default() }
    }

    /// Counts one request of this buyer. The answer is the buyer's own, unless the whole process is at its limit,
    /// which is not counted against the buyer.
    pub fn take(&mut self, now: Mono, user: &UserId) -> Verdict {
        let (arrival, _) = match self.all.decide(self.arrival, now) {
            Ok(decided) => decided,
            Err(refused) => return refused,
        };
        let verdict = self.users.take(now, user);
        match verdict {
            Verdict::Allow { .. } => self.arrival = arrival,
            Verdict::Refuse { .. } => {}
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 3 };

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut table = RateTable::new(RATE, 8);
        for remaining in [2, 1, 0] {
            assert_eq!(
                table.take(Mono(0), &"ann"),
                Verdict::Allow { remaining, reset_ms: 100 * u64::from(3 - remaining) }
            );
        }
        assert_eq!(table.take(Mono(0), &"ann"), Verdict::Refuse { retry_after_ms: 100 });
        assert_eq!(table.take(Mono(40_000), &"ann"), Verdict::Refuse { retry_after_ms: 60 });
        assert_eq!(table.take(Mono(100_000), &"ann"), Verdict::Allow { remaining: 0, reset_ms: 300 });
        assert_eq!(table.take(Mono(100_000), &"bob"), Verdict::Allow { remaining: 2, reset_ms: 100 });
    }

    #[test]
    fn idle_keys_leave_and_the_table_is_bounded() {
        let mut table = RateTable::new(RATE, 100);
        for key in 0..1_000_u64 {
            table.take(Mono(0), &key);
            assert!(table.len() <= 100);
        }
        for key in 0..200_u64 {
            table.take(Mono(10_000_000 + key * 1_000_000), &(key % 2 + 5_000));
        }
        for key in 0..200_u64 {
            table.take(Mono(1_000_000_000 + key * 1_000_000), &(key + 10_000));
        }
        assert!(table.len() <= 4, "{} keys although one at a time is busy", table.len());
    }

    #[test]
    fn the_process_limit_is_not_counted_against_a_buyer() {
        let one = Rate { per_second: 1, burst: 1 };
        let mut admission = Admission::new(RATE, one);
        let (ann, bob) = (UserId::parse("ann").unwrap(), UserId::parse("bob").unwrap());
        assert!(matches!(admission.take(Mono(0), &ann), Verdict::Allow { remaining: 2, .. }));
        assert_eq!(admission.take(Mono(0), &bob), Verdict::Refuse { retry_after_ms: 1000 });
        assert!(matches!(admission.take(Mono(1_000_000), &bob), Verdict::Allow { remaining: 2, .. }));
    }
}
