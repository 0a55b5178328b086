//! Rules 4, 9, 10 and 11: how an order ends, and what else may be done to it.

use super::command::OrderCommand;
use super::status::{Ending, Rejection, Restock, Status};
use crate::database::command::{Refusal, Reply};
use crate::database::draft::Draft;
use crate::database::event::Event;
use crate::database::rows::{OrderRow, Phase, ShardRow};
use crate::database::tables::{Reads, View};
use crate::ids::{OrderId, ShardId, UserId, Version};
use crate::ledger::stock;
use crate::limits::{ENDINGS_MAX, HOLD_MS_MAX};
use crate::time::Wall;
use crate::window::movement::movements;

/// The rows that `command` needs.
pub fn reads(command: &OrderCommand, view: &View) -> Reads {
    let mut reads = Reads::default();
    match command {
        OrderCommand::Cancel { order, .. }
        | OrderCommand::Abandon { order, .. }
        | OrderCommand::Extend { order, .. }
        | OrderCommand::Refund { order, .. } => want_ending(&mut reads, view, *order),
        OrderCommand::Expire { orders, .. } => {
            for order in orders {
                want_ending(&mut reads, view, *order);
            }
        }
    }
    reads
}

/// What an order's ending touches: its own row first, then what that row names.
pub fn want_ending(reads: &mut Reads, view: &View, order: OrderId) {
    reads.orders.insert(order);
    reads.shards.insert(order.shard);
    let Some(row) = view.rows.orders.get(&order) else { return };
    reads.quotas.insert((order.shard, row.user.clone()));
    for line in row.held_lines() {
        reads.stock.insert((order.shard, line.sku));
        reads.skus.insert((order.shard.sale, line.sku));
    }
}

/// Decides `command`.
pub fn decide(draft: &mut Draft<'_>, command: &OrderCommand) -> Result<Reply, Refusal> {
    match command {
        OrderCommand::Cancel { order, user, ending } => cancel(draft, *order, user.as_ref(), *ending),
        OrderCommand::Expire { shard, orders } => expire(draft, *shard, orders),
        OrderCommand::Abandon { order, user } => abandon(draft, *order, user),
        OrderCommand::Extend { order, expires_at } => extend(draft, *order, *expires_at),
        OrderCommand::Refund { order, restock } => refund(draft, *order, *restock),
    }
}

/// The order's row, if the caller may touch it. Rule 9: before the row exists nothing can be done to it.
pub fn owned<'a>(draft: &'a Draft<'_>, order: OrderId, user: Option<&UserId>) -> Result<&'a OrderRow, Refusal> {
    let row = draft.order(&order).ok_or(Refusal::NotYet)?;
    match user {
        Some(user) if row.user != *user => Err(Refusal::NotYours),
        Some(_) | None => Ok(row),
    }
}

/// Moves the order along an edge; its units are given back when the new state holds none.
///
/// Everything in one transaction: status, consumed, quota, and either the event for the shard or the pool.
pub fn move_order(draft: &mut Draft<'_>, order: OrderId, to: Status) -> Result<OrderRow, Refusal> {
    let mut row = draft.order(&order).ok_or(Refusal::NotYet)?.clone();
    let from = row.status;
    row.status = from.step(to).map_err(Refusal::Forbidden)?;
    row.version = row.version.next();
    if to == Status::Paid {
        row.paid_at = Some(draft.at);
    }
    if from.holds_units() && !to.holds_units() {
        give_back(draft, &row);
    }
    draft.put_order(order, row.clone());
    draft.emit(Event::OrderChanged(row.clone()));
    tell_sales(draft, &row);
    Ok(row)
}

/// What was sold or refunded by this change, in the same transaction.
fn tell_sales(draft: &mut Draft<'_>, row: &OrderRow) {
    let product_of = |sku| {
        let row = draft.sku(&(row.id.shard.sale, sku)).expect("a line without a SKU row cannot be");
        row.product
    };
    for movement in movements(row, product_of) {
        draft.emit(Event::SalesMoved(movement));
    }
}

fn give_back(draft: &mut Draft<'_>, row: &OrderRow) {
    let shard = shard_row(draft, row.id.shard);
    let origin = row.origin.as_ref().expect("an order that held units has an origin");
    stock::free(draft, shard.id, shard.phase, origin.basket.lines());
    let key = (shard.id, row.user.clone());
    let mut quota = draft.quota(&key).copied().unwrap_or_default();
    quota.live = quota.live.checked_sub(origin.basket.units()).expect("the quota counted the order");
    draft.put_quota(key, quota);
    tell_shard(draft, &shard, row);
}

