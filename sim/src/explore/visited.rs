//! The set of states that a search has seen.

use super::fingerprint::Fingerprint;

/// Fingerprints by open addressing: 16 bytes a slot, at most half of the slots used.
///
/// Nothing ever iterates over it, so its order cannot be seen.
#[derive(Debug)]
pub struct Visited {
    slots: Vec<Fingerprint>,
    used: usize,
}

/// Marks an unused slot; a state that really had it would be explored again, not lost.
const UNUSED: Fingerprint = 0;
const SLOTS_MIN: usize = 1 << 16;

impl Default for Visited {
    fn default() -> Visited {
        Visited { slots: vec![UNUSED; SLOTS_MIN], used: 0 }
    }
}

impl Visited {
    /// Adds a fingerprint; whether it is new.
    pub fn insert(&mut self, fingerprint: Fingerprint) -> bool {
        if (self.used + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let slot = self.slot_of(fingerprint);
        if self.slots[slot] == fingerprint {
            return false;
        }
        self.slots[slot] = fingerprint;
        self.used += 1;
        true
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// The slot that holds it, or the unused one where it belongs.
    fn slot_of(&self, fingerprint: Fingerprint) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = fingerprint as usize & mask;
        while self.slots[slot] != UNUSED && self.slots[slot] != fingerprint {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let wider = vec![UNUSED; self.slots.len() * 2];
        let old = std::mem::replace(&mut self.slots, wider);
        for fingerprint in old.into_iter().filter(|fingerprint| *fingerprint != UNUSED) {
            let slot = self.slot_of(fingerprint);
            self.slots[slot] = fingerprint;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::fingerprint;

    #[test]
    fn each_fingerprint_is_new_once_also_across_growth() {
        let mut visited = Visited::default();
        for number in 0..200_000u64 {
            assert!(visited.insert(fingerprint::of(&number)));
        }
        for number in 0..200_000u64 {
            assert!(!visited.insert(fingerprint::of(&number)));
        }
        assert_eq!(visited.len(), 200_000);
    }
}
