//! What keepers do: the epoch ladder, one step at a time, each from the keeper's own memory.

use super::action::Action;
use super::model::{Model, NOW};
use super::state::{Keeper, Load, State};
use super::violation::{Violation, ensure};
use doorbuster_core::database::command::{Command, Reply};
use doorbuster_core::database::rows::{OrderRow, Phase, SaleState, SealReason, ShardRow, StockRow};
use doorbuster_core::ids::{Nonce, SkuId};
use doorbuster_core::ledger::epoch::{self, LadderCommand, LadderStep, Rung};
use doorbuster_core::ledger::load::Chunk;
use doorbuster_core::ledger::shard::{Fence, ShardState};

impl Model {
    pub(super) fn climb(&self, state: &mut State, action: Action, keeper: usize) -> Result<(), Violation> {
        let memory = (*state.keepers[keeper]).clone();
        let next = match (action, memory) {
            (Action::BeginSealing { .. }, Keeper::Idle) => self.begin_sealing(state)?,
            (Action::Seal { .. }, Keeper::Sealing(epoch, server)) => {
                if let Some(server) = state.server_of(server) {
                    state.servers[server].change(|server| server.shard.seal(epoch));
                }
                Keeper::Idle
            }
            (Action::GiveSealUp { .. }, Keeper::Sealing(..)) => Keeper::Idle,
            (Action::BeginOpening { server, .. }, Keeper::Idle) => self.begin_opening(state, server)?,
            (Action::ReadSnapshot { .. }, Keeper::Opening(rung, fence)) => {
                Keeper::Loading(rung, fence, self.snapshot(state))
            }
            (Action::LoadChunk { .. }, Keeper::Loading(rung, fence, load)) => load_chunk(state, rung, fence, load),
            (Action::Open { .. }, Keeper::Loading(rung, fence, load)) => self.open(state, rung, fence, &load)?,
            (Action::FindOpen { .. }, Keeper::Idle) => self.find_open(state),
            (Action::FinishOpening { .. }, Keeper::Opened(rung)) => self.finish_opening(state, rung)?,
            (Action::Close { .. }, Keeper::Idle) => {
                let rung = state.row(self.cast.shard).rung();
                self.ladder(state, LadderStep::Close(rung))?;
                Keeper::Idle
            }
            (Action::Crash { .. }, _) => {
                state.light.budgets.keeper_crashes = state.light.budgets.keeper_crashes.saturating_sub(1);
                Keeper::Idle
            }
            (_, unchanged) => unchanged,
        };
        state.keepers[keeper].change(|keeper| *keeper = next);
        Ok(())
    }

    fn ladder(&self, state: &mut State, step: LadderStep) -> Result<Option<ShardRow>, Violation> {
        // Without an owner nothing asks for the lease: safety must not depend on it.
        let command = LadderCommand { shard: self.cast.shard, owner: None, step };
        match self.transact(state, &Command::Ladder(command), NOW)? {
            Some(Reply::Shard(row)) => Ok(Some(row)),
            Some(_) | None => Ok(None),
        }
    }

    fn begin_sealing(&self, state: &mut State) -> Result<Keeper, Violation> {
        let rung = state.row(self.cast.shard).rung();
        let Some(row) = self.ladder(state, LadderStep::BeginSealing(rung, SealReason::Operator))? else {
            return Ok(Keeper::Idle);
        };
        state.light.budgets.seals = state.light.budgets.seals.saturating_sub(1);
        Ok(Keeper::Sealing(row.epoch, row.server))
    }

    fn begin_opening(&self, state: &mut State, server: usize) -> Result<Keeper, Violation> {
        let rung = self.rung_to_open(state);
        let (identity, nonce) = (state.servers[server].shard.server, Nonce(state.light.nonce_next));
        let Some(row) = self.ladder(state, LadderStep::BeginOpening(rung, identity, nonce))? else {
            return Ok(Keeper::Idle);
        };
        state.light.nonce_next += 1;
        Ok(Keeper::Opening(row.rung(), row.fence()))
    }

    /// The rung as read; the planted bug turns a load under way into one that has not begun.
    fn rung_to_open(&self, state: &mut State) -> Rung {
        if self.plants.reopens_epoch && state.row(self.cast.shard).phase == Phase::Opening {
            state.rows.change(|rows| {
                let row = rows.shards.get_mut(&self.cast.shard).expect("the sale was created");
                row.phase = Phase::Sealed;
            });
        }
        state.row(self.cast.shard).rung()
    }

