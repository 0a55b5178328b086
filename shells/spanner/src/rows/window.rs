//! The windows of sales: rings, how far they are counted, and what was counted.

use super::{Cells, Misread, Table};
use crate::value::{json, name, number, time};
use doorbuster_core::ids::SkuId;
use doorbuster_core::inbox::{Offset, Partition};
use doorbuster_core::window::hour::Hour;
use doorbuster_core::window::movement::MovementId;
use doorbuster_core::window::rows::{CountedRow, SalesCursorRow, SalesRingRow};
use google_cloud_spanner::value::Value;

/// Sales of SKUs by hour.
pub struct SalesRings;

impl Table for SalesRings {
    type Key = SkuId;
    type Row = SalesRingRow;
    const NAME: &'static str = "sales_rings";
    const COLUMNS: &'static [&'static str] = &["sku", "part", "product", "ring", "dirty", "emitted", "emitted_hour"];
    const KEYS: usize = 1;
    /// Two indexes of two and three columns, twice.
    const INDEXED: usize = 10;

    fn key(key: &SkuId) -> Vec<Value> {
        vec![key.as_str().into()]
    }

    fn values(row: &SalesRingRow) -> Vec<Value> {
        vec![
            number(row.partition.0.into()),
            row.product.as_str().into(),
            json(&row.ring),
            row.dirty.into(),
            number(row.emitted),
            row.emitted_hour.map(|hour| number(hour.0)).into(),
        ]
    }

    fn parse(cells: &mut Cells<'_>) -> Result<(SkuId, SalesRingRow), Misread> {
        let sku = cells.named()?;
        let row = SalesRingRow {
            partition: Partition(cells.small()?),
            product: cells.named()?,
            ring: cells.json()?,
            dirty: cells.flag()?,
            emitted: cells.number()?,
            emitted_hour: cells.number_or_null()?.map(Hour),
        };
        Ok((sku, row))
    }
}

/// How far movements are counted.
pub struct SalesCursors;

impl Table for SalesCursors {
    type Key = Partition;
    type Row = SalesCursorRow;
    const NAME: &'static str = "sales_cursors";
    const COLUMNS: &'static [&'static str] = &["part", "next", "too_late", "unpaired"];
    const KEYS: usize = 1;

    fn key(key: &Partition) -> Vec<Value> {
        vec![number(key.0.into())]
    }

    fn values(row: &SalesCursorRow) -> Vec<Value> {
        [row.next.0, row.too_late, row.unpaired].map(number).into()
    }

    fn parse(cells: &mut Cells<'_>) -> Result<(Partition, SalesCursorRow), Misread> {
        let key = Partition(cells.small()?);
        let (next, too_late, unpaired) = (Offset(cells.number()?), cells.number()?, cells.number()?);
        Ok((key, SalesCursorRow { next, too_late, unpaired }))
    }
}

/// Movements that were dealt with.
pub struct Counted;

impl Table for Counted {
    type Key = MovementId;
    type Row = CountedRow;
    const NAME: &'static str = "counted";
    const COLUMNS: &'static [&'static str] = &["sku", "order_id", "sign", "placement", "expires_at"];
    const KEYS: usize = 3;

    fn key((sku, order, sign): &MovementId) -> Vec<Value> {
        vec![sku.as_str().into(), order.to_string().into(), name(sign)]
    }

    fn values(row: &CountedRow) -> Vec<Value> {
        vec![name(&row.placement), time(row.expires_at)]
    }

    fn parse(cells: &mut Cells<'_>) -> Result<(MovementId, CountedRow), Misread> {
        let key = (cells.named()?, cells.parsed()?, cells.named()?);
        Ok((key, CountedRow { placement: cells.named()?, expires_at: cells.time()? }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::assert_survives;
    use super::*;
    use doorbuster_core::ids::{OrderId, ProductId, ReservationId, SaleId, ShardId};
    use doorbuster_core::time::Wall;
    use doorbuster_core::window::movement::Sign;
    use doorbuster_core::window::ring::{Placement, Ring};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_ring_survives_its_columns(
            hours in prop::collection::vec((0u64..170, 1u64..1_000), 0..40), dirty: bool, emitted: u64,
            emitted_hour in prop::option::of(0u64..500_000),
        ) {
            let mut ring = Ring::default();
            for (hour, units) in hours {
                ring.add(Hour(480_000 + hour), units);
            }
            ring.advance(Hour(480_100));
            let (partition, product) = (Partition(3), ProductId::parse("Tea").unwrap());
            let emitted_hour = emitted_hour.map(Hour);
            let row = SalesRingRow { partition, product, ring, dirty, emitted, emitted_hour };
            assert_survives::<SalesRings>(SkuId::parse("a").unwrap(), row);
        }

        #[test]
        fn a_cursor_and_a_mark_survive_their_columns(
            next: u64, too_late: u64, unpaired: u64, bytes: [u8; 16], expires_at in 0u64..1 << 47,
            sign in prop::sample::select(vec![Sign::Paid, Sign::Refunded]),
            placement in prop::sample::select(vec![Placement::Counted, Placement::TooLate, Placement::Unpaired]),
        ) {
            assert_survives::<SalesCursors>(Partition(11), SalesCursorRow { next: Offset(next), too_late, unpaired });
            let shard = ShardId { sale: SaleId::parse("demo").unwrap(), k: 2 };
            let order = OrderId { shard, reservation: ReservationId(bytes) };
            let row = CountedRow { placement, expires_at: Wall(expires_at) };
            assert_survives::<Counted>((SkuId::parse("a").unwrap(), order, sign), row);
        }
    }
}
