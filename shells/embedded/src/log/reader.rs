//! Reading what is synced.

use super::error::LogError;
use super::group::{GroupHeader, RecordRef};
use super::index::{Index, Place};
use super::segment;
use super::{Partition, Position, Record};
use crate::disk::Disk;
use std::io;
use std::sync::{Arc, RwLock};

/// So much is read at once, unless a single group is larger.
const CHUNK_BYTES: u64 = 256 << 10;

/// Reads synced records beside the writer. Clones share one index.
#[derive(Clone)]
pub struct LogReader {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) index: Arc<RwLock<Index>>,
}

/// What one read is after.
struct Wanted {
    partition: Partition,
    next: Position,
    last: Position,
    bytes_left: usize,
    records: Vec<Record>,
}

impl LogReader {
    /// The synced records of a partition from a position on, in order: as many as fit into `payload_bytes_max` bytes
    /// of payload, but at least one if there is one. Nothing beyond the last synced position.
    ///
    /// # Errors
    /// [`LogError::Purged`] below the first position; [`LogError::Damaged`] and [`LogError::Io`] from the disk.
    pub fn read(
        &self,
        partition: Partition,
        from: Position,
        payload_bytes_max: usize,
    ) -> Result<Vec<Record>, LogError> {
        let (first, last) = self.bounds(partition);
        if from < first {
            return Err(LogError::Purged { first });
        }
        let mut wanted = Wanted { partition, next: from, last, bytes_left: payload_bytes_max, records: Vec::new() };
        let mut place = Place { segment: 0, offset: 0 };
        while wanted.goes_on() {
            let located = self.locate(partition, wanted.next);
            place = place.max(located.ok_or_else(|| LogError::Purged { first: self.first(partition) })?);
            match self.chunk(place, &mut wanted) {
                Ok(next_place) => place = next_place,
                // A purge has removed the segment under our feet.
                Err(LogError::Io { error, .. })
                    if error.kind() == io::ErrorKind::NotFound && from < self.first(partition) =>
                {
                    return Err(LogError::Purged { first: self.first(partition) });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(wanted.records)
    }

    /// The lowest position that can be read, or will be the first to be written.
    pub fn first(&self, partition: Partition) -> Position {
        self.bounds(partition).0
    }

    /// The last synced position; 0 for a partition that was never written.
    pub fn last(&self, partition: Partition) -> Position {
        self.bounds(partition).1
    }

    fn bounds(&self, partition: Partition) -> (Position, Position) {
        self.index.read().expect("no code panics under this lock").bounds(partition)
    }

    fn locate(&self, partition: Partition, position: Position) -> Option<Place> {
        self.index.read().expect("no code panics under this lock").locate(partition, position)
    }

    fn end(&self, segment: u64) -> u64 {
        self.index.read().expect("no code panics under this lock").end(segment).unwrap_or(0)
    }

    /// Takes what is wanted from the groups at `place` and returns where to go on.
    fn chunk(&self, place: Place, wanted: &mut Wanted) -> Result<Place, LogError> {
        let left = self.end(place.segment).saturating_sub(place.offset);
        if left == 0 {
            // The next segment's first entry, or the next one that holds our partition, says where to go on.
            return Ok(Place { segment: place.segment + 1, offset: 0 });
        }
        let mut bytes = self.bytes(place, left.min(CHUNK_BYTES))?;
        let damaged = |offset: usize| LogError::Damaged {
            file: segment::name(place.segment),
            offset: place.offset + offset as u64,
        };
        let first = GroupHeader::parse(&bytes).ok_or_else(|| damaged(0))?;
        if first.group_bytes() > bytes.len() {
            bytes = self.bytes(place, first.group_bytes() as u64)?;
        }
        let mut offset = 0;
        while wanted.goes_on() && offset < bytes.len() {
            let Some(header) = GroupHeader::parse(&bytes[offset..]) else {
                return Err(damaged(offset));
            };
            if offset + header.group_bytes() > bytes.len() {
                break;
            }
            let records = header.records(&bytes[offset..]).ok_or_else(|| damaged(offset))?;
            records.iter().for_each(|record| wanted.take(record));
            offset += header.group_bytes();
        }
        if offset == 0 {
            return Err(damaged(0));
        }
        Ok(Place { segment: place.segment, offset: place.offset + offset as u64 })
    }

    fn bytes(&self, place: Place, count: u64) -> Result<Vec<u8>, LogError> {
        let file = segment::name(place.segment);
        let mut bytes = vec![0; usize::try_from(count).expect("a group fits into memory")];
        match self.disk.read(&file, place.offset, &mut bytes) {
            Ok(read) => {
                bytes.truncate(read);
                Ok(bytes)
            }
            Err(error) => Err(LogError::Io { file, error }),
        }
    }
}

impl Wanted {
    fn goes_on(&self) -> bool {
        self.next <= self.last && (self.bytes_left > 0 || self.records.is_empty())
    }

    fn take(&mut self, record: &RecordRef<'_>) {
        let ours = record.partition == self.partition && record.position == self.next;
        if !ours || !self.goes_on() {
            return;
        }
        if record.payload.len() > self.bytes_left && !self.records.is_empty() {
            self.bytes_left = 0;
            return;
        }
        self.bytes_left = self.bytes_left.saturating_sub(record.payload.len());
        self.next = Position(self.next.0 + 1);
        self.records.push(Record {
            position: record.position,
            epoch: record.epoch,
            seq: record.seq,
            payload: record.payload.to_vec(),
        });
    }
}
