//! Rules 5 and 6: what the database sends down, units given back and units granted.
//!
//! Both may arrive twice, late, out of order, and at a memory that is not theirs; neither needs the fence,
//! because each names the epoch whose rebuild has not counted it.

use super::shard::{Memory, Shard, ShardState};
use crate::ids::{Epoch, ReservationId, SkuId, UserId};
use std::cmp::Ordering;

/// Whether what came down is dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Settlement {
    /// Applied now, applied before, or counted by a rebuild: never to be sent again.
    Done,
    /// This memory cannot tell yet: send it again.
    Retry,
}

impl Shard {
    /// Rule 5. Ends the reservation and gives its units back, once.
    pub fn settle(&mut self, epoch: Epoch, user: &UserId, id: ReservationId) -> Settlement {
        match self.of_epoch(epoch) {
            Ok(memory) => {
                memory.give_back(user, id);
                Settlement::Done
            }
            Err(settlement) => settlement,
        }
    }

    /// Rule 6. Takes in the grant with this number; an earlier one must be there first.
    pub fn grant(&mut self, epoch: Epoch, sku: SkuId, quantity: u64, grant_seq: u64) -> Settlement {
        let memory = match self.of_epoch(epoch) {
            Ok(memory) => memory,
            Err(settlement) => return settlement,
        };
        let own = memory.counters.get(&sku).map_or(0, |counter| counter.grant_seq);
        match grant_seq.cmp(&(own + 1)) {
            Ordering::Less => Settlement::Done,
            Ordering::Greater => Settlement::Retry,
            Ordering::Equal => {
                let counter = memory.counters.entry(sku).or_default();
                counter.available += quantity;
                counter.granted += quantity;
                counter.grant_seq = grant_seq;
                memory.seal_if_broken([sku].into_iter());
                Settlement::Done
            }
        }
    }

    /// The memory of exactly this epoch. An older epoch's change was counted by the rebuild; a newer epoch's
    /// change must wait until that epoch is loaded here.
    fn of_epoch(&mut self, epoch: Epoch) -> Result<&mut Memory, Settlement> {
        let memory = self.memory.as_mut().ok_or(Settlement::Retry)?;
        match epoch.cmp(&memory.meta.epoch) {
            Ordering::Less => Err(Settlement::Done),
            Ordering::Greater => Err(Settlement::Retry),
            Ordering::Equal if memory.meta.state == ShardState::Loading => Err(Settlement::Retry),
            Ordering::Equal => Ok(memory),
        }
    }
}

impl Memory {
    fn give_back(&mut self, user: &UserId, id: ReservationId) {
        let Some(basket) = self.pages.get_mut(user).and_then(|page| page.end(id)) else { return };
        for line in basket.lines() {
            let counter = self.counters.get_mut(&line.sku).expect("a live record was taken from a counter");
            counter.live -= u64::from(line.quantity);
            counter.available += u64::from(line.quantity);
        }
        self.seal_if_broken(basket.lines().iter().map(|line| line.sku));
    }
}
