//! What the suites of topics ask of a group's member: places, pages, everything up to the end.

use super::world::certain;
use crate::ports::group::Group;
use crate::ports::{FETCH_WAIT_MS, Offset, Partition};
use doorbuster_core::inbox::Record;
use std::time::Duration;

/// Fetches in a row that find nothing, after which a partition counts as read to its end.
const EMPTY_MAX: usize = 2;
/// A question that waits longer than this is not bounded: many times what it may wait.
pub(super) const BOUND: Duration = Duration::from_millis(20 * FETCH_WAIT_MS);
/// Questions for an assignment before the only member of a group should have one: a rebalance ends in a session's time.
const ASSIGNMENTS_MAX: usize = 100;

/// One record where it stands.
pub(super) type Placed<T> = (Partition, Offset, T);

/// The partitions of the group's only member.
pub(super) async fn places<T: 'static>(group: &dyn Group<T>) -> Vec<(Partition, Offset)> {
    let mut generation = 0;
    for _ in 0..ASSIGNMENTS_MAX {
        let asked = tokio::time::timeout(BOUND, group.assigned(generation)).await;
        let Ok(assignment) = asked.expect("a question for the assignment waits a bounded time") else { continue };
        if assignment.generation > 0 && !assignment.partitions.is_empty() {
            return assignment.partitions;
        }
        // A member that has gone may still have them.
        generation = assignment.generation;
    }
    panic!("the only member of a group is assigned its partitions");
}

/// One page, held to what every page must be.
pub(super) async fn fetch<T: 'static>(
    group: &dyn Group<T>,
    partition: Partition,
    from: Offset,
    limit: usize,
) -> Vec<(Offset, T)> {
    let asked = certain(async || {
        tokio::time::timeout(BOUND, group.fetch(partition, from, limit)).await.expect("a fetch waits a bounded time")
    });
    let records = asked.await.expect("the partition is this member's");
    assert!(records.len() <= limit, "at most {limit} records were asked for");
    let read = |record| match record {
        Record::Delivered(offset, record) => (offset, record),
        Record::Undecodable(offset) => panic!("the record at {} cannot be read", offset.0),
    };
    let records: Vec<(Offset, T)> = records.into_iter().map(read).collect();
    assert!(records.iter().all(|(offset, _)| *offset >= from), "records of this place");
    assert!(records.windows(2).all(|pair| pair[0].0 < pair[1].0), "offsets grow");
    records
}

/// Everything from these places on.
pub(super) async fn read_from<T: 'static>(
    group: &dyn Group<T>,
    places: &[(Partition, Offset)],
    limit: usize,
) -> Vec<Placed<T>> {
    let mut found = Vec::new();
    for (partition, from) in places {
        let (mut next, mut empty) = (*from, 0);
        while empty < EMPTY_MAX {
            let page = fetch(group, *partition, next, limit).await;
            empty = if page.is_empty() { empty + 1 } else { 0 };
            next = page.last().map_or(next, |(offset, _)| offset.next());
            found.extend(page.into_iter().map(|(offset, record)| (*partition, offset, record)));
        }
    }
    found
}

/// Everything that is not committed.
pub(super) async fn read_all<T: 'static>(group: &dyn Group<T>) -> Vec<Placed<T>> {
    read_from(group, &places(group).await, 7).await
}

/// Commits the first half of each partition's records; answers the places.
pub(super) async fn commit_half<T: 'static>(group: &dyn Group<T>, placed: &[Placed<T>]) -> Vec<(Partition, Offset)> {
    let mut committed = Vec::new();
    for (partition, _) in places(group).await {
        let own: Vec<&Placed<T>> = placed.iter().filter(|(of, _, _)| *of == partition).collect();
        let Some((_, next, _)) = own.get(own.len() / 2) else { continue };
        certain(async || group.commit(partition, *next).await).await.expect("the partition is this member's");
        committed.push((partition, *next));
    }
    assert!(!committed.is_empty(), "something was read");
    committed
}

/// After a crash: what was not committed is read again, and reading does not go on behind what was.
pub(super) async fn a_crash_repeats_and_loses_nothing<T: PartialEq + std::fmt::Debug + 'static>(
    group: &dyn Group<T>,
    before: &[Placed<T>],
    committed: &[(Partition, Offset)],
) {
    let places = places(group).await;
    for (partition, next) in committed {
        let from = places.iter().find(|(of, _)| of == partition).expect("there is only this member").1;
        assert!(from <= *next, "reading does not go on behind what was committed");
    }
    let after = read_from(group, &places, 7).await;
    let is_committed =
        |partition: &Partition, offset: &Offset| committed.iter().any(|(of, next)| of == partition && offset < next);
    for (partition, offset, record) in before.iter().filter(|(of, offset, _)| !is_committed(of, offset)) {
        let found = after.iter().any(|(of, at, told)| (of, at, told) == (partition, offset, record));
        assert!(found, "the record at {} is lost: {record:?}", offset.0);
    }
}
