//! The epoch ladder: OPEN or OPENING -> SEALING -> SEALED -> OPENING -> OPEN, or CLOSED.
//!
//! Each step is one transaction, conditional on the rung (phase, epoch, nonce) as its keeper has read it. The lease
//! only keeps two keepers from working at once; safety is in the condition.

use super::load::{Chunk, LoadHead, LoadedStock};
use super::page::{Record, RecordState};
use super::stock;
use crate::database::command::{Refusal, Reply};
use crate::database::draft::Draft;
use crate::database::rows::{Lease, OrderRow, Phase, SaleRow, SaleState, SealReason, ShardRow, StockRow};
use crate::database::tables::{Reads, View};
use crate::ids::{Epoch, Nonce, ServerId, ShardId, SkuId, UserId};
use crate::ledger::shard::Fence;
use crate::limits::{LEASE_MS, LOAD_CHUNK_MAX};

/// A shard's place on the ladder as a keeper has read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rung {
    /// The phase.
    pub phase: Phase,
    /// The epoch.
    pub epoch: Epoch,
    /// The nonce.
    pub nonce: Nonce,
}

/// One step of a shard's ladder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LadderCommand {
    /// Which shard.
    pub shard: ShardId,
    /// Who asks; `None` for an operator, who needs no lease to end an epoch.
    pub owner: Option<u64>,
    /// What to do.
    pub step: LadderStep,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LadderStep {
    /// Takes or keeps the lease; the reply tells the row.
    KeepLease,
    /// a: no new entries of this epoch will count after the seal.
    BeginSealing(Rung, SealReason),
    /// e: this server is going to be loaded under this nonce.
    BeginOpening(Rung, ServerId, Nonce),
    /// e: the server said that it is open.
    FinishOpening(Rung),
    /// The sale is over: the shard's free units go back to the pool.
    Close(Rung),
}

impl ShardRow {
    /// Its place on the ladder.
    pub fn rung(&self) -> Rung {
        Rung { phase: self.phase, epoch: self.epoch, nonce: self.nonce }
    }

    /// What a writing call to this shard's server must carry.
    pub fn fence(&self) -> Fence {
        Fence { server: self.server, epoch: self.epoch, nonce: self.nonce }
    }

    /// The last epoch whose memory may not have counted a change that this row's transaction makes: it must be told,
    /// and later ones need not be.
    ///
    /// While SEALED no load of the row's own epoch has begun, so the one to come will count the change. Whoever carries the
    /// change down must not find that out for himself: the row that he reads may have moved on.
    pub fn uncounted_epoch(&self) -> Epoch {
        match self.phase {
            Phase::Sealed => self.epoch.previous(),
            Phase::Opening | Phase::Open | Phase::Sealing | Phase::Closed => self.epoch,
        }
    }

    /// Ends the epoch if one is open or being opened; else nothing.
    pub fn begin_sealing(&mut self, reason: SealReason) {
        if matches!(self.phase, Phase::Open | Phase::Opening) {
            self.phase = Phase::Sealing;
            self.reason = Some(reason);
        }
    }
}

/// The rows that `command` needs.
pub fn reads(command: &LadderCommand, view: &View) -> Reads {
    let mut reads = Reads::default();
    let shard = command.shard;
    reads.shards.insert(shard);
    if let LadderStep::Close(_) = command.step {
        reads.sales.insert(shard.sale);
        reads.ranges.insert(shard.sale);
        for sku in view.rows.ranges.get(&shard.sale).map_or(&[][..], |range| &range.skus) {
            reads.stock.insert((shard, *sku));
            reads.skus.insert((shard.sale, *sku));
        }
    }
    reads
}

