//! The reservations of a lane, wherever they are on their way: a table whose places are used again.

use crate::ids::ReservationId;
use crate::ledger::reserve::ReserveItem;
use crate::limits::JOINED_MAX;
use crate::time::Mono;
use std::collections::BTreeMap;

/// All reservations of one lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Slots {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    by_id: BTreeMap<ReservationId, u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Slot {
    item: ReserveItem,
    waiter: Waiter,
}

/// Who waits for one reservation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Waiter {
    token: u64,
    /// Further clicks of the same wish; takes no memory while there are none.
    joined: Vec<u64>,
    patience: Mono,
    /// Sendings whose answer was lost.
    losses: u8,
}

/// Whether a click could join another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    Yes,
    Full,
}

impl Waiter {
    pub fn new(token: u64, patience: Mono) -> Waiter {
        Waiter { token, joined: Vec::new(), patience, losses: 0 }
    }
}

impl Slots {
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The reservation of this id that a further click may join.
    pub fn find(&self, id: ReservationId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    pub fn insert(&mut self, item: ReserveItem, waiter: Waiter) -> u32 {
        let id = item.id;
        let slot = Some(Slot { item, waiter });
        let place = match self.free.pop() {
            Some(place) => {
                self.slots[place as usize] = slot;
                place
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).expect("a lane is bounded")
            }
        };
        // Where two wishes stand under one key, the first is the one that clicks join.
        self.by_id.entry(id).or_insert(place);
        place
    }

    pub fn item(&self, place: u32) -> &ReserveItem {
        &self.slot(place).item
    }

    pub fn join(&mut self, place: u32, token: u64) -> Joined {
        let joined = &mut self.slot_mut(place).waiter.joined;
        if joined.len() >= JOINED_MAX {
            return Joined::Full;
        }
        joined.push(token);
        Joined::Yes
    }

    pub fn patience(&self, place: u32) -> Mono {
        self.slot(place).waiter.patience
    }

    /// Notes a lost answer; how many there were.
    pub fn lose(&mut self, place: u32) -> u8 {
        let waiter = &mut self.slot_mut(place).waiter;
        waiter.losses += 1;
        waiter.losses
    }

    pub fn was_lost(&self, place: u32) -> bool {
        self.slot(place).waiter.losses > 0
    }

    /// Frees the place and names everybody who waited there.
    pub fn remove(&mut self, place: u32, mut tell: impl FnMut(u64)) {
        let slot = self.slots[place as usize].take().expect("a place is freed once");
        self.free.push(place);
        if self.by_id.get(&slot.item.id) == Some(&place) {
            self.by_id.remove(&slot.item.id);
        }
        tell(slot.waiter.token);
        slot.waiter.joined.into_iter().for_each(tell);
    }

    fn slot(&self, place: u32) -> &Slot {
        self.slots[place as usize].as_ref().expect("a queued place is taken")
    }

    fn slot_mut(&mut self, place: u32) -> &mut Slot {
        self.slots[place as usize].as_mut().expect("a queued place is taken")
    }
}
