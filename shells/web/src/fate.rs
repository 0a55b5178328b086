//! What became of a reservation: told from (epoch, seq) and two rows of one strong read; no clock occurs in it.

use crate::api::Api;
use crate::problem::{Problem, Slug};
use doorbuster_core::database::rows::{OrderRow, Phase, ShardRow};
use doorbuster_core::ids::{Epoch, OrderId, Seq, UserId};
use doorbuster_core::ledger::page::Record;
use doorbuster_core::order::fate;
use doorbuster_core::outcome::Outcome;

/// What is known of a reservation.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// Its order exists: the row is the answer.
    Decided(OrderRow),
    /// It was accepted there, and its entry is not decided yet.
    OnItsWay(Epoch, Seq),
    /// It was accepted there and will never be an order of this acceptance: final.
    Lost(Epoch, Seq),
    /// Nobody has accepted it so far. Only an abandonment makes that certain.
    NotSeen,
}

impl Api {
    /// What became of an acceptance at this place.
    pub(crate) async fn fate_of(&self, order: OrderId, epoch: Epoch, seq: Seq) -> Result<Fate, Problem> {
        let (row, shard) = self.rows_of(order).await?;
        let fate = fate::Fate::of(row.as_ref(), &shard, epoch, seq);
        Ok(match (row, fate) {
            (Some(row), _) => Fate::Decided(row),
            (None, fate::Fate::OnItsWay) => Fate::OnItsWay(epoch, seq),
            (None, fate::Fate::Lost | fate::Fate::Decided) => Fate::Lost(epoch, seq),
        })
    }

    /// What became of a key for which no receipt was shown: the caller's own page may know it. The record comes with
    /// the answer where there is no row.
    pub(crate) async fn fate(&self, user: &UserId, order: OrderId) -> Result<(Fate, Option<Record>), Problem> {
        let shard = match self.rows_of(order).await? {
            (Some(row), _) => return Ok((Fate::Decided(row), None)),
            (None, shard) => shard,
        };
        match self.ports.ledger.look_up(order.shard, user.clone(), order.reservation).await {
            Outcome::Done(Some(record)) => {
                // The row may have come meanwhile, so both are read again.
                let place = record.acceptance;
                Ok((self.fate_of(order, place.epoch, place.seq).await?, Some(record)))
            }
            Outcome::Done(None) => Ok((Fate::NotSeen, None)),
            // Nobody can be asked. While an epoch is open or drains, an acceptance may be on its way; else all is decided.
            Outcome::Refused(_) | Outcome::Unknown => match shard.phase {
                Phase::Open | Phase::Sealing => Err(Slug::NotReady.into()),
                Phase::Sealed | Phase::Opening | Phase::Closed => Ok((Fate::NotSeen, None)),
            },
        }
    }

    async fn rows_of(&self, order: OrderId) -> Result<(Option<OrderRow>, ShardRow), Problem> {
        let mut rows = self.read(fate::Fate::reads(order)).await?;
        let shard = rows.shards.remove(&order.shard).ok_or(Slug::UnknownOrder)?;
        Ok((rows.orders.remove(&order), shard))
    }
}
