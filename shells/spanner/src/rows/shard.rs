//! Shards, and what they have of each SKU.

use super::{Cells, Misread, Table};
use crate::value::{name, number, time};
use doorbuster_core::database::rows::{Lease, ShardRow, StockRow};
use doorbuster_core::ids::{Epoch, Nonce, Seq, ServerId, ShardId, SkuId};
use google_cloud_spanner::value::Value;

/// Shards.
pub struct Shards;

impl Table for Shards {
    type Key = ShardId;
    type Row = ShardRow;
    const NAME: &'static str = "shards";
    const COLUMNS: &'static [&'static str] = &[
        "sale",
        "k",
        "epoch",
        "phase",
        "server",
        "nonce",
        "decided_seq",
        "replay_from",
        "reason",
        "lease_owner",
        "lease_until",
    ];
    const KEYS: usize = 2;

    fn key(key: &ShardId) -> Vec<Value> {
        vec![key.sale.as_str().into(), number(key.k.into())]
    }

    fn values(row: &ShardRow) -> Vec<Value> {
        vec![
            number(row.epoch.0),
            name(&row.phase),
            format!("{:032x}", row.server.0).into(),
            number(row.nonce.0),
            number(row.cursor.0),
            row.replay_from.map(|seq| number(seq.0)).into(),
            row.reason.as_ref().map(name).into(),
            row.lease.map(|lease| number(lease.owner)).into(),
            row.lease.map(|lease| time(lease.until)).into(),
        ]
    }

    fn parse(cells: &mut Cells<'_>) -> Result<(ShardId, ShardRow), Misread> {
        let id = cells.shard()?;
        let (epoch, phase, server) = (Epoch(cells.number()?), cells.named()?, cells.text()?);
        let server = u128::from_str_radix(&server, 16).map_err(|_| cells.misread("not hexadecimal".to_owned()))?;
        let row = ShardRow {
            id,
            epoch,
            phase,
            server: ServerId(server),
            nonce: Nonce(cells.number()?),
            cursor: Seq(cells.number()?),
            replay_from: cells.number_or_null()?.map(Seq),
            reason: cells.named_or_null()?,
            lease: lease(cells)?,
        };
        Ok((id, row))
    }
}

/// Two columns, both or neither.
pub(super) fn lease(cells: &mut Cells<'_>) -> Result<Option<Lease>, Misread> {
    match (cells.number_or_null()?, cells.time_or_null()?) {
        (Some(owner), Some(until)) => Ok(Some(Lease { owner, until })),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(cells.misread("half a lease".to_owned())),
    }
}

/// Stock of shards.
pub struct Stock;

impl Table for Stock {
    type Key = (ShardId, SkuId);
    type Row = StockRow;
    const NAME: &'static str = "stock";
    const COLUMNS: &'static [&'static str] = &["sale", "k", "sku", "granted", "consumed", "grant_seq"];
    const KEYS: usize = 3;

    fn key((shard, sku): &(ShardId, SkuId)) -> Vec<Value> {
        vec![shard.sale.as_str().into(), number(shard.k.into()), sku.as_str().into()]
    }

    fn values(row: &StockRow) -> Vec<Value> {
        [row.granted, row.consumed, row.grant_seq].map(number).into()
    }

    fn parse(cells: &mut Cells<'_>) -> Result<((ShardId, SkuId), StockRow), Misread> {
        let key = (cells.shard()?, cells.named()?);
        let (granted, consumed, grant_seq) = (cells.number()?, cells.number()?, cells.number()?);
        Ok((key, StockRow { granted, consumed, grant_seq }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::assert_survives;
    use super::*;
    use doorbuster_core::database::rows::{Phase, SealReason};
    use doorbuster_core::ids::SaleId;
    use doorbuster_core::time::Wall;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_shard_survives_its_columns(
            k: u16, epoch: u64, server: u128, nonce: u64, cursor: u64, replay_from: Option<u64>,
            lease in prop::option::of((any::<u64>(), 0u64..1 << 47)),
            phase in prop::sample::select(vec![
                Phase::Sealed, Phase::Opening, Phase::Open, Phase::Sealing, Phase::Closed,
            ]),
            reason in prop::option::of(prop::sample::select(vec![
                SealReason::ServerLost, SealReason::LoaderLost, SealReason::SaleClosed, SealReason::Operator,
                SealReason::LedgerBroken, SealReason::CountersBroken, SealReason::EpochFromNowhere,
            ])),
        ) {
            let id = ShardId { sale: SaleId::parse("demo").unwrap(), k };
            let row = ShardRow {
                id,
                epoch: Epoch(epoch),
                phase,
                server: ServerId(server),
                nonce: Nonce(nonce),
                cursor: Seq(cursor),
                replay_from: replay_from.map(Seq),
                reason,
                lease: lease.map(|(owner, until)| Lease { owner, until: Wall(until) }),
            };
            assert_survives::<Shards>(id, row);
        }

        #[test]
        fn stock_survives_its_columns(k: u16, granted: u64, consumed: u64, grant_seq: u64) {
            let shard = ShardId { sale: SaleId::parse("demo").unwrap(), k };
            let sku = SkuId::parse("a").unwrap();
            assert_survives::<Stock>((shard, sku), StockRow { granted, consumed, grant_seq });
        }
    }
}
