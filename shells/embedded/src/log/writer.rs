//! Writing: one thread appends, syncs and purges.

use super::create::{self, Found};
use super::error::{LogError, OpenError};
use super::group::{self, RECORD_HEADER_BYTES, RecordRef};
use super::index::Place;
use super::mark::{self, Mark};
use super::reader::LogReader;
use super::recover::{self, LastGroup, Recovered};
use super::segment::{self, SegmentHeader};
use super::{Options, Partition, Position, Record};
use crate::disk::{Directory, Disk, LockError};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, RwLock};

/// The log, in the hands of its one writer.
pub struct Log {
    reader: LogReader,
    options: Options,
    /// Held for its lock.
    _lock: Option<File>,
    /// The group that the next sync writes, and its records.
    buffer: Vec<u8>,
    pending: Vec<(Partition, Position)>,
    /// For each partition the position of its next record, pending ones counted.
    next: BTreeMap<Partition, Position>,
    lowest_segment: u64,
    segment: u64,
    segment_bytes: u64,
    /// The last synced group.
    group: u64,
    marked_group: u64,
    /// The file and the disk's answer, once a write has failed.
    ended: Option<(String, String)>,
}

impl Log {
    /// Opens the log in a directory, or makes one in an empty or missing directory.
    ///
    /// # Errors
    /// Refuses a foreign directory, one that another process holds, and any damage; see [`OpenError`].
    pub fn open(directory: &Path, options: Options) -> Result<Log, OpenError> {
        let shown = directory.display().to_string();
        let disk = Directory::open(directory).map_err(OpenError::io(&shown))?;
        // Before the lock, so that not even a lock file is left in a directory that is not ours.
        create::recognise(&disk)?;
        let lock = disk.lock(create::LOCK).map_err(|error| match error {
            LockError::Held => OpenError::Locked { file: directory.join(create::LOCK).display().to_string() },
            LockError::Io(error) => OpenError::Io { file: create::LOCK.to_owned(), error },
        })?;
        let mut log = Log::open_on(Arc::new(disk), options)?;
        log._lock = Some(lock);
        Ok(log)
    }

