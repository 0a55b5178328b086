//! The lines of an audit: one row each, told apart by the field `row`.

use super::text;
use crate::database::rows::{OrderRow, PaymentRow, Phase, SaleRow, SealReason, ShardRow, SkuRow, StockRow};
use crate::database::tables::Rows;
use crate::ids::{Epoch, Nonce, OrderId, PaymentId, SaleId, Seq, ServerId, ShardId, SkuId, UserId, Version};
use crate::ledger::basket::{BodyHash, Line};
use crate::ledger::shard::{Counter, Shard, ShardState};
use crate::order::status::Status;
use crate::time::Wall;
use serde::{Deserialize, Serialize};

/// One line. Times are Unix milliseconds; numbers that may pass 2^53 are decimal text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "lowercase")]
pub enum AuditLine {
    /// What the snapshot is of; first.
    Meta(MetaLine),
    /// The sale's row.
    Sale(SaleRow),
    /// A SKU's row.
    Sku(SkuRow),
    /// A shard's row.
    Shard(ShardLine),
    /// Units of a SKU in a shard.
    Stock(StockLine),
    /// An order.
    Order(OrderLine),
    /// A payment.
    Payment(PaymentRow),
    /// A user's live units.
    Quota(QuotaLine),
    /// One server's counters of one shard.
    Memory(MemoryLine),
    /// The end of a shard's durable log.
    Log(LogLine),
    /// A task of the delay queue in one of its places.
    Delay(DelayLine),
}

/// What the snapshot is of, and which inputs it has beside the rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaLine {
    /// The sale.
    pub sale: SaleId,
    /// Time of the snapshot by the database's clock.
    pub at: Wall,
    /// Whether every shard's memory that exists has a line `memory`.
    #[serde(default)]
    pub memories: bool,
    /// Whether every shard's durable log has a line `log`.
    #[serde(default)]
    pub logs: bool,
    /// Whether every task of the delay queue has a line `delay`.
    #[serde(default)]
    pub delay: bool,
    /// Outbox rows that were not delivered to everyone yet; absent when nobody counted.
    #[serde(default)]
    pub outbox_unsent: Option<u64>,
}

/// A shard's row, without the lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardLine {
    /// Number of the shard.
    pub k: u16,
    /// The epoch that is open, ending, or to be opened.
    pub epoch: Epoch,
    /// The rung.
    pub phase: Phase,
    /// Whose memory the epoch is.
    #[serde(with = "text::server")]
    pub server: ServerId,
    /// Which loading of the epoch.
    #[serde(with = "text::nonce")]
    pub nonce: Nonce,
    /// Last log entry that is decided.
    pub cursor: Seq,
    /// First entry that must be sent again.
    pub replay_from: Option<Seq>,
    /// Why the shard was last sealed.
    pub reason: Option<SealReason>,
}

/// Units of one SKU in one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLine {
    /// Number of the shard.
    pub k: u16,
    /// Which SKU.
    pub sku: SkuId,
    /// Units given to the shard.
    pub granted: u64,
    /// Units of orders that hold one.
    pub consumed: u64,
    /// Grants so far.
    pub grant_seq: u64,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// Which.
    pub id: OrderId,
    /// Whose.
    pub user: UserId,
    /// What; empty when it was given up before anything arrived.
    pub lines: Vec<Line>,
    /// Fingerprint of the request.
    #[serde(with = "text::hex_option")]
    pub body_hash: Option<BodyHash>,
    /// Memory that accepted it.
    pub epoch: Option<Epoch>,
    /// Entry that carried it.
    pub seq: Option<Seq>,
    /// When it was accepted, by the shard's server.
    pub reserved_at: Option<Wall>,
    /// Where it stands: the fields `status` and `reason`.
    #[serde(flatten)]
    pub status: NamedStatus,
    /// Counts the changes.
    pub version: Version,
    /// End of its pay window.
    pub expires_at: Wall,
    /// When it was written.
    pub created_at: Wall,
    /// The payment that made it PAID.
    pub payment: Option<PaymentId>,
    /// Minor units of the sale's currency.
    pub amount_minor: u64,
}

/// A status as two fields: its name, and the reason where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "StatusText", into = "StatusText")]
pub struct NamedStatus(pub Status);

#[derive(Serialize, Deserialize)]
struct StatusText {
    status: String,
    #[serde(default)]
    reason: Option<String>,
}

/// Live units of one user in one shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaLine {
    /// Number of the shard.
    pub k: u16,
    /// Whose.
    pub user: UserId,
    /// How many.
    pub live: u32,
}

/// One server's counters of one shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryLine {
    /// Number of the shard.
    pub k: u16,
    /// Which server.
    #[serde(with = "text::server")]
    pub server: ServerId,
    /// Which loading.
    #[serde(with = "text::nonce")]
    pub nonce: Nonce,
    /// Which epoch.
    pub epoch: Epoch,
    /// Whether it sells.
    pub state: ShardState,
    /// Last entry written.
    pub seq: Seq,
    /// Last entry known to be in the durable log.
    pub acked: Seq,
    /// Per SKU.
    pub counters: Vec<CounterLine>,
    /// What a full scan of the pages found wrong; absent when it found nothing or was not made.
    #[serde(default)]
    pub scan: Option<String>,
}

/// One SKU's units in one memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterLine {
    /// Which SKU.
    pub sku: SkuId,
    /// Units that may be taken.
    pub available: u64,
    /// Units that live records hold.
    pub live: u64,
    /// Units that the database has given.
    pub granted: u64,
    /// Last grant taken in.
    pub grant_seq: u64,
}

/// The end of one shard's durable log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Number of the shard.
    pub k: u16,
    /// Epoch of its last entry.
    pub epoch: Epoch,
    /// Place of its last entry; 0 when there is none.
    pub seq: Seq,
}

