//! Slots of a cluster.

/// A cluster's slots.
const SLOTS: u16 = 16_384;

/// The slot of a key: CRC-16/XMODEM of its hash tag, or of all of it where it has none
/// (Redis Cluster Specification, "Key distribution model").
pub fn slot_of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    hashed.bytes().fold(0, checksum) % SLOTS
}

fn checksum(sum: u16, byte: u8) -> u16 {
    (0..8).fold(sum ^ (u16::from(byte) << 8), |sum, _| if sum & 0x8000 == 0 { sum << 1 } else { (sum << 1) ^ 0x1021 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!("123456789".bytes().fold(0, checksum), 0x31c3);
        assert_eq!(slot_of("{user1000}.following"), slot_of("{user1000}.followers"));
        assert_eq!(slot_of("foo{}{bar}"), "foo{}{bar}".bytes().fold(0, checksum) % SLOTS);
        assert_eq!(slot_of("foo{{bar}}zap"), "{bar".bytes().fold(0, checksum) % SLOTS);
        assert_eq!(slot_of("foo"), 12_182);
    }
}
