//! The partitions' rows in core's hands: what may be done with them is core's to say.

use crate::rows::StoredPartition;
use doorbuster_core::limits::LEASE_MS;
use doorbuster_core::relay::partitions::{
    Child, PartitionChange, PartitionRefusal, PartitionRow, PartitionState, Partitions, StreamToken,
};
use doorbuster_core::time::Wall;
use std::collections::{BTreeMap, BTreeSet};

/// Rows by their names.
pub type Stored = BTreeMap<StreamToken, StoredPartition>;

/// Core's table of these rows, made by doing once more what was done to them.
///
/// A row that was begun had finished parents then, and finished is for good: what is known of them now does not matter.
fn restore(stored: &Stored) -> Partitions {
    let mut partitions = Partitions::default();
    for row in stored.values().map(|stored| &stored.row) {
        let begun = row.state != PartitionState::Created || row.lease.is_some();
        let parents = if begun { BTreeSet::new() } else { row.parents.clone() };
        partitions.announce(&Child { token: row.token, parents, start: row.start });
        if !begun {
            continue;
        }
        let lease = row.lease.unwrap_or(doorbuster_core::database::rows::Lease { owner: 0, until: Wall(0) });
        let at = lease.until.before_ms(LEASE_MS);
        let mut repeat = |change| {
            let done = partitions.apply(lease.owner, at, row.token, &change);
            done.expect("a row without parents that its own holder works on is refused nothing");
        };
        if row.state != PartitionState::Created {
            repeat(PartitionChange::Begin);
        }
        repeat(PartitionChange::Advance(row.watermark));
        if row.state == PartitionState::Finished {
            repeat(PartitionChange::Finish(Vec::new()));
        }
    }
    partitions
}

/// Those that may be relayed now; `stored` has every unfinished row, and its parents.
pub fn ready(stored: &Stored, owner: u64, at: Wall, limit: usize) -> Vec<PartitionRow> {
    let ready = restore(stored).ready(owner, at, limit);
    ready.iter().map(|row| stored[&row.token].row.clone()).collect()
}

/// One change; `stored` has the row, its parents, and those of the children that are announced. Answers the row, and the
/// children that are new.
pub fn apply(
    stored: &Stored,
    owner: u64,
    at: Wall,
    token: StreamToken,
    change: &PartitionChange,
) -> Result<(PartitionRow, Vec<PartitionRow>), PartitionRefusal> {
    let mut partitions = restore(stored);
    let row = partitions.apply(owner, at, token, change)?;
    let announced = partitions.rows().filter(|row| !stored.contains_key(&row.token)).cloned().collect();
    let parents = stored.get(&token).map(|stored| stored.row.parents.clone()).unwrap_or_default();
    Ok((PartitionRow { parents, ..row }, announced))
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorbuster_core::relay::partitions::CommitTime;

    const AT: Wall = Wall(1_790_000_000_000);

    fn announced(token: u64, parents: &[u64]) -> PartitionRow {
        PartitionRow {
            token: StreamToken(token),
            parents: parents.iter().copied().map(StreamToken).collect(),
            start: CommitTime(token),
            watermark: CommitTime(token),
            state: PartitionState::Created,
            lease: None,
        }
    }

    fn keep(stored: &mut Stored, row: PartitionRow) {
        stored.insert(row.token, StoredPartition { row, token: Some("name".to_owned()) });
    }

    #[test]
    fn a_partition_goes_its_way_through_its_row() {
        let mut stored = Stored::new();
        keep(&mut stored, announced(1, &[]));
        keep(&mut stored, announced(2, &[1, 7]));
        assert_eq!(ready(&stored, 1, AT, 9), [announced(1, &[])], "a parent that nobody knows is not finished");
        let changes = [
            PartitionChange::Begin,
            PartitionChange::Advance(CommitTime(50)),
            PartitionChange::Finish(vec![Child {
                token: StreamToken(3),
                parents: [StreamToken(1)].into(),
                start: CommitTime(60),
            }]),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let (row, new) = apply(&stored, 1, AT, StreamToken(1), &change).unwrap();
            assert_eq!(new.len(), usize::from(number == 2));
            for row in [row].into_iter().chain(new) {
                keep(&mut stored, row);
            }
            if number == 1 {
                assert_eq!(stored[&StreamToken(1)].row.watermark, CommitTime(50));
                let stolen = apply(&stored, 2, AT, StreamToken(1), &PartitionChange::Begin);
                assert_eq!(stolen, Err(PartitionRefusal::LeaseHeld));
                assert!(ready(&stored, 2, AT, 9).is_empty());
                assert_eq!(ready(&stored, 2, AT.after_ms(LEASE_MS), 9).len(), 1, "a lease ends");
            }
        }
        assert_eq!(ready(&stored, 2, AT, 9).iter().map(|row| row.token.0).collect::<Vec<_>>(), [3]);
        assert_eq!(
            apply(&stored, 2, AT, StreamToken(2), &PartitionChange::Begin),
            Err(PartitionRefusal::ParentsUnfinished)
        );
        assert_eq!(apply(&stored, 2, AT, StreamToken(9), &PartitionChange::Begin), Err(PartitionRefusal::Missing));
    }

    #[test]
    fn a_begun_row_keeps_its_parents() {
        let mut stored = Stored::new();
        keep(&mut stored, PartitionRow { state: PartitionState::Running, ..announced(2, &[1]) });
        let (row, _) = apply(&stored, 1, AT, StreamToken(2), &PartitionChange::Begin).unwrap();
        assert_eq!(row.parents, [StreamToken(1)].into());
    }
}
