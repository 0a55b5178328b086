//! What may be asked of an order.

use super::status::{Ending, Restock};
use crate::ids::{OrderId, ShardId, UserId};
use crate::time::Wall;

/// One order's change, or the expiry of many of one shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OrderCommand {
    /// Ends an unpaid order.
    Cancel {
        /// Which.
        order: OrderId,
        /// The caller must own it; an operator's cancel names nobody.
        user: Option<UserId>,
        /// On whose behalf.
        ending: Ending,
    },
    /// Ends those of these orders that are unpaid and whose pay window is over by the database's clock; passes over the others.
    Expire {
        /// All of one shard; at most `ENDINGS_MAX`.
        shard: ShardId,
        /// Which.
        orders: Vec<OrderId>,
    },
    /// Rule 10: makes it certain that this reservation is not and will not be a sale.
    Abandon {
        /// Which.
        order: OrderId,
        /// Whose.
        user: UserId,
    },
    /// Rule 11: moves the end of the pay window later.
    Extend {
        /// Which.
        order: OrderId,
        /// To when.
        expires_at: Wall,
    },
    /// Begins to give the money of a paid order back.
    Refund {
        /// Which.
        order: OrderId,
        /// Whether the units can be sold again.
        restock: Restock,
    },
}
