//! The invariants that hold after every step.

use super::cast::Cast;
use super::state::{Promise, Server};
use super::violation::{Violation, ensure};
use doorbuster_core::database::command::Reply;
use doorbuster_core::database::decide::Decision;
use doorbuster_core::database::event::Event;
use doorbuster_core::database::rows::{OrderRow, ShardRow};
use doorbuster_core::database::tables::Rows;
use doorbuster_core::ids::{Epoch, Seq, SkuId, UserId};
use doorbuster_core::ledger::shard::ShardState;
use doorbuster_core::limits::KEYS_MAX;
use std::collections::BTreeMap;

/// I1, I2, I3, S1 and S3 over the rows alone.
pub fn rows(cast: &Cast, rows: &Rows) -> Result<(), Violation> {
    let mut held: BTreeMap<SkuId, u64> = BTreeMap::new();
    let mut live: BTreeMap<&UserId, u32> = BTreeMap::new();
    for order in rows.orders.values() {
        for line in order.held_lines() {
            *held.entry(line.sku).or_default() += u64::from(line.quantity);
            *live.entry(&order.user).or_default() += line.quantity;
        }
    }
    for sku in &cast.skus {
        let row = rows.skus.get(&(cast.sale, *sku)).expect("the SKU was added");
        let stock = rows.stock.get(&(cast.shard, *sku)).copied().unwrap_or_default();
        let held = held.get(sku).copied().unwrap_or(0);
        ensure(held <= row.total, "S1", || format!("{held} units of {sku} are sold, there are {}", row.total))?;
        ensure(stock.consumed <= stock.granted, "I1", || format!("{sku}: {stock:?}"))?;
        ensure(row.pool + stock.granted == row.total, "I2", || {
            format!("{sku}: pool {} + granted {} is not total {}", row.pool, stock.granted, row.total)
        })?;
        ensure(stock.consumed == held, "I3", || format!("{sku}: consumed {} but orders hold {held}", stock.consumed))?;
    }
    let limit = rows.sales.get(&cast.sale).expect("the sale was created").limit;
    for ((_, user), quota) in &rows.quotas {
        let live = live.remove(user).unwrap_or(0);
        ensure(quota.live == live, "I3", || format!("quota of {user} is {} but its orders hold {live}", quota.live))?;
        ensure(live <= limit, "S3", || format!("{user} holds {live} units, the limit is {limit}"))?;
    }
    ensure(live.is_empty(), "I3", || format!("orders without a quota row: {live:?}"))
}

/// What one transaction may do to orders and the epoch: S4, S6, S9, S24, S25, S26, and no alarm.
pub fn decision(cast: &Cast, old: &Rows, decision: &Decision, promises: &[Promise]) -> Result<(), Violation> {
    if let Reply::Intake(report) = &decision.reply {
        ensure(report.alarms.is_empty(), "alarm", || format!("{:?}", report.alarms))?;
    }
    let before = old.shards.get(&cast.shard).expect("the sale was created");
    if let Some(after) = decision.change.rows.shards.get(&cast.shard) {
        ensure(after.epoch >= before.epoch, "epoch", || format!("{} goes back to {}", before.epoch.0, after.epoch.0))?;
        let cursor_back = after.epoch == before.epoch && after.cursor < before.cursor;
        ensure(!cursor_back, "epoch", || format!("cursor {} goes back to {}", before.cursor.0, after.cursor.0))?;
    }
    for order in decision.change.rows.orders.values() {
        let told = decision.change.events.iter().any(|event| matches!(event, Event::OrderChanged(row) if row == order));
        ensure(told, "S9", || format!("{} changed without an event", order.id))?;
        match old.orders.get(&order.id) {
            Some(earlier) => changed(earlier, order)?,
            None => created(cast, before, order, promises)?,
        }
    }
    let lost = decision.change.events.iter().filter_map(|event| match event {
        Event::ReservationLost { order, epoch, seq, .. } => Some((order, *epoch, *seq)),
        _ => None,
    });
    for (order, epoch, seq) in lost {
        // The same batch may carry a later acceptance of the same key: its row does not contradict the loss.
        let stems = |row: &OrderRow| {
            row.origin.as_ref().is_some_and(|from| (from.acceptance.epoch, from.acceptance.seq) == (epoch, seq))
        };
        let row = old.orders.contains_key(order) || decision.change.rows.orders.get(order).is_some_and(stems);
        ensure(!row, "S25", || format!("{order} is reported lost at {epoch:?} {seq:?} and has a row"))?;
    }
    Ok(())
}

fn changed(earlier: &OrderRow, order: &OrderRow) -> Result<(), Violation> {
    let edge = earlier.status == order.status || earlier.status.step(order.status).is_ok();
    ensure(edge, "S6", || format!("{} goes from {:?} to {:?}", order.id, earlier.status, order.status))?;
    ensure(earlier.origin == order.origin, "S25", || format!("{} changes where it came from", order.id))?;
    ensure(order.version > earlier.version, "S11", || format!("{} changes under one version", order.id))
}

fn created(cast: &Cast, shard: &ShardRow, order: &OrderRow, promises: &[Promise]) -> Result<(), Violation> {
    let Some(origin) = &order.origin else {
        return ensure(!order.status.holds_units(), "S4", || format!("{} holds units from nowhere", order.id));
    };
    let (epoch, seq) = (origin.acceptance.epoch, origin.acceptance.seq);
    ensure(epoch == shard.epoch, "S26", || format!("{} stems from the ended epoch {}", order.id, epoch.0))?;
    ensure(seq > shard.cursor, "S25", || format!("{} was answered as lost at seq {}", order.id, seq.0))?;
    let promised =
        promises.iter().any(|promise| (promise.id, promise.epoch, promise.seq) == (order.id.reservation, epoch, seq));
    ensure(promised, "S4", || format!("{} was never admitted at {epoch:?} {seq:?}", order.id))?;
    let click = cast.click_of(order.id.reservation).expect("only known keys are clicked");
    ensure(origin.basket == click.item.basket, "S24", || format!("{} is another basket than was asked for", order.id))
}

/// Whether an acceptance at this place is decided: then the rows say for good what became of it.
pub fn is_final(shard: &ShardRow, epoch: Epoch, seq: Seq) -> bool {
    epoch < shard.epoch || (epoch == shard.epoch && seq <= shard.cursor)
}

/// An acceptance that the durable log has acknowledged is never lost.
pub fn kept(cast: &Cast, rows: &Rows, promise: &Promise) -> Result<(), Violation> {
    let order = doorbuster_core::ids::OrderId { shard: cast.shard, reservation: promise.id };
    let kept = !promise.acked || rows.orders.contains_key(&order);
    ensure(kept, "S10", || {
        format!("{order} was acknowledged by the log at {:?} {:?} and is lost", promise.epoch, promise.seq)
    })
}

/// S20, I4 and S2 in one server's memory.
pub fn server(server: &Server) -> Result<(), Violation> {
    for (user, page) in server.shard.pages() {
        let records = page.records().len();
        ensure(records <= KEYS_MAX, "S20", || format!("the page of {user} has {records} records"))?;
    }
    let loading = server.shard.meta().is_some_and(|meta| meta.state == ShardState::Loading);
    if loading || !server.complete {
        return Ok(());
    }
    server.shard.scan().map_err(|what| Violation::new("I4", what))
}
