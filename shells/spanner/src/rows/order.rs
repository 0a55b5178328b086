//! Orders, what their buyers have, and what is paid for them.

use super::{Cells, Misread, Table};
use crate::value::{json, name, number, time};
use doorbuster_core::database::rows::{OrderRow, PaymentRow, QuotaRow};
use doorbuster_core::ids::{OrderId, PaymentId, ReservationId, ShardId, UserId, Version};
use doorbuster_core::order::status::Status;
use google_cloud_spanner::value::Value;

/// An order's key, or that of its place in a shard.
pub fn order_key(shard: ShardId, reservation: ReservationId) -> Vec<Value> {
    vec![shard.sale.as_str().into(), number(shard.k.into()), reservation.0.as_slice().into()]
}

/// Orders.
pub struct Orders;

impl Table for Orders {
    type Key = OrderId;
    type Row = OrderRow;
    const NAME: &'static str = "orders";
    const COLUMNS: &'static [&'static str] = &[
        "sale",
        "k",
        "reservation",
        "user",
        "status",
        "reason",
        "amount_minor",
        "version",
        "expires_at",
        "created_at",
        "payment",
        "paid_at",
        "origin",
    ];
    const KEYS: usize = 3;
    /// The generated column, and twice the five columns of the index of due orders.
    const INDEXED: usize = 11;

    fn key(key: &OrderId) -> Vec<Value> {
        order_key(key.shard, key.reservation)
    }

    fn values(row: &OrderRow) -> Vec<Value> {
        vec![
            row.user.as_str().into(),
            row.status.name().into(),
            row.status.reason().into(),
            number(row.amount_minor),
            number(row.version.0),
            time(row.expires_at),
            time(row.created_at),
            row.payment.map(|payment| payment.as_str().to_owned()).into(),
            row.paid_at.map(time).into(),
            row.origin.as_ref().map(json).into(),
        ]
    }

    fn parse(cells: &mut Cells<'_>) -> Result<(OrderId, OrderRow), Misread> {
        let id = cells.order()?;
        let user = cells.named()?;
        let (status, reason) = (cells.text()?, cells.text_or_null()?);
        let status = Status::parse(&status, reason.as_deref())
            .ok_or_else(|| cells.misread(format!("no reason for {status}: {reason:?}")))?;
        let row = OrderRow {
            id,
            user,
            status,
            amount_minor: cells.number()?,
            version: Version(cells.number()?),
            expires_at: cells.time()?,
            created_at: cells.time()?,
            payment: cells.named_or_null()?,
            paid_at: cells.time_or_null()?,
            origin: cells.json_or_null()?,
        };
        Ok((id, row))
    }
}

/// Live units of users.
pub struct Quotas;

impl Table for Quotas {
    type Key = (ShardId, UserId);
    type Row = QuotaRow;
    const NAME: &'static str = "quotas";
    const COLUMNS: &'static [&'static str] = &["sale", "k", "user", "live"];
    const KEYS: usize = 3;

    fn key((shard, user): &(ShardId, UserId)) -> Vec<Value> {
        vec![shard.sale.as_str().into(), number(shard.k.into()), user.as_str().into()]
    }

    fn values(row: &QuotaRow) -> Vec<Value> {
        vec![number(row.live.into())]
    }

    fn parse(cells: &mut Cells<'_>) -> Result<((ShardId, UserId), QuotaRow), Misread> {
        Ok(((cells.shard()?, cells.named()?), QuotaRow { live: cells.small()? }))
    }
}

/// Payments.
pub struct Payments;

