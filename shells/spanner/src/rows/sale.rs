//! Sales, and their top-ups that were done.

use super::{Cells, Misread, Table};
use crate::value::{name, number, time};
use doorbuster_core::database::rows::{SaleRow, TopUpRow};
use doorbuster_core::ids::{Key, SaleId, Version};
use doorbuster_core::ledger::shard::Window;
use google_cloud_spanner::value::Value;

/// Sales.
pub struct Sales;

impl Table for Sales {
    type Key = SaleId;
    type Row = SaleRow;
    const NAME: &'static str = "sales";
    const COLUMNS: &'static [&'static str] = &[
        "sale",
        "title",
        "starts_at",
        "ends_at",
        "user_limit",
        "hold_ms",
        "shards",
        "ack",
        "currency",
        "state",
        "version",
    ];
    const KEYS: usize = 1;

    fn key(key: &SaleId) -> Vec<Value> {
        vec![key.as_str().into()]
    }

    fn values(row: &SaleRow) -> Vec<Value> {
        vec![
            row.title.as_str().into(),
            time(row.window.starts_at),
            time(row.window.ends_at),
            number(row.limit.into()),
            number(row.hold_ms),
            number(row.shards.into()),
            name(&row.ack),
            name(&row.currency),
            name(&row.state),
            number(row.version.0),
        ]
    }

    fn parse(cells: &mut Cells<'_>) -> Result<(SaleId, SaleRow), Misread> {
        let id = cells.named()?;
        let row = SaleRow {
            id,
            title: cells.text()?,
            window: Window { starts_at: cells.time()?, ends_at: cells.time()? },
            limit: cells.small()?,
            hold_ms: cells.number()?,
            shards: cells.small()?,
            ack: cells.named()?,
            currency: cells.named()?,
            state: cells.named()?,
            version: Version(cells.number()?),
        };
        Ok((id, row))
    }
}

/// Top-ups.
pub struct TopUps;

impl Table for TopUps {
    type Key = (SaleId, Key);
    type Row = TopUpRow;
    const NAME: &'static str = "top_ups";
    const COLUMNS: &'static [&'static str] = &["sale", "key", "sku", "quantity", "total", "done_at"];
    const KEYS: usize = 2;

    fn key((sale, key): &(SaleId, Key)) -> Vec<Value> {
        vec![sale.as_str().into(), key.as_str().into()]
    }

    fn values(row: &TopUpRow) -> Vec<Value> {
        vec![row.sku.as_str().into(), number(row.quantity), number(row.total), time(row.done_at)]
    }

    fn parse(cells: &mut Cells<'_>) -> Result<((SaleId, Key), TopUpRow), Misread> {
        let key = (cells.named()?, cells.named()?);
        let (sku, quantity, total) = (cells.named()?, cells.number()?, cells.number()?);
        Ok((key, TopUpRow { sku, quantity, total, done_at: cells.time()? }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::assert_survives;
    use super::*;
    use doorbuster_core::database::rows::{AckLevel, Currency, SaleState};
    use doorbuster_core::ids::SkuId;
    use doorbuster_core::time::Wall;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_sale_survives_its_columns(
            title in "\\PC{0,40}", starts in 0u64..1 << 47, limit: u32, hold_ms: u64, shards: u16, version: u64,
            ack in prop::sample::select(vec![AckLevel::Redis, AckLevel::Replica, AckLevel::Log]),
            state in prop::sample::select(vec![
                SaleState::Draft, SaleState::Open, SaleState::Stopped, SaleState::Closed,
            ]),
        ) {
            let id = SaleId::parse("demo-1").unwrap();
            let window = Window { starts_at: Wall(starts), ends_at: Wall(u64::MAX) };
            let (currency, version) = (Currency::parse("EUR").unwrap(), Version(version));
            assert_survives::<Sales>(id, SaleRow { id, title, window, limit, hold_ms, shards, ack, currency, state, version });
        }

        #[test]
        fn a_top_up_survives_its_columns(quantity: u64, total: u64, done_at in 0u64..1 << 47) {
            let key = (SaleId::parse("demo").unwrap(), Key::parse("a/b\"c").unwrap());
            let row = TopUpRow { sku: SkuId::parse("A.1").unwrap(), quantity, total, done_at: Wall(done_at) };
            assert_survives::<TopUps>(key, row);
        }
    }
}
