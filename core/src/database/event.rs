//! What goes down and out: events written in the same transaction as the change that they tell of.

use super::rows::OrderRow;
use crate::ids::{Epoch, OrderId, PaymentId, ProductId, ReservationId, SaleId, Seq, ShardId, SkuId, UserId, Version};
use crate::time::Wall;
use crate::window::hour::Hour;
use crate::window::movement::Movement;
use serde::{Deserialize, Serialize};

/// One outbox row's content.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Event {
    /// An order was written or changed; carries the whole row, so an older version is recognised and dropped.
    OrderChanged(OrderRow),
    /// An order's pay window ends at this time.
    TimeoutDue {
        /// Which.
        order: OrderId,
        /// Of which version of the order: an extension sends a later one.
        version: Version,
        /// When.
        expires_at: Wall,
    },
    /// An order ended without holding its units: the shard gives them back (rule 5).
    Settled {
        /// Which shard.
        shard: ShardId,
        /// The last epoch that may not have counted it, by the row at the time of the change; not the order's.
        epoch: Epoch,
        /// Whose page.
        user: UserId,
        /// Which record.
        id: ReservationId,
    },
    /// The shard has been given units (rule 6).
    Granted {
        /// Which shard.
        shard: ShardId,
        /// The last epoch that may not have counted it, by the row at the time of the grant.
        epoch: Epoch,
        /// Which SKU.
        sku: SkuId,
        /// How many.
        quantity: u64,
        /// Which grant of this SKU to this shard.
        grant_seq: u64,
    },
    /// An accepted reservation that will never be an order of this (epoch, seq).
    ReservationLost {
        /// Which.
        order: OrderId,
        /// Whose.
        user: UserId,
        /// Where it was accepted.
        epoch: Epoch,
        /// At which entry.
        seq: Seq,
    },
    /// Money came for an order that had ended.
    PaymentLate {
        /// Which payment.
        payment: PaymentId,
        /// For which order.
        order: OrderId,
    },
    /// Money must go back to the buyer.
    RefundDue {
        /// Which payment.
        payment: PaymentId,
        /// Of which order.
        order: OrderId,
    },
    /// A sale was created or its state changed.
    SaleChanged {
        /// Which.
        sale: SaleId,
        /// Its row's version.
        version: Version,
    },
    /// A product or one of its SKUs was written.
    CatalogChanged {
        /// Which product.
        product: ProductId,
        /// The row's version; 0 when it has no row, and only a SKU was written.
        version: Version,
    },
    /// A line of an order was paid or refunded. It adds up, so its name tells a repetition.
    SalesMoved(Movement),
    /// The sales of seven days of a product's SKUs have changed: its search document is to be written anew.
    SalesAdvanced {
        /// Which product.
        product: ProductId,
        /// At which hour.
        hour: Hour,
    },
}

/// Where an event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Topic {
    /// Orders, by order.
    Orders,
    /// Ends of pay windows, by order.
    Timeouts,
    /// What goes down to shards, by shard.
    ShardDown,
    /// Payments that need work, by order.
    Payments,
    /// Sales, products and SKUs.
    Catalog,
    /// Units that were paid or refunded, by SKU.
    Sales,
}

impl Topic {
    /// All topics, in the order of their declaration.
    pub const ALL: [Topic; 6] =
        [Topic::Orders, Topic::Timeouts, Topic::ShardDown, Topic::Payments, Topic::Catalog, Topic::Sales];

    /// The topic's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Topic::Orders => "orders",
            Topic::Timeouts => "timeouts",
            Topic::ShardDown => "shard-down",
            Topic::Payments => "payments",
            Topic::Catalog => "catalog",
            Topic::Sales => "sales",
        }
    }
}

impl Event {
    /// Where it goes.
    pub fn topic(&self) -> Topic {
        match self {
            Event::OrderChanged(_) | Event::ReservationLost { .. } => Topic::Orders,
            Event::TimeoutDue { .. } => Topic::Timeouts,
            Event::Settled { .. } | Event::Granted { .. } => Topic::ShardDown,
            Event::PaymentLate { .. } | Event::RefundDue { .. } => Topic::Payments,
            Event::SaleChanged { .. } | Event::CatalogChanged { .. } | Event::SalesAdvanced { .. } => Topic::Catalog,
            Event::SalesMoved(_) => Topic::Sales,
        }
    }

    /// What it is about: its key on the wire, so that events of one subject keep their order.
    pub fn subject(&self) -> String {
        match self {
            Event::OrderChanged(order) => order.id.to_string(),
            Event::TimeoutDue { order, .. }
            | Event::ReservationLost { order, .. }
            | Event::PaymentLate { order, .. }
            | Event::RefundDue { order, .. } => order.to_string(),
            Event::Settled { shard, .. } | Event::Granted { shard, .. } => shard.to_string(),
            Event::SaleChanged { sale, .. } => sale.to_string(),
            Event::CatalogChanged { product, .. } | Event::SalesAdvanced { product, .. } => product.to_string(),
            Event::SalesMoved(movement) => movement.sku.to_string(),
        }
    }
}
