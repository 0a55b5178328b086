//! The server's side of the epoch ladder: seal, load, open.

use super::page::Record;
use super::shard::{Counter, Fence, Memory, Meta, Shard, ShardState, Window};
use crate::ids::{Epoch, Seq, SkuId, UserId};
use crate::limits::{LOAD_CHUNK_MAX, SKUS_MAX};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One part of a rebuild, at most [`LOAD_CHUNK_MAX`] records.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Chunk {
    /// From 1; the first one carries the head.
    pub number: u32,
    /// What the first chunk begins the memory with.
    pub head: Option<LoadHead>,
    /// Records of users, ended ones included; a user may span chunks.
    pub records: Vec<(UserId, Record)>,
}

/// The counters and rules of a memory to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LoadHead {
    /// When it sells.
    pub window: Window,
    /// Most live units of one user.
    pub limit: u32,
    /// Per SKU: granted, consumed and the number of the last grant, from the rows.
    pub stock: Vec<(SkuId, LoadedStock)>,
}

/// One stock row as a load carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LoadedStock {
    /// Units given to the shard.
    pub granted: u64,
    /// Units of orders that hold one; the records of the load must add up to it.
    pub consumed: u64,
    /// Number of the last grant in `granted`.
    pub grant_seq: u64,
}

/// Why a step of the load was refused; a refused step ends that loader's run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoadRefusal {
    /// Another server answers than the row names.
    WrongServer,
    /// The memory is of this or a later epoch under another nonce.
    Taken,
    /// A chunk is missing before this one, or the count differs at the end.
    Incomplete,
    /// The records do not add up to the counters (I4).
    Unbalanced,
    /// The memory was sealed meanwhile.
    Sealed,
}

impl Shard {
    /// Ends reservations of this epoch and returns the last entry's place; `None` when this memory is not of that epoch.
    pub fn seal(&mut self, epoch: Epoch) -> Option<Seq> {
        let memory = self.memory.as_mut().filter(|memory| memory.meta.epoch == epoch)?;
        memory.meta.state = ShardState::Sealed;
        Some(memory.meta.seq)
    }

    /// Takes one chunk under (server, epoch, nonce). Chunk 1 empties the memory, and only where it is missing or older.
    pub fn load(&mut self, fence: Fence, chunk: &Chunk) -> Result<(), LoadRefusal> {
        assert!(chunk.records.len() <= LOAD_CHUNK_MAX, "a chunk is bounded");
        if fence.server != self.server {
            return Err(LoadRefusal::WrongServer);
        }
        match &chunk.head {
            Some(head) => self.begin_load(fence, head)?,
            None => assert!(chunk.number > 1, "the first chunk carries the head"),
        }
        let memory = self.same_load(fence)?;
        match memory.meta.state {
            ShardState::Loading => memory.take_chunk(chunk),
            // A repeated chunk of a load that went through: nothing is written.
            ShardState::Open | ShardState::Stopped => Ok(()),
            ShardState::Sealed => Err(LoadRefusal::Sealed),
        }
    }

    /// Ends the load: checks the chunk count and I4, and flips to open or stopped. Repeating it is harmless.
    pub fn open(&mut self, fence: Fence, chunks: u32, paused: bool) -> Result<(), LoadRefusal> {
        if fence.server != self.server {
            return Err(LoadRefusal::WrongServer);
        }
        let memory = self.same_load(fence)?;
        match memory.meta.state {
            ShardState::Open | ShardState::Stopped => return Ok(()),
            ShardState::Sealed => return Err(LoadRefusal::Sealed),
            ShardState::Loading => {}
        }
        if memory.meta.chunks != chunks {
            return Err(LoadRefusal::Incomplete);
        }
        // During the load `live` counts records, and `available` was set from the rows: both must agree.
        if memory.counters.values().any(|counter| counter.granted != counter.available + counter.live) {
            return Err(LoadRefusal::Unbalanced);
        }
        memory.meta.state = if paused { ShardState::Stopped } else { ShardState::Open };
        Ok(())
    }

    fn begin_load(&mut self, fence: Fence, head: &LoadHead) -> Result<(), LoadRefusal> {
        assert!(head.stock.len() <= SKUS_MAX, "a sale's SKUs are bounded");
        if let Some(memory) = &self.memory {
            if memory.meta.epoch == fence.epoch && memory.meta.nonce == fence.nonce {
                return Ok(());
            }
            if memory.meta.epoch >= fence.epoch {
                return Err(LoadRefusal::Taken);
            }
        }
        let counter = |stock: &LoadedStock| Counter {
            available: stock.granted.checked_sub(stock.consumed).expect("I1 holds in the rows"),
            live: 0,
            granted: stock.granted,
            grant_seq: stock.grant_seq,
        };
        let meta = Meta {
            epoch: fence.epoch,
            nonce: fence.nonce,
            state: ShardState::Loading,
            seq: Seq(0),
            acked: Seq(0),
            window: head.window,
            limit: head.limit,
            chunks: 0,
        };
        let counters = head.stock.iter().map(|(sku, stock)| (*sku, counter(stock))).collect();
        self.memory = Some(Memory { meta, counters, pages: BTreeMap::new() });
        Ok(())
    }

    fn same_load(&mut self, fence: Fence) -> Result<&mut Memory, LoadRefusal> {
        let memory = self.memory.as_mut().ok_or(LoadRefusal::Incomplete)?;
        let same = memory.meta.epoch == fence.epoch && memory.meta.nonce == fence.nonce;
        if same { Ok(memory) } else { Err(LoadRefusal::Taken) }
    }
}

impl Memory {
    fn take_chunk(&mut self, chunk: &Chunk) -> Result<(), LoadRefusal> {
        if chunk.number <= self.meta.chunks {
            return Ok(());
        }
        if chunk.number != self.meta.chunks + 1 {
            return Err(LoadRefusal::Incomplete);
        }
        for (user, record) in &chunk.records {
            if record.state == super::page::RecordState::Live {
                for line in record.basket.lines() {
                    let counter = self.counters.get_mut(&line.sku).ok_or(LoadRefusal::Unbalanced)?;
                    counter.live += u64::from(line.quantity);
                }
            }
            self.pages.entry(user.clone()).or_default().insert(record.clone());
        }
        self.meta.chunks = chunk.number;
        Ok(())
    }
}
