//! Where in the segments a position is to be looked for.

use super::{Partition, Position};
use std::collections::BTreeMap;

/// A partition gets an entry for each segment and for each so many bytes of the log: a reader that starts at an entry
/// skips no more than this before it finds its record.
const STRIDE_BYTES: u64 = 64 << 10;

/// The first byte of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub segment: u64,
    pub offset: u64,
}

/// All that is synced, and only that.
#[derive(Debug, Default)]
pub struct Index {
    lanes: BTreeMap<Partition, Lane>,
    /// How much of each segment counts, in bytes.
    ends: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Lane {
    first: Position,
    last: Position,
    entries: Vec<(Position, Place)>,
}

impl Index {
    /// Makes a partition known of which the records below `next` were in segments that are gone.
    pub fn begin(&mut self, partition: Partition, next: Position) {
        let lane = Lane { first: next, last: Position(next.0 - 1), entries: Vec::new() };
        self.lanes.insert(partition, lane);
    }

    /// Takes note of a synced record.
    pub fn note(&mut self, partition: Partition, position: Position, place: Place) {
        if !self.lanes.contains_key(&partition) {
            self.begin(partition, Position(1));
        }
        let lane = self.lanes.get_mut(&partition).expect("it was just made");
        let near = |held: &Place| held.segment == place.segment && place.offset - held.offset < STRIDE_BYTES;
        if !lane.entries.last().is_some_and(|(_, held)| near(held)) {
            lane.entries.push((position, place));
        }
        lane.last = position;
    }

    /// Takes note of how far a segment counts.
    pub fn extend(&mut self, segment: u64, end: u64) {
        self.ends.insert(segment, end);
    }

    /// Takes back the notes of one group, which has found another place.
    pub fn forget(&mut self, place: Place) {
        for lane in self.lanes.values_mut() {
            if lane.entries.last().is_some_and(|(_, held)| *held == place) {
                lane.entries.pop();
            }
        }
    }

    /// The first readable and the last synced position; (1, 0) for a partition that was never written.
    pub fn bounds(&self, partition: Partition) -> (Position, Position) {
        let lane = self.lanes.get(&partition);
        lane.map_or((Position(1), Position(0)), |lane| (lane.first, lane.last))
    }

    /// The bounds of every partition.
    pub fn all_bounds(&self) -> BTreeMap<Partition, (Position, Position)> {
        self.lanes.iter().map(|(partition, lane)| (*partition, (lane.first, lane.last))).collect()
    }

    /// For every partition the position of its next record.
    pub fn next(&self) -> BTreeMap<Partition, Position> {
        self.lanes.iter().map(|(partition, lane)| (*partition, Position(lane.last.0 + 1))).collect()
    }

    /// The place at or before which a position's group stands; nothing when it is not in the log.
    pub fn locate(&self, partition: Partition, position: Position) -> Option<Place> {
        let lane = self.lanes.get(&partition)?;
        let after = lane.entries.partition_point(|(held, _)| *held <= position);
        after.checked_sub(1).map(|index| lane.entries[index].1)
    }

    /// How far a segment counts, in bytes.
    pub fn end(&self, segment: u64) -> Option<u64> {
        self.ends.get(&segment).copied()
    }

    /// Raises the first readable position, never above the next one, and never lowers it.
    pub fn raise_first(&mut self, partition: Partition, first: Position) {
        if let Some(lane) = self.lanes.get_mut(&partition) {
            lane.first = lane.first.max(first.min(Position(lane.last.0 + 1)));
        }
    }

    /// Forgets all segments below `lowest`.
    pub fn drop_below(&mut self, lowest: u64) {
        self.ends = self.ends.split_off(&lowest);
        for lane in self.lanes.values_mut() {
            lane.entries.retain(|(_, place)| place.segment >= lowest);
        }
    }
}
