//! What a member knows: the partitions that are its own, and what it has read of them.

use super::row::{Given, Row, Unreadable};
use doorbuster_core::limits::{FETCH_RECORDS_MAX, INBOX_RECORDS_MAX};
use std::collections::BTreeMap;

/// Records of one partition that are read and not done; then reading pauses. A role may hold so many open, and two fetches
/// are read ahead.
pub(super) const KEPT_MAX: usize = INBOX_RECORDS_MAX + 2 * FETCH_RECORDS_MAX;
/// A partition that has paused is read on when it holds no more than this: each pause costs a fetch.
const KEPT_LOW: usize = INBOX_RECORDS_MAX;

#[derive(Debug)]
pub(super) struct State<T> {
    /// Counts changes of the assignment; 0 before the first.
    generation: u64,
    /// The partitions that are ours, each with the group's place, where it is known by now.
    owned: BTreeMap<u32, Option<u64>>,
    read: BTreeMap<u32, Row<T>>,
    /// Where reading is to go on instead.
    seeks: BTreeMap<u32, u64>,
}

impl<T: Clone> State<T> {
    pub(super) fn new() -> State<T> {
        State { generation: 0, owned: BTreeMap::new(), read: BTreeMap::new(), seeks: BTreeMap::new() }
    }

    /// These partitions are ours from now on.
    pub(super) fn assign(&mut self, partitions: &[u32]) {
        // The first assignment counts also where it is empty; a later one that adds nothing changes nothing.
        if !partitions.is_empty() || self.generation == 0 {
            self.generation += 1;
        }
        self.owned.extend(partitions.iter().map(|partition| (*partition, None)));
    }

    /// These partitions are others'.
    pub(super) fn revoke(&mut self, partitions: &[u32]) {
        self.generation += u64::from(!partitions.is_empty());
        for partition in partitions {
            self.owned.remove(partition);
            self.seeks.remove(partition);
            self.read.remove(partition);
        }
    }

    /// Partitions whose group's place is not known yet.
    pub(super) fn unplaced(&self) -> Vec<u32> {
        self.owned.iter().filter(|(_, committed)| committed.is_none()).map(|(partition, _)| *partition).collect()
    }

    /// The group's place of a partition is known.
    pub(super) fn place(&mut self, partition: u32, committed: u64) {
        let Some(known) = self.owned.get_mut(&partition) else { return };
        *known = (*known).max(Some(committed));
        self.read.entry(partition).or_insert_with(|| Row::at(committed));
    }

    /// The assignment, once all its places are known.
    pub(super) fn assignment(&self) -> Option<(u64, Vec<(u32, u64)>)> {
        let placed = |(partition, committed): (&u32, &Option<u64>)| Some((*partition, (*committed)?));
        let places: Option<Vec<_>> = self.owned.iter().map(placed).collect();
        places.filter(|_| self.generation > 0).map(|places| (self.generation, places))
    }

    /// Whether the partition is ours.
    pub(super) fn owns(&self, partition: u32) -> bool {
        self.owned.contains_key(&partition)
    }

    /// A record has arrived; it is dropped where its partition is another's by now.
    pub(super) fn push(&mut self, partition: u32, offset: u64, record: Result<T, Unreadable>) {
        if self.owns(partition) {
            self.read.entry(partition).or_insert_with(|| Row::at(offset)).push(offset, record);
        }
    }

    /// Whether a partition must not be read on, when it is paused or is not.
    pub(super) fn is_full(&self, partition: u32, is_paused: bool) -> bool {
        let kept = self.read.get(&partition).map_or(0, Row::len);
        if is_paused { kept > KEPT_LOW } else { kept >= KEPT_MAX }
    }

    /// The partitions that are ours.
    pub(super) fn partitions(&self) -> Vec<u32> {
        self.owned.keys().copied().collect()
    }

