//! One sale from one snapshot of the stores, as JSON lines and as what they add up to.

mod line;
pub(super) mod text;

pub use line::{
    AuditLine, CounterLine, DelayLine, DelayPlace, LogLine, MemoryLine, MetaLine, NamedStatus, OrderLine, QuotaLine,
    ShardLine, StockLine, lines,
};

use crate::database::rows::{PaymentRow, SaleRow, SkuRow};
use crate::ids::{OrderId, PaymentId, ShardId, SkuId, UserId};
use std::collections::BTreeMap;
use std::fmt;

/// Every line of one audit, by key. An input that was not part of the snapshot is `None`, which is not the same as empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// What the snapshot is of.
    pub meta: MetaLine,
    /// The sale.
    pub sale: SaleRow,
    /// Its SKUs.
    pub skus: BTreeMap<SkuId, SkuRow>,
    /// Its shards, by number.
    pub shards: BTreeMap<u16, ShardLine>,
    /// Stock of shards.
    pub stock: BTreeMap<(u16, SkuId), StockLine>,
    /// Orders.
    pub orders: BTreeMap<OrderId, OrderLine>,
    /// Payments of those orders.
    pub payments: BTreeMap<PaymentId, PaymentRow>,
    /// Live units of users, as the rows count them.
    pub quotas: BTreeMap<(u16, UserId), u32>,
    /// Memories of shards, by number.
    pub memories: Option<BTreeMap<u16, MemoryLine>>,
    /// Ends of the shards' durable logs, by number.
    pub logs: Option<BTreeMap<u16, LogLine>>,
    /// Entries of the delay queue, one per place in which a task was found.
    pub delay: Option<Vec<DelayLine>>,
}

/// Why lines are not an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditError {
    /// Number of the line, from 1; the last one plus 1 when something is missing at the end.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "audit line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for AuditError {}

impl Audit {
    /// Reads lines of text; blank ones are passed over. The caller brings the JSON parser: core has none.
    pub fn read<'a, E: fmt::Display>(
        lines: impl IntoIterator<Item = &'a str>,
        parse: impl Fn(&str) -> Result<AuditLine, E>,
    ) -> Result<Audit, AuditError> {
        let mut draft = AuditDraft::default();
        for (index, line) in lines.into_iter().enumerate() {
            if line.trim().is_empty() {
                draft.line += 1;
                continue;
            }
            let parsed = parse(line).map_err(|error| AuditError { line: index + 1, what: error.to_string() })?;
            draft.take(parsed)?;
        }
        draft.finish()
    }

    /// Collects lines that are parsed already.
    pub fn collect(lines: impl IntoIterator<Item = AuditLine>) -> Result<Audit, AuditError> {
        let mut draft = AuditDraft::default();
        for line in lines {
            draft.take(line)?;
        }
        draft.finish()
    }

    /// The id of the sale's shard with this number.
    pub fn shard_id(&self, k: u16) -> ShardId {
        ShardId { sale: self.sale.id, k }
    }
}

#[derive(Default)]
struct AuditDraft {
    line: usize,
    meta: Option<MetaLine>,
    sale: Option<SaleRow>,
    skus: BTreeMap<SkuId, SkuRow>,
    shards: BTreeMap<u16, ShardLine>,
    stock: BTreeMap<(u16, SkuId), StockLine>,
    orders: BTreeMap<OrderId, OrderLine>,
    payments: BTreeMap<PaymentId, PaymentRow>,
    quotas: BTreeMap<(u16, UserId), u32>,
    memories: BTreeMap<u16, MemoryLine>,
    logs: BTreeMap<u16, LogLine>,
    delay: Vec<DelayLine>,
}

impl AuditDraft {
    fn take(&mut self, line: AuditLine) -> Result<(), AuditError> {
        self.line += 1;
        // A key that stands twice would hide a second order behind the first: it is an error, never the last one's win.
        let repeated = match line {
            AuditLine::Meta(meta) => self.meta.replace(meta).is_some(),
            AuditLine::Sale(sale) => self.sale.replace(sale).is_some(),
            AuditLine::Sku(sku) => self.skus.insert(sku.sku, sku).is_some(),
            AuditLine::Shard(shard) => self.shards.insert(shard.k, shard).is_some(),
            AuditLine::Stock(stock) => self.stock.insert((stock.k, stock.sku), stock).is_some(),
            AuditLine::Order(order) => self.orders.insert(order.id, order).is_some(),
            AuditLine::Payment(payment) => self.payments.insert(payment.id, payment).is_some(),
            AuditLine::Quota(quota) => self.quotas.insert((quota.k, quota.user), quota.live).is_some(),
            AuditLine::Memory(memory) => self.memories.insert(memory.k, memory).is_some(),
            AuditLine::Log(log) => self.logs.insert(log.k, log).is_some(),
            // The same task in two places is the oracle's business (S13), not a malformed audit.
            AuditLine::Delay(delay) => {
                self.delay.push(delay);
                false
            }
        };
        if repeated { Err(self.error("this row stands in the audit twice")) } else { Ok(()) }
    }

    fn error(&self, what: &str) -> AuditError {
        AuditError { line: self.line, what: what.to_owned() }
    }

    fn finish(mut self) -> Result<Audit, AuditError> {
        self.line += 1;
        let meta = self.meta.take().ok_or_else(|| self.error("there is no row \"meta\""))?;
        let sale = self.sale.take().ok_or_else(|| self.error("there is no row \"sale\""))?;
        if meta.sale != sale.id {
            return Err(self.error("the rows \"meta\" and \"sale\" name different sales"));
        }
        Ok(Audit {
            memories: meta.memories.then_some(self.memories),
            logs: meta.logs.then_some(self.logs),
            delay: meta.delay.then_some(self.delay),
            meta,
            sale,
            skus: self.skus,
            shards: self.shards,
            stock: self.stock,
            orders: self.orders,
            payments: self.payments,
            quotas: self.quotas,
        })
    }
}
