//! Rule 1 (reserve) and rule 7 (withdraw): the two calls that take units and write the log.

use super::basket::{Basket, BodyHash};
use super::entry::{Entry, EntryKind, Reserved};
use super::page::{Acceptance, Page, Record, RecordState};
use super::shard::{Counter, Fence, Fenced, Memory, Meta, Shard, ShardState};
use crate::ids::{ReservationId, SkuId, UserId};
use crate::limits::GROUP_MAX;
use crate::time::Wall;
use std::collections::BTreeMap;

/// One buyer's wish, its id and fingerprint already derived.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReserveItem {
    /// Derived from (sale, user, key).
    pub id: ReservationId,
    /// Who.
    pub user: UserId,
    /// Fingerprint of the basket.
    pub body: BodyHash,
    /// What.
    pub basket: Basket,
}

/// The answer for one item of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ItemReply {
    /// Taken now.
    Accepted(Acceptance),
    /// Taken earlier under this key; the same answer again.
    Replayed(Acceptance),
    /// Nothing was taken for it.
    Refused(ReserveRefusal),
}

/// Why nothing was taken. Refusals are not stored: the same key may succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReserveRefusal {
    /// The key was used with another basket.
    KeyReused,
    /// The shard is being loaded or its epoch is ending: come again.
    NotReady,
    /// Paused by the operator.
    Stopped,
    /// Before the window.
    NotStarted,
    /// After the window.
    Ended,
    /// The user has used up the keys of this sale.
    KeysExhausted,
    /// The user would hold more than the limit.
    LimitReached,
    /// Not in this sale.
    UnknownSku(SkuId),
    /// Not enough units of this SKU here.
    SoldOut(SkuId),
}

/// Answers in the order of the items, and the one entry that tells what was taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BatchReply {
    /// One per item.
    pub replies: Vec<ItemReply>,
    /// Absent when nothing was taken.
    pub entry: Option<Entry>,
}

impl Shard {
    /// Rule 1. One atomic step, one reply, at most one log entry.
    ///
    /// `now` is the shard's server's own clock. At most [`GROUP_MAX`] items.
    pub fn reserve(&mut self, fence: Fence, now: Wall, items: &[ReserveItem]) -> Result<BatchReply, Fenced> {
        assert!(items.len() <= GROUP_MAX, "a lane sends at most a group");
        let memory = self.fenced(fence)?;
        let acceptance = Acceptance { epoch: memory.meta.epoch, seq: memory.meta.seq.next(), reserved_at: now };
        let mut taken = Vec::new();
        let mut replies = Vec::with_capacity(items.len());
        for item in items {
            let reply = match memory.decide(now, item, acceptance) {
                Ok(Some(earlier)) => ItemReply::Replayed(earlier),
                Ok(None) => {
                    taken.push(reserved(item, now));
                    ItemReply::Accepted(acceptance)
                }
                Err(refusal) => ItemReply::Refused(refusal),
            };
            replies.push(reply);
        }
        if taken.is_empty() {
            return Ok(BatchReply { replies, entry: None });
        }
        memory.meta.seq = acceptance.seq;
        for reservation in &taken {
            memory.seal_if_broken(reservation.basket.lines().iter().map(|line| line.sku));
        }
        let entry = Entry { epoch: acceptance.epoch, seq: acceptance.seq, kind: EntryKind::Reserved(taken) };
        Ok(BatchReply { replies, entry: Some(entry) })
    }