    /// Makes sure that records from this place on come; `false` while reading must go elsewhere first.
    pub(super) fn reach(&mut self, partition: u32, from: u64) -> bool {
        let Some(row) = self.read.get_mut(&partition) else { return false };
        // Far ahead of what is read, reading on would take longer than going there.
        if from < row.begins_at() || from > row.next() + KEPT_MAX as u64 {
            self.seeks.insert(partition, from);
            return false;
        }
        row.advance(from);
        !self.seeks.contains_key(&partition)
    }

    /// Up to `limit` records that were read of a partition at or behind a place.
    pub(super) fn fetch(&self, partition: u32, from: u64, limit: usize) -> Vec<Given<T>> {
        self.read.get(&partition).map_or(Vec::new(), |row| row.fetch(from, limit))
    }

    /// A record that cannot be read, while it is not done.
    pub(super) fn unreadable(&self, partition: u32, offset: u64) -> Option<Unreadable> {
        self.read.get(&partition)?.unreadable(offset)
    }

    /// Where reading is to go on.
    pub(super) fn seeks(&self) -> Vec<(u32, u64)> {
        self.seeks.iter().map(|(partition, from)| (*partition, *from)).collect()
    }

    /// Reading goes on there.
    pub(super) fn sought(&mut self, partition: u32, from: u64) {
        self.seeks.remove(&partition);
        self.read.insert(partition, Row::at(from));
    }

    /// Whether the group keeps an older place of our partition than this; nothing of another's.
    pub(super) fn is_news(&self, partition: u32, next: u64) -> Option<bool> {
        self.owned.get(&partition).map(|committed| committed.is_none_or(|kept| kept < next))
    }

    /// This place is kept by the group, and everything before it is forgotten.
    pub(super) fn keep(&mut self, partition: u32, next: u64) {
        self.place(partition, next);
        if let Some(row) = self.read.get_mut(&partition) {
            row.forget(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State<u64> {
        let mut state = State::new();
        state.assign(&[0, 1]);
        state
    }

    #[test]
    fn what_is_anothers_is_not_taken_and_not_committed() {
        let mut state = state();
        state.push(0, 5, Ok(5));
        state.revoke(&[0]);
        state.push(0, 6, Ok(6));
        assert_eq!((state.fetch(0, 0, 9), state.is_news(0, 6)), (vec![], None));
        state.assign(&[0]);
        state.push(0, 5, Ok(5));
        assert_eq!((state.fetch(0, 0, 9), state.is_news(0, 6)), (vec![(5, Some(5))], Some(true)));
    }

    #[test]
    fn an_assignment_is_told_when_its_places_are_known() {
        let mut state = state();
        state.place(0, 7);
        assert_eq!((state.assignment(), state.unplaced()), (None, vec![1]));
        state.place(1, 0);
        assert_eq!(state.assignment(), Some((1, vec![(0, 7), (1, 0)])));
        state.revoke(&[0]);
        assert_eq!(state.assignment(), Some((2, vec![(1, 0)])));
    }

    #[test]
    fn a_role_that_names_places_is_followed_there() {
        let mut state = state();
        state.place(0, 50);
        assert!(state.reach(0, 50) && state.reach(0, 60), "reading gets there by itself");
        assert!(!state.reach(0, 40), "what was read is behind it");
        assert_eq!(state.seeks(), [(0, 40)]);
        state.sought(0, 40);
        state.push(0, 41, Ok(41));
        assert!(state.reach(0, 40) && state.seeks().is_empty(), "a hole is not looked for twice");
        assert_eq!(state.is_news(0, 42), Some(false), "the group's place is further on");
    }

    #[test]
    fn a_full_partition_pauses_until_there_is_room_for_more_than_one() {
        let mut state = state();
        (0..KEPT_MAX as u64).for_each(|offset| state.push(0, offset, Ok(offset)));
        assert!(state.is_full(0, false) && !state.is_full(1, false), "the other one is read on");
        state.keep(0, 1);
        assert!(!state.is_full(0, false) && state.is_full(0, true));
        state.keep(0, (KEPT_MAX - KEPT_LOW) as u64);
        assert!(!state.is_full(0, true));
    }
}
