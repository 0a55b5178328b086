//! Random sequences of calls from a seed: mostly such as a sound platform makes, some that must be refused.
//!
//! A call is chosen by what the model knows, so that sequences go somewhere: shards are loaded, opened, sold out,
//! given back, sealed, and loaded again.

mod cast;
mod loading;
mod tasks;

use crate::call::Call;
use crate::grant::Grant;
use crate::identity::{ReplicationId, ScriptFence};
use crate::model::Model;
use crate::settle::GiveBack;
use cast::Cast;
use doorbuster_core::ids::{Epoch, Nonce, ReservationId, Seq, UserId};
use doorbuster_core::ledger::page::RecordState;
use doorbuster_core::ledger::shard::ShardState;
use doorbuster_core::limits::BATCH_MAX;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::Wall;
use std::collections::VecDeque;

/// A source of calls.
#[derive(Clone, Debug)]
pub struct Generator {
    rng: Rng,
    cast: Cast,
    /// The rest of a rebuild.
    loading: VecDeque<Call>,
}

impl Generator {
    /// The sequence of this seed. Names that belong to no shard carry the seed, so that sequences share a server.
    pub fn seeded(seed: u64) -> Generator {
        Generator { rng: Rng::seeded(seed), cast: Cast::named(seed), loading: VecDeque::new() }
    }

    /// The next call for a server in this state; `now` is its clock, about.
    pub fn next_call(&mut self, model: &Model, now: Wall) -> Call {
        let beside = self.rng.below(100);
        if beside < 22 {
            return self.beside(model, now, beside);
        }
        if !self.loading.is_empty() && self.chance(85) {
            return self.next_of_load();
        }
        let state = model.shard.meta().map(|meta| meta.state);
        let reload = match state {
            None => 90,
            Some(ShardState::Loading) => 40,
            Some(ShardState::Sealed) => 25,
            Some(ShardState::Open | ShardState::Stopped) => 1,
        };
        if self.chance(reload) {
            self.begin_load(model, now);
            return self.next_of_load();
        }
        self.of_shard(model)
    }

    /// Calls that need no memory of the shard.
    fn beside(&mut self, model: &Model, now: Wall, choice: u64) -> Call {
        match choice {
            0..14 => self.of_delay(model, now),
            14..18 => self.of_cache(now),
            _ => {
                let (name, rate) = self.cast.rate(&mut self.rng);
                Call::RateLimit(name, rate)
            }
        }
    }

    fn of_shard(&mut self, model: &Model) -> Call {
        let fence = self.fence(model);
        let seq = model.shard.meta().map_or(0, |meta| meta.seq.0);
        match self.rng.below(100) {
            0..50 => self.reserve(fence),
            50..68 => self.settle(model),
            68..80 => self.grant(model),
            80..86 => {
                let sku = self.cast.sku(&mut self.rng);
                Call::Withdraw(fence, sku, self.rng.below(8))
            }
            86 => Call::Seal(fence),
            87..92 => {
                let paused = self.chance(40);
                Call::SetState(fence, paused)
            }
            92..96 => {
                // Beyond the log only where the fence refuses it first: an ack of the unwritten is a bug.
                let last = self.rng.below(seq + 1);
                let first = 1 + self.rng.below(last.max(1));
                let pending = self.chance(50).then_some(("forwarders", Seq(first)));
                Call::Ack { fence, last: Seq(last), pending }
            }
            _ => {
                let age_ms = [0, 0, 1, 3_600_000][self.rng.below(4) as usize];
                Call::Trim { fence, decided: Seq(self.rng.below(seq + 2)), age_ms }
            }
        }
    }

    fn reserve(&mut self, fence: ScriptFence) -> Call {
        let count = match self.rng.below(10) {
            0..5 => 1,
            5..9 => 2 + self.rng.below(5),
            _ => 1 + self.rng.below(BATCH_MAX as u64),
        };
        Call::Reserve(fence, (0..count).map(|_| self.cast.item(&mut self.rng)).collect())
    }

    /// Live records mostly, else ended ones and such as never were.
    fn settle(&mut self, model: &Model) -> Call {
        let mut records: Vec<(UserId, ReservationId)> = Vec::new();
        for (user, page) in model.shard.pages() {
            let live = page.records().iter().filter(|record| record.state == RecordState::Live);
            records.extend(live.map(|record| (user.clone(), record.id)));
        }
        let epoch = model.shard.meta().map_or(Epoch(1), |meta| meta.epoch);
        let count = 1 + self.rng.below(4);
        let change = |generator: &mut Generator| {
            let at = generator.rng.below(records.len() as u64 + 1) as usize;
            let known = records.get(at).cloned().filter(|_| !generator.chance(15));
            let (user, id) = known.unwrap_or_else(|| {
                let item = generator.cast.item(&mut generator.rng);
                (item.user, item.id)
            });
            GiveBack { epoch: generator.epoch_near(epoch), user, id }
        };
        Call::Settle((0..count).map(|_| change(self)).collect())
    }

    fn grant(&mut self, model: &Model) -> Call {
        let epoch = model.shard.meta().map_or(Epoch(1), |meta| meta.epoch);
        let count = 1 + self.rng.below(3);
        let grant = |generator: &mut Generator| {
            let sku = generator.cast.sku(&mut generator.rng);
            let own = model.shard.counters().find(|(found, _)| *found == sku).map_or(0, |(_, found)| found.grant_seq);
            let grant_seq = (own + generator.rng.below(4)).max(1);
            let epoch = generator.epoch_near(epoch);
            Grant { epoch, sku, quantity: 1 + generator.rng.below(12), grant_seq }
        };
        Call::Grant((0..count).map(|_| grant(self)).collect())
    }

    /// The memory's own identity mostly.
    fn fence(&mut self, model: &Model) -> ScriptFence {
        let (epoch, nonce) = model.shard.meta().map_or((Epoch(1), Nonce(1)), |meta| (meta.epoch, meta.nonce));
        let replication_id = model.replication_id;
        let fence = ScriptFence { replication_id, epoch, nonce };
        match self.rng.below(40) {
            0 => ScriptFence { replication_id: another(replication_id), ..fence },
            1 => ScriptFence { epoch: epoch.next(), ..fence },
            2 => ScriptFence { nonce: Nonce(nonce.0 ^ 1), ..fence },
            _ => fence,
        }
    }

    fn epoch_near(&mut self, epoch: Epoch) -> Epoch {
        match self.rng.below(20) {
            0 => epoch.next(),
            1 => Epoch(epoch.0.saturating_sub(1)),
            _ => epoch,
        }
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.rng.below(100) < percent
    }
}

/// An id that differs in one digit.
fn another(replication_id: ReplicationId) -> ReplicationId {
    let mut digits = replication_id.as_str().to_owned();
    let last = if digits.ends_with('0') { "1" } else { "0" };
    digits.replace_range(39.., last);
    ReplicationId::parse(&digits).expect("still 40 digits")
}