impl Table for Payments {
    type Key = PaymentId;
    type Row = PaymentRow;
    const NAME: &'static str = "payments";
    const COLUMNS: &'static [&'static str] =
        &["payment", "order_id", "user", "amount_minor", "status", "started_at", "version"];
    const KEYS: usize = 1;

    fn key(key: &PaymentId) -> Vec<Value> {
        vec![key.as_str().into()]
    }

    fn values(row: &PaymentRow) -> Vec<Value> {
        vec![
            row.order.to_string().into(),
            row.user.as_str().into(),
            number(row.amount_minor),
            name(&row.status),
            time(row.started_at),
            number(row.version.0),
        ]
    }

    fn parse(cells: &mut Cells<'_>) -> Result<(PaymentId, PaymentRow), Misread> {
        let id = cells.named()?;
        let row = PaymentRow {
            id,
            order: cells.parsed()?,
            user: cells.named()?,
            amount_minor: cells.number()?,
            status: cells.named()?,
            started_at: cells.time()?,
            version: Version(cells.number()?),
        };
        Ok((id, row))
    }
}

#[cfg(test)]
mod tests {
    use super::super::assert_survives;
    use super::*;
    use doorbuster_core::database::rows::{Origin, PaymentStatus};
    use doorbuster_core::ids::{Epoch, SaleId, Seq, SkuId};
    use doorbuster_core::ledger::basket::{Basket, Line};
    use doorbuster_core::ledger::page::Acceptance;
    use doorbuster_core::time::Wall;
    use proptest::prelude::*;

    fn shard(k: u16) -> ShardId {
        ShardId { sale: SaleId::parse("demo").unwrap(), k }
    }

    fn origin(quantity: u32, epoch: u64, reserved_at: u64) -> Origin {
        let lines = [
            Line { sku: SkuId::parse("a").unwrap(), quantity },
            Line { sku: SkuId::parse("B.2").unwrap(), quantity: 1 },
        ];
        let basket = Basket::parse(&lines).unwrap();
        let body = basket.body_hash();
        Origin {
            basket,
            body,
            acceptance: Acceptance { epoch: Epoch(epoch), seq: Seq(7), reserved_at: Wall(reserved_at) },
        }
    }

    proptest! {
        #[test]
        fn an_order_survives_its_columns(
            bytes: [u8; 16], k: u16, user in "[!-~]{1,64}", amount_minor: u64, version: u64,
            status in prop::sample::select(Status::ALL.to_vec()), paid_at in prop::option::of(0u64..1 << 47),
            from in prop::option::of((1u32..1000, any::<u64>(), any::<u64>())),
        ) {
            let id = OrderId { shard: shard(k), reservation: ReservationId(bytes) };
            let row = OrderRow {
                id,
                user: UserId::parse(&user).unwrap(),
                origin: from.map(|(quantity, epoch, reserved_at)| origin(quantity, epoch, reserved_at)),
                amount_minor,
                status,
                version: Version(version),
                expires_at: Wall(u64::MAX),
                created_at: Wall(5),
                payment: paid_at.map(|_| PaymentId::parse("pay-1").unwrap()),
                paid_at: paid_at.map(Wall),
            };
            assert_survives::<Orders>(id, row);
        }

        #[test]
        fn a_payment_survives_its_columns(
            bytes: [u8; 16], amount_minor: u64, started_at in 0u64..1 << 47, version: u64,
            status in prop::sample::select(vec![
                PaymentStatus::Started, PaymentStatus::Declined, PaymentStatus::Paid, PaymentStatus::Late,
                PaymentStatus::RefundDue, PaymentStatus::Refunded,
            ]),
        ) {
            let id = PaymentId::parse("pay-1").unwrap();
            let order = OrderId { shard: shard(3), reservation: ReservationId(bytes) };
            let (user, started_at, version) = (UserId::parse("ann").unwrap(), Wall(started_at), Version(version));
            assert_survives::<Payments>(id, PaymentRow { id, order, user, amount_minor, status, started_at, version });
        }

        #[test]
        fn a_quota_survives_its_columns(user in "[!-~]{1,64}", live: u32) {
            assert_survives::<Quotas>((shard(1), UserId::parse(&user).unwrap()), QuotaRow { live });
        }
    }
}
