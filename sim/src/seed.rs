//! One root seed per run, and a named stream of it for each consumer, so that a new consumer shifts none of the others.

use doorbuster_core::rng::Rng;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The root seed of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seed(pub u64);

impl Seed {
    /// The generator of this consumer.
    pub fn stream(self, name: &str) -> Rng {
        // FNV-1a (Fowler, Noll, Vo) over the name; the generator mixes what comes out of it.
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mut rng = Rng::seeded(hash ^ self.0.rotate_left(32));
        Rng::seeded(rng.draw() ^ self.0)
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_and_by_name() {
        let first = |seed: u64, name: &str| Seed(seed).stream(name).draw();
        assert_eq!(first(1, "net"), first(1, "net"));
        assert_ne!(first(1, "net"), first(2, "net"));
        assert_ne!(first(1, "net"), first(1, "disk"));
    }
}
