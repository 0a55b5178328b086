//! The ring of one SKU: a slot per hour for 168 closed hours, the open one, and one for skew between clocks.
//!
//! A slot knows which hour it holds. It is taken over only by a later hour's event, never by time passing, so a slot
//! may hold an hour of long ago: whoever reads passes over it.

use super::hour::Hour;
use crate::limits::{SALES_HOURS, SALES_SLOTS};
use serde::{Deserialize, Serialize};

/// One hour's units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// Which hour.
    pub hour: Hour,
    /// Units that were paid in it and not refunded.
    pub units: u64,
}

/// What became of a movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// It changed the slot of its hour.
    Counted,
    /// Its hour is older than the ring: nothing was changed.
    TooLate,
    /// A refund came before its payment, or without it: neither of the two changes a slot.
    Unpaired,
}

/// The units of one SKU by hour, and their rolling sum.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Ring {
    /// By hour modulo the number of slots. A slot that was never used holds no unit of hour 0.
    slots: Vec<Slot>,
    /// The latest hour of any event.
    newest: Hour,
    /// Units of the 168 hours before `advanced_hour`: kept up to date by events, so that no read needs a scan.
    sum_7d: u64,
    /// The hour at which the window was last read.
    advanced_hour: Hour,
}

/// What is kept of a ring: the slots that hold units, the rest follows.
#[derive(Serialize, Deserialize)]
struct Stored {
    slots: Vec<Slot>,
    newest: Hour,
    advanced_hour: Hour,
}

impl Default for Ring {
    fn default() -> Ring {
        let slots = vec![Slot::default(); SALES_SLOTS as usize];
        Ring { slots, newest: Hour(0), sum_7d: 0, advanced_hour: Hour(0) }
    }
}

impl Ring {
    /// Counts units that were paid in this hour.
    pub fn add(&mut self, hour: Hour, units: u64) -> Placement {
        if self.is_too_late(hour) {
            return Placement::TooLate;
        }
        let before = *self.slot(hour);
        if before.hour < hour {
            // The hour that held this slot has left the ring, however long ago: its units go, also from the sum.
            if self.is_summed(before.hour) {
                self.sum_7d -= before.units;
            }
            *self.slot_mut(hour) = Slot { hour, units: 0 };
        }
        let slot = self.slot_mut(hour);
        assert!(slot.hour == hour, "a later hour in this slot would have made the event too late");
        slot.units += units;
        self.newest = self.newest.max(hour);
        if self.is_summed(hour) {
            self.sum_7d += units;
        }
        Placement::Counted
    }

    /// Takes back units that were counted in this hour, if its slot still holds it.
    pub fn subtract(&mut self, hour: Hour, units: u64) -> Placement {
        if self.is_too_late(hour) || self.slot(hour).hour != hour {
            return Placement::TooLate;
        }
        let slot = self.slot_mut(hour);
        // Less than was counted can only be there in an hour behind the window, of a ring that was dropped and begun
        // anew since: no sum reads it.
        let taken = units.min(slot.units);
        slot.units -= taken;
        if self.is_summed(hour) {
            self.sum_7d -= taken;
        }
        Placement::Counted
    }

    /// Units of the 168 closed hours before this one, slot by slot.
    pub fn sum_at(&self, hour: Hour) -> u64 {
        hour.window().map(|hour| self.units_at(Hour(hour))).sum()
    }

    /// Moves the window to this hour and tells its sum: hour by hour, from the sum that is there.
    pub fn advance(&mut self, to: Hour) -> u64 {
        let from = self.advanced_hour;
        if to < from || to.0 - from.0 > SALES_HOURS {
            self.sum_7d = self.sum_at(to);
        } else {
            for closed in from.0..to.0 {
                self.sum_7d += self.units_at(Hour(closed));
                if let Some(left) = closed.checked_sub(SALES_HOURS) {
                    self.sum_7d -= self.units_at(Hour(left));
                }
            }
        }
        self.advanced_hour = to;
        self.sum_7d
    }

    /// The rolling sum, and the hour that it is of.
    pub fn sum_7d(&self) -> (Hour, u64) {
        (self.advanced_hour, self.sum_7d)
    }

    /// Whether every closed hour of this window still has its slot.
    pub fn holds(&self, hour: Hour) -> bool {
        self.newest.0 < hour.window().start + SALES_SLOTS
    }

