//! What is found at an opening. Only reads.

use super::create::SEGMENT_NEW;
use super::error::OpenError;
use super::group::{self, GroupHeader, RecordRef, Tail};
use super::index::{Index, Place};
use super::mark::{self, Mark};
use super::segment::{self, SegmentHeader};
use super::{Partition, Position};
use crate::disk::Disk;
use std::collections::BTreeMap;

/// A log that was found whole.
#[derive(Debug)]
pub struct Recovered {
    pub index: Index,
    pub mark: Mark,
    /// The last segment, and how much of it counts.
    pub segment: u64,
    pub segment_bytes: u64,
    /// The number of the last group.
    pub group: u64,
    /// The last group, if it stands in the last segment.
    pub last_group: Option<LastGroup>,
    /// Whether something stands behind it that was never synced.
    pub torn: bool,
    /// Files that nothing refers to: unfinished ones, and purged ones that were not removed in time.
    pub leftovers: Vec<String>,
}

/// The last group in the log, of which nothing proves that it was synced.
#[derive(Debug)]
pub struct LastGroup {
    pub place: Place,
    pub bytes: Vec<u8>,
    pub records: Vec<(Partition, Position)>,
}

/// Reads the whole log and checks that nothing is missing in it.
pub fn recover(disk: &dyn Disk) -> Result<Recovered, OpenError> {
    let mark = Mark::read(disk)?;
    let names = disk.list().map_err(OpenError::io("."))?;
    let (segments, leftovers) = sort_names(&names, &mark)?;
    let headers = segments.iter().map(|number| read_header(disk, *number)).collect::<Result<Vec<_>, _>>()?;
    let first = &headers[0];
    let mut scan = Scan {
        recovered: Recovered {
            index: Index::default(),
            segment: mark.lowest_segment,
            segment_bytes: 0,
            group: first.group.saturating_sub(1),
            last_group: None,
            torn: false,
            leftovers,
            mark,
        },
        next: first.next.clone(),
    };
    for (partition, next) in &first.next {
        scan.recovered.index.begin(*partition, *next);
    }
    for (place, header) in headers.iter().enumerate() {
        scan.segment(disk, header, headers.get(place + 1))?;
    }
    scan.compare_with_mark()?;
    Ok(scan.recovered)
}

/// Reads and checks a segment's header.
pub fn read_header(disk: &dyn Disk, number: u64) -> Result<SegmentHeader, OpenError> {
    let name = segment::name(number);
    let broken = || OpenError::damaged(&name, 0, "the header of the segment is broken");
    let mut prefix = [0; segment::PREFIX_BYTES];
    disk.read(&name, 0, &mut prefix).map_err(OpenError::io(&name))?;
    let length = SegmentHeader::length(&prefix).ok_or_else(broken)?;
    // A flipped length must not become an allocation.
    if disk.length(&name).map_err(OpenError::io(&name))? < length as u64 {
        return Err(broken());
    }
    let mut bytes = vec![0; length];
    disk.read(&name, 0, &mut bytes).map_err(OpenError::io(&name))?;
    let header = SegmentHeader::decode(&bytes).ok_or_else(broken)?;
    if header.number == number { Ok(header) } else { Err(broken()) }
}

/// The segments that must be there, without a hole, and the files that are of no use.
fn sort_names(names: &[String], mark: &Mark) -> Result<(Vec<u64>, Vec<String>), OpenError> {
    let mut segments: Vec<u64> = names.iter().filter_map(|name| segment::number(name)).collect();
    segments.sort_unstable();
    let purged = segments.partition_point(|number| *number < mark.lowest_segment);
    let kept = segments.split_off(purged);
    let highest = kept.last().copied().unwrap_or(0).max(mark.highest_segment);
    if let Some(missing) = (mark.lowest_segment..=highest).find(|number| kept.binary_search(number).is_err()) {
        return Err(OpenError::Missing { file: segment::name(missing) });
    }
    let unfinished = names.iter().filter(|name| *name == SEGMENT_NEW || *name == mark::NAME_NEW).cloned();
    let leftovers = segments.into_iter().map(segment::name).chain(unfinished).collect();
    Ok((kept, leftovers))
}

struct Scan {
    recovered: Recovered,
    next: BTreeMap<Partition, Position>,
}

