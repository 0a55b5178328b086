//! Rebuilds: most of them sound, some with a chunk too few, too many or twice, or with a sum that is wrong.

use super::Generator;
use crate::call::Call;
use crate::identity::ScriptFence;
use crate::model::Model;
use doorbuster_core::ids::{Epoch, Nonce, Seq, SkuId, UserId};
use doorbuster_core::ledger::load::{Chunk, LoadHead, LoadedStock};
use doorbuster_core::ledger::page::{Acceptance, Record, RecordState};
use doorbuster_core::ledger::shard::Window;
use doorbuster_core::limits::KEYS_MAX;
use doorbuster_core::time::Wall;
use std::collections::BTreeMap;

/// SKUs of a head; grants may bring in more.
const STOCKED: u64 = 9;

impl Generator {
    pub(super) fn next_of_load(&mut self) -> Call {
        let call = self.loading.pop_front().expect("a load was begun");
        match self.rng.below(20) {
            // Sent twice: its first answer was lost.
            0 => self.loading.push_front(call.clone()),
            // Never sent.
            1 => return self.loading.pop_front().unwrap_or(call),
            _ => {}
        }
        call
    }

    /// Plans the rebuild of a new epoch, or of one that must be refused.
    pub(super) fn begin_load(&mut self, model: &Model, now: Wall) {
        let known = model.shard.meta().map_or(Epoch(0), |meta| meta.epoch);
        let epoch = if self.chance(90) { known.next() } else { Epoch(known.0.max(1)) };
        let nonce = Nonce(u64::MAX - self.rng.below(1 << 40));
        let mut fence = ScriptFence { replication_id: model.replication_id, epoch, nonce };
        if self.chance(3) {
            fence.replication_id = super::another(fence.replication_id);
        }
        let records = self.records(model, now);
        let head = self.head(&records);
        let mut parts: Vec<Vec<(UserId, Record)>> = Vec::new();
        let mut rest = records;
        while !rest.is_empty() || parts.is_empty() {
            let size = (1 + self.rng.below(5) as usize).min(rest.len());
            let tail = rest.split_off(size);
            parts.push(std::mem::replace(&mut rest, tail));
        }
        let chunks = parts.len() as u32;
        let mut head = Some(head);
        self.loading = parts
            .into_iter()
            .enumerate()
            .map(|(index, records)| Call::Load(fence, Chunk { number: index as u32 + 1, head: head.take(), records }))
            .collect();
        let miscounted = u32::from(self.chance(4));
        let paused = self.chance(15);
        self.loading.push_back(Call::Open { fence, chunks: chunks + miscounted, paused });
    }

    /// What the memory holds, and what it may have held: as rows would tell it.
    fn records(&mut self, model: &Model, now: Wall) -> Vec<(UserId, Record)> {
        let mut records = Vec::new();
        let mut pages: BTreeMap<UserId, Vec<Record>> = BTreeMap::new();
        for (user, page) in model.shard.pages() {
            pages.insert(user.clone(), page.records().to_vec());
        }
        for _ in 0..self.rng.below(6) {
            let item = self.cast.item(&mut self.rng);
            let page = pages.entry(item.user).or_default();
            if page.len() < KEYS_MAX && page.iter().all(|record| record.id != item.id) {
                let state = if self.rng.below(3) == 0 { RecordState::Ended } else { RecordState::Live };
                let seq = Seq(1 + self.rng.below((1 << 48) - 1));
                let acceptance = Acceptance { epoch: Epoch(1), seq, reserved_at: Wall(now.0.min((1 << 48) - 1)) };
                page.push(Record { id: item.id, body: item.body, basket: item.basket, state, acceptance });
            }
        }
        for (user, page) in pages {
            for record in page {
                // Some are forgotten: a failover lost them.
                if !self.chance(5) {
                    records.push((user.clone(), record));
                }
            }
        }
        records
    }

    /// Counters that the records add up to, mostly.
    fn head(&mut self, records: &[(UserId, Record)]) -> LoadHead {
        let mut consumed: BTreeMap<SkuId, u64> = BTreeMap::new();
        for number in 0..STOCKED {
            consumed.insert(self.cast.sku_number(number), 0);
        }
        for (_, record) in records.iter().filter(|(_, record)| record.state == RecordState::Live) {
            for line in record.basket.lines() {
                // A live record of a SKU without a counter is refused.
                if consumed.contains_key(&line.sku) || !self.chance(5) {
                    *consumed.entry(line.sku).or_default() += u64::from(line.quantity);
                }
            }
        }
        let stock = consumed.into_iter().map(|(sku, consumed)| {
            let consumed = consumed + u64::from(self.rng.below(150) == 0);
            let granted = consumed + self.rng.below(30);
            (sku, LoadedStock { granted, consumed, grant_seq: self.rng.below(3) })
        });
        let stock = stock.collect();
        let (starts_at, ends_at) = match self.rng.below(20) {
            0 => (Wall(0), Wall(1)),
            1 => (Wall(u64::MAX - 1), Wall(u64::MAX)),
            _ => (Wall(0), Wall(u64::MAX)),
        };
        let limit = [2, 4, 20, 5_000][self.rng.below(4) as usize];
        LoadHead { window: Window { starts_at, ends_at }, limit, stock }
    }
}