/// The shard is told under an epoch of the row, not the order's: a rebuild may have made the page live again.
/// A closed shard has nobody left to tell.
pub fn tell_shard(draft: &mut Draft<'_>, shard: &ShardRow, row: &OrderRow) {
    if shard.phase != Phase::Closed {
        let (user, id) = (row.user.clone(), row.id.reservation);
        draft.emit(Event::Settled { shard: shard.id, epoch: shard.uncounted_epoch(), user, id });
    }
}

fn shard_row(draft: &Draft<'_>, shard: ShardId) -> ShardRow {
    draft.shard(&shard).cloned().expect("an order's shard has a row")
}

fn cancel(draft: &mut Draft<'_>, order: OrderId, user: Option<&UserId>, ending: Ending) -> Result<Reply, Refusal> {
    owned(draft, order, user)?;
    Ok(Reply::Order(move_order(draft, order, Status::Cancelled(ending))?))
}

fn expire(draft: &mut Draft<'_>, shard: ShardId, orders: &[OrderId]) -> Result<Reply, Refusal> {
    assert!(orders.len() <= ENDINGS_MAX, "one transaction ends a bounded number of orders");
    assert!(orders.iter().all(|order| order.shard == shard), "one transaction ends orders of one shard");
    let mut ended = 0;
    for order in orders {
        let Some(row) = draft.order(order) else { continue };
        // S8: the conditional row and the database's own clock decide, never the worker's clock.
        if row.status == Status::PendingPayment && draft.at >= row.expires_at {
            move_order(draft, *order, Status::Cancelled(Ending::Expired))?;
            ended += 1;
        }
    }
    Ok(Reply::Count(ended))
}

fn abandon(draft: &mut Draft<'_>, order: OrderId, user: &UserId) -> Result<Reply, Refusal> {
    let Some(shard) = draft.shard(&order.shard).cloned() else { return Err(Refusal::NoSale) };
    if draft.order(&order).is_some() {
        let row = owned(draft, order, Some(user))?.clone();
        return match row.status {
            Status::PendingPayment => cancel(draft, order, Some(user), Ending::Abandoned),
            // Ended before, or paid: the row itself is the certain answer.
            Status::Paid | Status::Cancelled(_) | Status::Refunding(_) | Status::Refunded(_) | Status::Rejected(_) => {
                Ok(Reply::Order(row))
            }
        };
    }
    let row = OrderRow {
        id: order,
        user: user.clone(),
        origin: None,
        amount_minor: 0,
        status: Status::Rejected(Rejection::Abandoned),
        version: Version(1),
        expires_at: draft.at,
        created_at: draft.at,
        payment: None,
        paid_at: None,
    };
    draft.put_order(order, row.clone());
    draft.emit(Event::OrderChanged(row.clone()));
    tell_shard(draft, &shard, &row);
    Ok(Reply::Order(row))
}

fn extend(draft: &mut Draft<'_>, order: OrderId, expires_at: Wall) -> Result<Reply, Refusal> {
    let mut row = owned(draft, order, None)?.clone();
    if row.status != Status::PendingPayment {
        return Err(Refusal::Forbidden(super::status::ForbiddenEdge { from: row.status, to: Status::PendingPayment }));
    }
    if expires_at <= row.expires_at || expires_at > draft.at.after_ms(HOLD_MS_MAX) {
        let bounds = "expires_at must be later than it is now and at most a week ahead";
        return Err(Refusal::Invalid(bounds.to_owned()));
    }
    row.expires_at = expires_at;
    row.version = row.version.next();
    draft.put_order(order, row.clone());
    draft.emit(Event::OrderChanged(row.clone()));
    draft.emit(Event::TimeoutDue { order, version: row.version, expires_at });
    Ok(Reply::Order(row))
}

fn refund(draft: &mut Draft<'_>, order: OrderId, restock: Restock) -> Result<Reply, Refusal> {
    let row = move_order(draft, order, Status::Refunding(restock))?;
    let payment = row.payment.expect("a paid order names its payment");
    draft.emit(Event::RefundDue { payment, order });
    Ok(Reply::Order(row))
}