impl Scan {
    fn segment(
        &mut self,
        disk: &dyn Disk,
        header: &SegmentHeader,
        successor: Option<&SegmentHeader>,
    ) -> Result<(), OpenError> {
        let name = segment::name(header.number);
        if header.group != self.recovered.group + 1 || header.next != self.next {
            return Err(OpenError::damaged(&name, 0, "the segment does not continue the one before it"));
        }
        let bytes = read_counted(disk, &name, successor)?;
        let start = header.encode().len();
        self.recovered.segment = header.number;
        self.recovered.last_group = None;
        let end = self.groups(&name, start, &bytes)?;
        let rest = &bytes[end..];
        self.recovered.segment_bytes = end as u64;
        self.recovered.index.extend(header.number, end as u64);
        if successor.is_some() && !rest.is_empty() {
            return Err(OpenError::damaged(&name, end as u64, "a group is broken"));
        }
        match group::judge_tail(rest, header.number, self.recovered.group + 1) {
            Tail::Clean => Ok(()),
            Tail::Torn => {
                self.recovered.torn = true;
                Ok(())
            }
            Tail::Damaged(what) => Err(OpenError::damaged(&name, end as u64, what)),
        }
    }

    /// Takes in groups as long as they are good, and returns where the last one ends.
    fn groups(&mut self, name: &str, start: usize, bytes: &[u8]) -> Result<usize, OpenError> {
        let mut offset = start;
        let mut last_bytes = 0..0;
        while let Some(header) = GroupHeader::parse(&bytes[offset..]) {
            let expected = header.segment == self.recovered.segment && header.number == self.recovered.group + 1;
            let end = offset + header.group_bytes();
            let Some(records) = header.records(&bytes[offset..]).filter(|_| expected && end <= bytes.len()) else {
                break;
            };
            self.records(name, offset as u64, &records)?;
            self.recovered.group = header.number;
            last_bytes = offset..end;
            offset = end;
        }
        if let Some(last) = &mut self.recovered.last_group {
            last.bytes = bytes[last_bytes].to_vec();
        }
        Ok(offset)
    }

    fn records(&mut self, name: &str, offset: u64, records: &[RecordRef<'_>]) -> Result<(), OpenError> {
        let place = Place { segment: self.recovered.segment, offset };
        for record in records {
            let next = self.next.entry(record.partition).or_insert(Position(1));
            if record.position != *next {
                let what = format!("position {} where {} belongs", record.position.0, next.0);
                return Err(OpenError::damaged(name, offset, what));
            }
            *next = Position(next.0 + 1);
            self.recovered.index.note(record.partition, record.position, place);
        }
        let records = records.iter().map(|record| (record.partition, record.position)).collect();
        self.recovered.last_group = Some(LastGroup { place, bytes: Vec::new(), records });
        Ok(())
    }

    fn compare_with_mark(&mut self) -> Result<(), OpenError> {
        let Recovered { index, mark, segment, segment_bytes, group, .. } = &mut self.recovered;
        let name = segment::name(*segment);
        if *group < mark.group {
            let what = format!("it ends with group {group}, but group {} was synced", mark.group);
            return Err(OpenError::damaged(&name, *segment_bytes, what));
        }
        for (partition, (first, last)) in &mark.positions {
            let found = index.bounds(*partition).1;
            if found < *last {
                let what = format!("partition {} ends with {}, but {} was synced", partition.0, found.0, last.0);
                return Err(OpenError::damaged(&name, *segment_bytes, what));
            }
            index.raise_first(*partition, *first);
        }
        Ok(())
    }
}

/// The bytes of a segment that count: up to where its successor says, or all of the last one.
fn read_counted(disk: &dyn Disk, name: &str, successor: Option<&SegmentHeader>) -> Result<Vec<u8>, OpenError> {
    let length = disk.length(name).map_err(OpenError::io(name))?;
    let counted = successor.map_or(length, |successor| successor.previous_bytes);
    if counted > length {
        return Err(OpenError::damaged(name, length, format!("it ends here instead of at byte {counted}")));
    }
    let mut bytes = vec![0; usize::try_from(counted).map_err(|_| OpenError::damaged(name, 0, "it is too long"))?];
    let count = disk.read(name, 0, &mut bytes).map_err(OpenError::io(name))?;
    if count < bytes.len() {
        return Err(OpenError::damaged(name, count as u64, "it cannot be read to its end"));
    }
    Ok(bytes)
}