    /// One strong read of all that a load needs.
    fn snapshot(&self, state: &State) -> Load {
        let rows = &state.rows;
        let sale = rows.sales.get(&self.cast.sale).expect("the sale was created");
        let range = rows.ranges.get(&self.cast.sale).map_or(&[][..], |range| &range.skus);
        let stock_of = |sku: &SkuId| rows.stock.get(&(self.cast.shard, *sku)).copied().unwrap_or_default();
        let stock: Vec<(SkuId, StockRow)> = range.iter().map(|sku| (*sku, stock_of(sku))).collect();
        let wanted = |order: &&OrderRow| !(self.plants.load_without_pages && order.status.holds_units());
        let chunks = epoch::chunks(epoch::load_head(sale, &stock), rows.orders.values().filter(wanted));
        let chunks = chunks.flat_map(split).zip(1..).map(|(chunk, number)| Chunk { number, ..chunk }).collect();
        Load { chunks, taken: 0, paused: sale.state != SaleState::Open }
    }

    fn open(&self, state: &mut State, rung: Rung, fence: Fence, load: &Load) -> Result<Keeper, Violation> {
        let Some(server) = state.server_of(fence.server) else { return Ok(Keeper::Idle) };
        let loading = state.servers[server].shard.meta().is_some_and(|meta| meta.state == ShardState::Loading);
        let opened = state.servers[server].change(|server| {
            let opened = server.shard.open(fence, load.chunks.len() as u32, load.paused).is_ok();
            server.complete |= opened;
            opened
        });
        if !opened {
            return Ok(Keeper::Idle);
        }
        let bit = 1 << fence.epoch.0;
        let again = loading && state.light.opened & bit != 0;
        ensure(!again, "S26", || format!("epoch {} is opened a second time", fence.epoch.0))?;
        state.light.opened |= bit;
        Ok(Keeper::Opened(rung))
    }

    /// A takeover: only the same identity, open under the row's epoch and nonce, may be called open.
    fn find_open(&self, state: &State) -> Keeper {
        let row = state.row(self.cast.shard);
        let meta = state.server_of(row.server).and_then(|server| state.servers[server].shard.meta());
        let open = meta.is_some_and(|meta| {
            let sells = matches!(meta.state, ShardState::Open | ShardState::Stopped);
            sells && (meta.epoch, meta.nonce) == (row.epoch, row.nonce)
        });
        if open { Keeper::Opened(row.rung()) } else { Keeper::Idle }
    }

    fn finish_opening(&self, state: &mut State, rung: Rung) -> Result<Keeper, Violation> {
        if let Some(row) = self.ladder(state, LadderStep::FinishOpening(rung))? {
            state.fences.change(|fences| fences.push(row.fence()));
            state.light.forwarder.acks = Some(row.epoch);
        }
        Ok(Keeper::Idle)
    }
}

/// Cuts a chunk in two after its first record, so that a crash between chunks can be explored with two orders.
fn split(chunk: Chunk) -> Vec<Chunk> {
    let Chunk { number, head, mut records } = chunk;
    if records.len() < 2 {
        return vec![Chunk { number, head, records }];
    }
    let rest = records.split_off(1);
    vec![Chunk { number, head, records }, Chunk { number, head: None, records: rest }]
}

fn load_chunk(state: &mut State, rung: Rung, fence: Fence, mut load: Load) -> Keeper {
    let Some(server) = state.server_of(fence.server) else { return Keeper::Idle };
    let before = state.servers[server].shard.meta().map(|meta| (meta.epoch, meta.nonce));
    let taken = state.servers[server].change(|server| {
        let taken = server.shard.load(fence, &load.chunks[load.taken]);
        if before != server.shard.meta().map(|meta| (meta.epoch, meta.nonce)) {
            // The first chunk empties all keys of the shard, the log among them.
            server.log.clear();
            server.complete = false;
        }
        taken
    });
    // A refused step ends this keeper's run.
    if taken.is_err() {
        return Keeper::Idle;
    }
    load.taken += 1;
    Keeper::Loading(rung, fence, load)
}
