//! What became of an acceptance, told from (epoch, seq) and two rows of one strong read; no clock occurs in it.

use crate::database::rows::{OrderRow, ShardRow};
use crate::database::tables::Reads;
use crate::ids::{Epoch, OrderId, Seq};

/// What became of an accepted reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Its order has a row.
    Decided,
    /// It stands in the log and is not decided yet.
    OnItsWay,
    /// It will never be an order of this (epoch, seq): final.
    Lost,
}

impl Fate {
    /// Both rows, to be read in one snapshot.
    pub fn reads(order: OrderId) -> Reads {
        Reads { orders: [order].into(), shards: [order.shard].into(), ..Reads::default() }
    }

    /// Of the acceptance at this place.
    pub fn of(order: Option<&OrderRow>, shard: &ShardRow, epoch: Epoch, seq: Seq) -> Fate {
        match order {
            Some(_) => Fate::Decided,
            None if shard.epoch == epoch && shard.cursor < seq => Fate::OnItsWay,
            None => Fate::Lost,
        }
    }
}
