//! Everything that may change a row.

use super::rows::{OrderRow, PaymentRow, SaleRow, ShardRow};
use crate::intake::{IntakeBatch, IntakeReport};
use crate::ledger::epoch::LadderCommand;
use crate::order::command::OrderCommand;
use crate::order::status::ForbiddenEdge;
use crate::payment::command::PaymentCommand;
use crate::sale::command::SaleCommand;
use crate::window::command::{SalesCommand, SalesReport};

/// One transaction's work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Decides a batch of intents of one shard.
    Intake(IntakeBatch),
    /// Moves an order.
    Order(OrderCommand),
    /// Moves a payment, and with it its order.
    Payment(PaymentCommand),
    /// Creates or changes a sale, its SKUs or products.
    Sale(SaleCommand),
    /// One step of a shard's epoch ladder.
    Ladder(LadderCommand),
    /// Counts sales of seven days, or tells of them.
    Sales(SalesCommand),
}

/// What the caller is told of a transaction that was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing to tell.
    Done,
    /// The order after the change.
    Order(OrderRow),
    /// The payment after the change.
    Payment(PaymentRow),
    /// The sale after the change.
    Sale(SaleRow),
    /// The shard after the change.
    Shard(ShardRow),
    /// What became of a batch.
    Intake(IntakeReport),
    /// What became of a batch of sales.
    Sales(SalesReport),
    /// How many rows were changed.
    Count(usize),
}

/// Why nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Rule 9: the order's row does not exist yet; come again.
    NotYet,
    /// There is no such sale.
    NoSale,
    /// There is no such SKU in the sale.
    NoSku,
    /// There is no such payment.
    NoPayment,
    /// The order belongs to somebody else.
    NotYours,
    /// The order's state does not allow it.
    Forbidden(ForbiddenEdge),
    /// The pay window has not ended yet by the database's clock.
    NotExpired,
    /// The sale exists with other rules, or the state asked for cannot follow.
    SaleConflict(&'static str),
    /// The key stands for another request of this sale.
    KeyReused,
    /// The id of the payment was used for another order.
    PaymentConflict,
    /// The payment's state does not allow it.
    PaymentState(super::rows::PaymentStatus),
    /// The shard is not on the rung that the caller has read.
    StaleRung,
    /// Another keeper holds the ladder's lease.
    LeaseHeld,
    /// The cursor of the sales is not at the batch's beginning: it was counted before, or by another worker.
    StaleOffset,
    /// The row was written since it was looked at; says its version.
    StaleVersion(crate::ids::Version),
    /// The window that was to be told has not closed yet by the database's clock.
    WindowOpen,
    /// A value is out of bounds; says which and what is allowed.
    Invalid(String),
}
