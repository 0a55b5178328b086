//! Partitions of topics, and which one a subject belongs to.

use crate::ids::ShardId;
use serde::{Deserialize, Serialize};

/// A partition of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Partition(pub u32);

impl Partition {
    /// Where a shard's intents stand. Shards of one sale follow each other, so that a sale with as many shards as there
    /// are partitions has each to itself.
    pub fn of_shard(shard: ShardId, partitions: u32) -> Partition {
        let first = Partition::of_subject(shard.sale.as_str(), partitions);
        Partition((first.0 + u32::from(shard.k) % partitions) % partitions)
    }

    /// Where a subject's events stand (FNV-1a, 64 bits, of which the upper half is spread better). It must be the same in
    /// every process and release, for a subject that moved would have two orders of events.
    pub fn of_subject(subject: &str, partitions: u32) -> Partition {
        let hash = subject
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Partition(((hash >> 32) % u64::from(partitions)) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SaleId;

    #[test]
    fn a_subject_stays_where_it_was() {
        let places = ["demo", "demo.0", "sku-1", "a-lamp", ""].map(|subject| Partition::of_subject(subject, 12).0);
        assert_eq!(places, [7, 2, 10, 8, 4]);
    }

    #[test]
    fn shards_of_a_sale_take_turns() {
        let sale = SaleId::parse("demo").expect("a short name");
        let places: Vec<u32> = (0..24).map(|k| Partition::of_shard(ShardId { sale, k }, 12).0).collect();
        let first = Partition::of_subject("demo", 12).0;
        assert_eq!(places, (0..24).map(|k| (first + k) % 12).collect::<Vec<_>>());
    }
}
