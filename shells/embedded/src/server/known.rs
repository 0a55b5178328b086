//! Which reservations the shards may know: asked by every refusal that is given without asking a shard.
//!
//! A Bloom filter (Bloom 1970) with two positions per id. It never forgets, and it may say yes of an id that nobody has
//! seen: that click then asks its shard, which is only slower.

use doorbuster_core::ids::ReservationId;
use std::sync::atomic::{AtomicU64, Ordering};

/// 2 MiB: with a million ids one stranger in eighty is taken for known, with five million one in five. More of it would
/// push what every request needs out of the processor's caches.
const WORDS: usize = 1 << 18;

/// See the module.
pub struct Known {
    words: Vec<AtomicU64>,
}

impl Known {
    /// Knows nobody.
    pub fn new() -> Known {
        Known { words: (0..WORDS).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Before anybody is told of the acceptance.
    pub fn add(&self, id: ReservationId) {
        for (word, bit) in positions(id) {
            self.words[word].fetch_or(bit, Ordering::Release);
        }
    }

    /// `false` is certain.
    pub fn may_contain(&self, id: ReservationId) -> bool {
        positions(id).into_iter().all(|(word, bit)| self.words[word].load(Ordering::Acquire) & bit != 0)
    }
}

/// An id is a hash already: its halves are two independent ones.
fn positions(id: ReservationId) -> [(usize, u64); 2] {
    let bits = u128::from_be_bytes(id.0);
    [bits as u64, (bits >> 64) as u64].map(|half| ((half >> 6) as usize % WORDS, 1 << (half & 63)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_known_and_strangers_rarely_are() {
        let known = Known::new();
        let id = |number: u64| {
            let spread = u128::from(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            ReservationId(((spread << 64) | u128::from(number.wrapping_mul(0xBF58_476D_1CE4_E5B9))).to_be_bytes())
        };
        (0..10_000).for_each(|number| known.add(id(number)));
        assert!((0..10_000).all(|number| known.may_contain(id(number))));
        let strangers = (10_000..20_000).filter(|number| known.may_contain(id(*number))).count();
        assert!(strangers < 100, "{strangers} of 10,000 strangers are taken for known");
    }
}
