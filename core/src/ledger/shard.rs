//! One server's memory of one shard: counters, pages, state. The meaning of the shipped scripts.
//!
//! I4: per SKU, granted = available + live after every script; else the shard seals itself (fail closed).

use super::page::{Page, Record};
use crate::ids::{Epoch, Nonce, ReservationId, Seq, ServerId, SkuId, UserId};
use crate::time::Wall;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One server's memory of one shard. `memory` is absent after a loss and before the first load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shard {
    /// Identity of the server that holds this memory: a promotion or restart changes it.
    pub server: ServerId,
    pub(super) memory: Option<Memory>,
}

/// What the server knows while it knows anything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Memory {
    pub meta: Meta,
    pub counters: BTreeMap<SkuId, Counter>,
    pub pages: BTreeMap<UserId, Page>,
}

/// The head of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Meta {
    /// Which epoch this memory is.
    pub epoch: Epoch,
    /// Which loading of that epoch.
    pub nonce: Nonce,
    /// Whether it sells.
    pub state: ShardState,
    /// Last entry written to the log.
    pub seq: Seq,
    /// Last entry known to be in the durable log beyond this server.
    pub acked: Seq,
    /// When it sells.
    pub window: Window,
    /// Most live units of one user.
    pub limit: u32,
    /// Chunks of the load taken so far.
    pub chunks: u32,
}

/// Whether a shard sells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ShardState {
    /// Being rebuilt: answers nothing yet.
    Loading,
    /// Sells.
    Open,
    /// Paused by the operator; settles go on.
    Stopped,
    /// Its epoch is at its end, or a broken counter was seen; settles go on.
    Sealed,
}

/// From `starts_at`, up to but without `ends_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// First instant of the sale.
    pub starts_at: Wall,
    /// First instant after the sale.
    pub ends_at: Wall,
}

/// One SKU's units in one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Counter {
    /// Units that may still be taken.
    pub available: u64,
    /// Units that live records hold.
    pub live: u64,
    /// Units that the database has given to this shard.
    pub granted: u64,
    /// Last grant taken in; grants come in order.
    pub grant_seq: u64,
}

/// What a writing call believes about the memory that it writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// The server that the shard's row names.
    pub server: ServerId,
    /// The row's epoch.
    pub epoch: Epoch,
    /// The row's nonce.
    pub nonce: Nonce,
}

/// The memory is not the one that the caller believes in: read the row again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fenced;

impl Shard {
    /// An empty memory on this server.
    pub fn empty(server: ServerId) -> Shard {
        Shard { server, memory: None }
    }

    /// The head, unless the memory is missing.
    pub fn meta(&self) -> Option<&Meta> {
        self.memory.as_ref().map(|memory| &memory.meta)
    }

    /// All counters, by SKU.
    pub fn counters(&self) -> impl Iterator<Item = (SkuId, Counter)> + '_ {
        self.memory.iter().flat_map(|memory| memory.counters.iter().map(|(sku, counter)| (*sku, *counter)))
    }

    /// All pages, by user: for scans at quiet points and for tests.
    pub fn pages(&self) -> impl Iterator<Item = (&UserId, &Page)> + '_ {
        self.memory.iter().flat_map(|memory| memory.pages.iter())
    }

    /// The record of one reservation: what a buyer sees before the order's row exists.
    pub fn look_up(&self, user: &UserId, id: ReservationId) -> Option<&Record> {
        self.memory.as_ref()?.pages.get(user)?.find(id)
    }

    /// The memory, if it is the one that the caller believes in: every script that writes begins so.
    pub(super) fn fenced(&mut self, fence: Fence) -> Result<&mut Memory, Fenced> {
        let server = self.server;
        let memory = self.memory.as_mut().ok_or(Fenced)?;
        let same = fence.server == server && fence.nonce == memory.meta.nonce && fence.epoch == memory.meta.epoch;
        if same { Ok(memory) } else { Err(Fenced) }
    }

    /// Opens or pauses the sale; a sealed or loading memory is left as it is and reported.
    pub fn set_state(&mut self, fence: Fence, paused: bool) -> Result<ShardState, Fenced> {
        let memory = self.fenced(fence)?;
        memory.meta.state = match memory.meta.state {
            ShardState::Open | ShardState::Stopped if paused => ShardState::Stopped,
            ShardState::Open | ShardState::Stopped => ShardState::Open,
            unchanged @ (ShardState::Loading | ShardState::Sealed) => unchanged,
        };
        Ok(memory.meta.state)
    }

    /// Notes that the durable log holds all entries up to `seq`.
    pub fn ack(&mut self, fence: Fence, seq: Seq) -> Result<Seq, Fenced> {
        let memory = self.fenced(fence)?;
        assert!(seq <= memory.meta.seq, "only written entries can be acknowledged");
        memory.meta.acked = memory.meta.acked.max(seq);
        Ok(memory.meta.acked)
    }

    /// Full scan of I4 and of the limit, for quiet points: names the first SKU or user that breaks it.
    pub fn scan(&self) -> Result<(), String> {
        let Some(memory) = &self.memory else { return Ok(()) };
        let mut live: BTreeMap<SkuId, u64> = BTreeMap::new();
        for page in memory.pages.values() {
            for record in page.records().iter().filter(|record| record.state == super::page::RecordState::Live) {
                for line in record.basket.lines() {
                    *live.entry(line.sku).or_default() += u64::from(line.quantity);
                }
            }
        }
        for (sku, counter) in &memory.counters {
            let held = live.remove(sku).unwrap_or(0);
            if counter.live != held || counter.granted != counter.available + counter.live {
                return Err(format!("I4 is broken for {sku}: {counter:?}, live on pages {held}"));
            }
        }
        match live.into_iter().next() {
            None => Ok(()),
            Some((sku, held)) => Err(format!("I4 is broken: {held} units of {sku} are live without a counter")),
        }
    }
}

