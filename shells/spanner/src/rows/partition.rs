//! How far each partition of the change stream is relayed.

use super::shard::lease;
use super::{Cells, Misread, Table};
use crate::value::{micros, name, number, time};
use doorbuster_core::relay::partitions::{CommitTime, PartitionRow, StreamToken};
use google_cloud_spanner::value::Value;
use sha2::{Digest, Sha256};

/// The name by which core knows a partition, whose token is a text of any length. Among a hundred thousand partitions two
/// share one with a probability below one in a billion, and whoever writes the second one down sees it.
pub fn token_of(token: &str) -> StreamToken {
    let digest = Sha256::digest(token.as_bytes());
    StreamToken(u64::from_be_bytes(digest[..8].try_into().expect("a SHA-256 digest has 32 bytes")))
}

/// A row with what the stream itself calls the partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPartition {
    /// The row.
    pub row: PartitionRow,
    /// Its token; absent in the row that stands for the question for the first partitions.
    pub token: Option<String>,
}

/// The partitions' rows.
pub struct Partitions;

impl Table for Partitions {
    type Key = StreamToken;
    type Row = StoredPartition;
    const NAME: &'static str = "relay_partition";
    const COLUMNS: &'static [&'static str] =
        &["id", "token", "parents", "start_at", "watermark", "state", "lease_owner", "lease_until"];
    const KEYS: usize = 1;
    /// The index by state has two columns, twice.
    const INDEXED: usize = 4;

    fn key(key: &StreamToken) -> Vec<Value> {
        vec![number(key.0)]
    }

    fn values(stored: &StoredPartition) -> Vec<Value> {
        let row = &stored.row;
        let parents: Vec<Value> = row.parents.iter().map(|parent| number(parent.0)).collect();
        vec![
            stored.token.clone().into(),
            parents.into(),
            micros(row.start.0),
            micros(row.watermark.0),
            name(&row.state),
            row.lease.map(|lease| number(lease.owner)).into(),
            row.lease.map(|lease| time(lease.until)).into(),
        ]
    }

    fn parse(cells: &mut Cells<'_>) -> Result<(StreamToken, StoredPartition), Misread> {
        let id = StreamToken(cells.number()?);
        let token = cells.text_or_null()?;
        let row = PartitionRow {
            token: id,
            parents: cells.numbers()?.into_iter().map(StreamToken).collect(),
            start: CommitTime(cells.micros()?),
            watermark: CommitTime(cells.micros()?),
            state: cells.named()?,
            lease: lease(cells)?,
        };
        Ok((id, StoredPartition { row, token }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::assert_survives;
    use super::*;
    use doorbuster_core::database::rows::Lease;
    use doorbuster_core::relay::partitions::PartitionState;
    use doorbuster_core::time::Wall;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_partition_survives_its_columns(
            token in "[!-~]{1,80}", parents in prop::collection::btree_set(any::<u64>(), 0..4),
            start in 0u64..1 << 52, further in 0u64..1 << 40,
            state in prop::sample::select(vec![PartitionState::Created, PartitionState::Running, PartitionState::Finished]),
            lease in prop::option::of((any::<u64>(), 0u64..1 << 47)),
        ) {
            let id = token_of(&token);
            let row = PartitionRow {
                token: id,
                parents: parents.into_iter().map(StreamToken).collect(),
                start: CommitTime(start),
                watermark: CommitTime(start + further),
                state,
                lease: lease.map(|(owner, until)| Lease { owner, until: Wall(until) }),
            };
            assert_survives::<Partitions>(id, StoredPartition { row, token: Some(token) });
        }
    }
}