/// A task of the delay queue in one of its places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelayLine {
    /// Whose pay window ends.
    pub order: OrderId,
    /// Where the task was found.
    pub place: DelayPlace,
    /// When it is due, or when the claim on it ends.
    pub due_at: Wall,
    /// Token of the worker that claimed it.
    #[serde(default, with = "text::decimal_option")]
    pub owner: Option<u64>,
}

/// A place of the delay queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DelayPlace {
    /// Waits to be due.
    Ready,
    /// Claimed by a worker.
    Processing,
}

/// The lines of one sale from rows of one snapshot: meta first, then every table. Memories, logs and the delay queue
/// are appended by whoever has them.
pub fn lines(meta: MetaLine, rows: &Rows) -> Vec<AuditLine> {
    let sale = meta.sale;
    let mut lines = vec![AuditLine::Meta(meta)];
    lines.extend(rows.sales.get(&sale).cloned().map(AuditLine::Sale));
    lines.extend(rows.skus.values().filter(|row| row.sale == sale).cloned().map(AuditLine::Sku));
    lines.extend(rows.shards.values().filter(|row| row.id.sale == sale).map(AuditLine::from));
    let stock = rows.stock.iter().filter(|((shard, _), _)| shard.sale == sale);
    lines.extend(stock.map(|((shard, sku), row)| AuditLine::Stock(StockLine::of(*shard, *sku, row))));
    lines.extend(rows.orders.values().filter(|row| row.id.shard.sale == sale).map(AuditLine::from));
    let payments = rows.payments.values().filter(|row| row.order.shard.sale == sale);
    lines.extend(payments.cloned().map(AuditLine::Payment));
    let quotas = rows.quotas.iter().filter(|((shard, _), _)| shard.sale == sale);
    lines
        .extend(quotas.map(|((shard, user), row)| {
            AuditLine::Quota(QuotaLine { k: shard.k, user: user.clone(), live: row.live })
        }));
    lines
}

impl From<&ShardRow> for AuditLine {
    fn from(row: &ShardRow) -> AuditLine {
        AuditLine::Shard(ShardLine::from(row))
    }
}

impl From<&OrderRow> for AuditLine {
    fn from(row: &OrderRow) -> AuditLine {
        AuditLine::Order(OrderLine::from(row))
    }
}

impl From<&ShardRow> for ShardLine {
    fn from(row: &ShardRow) -> ShardLine {
        ShardLine {
            k: row.id.k,
            epoch: row.epoch,
            phase: row.phase,
            server: row.server,
            nonce: row.nonce,
            cursor: row.cursor,
            replay_from: row.replay_from,
            reason: row.reason,
        }
    }
}

impl From<&OrderRow> for OrderLine {
    fn from(row: &OrderRow) -> OrderLine {
        let origin = row.origin.as_ref();
        OrderLine {
            id: row.id,
            user: row.user.clone(),
            lines: origin.map_or(Vec::new(), |origin| origin.basket.lines().to_vec()),
            body_hash: origin.map(|origin| origin.body),
            epoch: origin.map(|origin| origin.acceptance.epoch),
            seq: origin.map(|origin| origin.acceptance.seq),
            reserved_at: origin.map(|origin| origin.acceptance.reserved_at),
            status: NamedStatus(row.status),
            version: row.version,
            expires_at: row.expires_at,
            created_at: row.created_at,
            payment: row.payment,
            amount_minor: row.amount_minor,
        }
    }
}

impl OrderLine {
    /// The status.
    pub fn status(&self) -> Status {
        self.status.0
    }

    /// I3: the lines whose units the order holds.
    pub fn held_lines(&self) -> &[Line] {
        if self.status().holds_units() { &self.lines } else { &[] }
    }

    /// Units of all lines.
    pub fn units(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.quantity)).sum()
    }

    /// Where it was accepted, if it stems from a reservation.
    pub fn place(&self) -> Option<(Epoch, Seq)> {
        self.epoch.zip(self.seq)
    }
}

impl StockLine {
    /// The line of a row.
    pub fn of(shard: ShardId, sku: SkuId, row: &StockRow) -> StockLine {
        StockLine { k: shard.k, sku, granted: row.granted, consumed: row.consumed, grant_seq: row.grant_seq }
    }
}

impl MemoryLine {
    /// The line of a memory, with a full scan of its pages; `None` when there is no memory.
    pub fn of(k: u16, shard: &Shard) -> Option<MemoryLine> {
        let meta = shard.meta()?;
        Some(MemoryLine {
            k,
            server: shard.server,
            nonce: meta.nonce,
            epoch: meta.epoch,
            state: meta.state,
            seq: meta.seq,
            acked: meta.acked,
            counters: shard.counters().map(|(sku, counter)| CounterLine::of(sku, &counter)).collect(),
            scan: shard.scan().err(),
        })
    }
}

impl CounterLine {
    /// The line of a counter.
    pub fn of(sku: SkuId, counter: &Counter) -> CounterLine {
        let Counter { available, live, granted, grant_seq } = *counter;
        CounterLine { sku, available, live, granted, grant_seq }
    }
}

impl TryFrom<StatusText> for NamedStatus {
    type Error = String;
    fn try_from(text: StatusText) -> Result<NamedStatus, String> {
        let status = Status::parse(&text.status, text.reason.as_deref());
        status.map(NamedStatus).ok_or_else(|| format!("{} {:?} is not a status", text.status, text.reason))
    }
}

impl From<NamedStatus> for StatusText {
    fn from(NamedStatus(status): NamedStatus) -> StatusText {
        StatusText { status: status.name().to_owned(), reason: status.reason().map(str::to_owned) }
    }
}