    /// Whether no window from this hour on has a unit: neither a closed hour that still counts, nor a later one.
    pub fn is_spent(&self, hour: Hour) -> bool {
        self.slots.iter().all(|slot| slot.units == 0 || slot.hour.0 < hour.window().start)
    }

    /// Its slots, for reports and tests.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Asserts that the sum is the scan's and every hour stands in its own slot: for quiet points.
    pub fn check(&self) {
        assert_eq!(self.sum_7d, self.sum_at(self.advanced_hour), "the rolling sum is the sum");
        for (index, slot) in (0..).zip(&self.slots) {
            let unused = *slot == Slot::default();
            assert!(unused || slot.hour.0 % SALES_SLOTS == index, "an hour stands in its own slot");
            assert!(slot.hour <= self.newest, "no slot is newer than the newest");
        }
    }

    fn is_too_late(&self, hour: Hour) -> bool {
        hour.0 + SALES_SLOTS <= self.newest.0
    }

    fn is_summed(&self, hour: Hour) -> bool {
        self.advanced_hour.window().contains(&hour.0)
    }

    fn units_at(&self, hour: Hour) -> u64 {
        let slot = self.slot(hour);
        if slot.hour == hour { slot.units } else { 0 }
    }

    fn slot(&self, hour: Hour) -> &Slot {
        &self.slots[(hour.0 % SALES_SLOTS) as usize]
    }

    fn slot_mut(&mut self, hour: Hour) -> &mut Slot {
        &mut self.slots[(hour.0 % SALES_SLOTS) as usize]
    }
}

impl From<Ring> for Stored {
    fn from(ring: Ring) -> Stored {
        let slots = ring.slots.into_iter().filter(|slot| *slot != Slot::default()).collect();
        Stored { slots, newest: ring.newest, advanced_hour: ring.advanced_hour }
    }
}

impl TryFrom<Stored> for Ring {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Ring, String> {
        let mut ring = Ring { newest: stored.newest, advanced_hour: stored.advanced_hour, ..Ring::default() };
        for slot in stored.slots {
            let place = ring.slot_mut(slot.hour);
            if *place != Slot::default() || slot.hour > stored.newest {
                return Err(format!("hour {} stands in a ring twice, or after its end", slot.hour.0));
            }
            *place = slot;
        }
        ring.sum_7d = ring.sum_at(ring.advanced_hour);
        Ok(ring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONDAY: Hour = Hour(480_000);

    fn later(hours: u64) -> Hour {
        Hour(MONDAY.0 + hours)
    }

    #[test]
    fn an_hour_counts_from_its_end_for_exactly_168_hours() {
        let mut ring = Ring::default();
        assert_eq!(ring.add(MONDAY, 3), Placement::Counted);
        assert_eq!(ring.sum_at(MONDAY), 0, "the open hour does not count yet");
        assert_eq!((ring.sum_at(later(1)), ring.sum_at(later(168)), ring.sum_at(later(169))), (3, 3, 0));
    }

    #[test]
    fn a_slot_is_cleared_when_a_later_hour_takes_it_over() {
        let mut ring = Ring::default();
        ring.add(MONDAY, 3);
        assert_eq!(ring.advance(later(1)), 3);
        ring.add(later(SALES_SLOTS), 4);
        ring.check();
        assert_eq!(ring.advance(later(SALES_SLOTS + 1)), 4);
    }

    #[test]
    fn older_than_the_ring_is_too_late_and_changes_nothing() {
        let mut ring = Ring::default();
        ring.add(later(SALES_SLOTS), 4);
        let before = ring.clone();
        assert_eq!((ring.add(MONDAY, 3), ring.subtract(MONDAY, 3)), (Placement::TooLate, Placement::TooLate));
        assert_eq!(ring, before);
        assert_eq!(ring.add(later(1), 5), Placement::Counted, "the oldest hour of the ring");
    }

    #[test]
    fn a_ring_that_was_stored_is_the_same_ring() {
        let mut ring = Ring::default();
        for hour in [0, 5, 100, 169] {
            ring.add(later(hour), hour + 1);
        }
        ring.subtract(later(5), 6);
        ring.advance(later(101));
        let text = serde_json::to_string(&ring).unwrap();
        assert_eq!(serde_json::from_str::<Ring>(&text).unwrap(), ring);
        let twice = r#"{"slots":[{"hour":7,"units":1},{"hour":177,"units":1}],"newest":177,"advanced_hour":0}"#;
        assert!(serde_json::from_str::<Ring>(twice).is_err());
    }
}