    /// Rule 7. Takes up to `quantity` units of what is available back for the database; `None` when there are none
    /// or the shard neither sells nor is stopped. Repeating it withdraws again, which the log tells as well.
    pub fn withdraw(&mut self, fence: Fence, sku: SkuId, quantity: u64) -> Result<Option<Entry>, Fenced> {
        let memory = self.fenced(fence)?;
        match memory.meta.state {
            ShardState::Open | ShardState::Stopped => {}
            ShardState::Loading | ShardState::Sealed => return Ok(None),
        }
        let Some(counter) = memory.counters.get_mut(&sku) else { return Ok(None) };
        let quantity = quantity.min(counter.available);
        if quantity == 0 {
            return Ok(None);
        }
        counter.available -= quantity;
        counter.granted -= quantity;
        memory.meta.seq = memory.meta.seq.next();
        memory.seal_if_broken([sku].into_iter());
        let kind = EntryKind::Withdrawn { sku, quantity };
        Ok(Some(Entry { epoch: memory.meta.epoch, seq: memory.meta.seq, kind }))
    }
}

fn reserved(item: &ReserveItem, now: Wall) -> Reserved {
    Reserved { id: item.id, user: item.user.clone(), body: item.body, basket: item.basket.clone(), reserved_at: now }
}

impl Memory {
    /// Decides one item and takes what it accepts; an earlier acceptance of its key is returned as it was.
    ///
    /// The order of the checks is part of the protocol: a known key is answered in every state but loading.
    /// The page is looked up once: among a million users the way to it is most of the cost.
    fn decide(
        &mut self,
        now: Wall,
        item: &ReserveItem,
        acceptance: Acceptance,
    ) -> Result<Option<Acceptance>, ReserveRefusal> {
        let Memory { meta, counters, pages } = self;
        if meta.state == ShardState::Loading {
            return Err(ReserveRefusal::NotReady);
        }
        let page = pages.get_mut(&item.user);
        if let Some(record) = page.as_ref().and_then(|page| page.find(item.id)) {
            let same = record.body == item.body;
            return if same { Ok(Some(record.acceptance)) } else { Err(ReserveRefusal::KeyReused) };
        }
        admits_at(meta, now)?;
        admits_user(meta, page.as_deref(), &item.basket)?;
        has_stock(counters, &item.basket)?;
        take_units(counters, &item.basket);
        let record =
            Record { id: item.id, body: item.body, basket: item.basket.clone(), state: RecordState::Live, acceptance };
        match page {
            Some(page) => page.insert(record),
            None => pages.entry(item.user.clone()).or_default().insert(record),
        }
        Ok(None)
    }
}

fn admits_at(meta: &Meta, now: Wall) -> Result<(), ReserveRefusal> {
    match meta.state {
        ShardState::Open => {}
        ShardState::Stopped => return Err(ReserveRefusal::Stopped),
        ShardState::Loading | ShardState::Sealed => return Err(ReserveRefusal::NotReady),
    }
    if now < meta.window.starts_at {
        return Err(ReserveRefusal::NotStarted);
    }
    if now >= meta.window.ends_at {
        return Err(ReserveRefusal::Ended);
    }
    Ok(())
}

fn admits_user(meta: &Meta, page: Option<&Page>, basket: &Basket) -> Result<(), ReserveRefusal> {
    if page.is_some_and(Page::is_full) {
        return Err(ReserveRefusal::KeysExhausted);
    }
    let live = page.map_or(0, Page::live_units);
    if live + basket.units() > meta.limit { Err(ReserveRefusal::LimitReached) } else { Ok(()) }
}

fn has_stock(counters: &BTreeMap<SkuId, Counter>, basket: &Basket) -> Result<(), ReserveRefusal> {
    for line in basket.lines() {
        let counter = counters.get(&line.sku).ok_or(ReserveRefusal::UnknownSku(line.sku))?;
        if counter.available < u64::from(line.quantity) {
            return Err(ReserveRefusal::SoldOut(line.sku));
        }
    }
    Ok(())
}

fn take_units(counters: &mut BTreeMap<SkuId, Counter>, basket: &Basket) {
    for line in basket.lines() {
        let counter = counters.get_mut(&line.sku).expect("has_stock found it");
        assert!(counter.available >= u64::from(line.quantity), "has_stock counted it");
        counter.available -= u64::from(line.quantity);
        counter.live += u64::from(line.quantity);
    }
}
