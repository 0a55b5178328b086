//! Which partition a subject's records go to: named by the writer, so that every writer agrees.

use doorbuster_core::ids::ShardId;
use doorbuster_core::inbox::Partition;

/// The partition of a subject: FNV-1a of its bytes, the upper half of the hash modulo the count
/// (<http://www.isthe.com/chongo/tech/comp/fnv/>).
pub fn of_subject(subject: &str, partitions: u32) -> Partition {
    let hash = subject
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    Partition(((hash >> 32) % u64::from(partitions)) as u32)
}

/// The partition of a shard's intents.
pub fn of_shard(shard: ShardId, partitions: u32) -> Partition {
    of_subject(&shard.to_string(), partitions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorbuster_core::ids::SaleId;

    #[test]
    fn a_subject_keeps_its_partition_for_ever() {
        let subjects = ["demo.0", "demo.1", "product", "sku-0"];
        assert_eq!(subjects.map(|subject| of_subject(subject, 12).0), SUBJECTS_OF_TWELVE);
    }

    /// Written down once: another function would tear a subject's order apart at the update.
    const SUBJECTS_OF_TWELVE: [u32; 4] = [2, 6, 5, 2];

    #[test]
    fn shards_of_sales_spread_over_partitions() {
        let sale = |number: u32| SaleId::parse(&format!("sale-{number}")).unwrap();
        let used: std::collections::BTreeSet<_> =
            (0..200).map(|number| of_shard(ShardId { sale: sale(number), k: 0 }, 12)).collect();
        assert_eq!(used.len(), 12);
    }
}