/// Decides `command`.
pub fn decide(draft: &mut Draft<'_>, command: &LadderCommand) -> Result<Reply, Refusal> {
    let mut row = draft.shard(&command.shard).cloned().ok_or(Refusal::NoSale)?;
    keep_lease(draft, &mut row, command.owner)?;
    match command.step {
        LadderStep::KeepLease => {}
        LadderStep::BeginSealing(rung, reason) => {
            climb(&row, rung, matches!(rung.phase, Phase::Open | Phase::Opening))?;
            row.begin_sealing(reason);
        }
        LadderStep::BeginOpening(rung, server, nonce) => {
            climb(&row, rung, rung.phase == Phase::Sealed)?;
            (row.phase, row.server, row.nonce) = (Phase::Opening, server, nonce);
        }
        LadderStep::FinishOpening(rung) => {
            climb(&row, rung, rung.phase == Phase::Opening)?;
            row.phase = Phase::Open;
            row.reason = None;
        }
        LadderStep::Close(rung) => {
            climb(&row, rung, rung.phase == Phase::Sealed)?;
            close(draft, &mut row)?;
        }
    }
    draft.put_shard(row.id, row.clone());
    Ok(Reply::Shard(row))
}

fn keep_lease(draft: &Draft<'_>, row: &mut ShardRow, owner: Option<u64>) -> Result<(), Refusal> {
    let Some(owner) = owner else { return Ok(()) };
    match row.lease {
        Some(lease) if lease.owner != owner && lease.until > draft.at => Err(Refusal::LeaseHeld),
        Some(_) | None => {
            row.lease = Some(Lease { owner, until: draft.at.after_ms(LEASE_MS) });
            Ok(())
        }
    }
}

fn climb(row: &ShardRow, rung: Rung, allowed: bool) -> Result<(), Refusal> {
    if row.rung() == rung && allowed { Ok(()) } else { Err(Refusal::StaleRung) }
}

fn close(draft: &mut Draft<'_>, row: &mut ShardRow) -> Result<(), Refusal> {
    let state = draft.sale(&row.id.sale).map(|sale| sale.state);
    if state != Some(SaleState::Closed) {
        return Err(Refusal::SaleConflict("the sale is not closed"));
    }
    let skus = draft.range(&row.id.sale).map_or(Vec::new(), |range| range.skus.clone());
    for sku in skus {
        let unsold = draft.stock(&(row.id, sku)).map_or(0, StockRow::free);
        if unsold > 0 {
            stock::return_to_pool(draft, row.id, sku, unsold).expect("free units were just counted");
        }
    }
    row.phase = Phase::Closed;
    Ok(())
}

/// e: the head of a load, from rows of one snapshot in which the shard is OPENING.
pub fn load_head(sale: &SaleRow, stock: &[(SkuId, StockRow)]) -> LoadHead {
    let loaded =
        |row: &StockRow| LoadedStock { granted: row.granted, consumed: row.consumed, grant_seq: row.grant_seq };
    let stock = stock.iter().map(|(sku, row)| (*sku, loaded(row))).collect();
    LoadHead { window: sale.window, limit: sale.limit, stock }
}

/// e: the page record of an order; ended ones too, so that their keys are answered as before. An order that was
/// given up before its reservation arrived has no record: a late click under its key is taken and ended by intake.
pub fn record_of(order: &OrderRow) -> Option<(UserId, Record)> {
    let origin = order.origin.as_ref()?;
    let state = if order.status.holds_units() { RecordState::Live } else { RecordState::Ended };
    let record = Record {
        id: order.id.reservation,
        body: origin.body,
        basket: origin.basket.clone(),
        state,
        acceptance: origin.acceptance,
    };
    Some((order.user.clone(), record))
}

/// e: the load, in chunks; at least one, which carries the head.
pub fn chunks<'a>(head: LoadHead, orders: impl Iterator<Item = &'a OrderRow> + 'a) -> impl Iterator<Item = Chunk> + 'a {
    let mut records = orders.filter_map(record_of).peekable();
    let mut head = Some(head);
    (1..).map_while(move |number| {
        if head.is_none() && records.peek().is_none() {
            return None;
        }
        let records = records.by_ref().take(LOAD_CHUNK_MAX).collect();
        Some(Chunk { number, head: head.take(), records })
    })
}
