//! How large the sales of a world are.

use crate::plan::{Acknowledge, Setup};
use doorbuster_core::rng::Rng;
use std::collections::BTreeMap;

/// From what a world's topologies are drawn.
pub struct Scale {
    /// Slices of a sale, each as often as it stands here.
    pub shards: &'static [u16],
    /// Most SKUs.
    pub skus_max: u64,
    /// Fewest buyers, and by how many there may be more.
    pub buyers: (u32, u64),
    /// How many instances each role has.
    pub instances: fn(&mut Rng) -> BTreeMap<String, u32>,
    /// One run in so many has more consumers than partitions (P9).
    pub surplus_of: u64,
    /// Lengths of a pay window, one second apart, from two seconds on.
    pub holds: u64,
    /// The shortest sale in milliseconds, and by how much it may be longer; most sales last for a day.
    pub short_sale_ms: (u64, u64),
    /// The shortest time within which all buyers come, in milliseconds, and by how much it may be longer.
    pub arrivals_ms: (u64, u64),
    /// Latencies of a quick network, in microseconds.
    pub quick_us: (u64, u64),
    /// When a run ends at the latest, in milliseconds.
    pub horizon_ms: u64,
}

impl Scale {
    /// A topology, its sale and its buyers.
    pub fn draw(&self, rng: &mut Rng) -> Setup {
        let shards = self.shards[rng.below(self.shards.len() as u64) as usize];
        let skus = 1 + rng.below(self.skus_max);
        let buyers = self.buyers.0 + rng.below(self.buyers.1) as u32;
        let stock = (0..skus).map(|_| 1 + rng.below(u64::from(buyers))).collect();
        let mut instances = (self.instances)(rng);
        if rng.below(self.surplus_of) == 0 {
            instances.insert(["intake", "reaper", "settler"][rng.below(3) as usize].to_owned(), 4);
        }
        let is_slow = rng.below(4) == 0;
        Setup {
            embedded: false,
            acknowledge: [Acknowledge::Redis, Acknowledge::Redis, Acknowledge::Replica, Acknowledge::Log]
                [rng.below(4) as usize],
            shards,
            stock,
            limit: 1 + rng.below(3) as u32,
            hold_ms: 2_000 + 1_000 * rng.below(self.holds),
            sale_ms: if rng.below(8) == 0 { within(rng, self.short_sale_ms) } else { 24 * 3_600_000 },
            buyers: (0..buyers).collect(),
            arrivals_ms: within(rng, self.arrivals_ms),
            instances,
            latency_us: if is_slow { (1_000, 60_000) } else { self.quick_us },
            horizon_ms: self.horizon_ms,
        }
    }
}

fn within(rng: &mut Rng, (least, spread): (u64, u64)) -> u64 {
    least + rng.below(spread)
}