    /// Opens or makes the log on a disk that nobody else uses.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_on(disk: Arc<dyn Disk>, options: Options) -> Result<Log, OpenError> {
        match create::recognise(&*disk)? {
            found @ (Found::Empty | Found::Unfinished) => create::create(&*disk, found)?,
            Found::Log => {}
        }
        create::check_format(&*disk)?;
        let recovered = recover::recover(&*disk)?;
        Log::resume(disk, options, recovered)
    }

    /// Appends a record to the group that the next [`Log::sync`] makes durable, and returns its position.
    ///
    /// # Errors
    /// [`LogError::GroupFull`] and [`LogError::TooLarge`] leave the log as it was; [`LogError::Ended`] after a failed write.
    pub fn append(&mut self, partition: Partition, epoch: u64, seq: u64, payload: &[u8]) -> Result<Position, LogError> {
        self.check_running()?;
        let bytes = RECORD_HEADER_BYTES + payload.len();
        let bytes_max = self.options.group_bytes_max;
        if bytes > bytes_max {
            return Err(LogError::TooLarge { bytes, bytes_max });
        }
        if self.pending.is_empty() {
            group::begin(&mut self.buffer);
        }
        if self.buffer.len() + bytes > bytes_max && !self.pending.is_empty() {
            return Err(LogError::GroupFull);
        }
        let next = self.next.entry(partition).or_insert(Position(1));
        let position = *next;
        *next = Position(position.0 + 1);
        group::push(&mut self.buffer, RecordRef { partition, epoch, seq, position, payload });
        self.pending.push((partition, position));
        Ok(position)
    }

    /// Makes everything appended durable and visible to readers.
    ///
    /// # Errors
    /// Any error is final: the records may or may not be on the disk, every later call fails, and the process must end.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.check_running()?;
        if self.pending.is_empty() {
            return Ok(());
        }
        if self.segment_bytes >= self.options.segment_bytes {
            self.rotate()?;
        }
        let number = self.group + 1;
        group::finish(&mut self.buffer, self.segment, number, self.pending.len() as u32);
        let file = segment::name(self.segment);
        let written = self.reader.disk.append(&file, &self.buffer).and_then(|()| self.reader.disk.sync(&file));
        self.finally(&file, written)?;
        self.group = number;
        self.publish();
        if self.group - self.marked_group >= self.options.mark_every_groups {
            return self.mark();
        }
        let noted = Mark::append_trail(&*self.reader.disk, number);
        self.finally(mark::NAME, noted)
    }

    /// Writes the mark if something was synced since the last one: worth its syncs whenever there is nothing else to do.
    ///
    /// # Errors
    /// As [`Log::sync`].
    pub fn mark(&mut self) -> Result<(), LogError> {
        self.check_running()?;
        if self.marked_group == self.group {
            return Ok(());
        }
        self.write_mark(self.lowest_segment)
    }

    /// Syncs, marks and closes the log: the next opening then misses even a lost last record.
    ///
    /// # Errors
    /// As [`Log::sync`].
    pub fn close(mut self) -> Result<(), LogError> {
        self.sync()?;
        self.mark()
    }

    /// Gives up a partition's records before a position. Reads of them answer [`LogError::Purged`] from now on (after
    /// a crash perhaps not yet). A segment goes once every partition has given up all that it has there.
    ///
    /// # Errors
    /// As [`Log::sync`].
    pub fn purge(&mut self, partition: Partition, before: Position) -> Result<(), LogError> {
        self.check_running()?;
        self.reader.index.write().expect("no code panics under this lock").raise_first(partition, before);
        let mut lowest = self.lowest_segment;
        while lowest < self.segment && self.is_given_up(lowest)? {
            lowest += 1;
        }
        if lowest == self.lowest_segment {
            return Ok(());
        }
        // The mark goes first: a segment that is missing without being below the mark would be damage.
        self.write_mark(lowest)?;
        self.reader.index.write().expect("no code panics under this lock").drop_below(lowest);
        for number in self.lowest_segment..lowest {
            let file = segment::name(number);
            let removed = self.reader.disk.remove(&file);
            self.finally(&file, removed)?;
        }
        self.lowest_segment = lowest;
        Ok(())
    }

    /// Reads synced records; see [`LogReader::read`].
    ///
    /// # Errors
    /// As [`LogReader::read`].
    pub fn read(
        &self,
        partition: Partition,
        from: Position,
        payload_bytes_max: usize,
    ) -> Result<Vec<Record>, LogError> {
        self.reader.read(partition, from, payload_bytes_max)
    }

    /// The lowest position that can be read; see [`LogReader::first`].
    pub fn first(&self, partition: Partition) -> Position {
        self.reader.first(partition)
    }

    /// The last synced position; see [`LogReader::last`].
    pub fn last(&self, partition: Partition) -> Position {
        self.reader.last(partition)
    }

    /// A reader for another thread.
    pub fn reader(&self) -> LogReader {
        self.reader.clone()
    }

    /// Goes on where a log was left. If it was closed, or marked with nothing synced since, that is its last segment.
    ///
    /// Else the last group may never have been synced, or its sync may have failed and only the system's cache still
    /// shows it. A sync now would not help: after a failure the system has dropped the pages from its books. So the
    /// group is written again, as the first of a new segment, and the old segment counts only up to it. What stands
    /// behind it there is a torn write and is skipped in the same way.
    fn resume(disk: Arc<dyn Disk>, options: Options, recovered: Recovered) -> Result<Log, OpenError> {
        let Recovered { index, mark, segment, segment_bytes, group, last_group, torn, leftovers } = recovered;
        let mut log = Log {
            next: index.next(),
            reader: LogReader { disk, index: Arc::new(RwLock::new(index)) },
            options,
            _lock: None,
            buffer: Vec::new(),
            pending: Vec::new(),
            lowest_segment: mark.lowest_segment,
            segment,
            segment_bytes,
            group,
            marked_group: mark.group,
            ended: None,
        };
        for file in leftovers {
            log.reader.disk.remove(&file).map_err(OpenError::io(&file))?;
        }
        let unproven = last_group.filter(|_| group > mark.group);
        if unproven.is_some() || torn {
            log.renew(unproven).map_err(OpenError::io(&segment::name(segment + 1)))?;
        } else if mark.highest_segment < segment {
            // The end came between the making of the segment and its mark.
            log.mark_now(mark.lowest_segment)
                .write(&*log.reader.disk)
                .map_err(OpenError::io(&segment::name(segment)))?;
            log.marked_group = group;
        }
        Ok(log)
    }

    /// Begins a new segment with the unproven group, if there is one.
    fn renew(&mut self, unproven: Option<LastGroup>) -> io::Result<()> {
        let mut header = SegmentHeader {
            number: self.segment + 1,
            previous_bytes: self.segment_bytes,
            group: self.group + 1,
            next: self.next.clone(),
        };
        let mut carried = Vec::new();
        if let Some(last) = &unproven {
            header.previous_bytes = last.place.offset;
            header.group = self.group;
            for (partition, position) in last.records.iter().rev() {
                header.next.insert(*partition, *position);
            }
            header.next.retain(|_, position| *position > Position(1));
            carried.clone_from(&last.bytes);
            group::readdress(&mut carried, header.number);
        }
        let mut bytes = header.encode();
        let place = Place { segment: header.number, offset: bytes.len() as u64 };
        bytes.extend_from_slice(&carried);
        create::install_segment(&*self.reader.disk, header.number, &bytes)?;
        {
            let mut index = self.reader.index.write().expect("no code panics under this lock");
            index.extend(self.segment, header.previous_bytes);
            index.extend(header.number, bytes.len() as u64);
            if let Some(last) = &unproven {
                index.forget(last.place);
                last.records.iter().for_each(|(partition, position)| index.note(*partition, *position, place));
            }
        }
        self.segment = header.number;
        self.segment_bytes = bytes.len() as u64;
        self.mark_now(self.lowest_segment).write(&*self.reader.disk)?;
        self.marked_group = self.group;
        Ok(())
    }

    /// Begins a new segment because the last one is full.
    fn rotate(&mut self) -> Result<(), LogError> {
        let header = SegmentHeader {
            number: self.segment + 1,
            previous_bytes: self.segment_bytes,
            group: self.group + 1,
            next: self.reader.index.read().expect("no code panics under this lock").next(),
        };
        let bytes = header.encode();
        let installed = create::install_segment(&*self.reader.disk, header.number, &bytes);
        self.finally(&segment::name(header.number), installed)?;
        self.segment = header.number;
        self.segment_bytes = bytes.len() as u64;
        self.reader.index.write().expect("no code panics under this lock").extend(self.segment, self.segment_bytes);
        // The mark must know the segment before an acknowledged record stands in it, or its loss would go unseen.
        self.write_mark(self.lowest_segment)
    }

    fn publish(&mut self) {
        let place = Place { segment: self.segment, offset: self.segment_bytes };
        self.segment_bytes += self.buffer.len() as u64;
        let mut index = self.reader.index.write().expect("no code panics under this lock");
        index.extend(self.segment, self.segment_bytes);
        for (partition, position) in self.pending.drain(..) {
            index.note(partition, position, place);
        }
    }

    fn mark_now(&self, lowest_segment: u64) -> Mark {
        let positions = self.reader.index.read().expect("no code panics under this lock").all_bounds();
        Mark { lowest_segment, highest_segment: self.segment, group: self.group, positions }
    }

    fn write_mark(&mut self, lowest_segment: u64) -> Result<(), LogError> {
        let written = self.mark_now(lowest_segment).write(&*self.reader.disk);
        self.finally(mark::NAME, written)?;
        self.marked_group = self.group;
        Ok(())
    }

    /// Whether every record of a sealed segment lies below its partition's first position.
    fn is_given_up(&self, number: u64) -> Result<bool, LogError> {
        let successor = recover::read_header(&*self.reader.disk, number + 1)
            .map_err(|_| LogError::Damaged { file: segment::name(number + 1), offset: 0 })?;
        let index = self.reader.index.read().expect("no code panics under this lock");
        Ok(successor.next.iter().all(|(partition, next)| *next <= index.bounds(*partition).0))
    }

    fn check_running(&self) -> Result<(), LogError> {
        match &self.ended {
            None => Ok(()),
            Some((file, reason)) => Err(LogError::Ended { file: file.clone(), reason: reason.clone() }),
        }
    }

    fn finally(&mut self, file: &str, result: io::Result<()>) -> Result<(), LogError> {
        if let Err(error) = result {
            self.ended = Some((file.to_owned(), error.to_string()));
        }
        self.check_running()
    }
}