impl Memory {
    /// I4 for the SKUs that a script touched; a break seals the shard instead of selling on.
    pub fn seal_if_broken(&mut self, skus: impl Iterator<Item = SkuId>) {
        for sku in skus {
            let whole = self.counters.get(&sku).is_none_or(|c| c.granted == c.available + c.live);
            if !whole {
                self.meta.state = ShardState::Sealed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Key, SaleId};
    use crate::ledger::basket::{Basket, Line};
    use crate::ledger::load::{Chunk, LoadHead, LoadedStock};
    use crate::ledger::reserve::ReserveItem;

    const FENCE: Fence = Fence { server: ServerId(1), epoch: Epoch(1), nonce: Nonce(1) };

    fn sku() -> SkuId {
        SkuId::parse("sku").unwrap()
    }

    /// A buyer holds two of five units.
    fn sound() -> Shard {
        let mut shard = Shard::empty(FENCE.server);
        let window = Window { starts_at: Wall(0), ends_at: Wall(1_000) };
        let stock = vec![(sku(), LoadedStock { granted: 5, consumed: 0, grant_seq: 1 })];
        let head = Some(LoadHead { window, limit: 9, stock });
        shard.load(FENCE, &Chunk { number: 1, head, records: Vec::new() }).unwrap();
        shard.open(FENCE, 1, false).unwrap();
        let user = UserId::parse("user").unwrap();
        let basket = Basket::parse(&[Line { sku: sku(), quantity: 2 }]).unwrap();
        let id = ReservationId::derive(SaleId::parse("sale").unwrap(), &user, &Key::parse("key").unwrap());
        let item = ReserveItem { id, user, body: basket.body_hash(), basket };
        shard.reserve(FENCE, Wall(1), &[item]).unwrap();
        shard
    }

    fn broken(breaks: impl Fn(&mut Memory)) -> Shard {
        let mut shard = sound();
        breaks(shard.memory.as_mut().unwrap());
        shard
    }

    #[test]
    fn i4_a_scan_names_what_does_not_add_up() {
        assert_eq!(sound().scan(), Ok(()));
        let counter = |memory: &mut Memory, change: fn(&mut Counter)| change(memory.counters.get_mut(&sku()).unwrap());
        let wrongs = [
            broken(|memory| counter(memory, |found| found.available += 1)),
            // The counter adds up, and the pages hold another number.
            broken(|memory| counter(memory, |found| (found.available, found.live) = (4, 1))),
            broken(|memory| memory.pages.clear()),
            broken(|memory| memory.counters.clear()),
        ];
        for wrong in wrongs {
            assert!(wrong.scan().is_err_and(|why| why.contains("I4") && why.contains("sku")), "{wrong:?}");
        }
    }

    #[test]
    fn i4_a_memory_that_does_not_add_up_seals_itself_where_it_is_touched() {
        let mut shard = broken(|memory| memory.counters.get_mut(&sku()).unwrap().available += 1);
        shard.withdraw(FENCE, sku(), 1).unwrap();
        assert_eq!(shard.meta().unwrap().state, ShardState::Sealed);
        let mut whole = sound();
        whole.withdraw(FENCE, sku(), 1).unwrap();
        assert_eq!(whole.meta().unwrap().state, ShardState::Open);
    }
}
