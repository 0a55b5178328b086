//! Bytes and sectors: the units in which numbers are read and writes are torn.

/// A disk writes a sector as a whole or not at all. Drives with larger ones tear less, not more.
pub const SECTOR_BYTES: usize = 512;

/// Padding is not zero, so that a sector which holds some of it can never be taken for one that was not written.
const PADDING: u8 = 0xff;

/// The bytes that so many bytes take up in whole sectors.
pub fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(SECTOR_BYTES)
}

/// Fills up the last sector. No sector then holds bytes of two groups, so that no torn write reaches what was synced before.
pub fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(padded(bytes.len()), PADDING);
}

/// Sectors of zeros: what a sector that was not written reads as.
pub fn zero_sectors(bytes: &[u8]) -> u32 {
    count(bytes, |sector| sector.iter().all(|byte| *byte == 0))
}

/// Sectors that are zero or that one flipped bit makes zero. A group's header carries their number: if more sectors
/// than that read as zero, some were not written, and no single flip can pretend it.
pub fn blank_sectors(bytes: &[u8]) -> u32 {
    count(bytes, |sector| {
        let mut bits = 0;
        sector.iter().all(|byte| {
            bits += byte.count_ones();
            bits <= 1
        })
    })
}

fn count(bytes: &[u8], holds: impl Fn(&[u8]) -> bool) -> u32 {
    let sectors = bytes.chunks(SECTOR_BYTES).filter(|sector| holds(sector)).count();
    u32::try_from(sectors).expect("a group is far smaller than 2 TiB")
}

/// Reads little-endian numbers one after the other.
pub struct Numbers<'bytes>(pub &'bytes [u8]);

impl Numbers<'_> {
    /// The next four bytes, or nothing when fewer are left.
    pub fn four(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*number))
    }

    /// The next eight bytes, or nothing when fewer are left.
    pub fn eight(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }
}

/// Appends the CRC32C of all that stands in `bytes`.
pub fn seal(bytes: &mut Vec<u8>) {
    let checksum = crc32c::crc32c(bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
}

/// What stands before a CRC32C at the end of `bytes`, if the sum is right.
pub fn unseal(bytes: &[u8]) -> Option<&[u8]> {
    let (content, checksum) = bytes.split_last_chunk()?;
    (crc32c::crc32c(content) == u32::from_le_bytes(*checksum)).then_some(content)
}
