//! A stable 128-bit hash: two lanes of folded multiplication, the scheme of wyhash
//! (<https://github.com/wangyi-fudan/wyhash>). Not for untrusted input.

use std::hash::{Hash, Hasher};

/// What a state is recognised by. With a hundred million states two of them share one with a probability of 1e-23.
pub type Fingerprint = u128;

/// The fingerprint of a value.
pub fn of<T: Hash + ?Sized>(value: &T) -> Fingerprint {
    let mut lanes = Lanes::default();
    value.hash(&mut lanes);
    lanes.fingerprint()
}

/// The fingerprint of an ordered list of fingerprints.
pub fn combine(parts: &[Fingerprint]) -> Fingerprint {
    let mut lanes = Lanes::default();
    for part in parts {
        lanes.word(*part as u64);
        lanes.word((*part >> 64) as u64);
    }
    lanes.fingerprint()
}

/// A hasher whose result is the same on every run, machine and compiler.
#[derive(Clone, Copy)]
struct Lanes {
    left: u64,
    right: u64,
}

const LEFT: u64 = 0xa076_1d64_78bd_642f;
const RIGHT: u64 = 0xe703_7ed1_a0b4_28db;

impl Default for Lanes {
    fn default() -> Lanes {
        Lanes { left: 0x8ebc_6af0_9c88_c6e3, right: 0x5899_65cc_7537_4cc3 }
    }
}

impl Lanes {
    fn word(&mut self, word: u64) {
        self.left = fold(self.left ^ word, LEFT);
        self.right = fold(self.right.rotate_left(23) ^ word, RIGHT);
    }

    fn fingerprint(&self) -> Fingerprint {
        let left = fold(self.left, self.right | 1);
        let right = fold(self.right ^ RIGHT, self.left | 1);
        (u128::from(left) << 64) | u128::from(right)
    }
}

fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one).wrapping_mul(u128::from(other));
    // The sum with the factor keeps a zero from swallowing everything that came before it.
    ((product >> 64) as u64 ^ product as u64).wrapping_add(one.rotate_left(31))
}

impl Hasher for Lanes {
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.word(u64::from_le_bytes(chunk.try_into().expect("chunks have 8 bytes")));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last) ^ ((rest.len() as u64) << 56));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.word(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.word(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.word(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.word(value as u64);
    }

    fn finish(&self) -> u64 {
        self.fingerprint() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn near_values_have_far_fingerprints() {
        let mut seen = BTreeSet::new();
        for one in 0u64..300 {
            for other in 0u8..100 {
                assert!(seen.insert(of(&(one, other, [other; 3]))), "{one} {other}");
            }
        }
        assert_ne!(of(&vec![0u64, 0]), of(&vec![0u64]));
        assert_ne!(combine(&[1, 2]), combine(&[2, 1]));
    }
}
