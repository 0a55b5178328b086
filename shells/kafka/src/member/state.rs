//! What a member knows: the partitions that are its own, and the rows that it has read of them.

use super::row::{Row, Rows, Unreadable};
use doorbuster_core::limits::{FETCH_RECORDS_MAX, INBOX_RECORDS_MAX};
use std::collections::BTreeMap;

/// Records of one row that are read and not done; then reading pauses. A role may hold so many open, and two fetches are
/// read ahead.
pub(super) const KEPT_MAX: usize = INBOX_RECORDS_MAX + 2 * FETCH_RECORDS_MAX;
/// A row that has paused is read on when it holds no more than this: each pause costs a fetch.
const KEPT_LOW: usize = INBOX_RECORDS_MAX;

/// One partition that is this member's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owned {
    /// Which assignment of it.
    epoch: u64,
    /// The group's place, where it is known by now.
    committed: Option<u64>,
}

#[derive(Debug)]
pub(super) struct State<T> {
    rows: Rows,
    /// Counts changes of the assignment; 0 before the first.
    generation: u64,
    epochs: u64,
    owned: BTreeMap<u32, Owned>,
    read: BTreeMap<u32, Row<T>>,
    /// Where reading is to go on instead.
    seeks: BTreeMap<u32, u64>,
}

impl<T: Clone> State<T> {
    pub(super) fn new(rows: Rows) -> State<T> {
        State { rows, generation: 0, epochs: 0, owned: BTreeMap::new(), read: BTreeMap::new(), seeks: BTreeMap::new() }
    }

    /// These partitions are ours from now on.
    pub(super) fn assign(&mut self, partitions: &[u32]) {
        // The first assignment counts also where it is empty; a later one that adds nothing changes nothing.
        if !partitions.is_empty() || self.generation == 0 {
            self.generation += 1;
        }
        for partition in partitions {
            self.epochs += 1;
            self.owned.insert(*partition, Owned { epoch: self.epochs, committed: None });
        }
    }

    /// These partitions are others'.
    pub(super) fn revoke(&mut self, partitions: &[u32]) {
        self.generation += u64::from(!partitions.is_empty());
        for partition in partitions {
            self.owned.remove(partition);
            self.seeks.remove(partition);
            match self.rows {
                Rows::Exact => drop(self.read.remove(partition)),
                Rows::OfTopic | Rows::OfPartitions => self.row(self.rows.row_of(*partition)).drop_ungiven(*partition),
            }
        }
    }

    /// Partitions whose group's place is not known yet.
    pub(super) fn unplaced(&self) -> Vec<u32> {
        self.owned.iter().filter(|(_, owned)| owned.committed.is_none()).map(|(partition, _)| *partition).collect()
    }

    /// The group's place of a partition is known.
    pub(super) fn place(&mut self, partition: u32, committed: u64) {
        let Some(owned) = self.owned.get_mut(&partition) else { return };
        owned.committed = owned.committed.max(Some(committed));
        if self.rows == Rows::Exact {
            self.begun(partition, committed);
        }
    }

    /// The assignment, once all its places are known.
    pub(super) fn assignment(&self) -> Option<(u64, Vec<(u32, u64)>)> {
        let placed = |(partition, owned): (&u32, &Owned)| Some((*partition, owned.committed?));
        let places: Option<Vec<_>> = self.owned.iter().map(placed).collect();
        places.filter(|_| self.generation > 0).map(|places| (self.generation, places))
    }

    /// The group's place of a partition, where it is ours and known.
    pub(super) fn committed(&self, partition: u32) -> Option<u64> {
        self.owned.get(&partition)?.committed
    }

    /// Whether the partition is ours.
    pub(super) fn owns(&self, partition: u32) -> bool {
        self.owned.contains_key(&partition)
    }

    /// A record has arrived; it is dropped where its partition is another's by now.
    pub(super) fn push(&mut self, partition: u32, offset: u64, record: Result<T, Unreadable>) {
        let Some(owned) = self.owned.get(&partition).copied() else { return };
        if self.rows == Rows::Exact {
            self.begun(partition, offset);
        }
        self.row(self.rows.row_of(partition)).push((partition, offset), owned.epoch, record);
    }

    /// Partitions that must not be read on, of those that are or are not now.
    pub(super) fn is_full(&self, partition: u32, is_paused: bool) -> bool {
        let kept = self.read.get(&self.rows.row_of(partition)).map_or(0, Row::len);
        if is_paused { kept > KEPT_LOW } else { kept >= KEPT_MAX }
    }

    /// The partitions that are ours.
    pub(super) fn partitions(&self) -> Vec<u32> {
        self.owned.keys().copied().collect()
    }

