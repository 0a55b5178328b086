//! Groups and records as bytes.
//!
//! ```text
//! group   magic 4 | records 4 | segment 8 | number 8 | body bytes 4 | blank sectors 4 | CRC32C of the 32 before: 4 | records | padding
//! record  payload bytes 4 | partition 4 | epoch 8 | seq 8 | position 8 | CRC32C of the 32 before and the payload: 4 | payload
//! ```

use super::sector::{self, Numbers, SECTOR_BYTES};
use super::{Partition, Position};

/// The bytes of a group before its first record.
pub const GROUP_HEADER_BYTES: usize = 36;
/// The bytes of a record before its payload.
pub const RECORD_HEADER_BYTES: usize = 36;
const MAGIC: u32 = u32::from_le_bytes(*b"DBgr");

/// A record inside the bytes of its group.
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'bytes> {
    pub partition: Partition,
    pub epoch: u64,
    pub seq: u64,
    pub position: Position,
    pub payload: &'bytes [u8],
}

/// The header of a group.
#[derive(Debug, Clone, Copy)]
pub struct GroupHeader {
    pub records: u32,
    pub segment: u64,
    pub number: u64,
    body_bytes: u32,
    blank_sectors: u32,
}

/// What the bytes after the last good group are.
#[derive(Debug, PartialEq, Eq)]
pub enum Tail {
    /// Nothing.
    Clean,
    /// The remains of a group whose sync never returned: the file ends too early, or sectors were not written.
    Torn,
    /// Something that no interrupted write leaves behind.
    Damaged(&'static str),
}

/// Makes room for the header of a group whose records follow.
pub fn begin(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.resize(GROUP_HEADER_BYTES, 0);
}

/// Appends one record: the only time that its payload is copied on the way to the disk.
pub fn push(buffer: &mut Vec<u8>, record: RecordRef<'_>) {
    let length =
        u32::try_from(record.payload.len()).expect("the writer has checked the size against the group's limit");
    let start = buffer.len();
    buffer.reserve(RECORD_HEADER_BYTES + record.payload.len());
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&record.partition.0.to_le_bytes());
    buffer.extend_from_slice(&record.epoch.to_le_bytes());
    buffer.extend_from_slice(&record.seq.to_le_bytes());
    buffer.extend_from_slice(&record.position.0.to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&buffer[start..]), record.payload);
    buffer.extend_from_slice(&checksum.to_le_bytes());
    buffer.extend_from_slice(record.payload);
}

/// Pads the group and writes its header: the buffer is then what goes to the disk.
pub fn finish(buffer: &mut Vec<u8>, segment: u64, number: u64, records: u32) {
    let body_bytes = buffer.len() - GROUP_HEADER_BYTES;
    sector::pad(buffer);
    let header = GroupHeader {
        records,
        segment,
        number,
        body_bytes: u32::try_from(body_bytes).expect("the writer bounds a group"),
        // The first sector begins with the magic and is never blank.
        blank_sectors: sector::blank_sectors(&buffer[SECTOR_BYTES..]),
    };
    header.write(buffer);
}

/// Gives a group that is carried into another segment that segment's number.
pub fn readdress(bytes: &mut [u8], segment: u64) {
    let header = GroupHeader::parse(bytes).expect("the group was parsed before");
    GroupHeader { segment, ..header }.write(bytes);
}

impl GroupHeader {
    /// The header at the start of `bytes`, if there is one and its checksum is right.
    pub fn parse(bytes: &[u8]) -> Option<GroupHeader> {
        let mut numbers = Numbers(sector::unseal(bytes.get(..GROUP_HEADER_BYTES)?)?);
        if numbers.four()? != MAGIC {
            return None;
        }
        Some(GroupHeader {
            records: numbers.four()?,
            segment: numbers.eight()?,
            number: numbers.eight()?,
            body_bytes: numbers.four()?,
            blank_sectors: numbers.four()?,
        })
    }

    /// The bytes of the whole group, header and padding included.
    pub fn group_bytes(&self) -> usize {
        sector::padded(GROUP_HEADER_BYTES + self.body_bytes as usize)
    }

    /// The group's records; nothing when one of them is not as it was written. `bytes` begins with the header and holds the whole group.
    pub fn records<'bytes>(&self, bytes: &'bytes [u8]) -> Option<Vec<RecordRef<'bytes>>> {
        let mut body = bytes.get(GROUP_HEADER_BYTES..GROUP_HEADER_BYTES + self.body_bytes as usize)?;
        let mut records = Vec::new();
        for _ in 0..self.records {
            records.push(pop(&mut body)?);
        }
        body.is_empty().then_some(records)
    }

    fn write(&self, bytes: &mut [u8]) {
        let mut header = Vec::with_capacity(GROUP_HEADER_BYTES);
        header.extend_from_slice(&MAGIC.to_le_bytes());
        header.extend_from_slice(&self.records.to_le_bytes());
        header.extend_from_slice(&self.segment.to_le_bytes());
        header.extend_from_slice(&self.number.to_le_bytes());
        header.extend_from_slice(&self.body_bytes.to_le_bytes());
        header.extend_from_slice(&self.blank_sectors.to_le_bytes());
        sector::seal(&mut header);
        bytes[..GROUP_HEADER_BYTES].copy_from_slice(&header);
    }
}

fn pop<'bytes>(body: &mut &'bytes [u8]) -> Option<RecordRef<'bytes>> {
    let (header, rest) = body.split_at_checked(RECORD_HEADER_BYTES)?;
    let (fields, checksum) = header.split_last_chunk()?;
    let mut numbers = Numbers(fields);
    let length = numbers.four()? as usize;
    let (payload, rest) = rest.split_at_checked(length)?;
    if crc32c::crc32c_append(crc32c::crc32c(fields), payload) != u32::from_le_bytes(*checksum) {
        return None;
    }
    *body = rest;
    Some(RecordRef {
        partition: Partition(numbers.four()?),
        epoch: numbers.eight()?,
        seq: numbers.eight()?,
        position: Position(numbers.eight()?),
        payload,
    })
}

/// Judges what follows the last good group of the last segment, where the group `expected` would stand.
///
/// Shortness and unwritten sectors are the only shapes of a torn write. What has neither was written whole, so that
/// its sync may have returned: it is damage, even though it is the last.
pub fn judge_tail(rest: &[u8], segment: u64, expected: u64) -> Tail {
    if rest.is_empty() {
        return Tail::Clean;
    }
    let later = |bytes: &[u8]| {
        GroupHeader::parse(bytes).is_some_and(|header| header.segment == segment && header.number > expected)
    };
    if rest.chunks(SECTOR_BYTES).any(later) {
        return Tail::Damaged("a group is broken although a later one proves that it was synced");
    }
    if rest.len() < SECTOR_BYTES {
        return Tail::Torn;
    }
    let Some(header) = GroupHeader::parse(rest) else {
        let unwritten = sector::zero_sectors(&rest[..SECTOR_BYTES]) == 1;
        return if unwritten { Tail::Torn } else { Tail::Damaged("the header of the last group is broken") };
    };
    if header.segment != segment || header.number != expected {
        return Tail::Damaged("a group stands where another belongs");
    }
    if rest.len() < header.group_bytes() {
        return Tail::Torn;
    }
    if rest.len() > header.group_bytes() {
        return Tail::Damaged("the last group is broken and something follows it");
    }
    let unwritten = sector::zero_sectors(&rest[SECTOR_BYTES..]) > header.blank_sectors;
    if unwritten { Tail::Torn } else { Tail::Damaged("a record of the last group is broken") }
}
