//! What goes up: entries of a shard's log, and the seal that ends an epoch.

use super::basket::{Basket, BodyHash};
use crate::ids::{Epoch, ReservationId, Seq, ShardId, SkuId, UserId};
use crate::time::Wall;
use serde::{Deserialize, Serialize};

/// One entry of a shard's log: everything that one script call took.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Which memory wrote it.
    pub epoch: Epoch,
    /// Its place there, contiguous from 1.
    pub seq: Seq,
    /// What was taken.
    pub kind: EntryKind,
}

/// What an entry tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EntryKind {
    /// The reservations of one batch, in the order in which they were decided.
    Reserved(Vec<Reserved>),
    /// Units given back to the database, not to a buyer.
    Withdrawn {
        /// Of which SKU.
        sku: SkuId,
        /// How many; at least 1.
        quantity: u64,
    },
}

/// One accepted reservation, complete: intake needs nothing else to make the order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reserved {
    /// Which, inside its shard.
    pub id: ReservationId,
    /// Whose.
    pub user: UserId,
    /// Fingerprint of the request.
    pub body: BodyHash,
    /// What was taken.
    pub basket: Basket,
    /// When, by the shard's server.
    pub reserved_at: Wall,
}

/// One record of the `intents` topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Intent {
    /// An entry of a shard's log.
    Entry(ShardId, Entry),
    /// Nothing of this epoch stands behind this record: its publisher has fenced every older one.
    Seal(ShardId, Epoch),
}

impl Intent {
    /// The shard that it belongs to: what it is keyed and partitioned by.
    pub fn shard(&self) -> ShardId {
        match self {
            Intent::Entry(shard, _) | Intent::Seal(shard, _) => *shard,
        }
    }
}