    /// Makes sure that records from this place on come, where the role names places itself; `false` while reading must
    /// go elsewhere first.
    pub(super) fn reach(&mut self, partition: u32, from: u64) -> bool {
        if self.rows != Rows::Exact {
            return true;
        }
        let Some(row) = self.read.get_mut(&partition) else { return false };
        // Far ahead of what is read, reading on would take longer than going there.
        if from < row.begins_at() || from > row.next() + KEPT_MAX as u64 {
            self.seeks.insert(partition, from);
            return false;
        }
        row.advance(from);
        !self.seeks.contains_key(&partition)
    }

    /// A row that is not read yet begins here.
    fn begun(&mut self, partition: u32, at: u64) {
        self.read.entry(partition).or_insert_with(|| {
            let mut row = Row::new(Rows::Exact);
            row.begin(at);
            row
        });
    }

    /// Where reading is to go on.
    pub(super) fn seeks(&self) -> Vec<(u32, u64)> {
        self.seeks.iter().map(|(partition, from)| (*partition, *from)).collect()
    }

    /// Reading goes on there.
    pub(super) fn sought(&mut self, partition: u32, from: u64) {
        self.seeks.remove(&partition);
        self.row(partition).begin(from);
    }

    pub(super) fn row(&mut self, row: u32) -> &mut Row<T> {
        let rows = self.rows;
        self.read.entry(row).or_insert_with(|| Row::new(rows))
    }

    /// What is to be committed when everything of a row before `next` is done, and where the row then begins.
    pub(super) fn places(&mut self, row: u32, next: u64) -> (u64, BTreeMap<u32, u64>) {
        if self.rows == Rows::Exact {
            let is_news = self.owned.get(&row).is_some_and(|owned| owned.committed.is_none_or(|kept| kept < next));
            return (next, is_news.then_some((row, next)).into_iter().collect());
        }
        let owned = std::mem::take(&mut self.owned);
        let kept = self.row(row);
        let done = kept.done(next);
        let places = kept.places(done, |partition, epoch| owned.get(&partition).is_some_and(|own| own.epoch == epoch));
        self.owned = owned;
        (done, places)
    }

    /// These places are kept by the group, and everything of the row before `next` is forgotten.
    pub(super) fn keep(&mut self, row: u32, next: u64, places: &BTreeMap<u32, u64>) {
        for (partition, place) in places {
            self.place(*partition, *place);
        }
        self.row(row).forget(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(rows: Rows) -> State<u64> {
        let mut state = State::new(rows);
        state.assign(&[0, 1]);
        state
    }

    #[test]
    fn what_was_done_of_a_lost_partition_is_not_committed() {
        let mut state = state(Rows::OfTopic);
        for (partition, offset) in [(0, 5), (1, 8), (0, 6)] {
            state.push(partition, offset, Ok(offset));
        }
        assert_eq!(state.row(0).fetch(0, 2).len(), 2);
        state.revoke(&[0]);
        assert_eq!(state.places(0, 2), (2, [(1, 9)].into()));
        state.assign(&[0]);
        state.push(0, 5, Ok(5));
        assert_eq!(state.places(0, 3).1, [(1, 9)].into(), "the fifth was read in an older assignment");
        assert_eq!(state.places(0, 4).1, [(0, 6), (1, 9)].into());
        state.push(2, 1, Ok(1));
        assert_eq!(state.row(0).len(), 3, "what is another's is not taken, and what nobody was given is gone");
    }

    #[test]
    fn an_assignment_is_told_when_its_places_are_known() {
        let mut state = state(Rows::Exact);
        state.place(0, 7);
        assert_eq!((state.assignment(), state.unplaced()), (None, vec![1]));
        state.place(1, 0);
        assert_eq!(state.assignment(), Some((1, vec![(0, 7), (1, 0)])));
        state.revoke(&[0]);
        assert_eq!(state.assignment(), Some((2, vec![(1, 0)])));
    }

    #[test]
    fn a_role_that_names_places_is_followed_there() {
        let mut state = state(Rows::Exact);
        state.place(0, 50);
        assert!(state.reach(0, 50) && state.reach(0, 60), "reading gets there by itself");
        assert!(!state.reach(0, 40), "what was read is behind it");
        assert_eq!(state.seeks(), [(0, 40)]);
        state.sought(0, 40);
        state.push(0, 41, Ok(41));
        assert!(state.reach(0, 40) && state.seeks().is_empty(), "a hole is not looked for twice");
        assert_eq!(state.places(0, 42), (42, BTreeMap::new()), "the group's place is further on");
    }

    #[test]
    fn a_full_row_pauses_until_there_is_room_for_more_than_one() {
        let mut state = state(Rows::OfTopic);
        (0..KEPT_MAX as u64).for_each(|offset| state.push(0, offset, Ok(offset)));
        assert!(state.is_full(1, false));
        state.row(0).forget(1);
        assert!(!state.is_full(1, false) && state.is_full(1, true));
        state.row(0).forget((KEPT_MAX - KEPT_LOW) as u64);
        assert!(!state.is_full(1, true));
    }
}
