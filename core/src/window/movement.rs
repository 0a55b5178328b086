//! What an order does to the sales of a SKU: its units are paid, and perhaps refunded.

use crate::database::rows::OrderRow;
use crate::ids::{OrderId, ProductId, SkuId};
use crate::order::status::Status;
use crate::time::Wall;
use serde::{Deserialize, Serialize};

/// The direction of a movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// The order was paid: its units count.
    Paid,
    /// Its money went back: its units do not count any more, in the hour in which they were paid.
    Refunded,
}

/// One line of an order that was paid or refunded. An order has at most one line of a SKU, so (SKU, order, sign) names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Movement {
    /// Of which SKU.
    pub sku: SkuId,
    /// Of which order.
    pub order: OrderId,
    /// Which way.
    pub sign: Sign,
    /// The product of which the SKU is a variant, at the time of the movement.
    pub product: ProductId,
    /// Units of the line.
    pub quantity: u32,
    /// When the order was paid, by the database's clock in that transaction; the same in both directions.
    pub paid_at: Wall,
}

/// What names a movement: the same one delivered again has the same name.
pub type MovementId = (SkuId, OrderId, Sign);

impl Movement {
    /// Its name.
    pub fn id(&self) -> MovementId {
        (self.sku, self.order, self.sign)
    }
}

impl Sign {
    /// The movement that this change of an order makes, if any.
    pub fn of(to: Status) -> Option<Sign> {
        match to {
            Status::Paid => Some(Sign::Paid),
            Status::Refunded(_) => Some(Sign::Refunded),
            Status::PendingPayment | Status::Cancelled(_) | Status::Refunding(_) | Status::Rejected(_) => None,
        }
    }
}

/// The movements of an order that has just become paid or refunded, in the order of its lines; `product_of` knows each
/// SKU's product.
pub fn movements(row: &OrderRow, product_of: impl Fn(SkuId) -> ProductId) -> Vec<Movement> {
    let Some(sign) = Sign::of(row.status) else { return Vec::new() };
    let paid_at = row.paid_at.expect("an order that is or was paid says when");
    let origin = row.origin.as_ref().expect("an order that is or was paid has lines");
    let line = |line: &crate::ledger::basket::Line| {
        let (sku, quantity) = (line.sku, line.quantity);
        Movement { sku, order: row.id, sign, product: product_of(sku), quantity, paid_at }
    };
    origin.basket.lines().iter().map(line).collect()
}
