//! The header of a segment: what came before it.

use super::sector::{self, Numbers};
use super::{Partition, Position};
use std::collections::BTreeMap;

/// The version of every format in this directory.
pub const FORMAT: u32 = 1;
const MAGIC: u64 = u64::from_le_bytes(*b"DBsegmnt");
/// Magic, format, the content's length: what must be read to know how much to read.
pub const PREFIX_BYTES: usize = 16;

/// The header: written once, together with the file, before the file has its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHeader {
    pub number: u64,
    /// How much of the previous segment counts, in bytes: what stands behind it is a torn write that was skipped. 0 in the first.
    pub previous_bytes: u64,
    /// The number of the first group here.
    pub group: u64,
    /// For each partition that has ever been written, the position of its next record.
    pub next: BTreeMap<Partition, Position>,
}

/// The name of a segment's file.
pub fn name(number: u64) -> String {
    format!("segment-{number:010}.log")
}

/// The number in a segment's name.
pub fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("segment-")?.strip_suffix(".log")?;
    let number = digits.parse().ok()?;
    (self::name(number) == name).then_some(number)
}

impl SegmentHeader {
    /// The header as whole sectors.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let content_bytes = 28 + 12 * self.next.len();
        bytes.extend_from_slice(&MAGIC.to_le_bytes());
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&(content_bytes as u32).to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.previous_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.group.to_le_bytes());
        bytes.extend_from_slice(&(self.next.len() as u32).to_le_bytes());
        for (partition, position) in &self.next {
            bytes.extend_from_slice(&partition.0.to_le_bytes());
            bytes.extend_from_slice(&position.0.to_le_bytes());
        }
        sector::seal(&mut bytes);
        sector::pad(&mut bytes);
        bytes
    }

    /// The bytes of the header, padding included, from the file's first bytes.
    pub fn length(prefix: &[u8]) -> Option<usize> {
        let mut numbers = Numbers(prefix);
        if numbers.eight()? != MAGIC || numbers.four()? != FORMAT {
            return None;
        }
        Some(sector::padded(PREFIX_BYTES + numbers.four()? as usize + 4))
    }

    /// Reads a header from at least as many bytes as [`SegmentHeader::length`] says.
    pub fn decode(bytes: &[u8]) -> Option<SegmentHeader> {
        SegmentHeader::length(bytes)?;
        let mut numbers = Numbers(bytes.get(12..)?);
        let content_bytes = numbers.four()? as usize;
        let content = sector::unseal(bytes.get(..PREFIX_BYTES + content_bytes + 4)?)?;
        let mut numbers = Numbers(&content[PREFIX_BYTES..]);
        let (number, previous_bytes, group) = (numbers.eight()?, numbers.eight()?, numbers.eight()?);
        let mut next = BTreeMap::new();
        for _ in 0..numbers.four()? {
            next.insert(Partition(numbers.four()?), Position(numbers.eight()?));
        }
        Some(SegmentHeader { number, previous_bytes, group, next })
    }
}
