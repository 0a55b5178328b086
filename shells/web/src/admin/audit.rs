//! The audit: every row of a sale from one snapshot, streamed as JSON lines.

use crate::api::{Api, Shared};
use crate::extract::{Admin, Names};
use crate::problem::{Answer, Problem};
use crate::reply::{BrokenOff, Pieces, stream};
use async_trait::async_trait;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use bytes::Bytes;
use doorbuster_core::database::rows::SaleRow;
use doorbuster_core::database::tables::{Reads, Rows};
use doorbuster_core::ids::{SaleId, ShardId, UserId};
use doorbuster_core::oracle::audit::{
    AuditLine, CounterLine, DelayLine, LogLine, MemoryLine, MetaLine, QuotaLine, lines,
};
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::drive::spawn;
use doorbuster_runtime::ports::ledger::ServerView;
use doorbuster_runtime::ports::store::Snapshot;
use http::header::CONTENT_TYPE;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Orders of one page: some hundred kilobytes of text.
const PAGE_MAX: usize = 500;

/// What only the adapters know of a sale. `None` means that it cannot be told now; the audit says so.
#[async_trait]
pub trait Depths: Send + Sync + 'static {
    /// Ends of the shards' durable logs.
    async fn logs(&self, sale: SaleId) -> Option<Vec<LogLine>>;
    /// Tasks of the delay queue.
    async fn delay(&self, sale: SaleId) -> Option<Vec<DelayLine>>;
    /// Outbox rows that were not delivered to everyone yet.
    async fn outbox_unsent(&self) -> Option<u64>;
}

/// `GET /admin/v1/sales/{sale}/audit`
pub async fn stream_audit(State(api): State<Shared>, _: Admin, names: Names) -> Answer {
    let sale = names.sale()?;
    let snapshot = api.snapshot().await?;
    let rows = snapshot.read(Reads { sales: [sale].into(), ranges: [sale].into(), ..Reads::default() }).await?;
    let Some(row) = rows.sales.get(&sale).cloned() else { return Err(crate::problem::Slug::UnknownSale.into()) };
    let (pieces, body) = stream();
    spawn(async move {
        let export = Export { api: &api, snapshot: &snapshot, pieces: &pieces };
        if export.run(row, rows).await.is_err() {
            // A reader who left does not notice; one who waits must not take half an audit for a whole one.
            drop(pieces.send(None).await);
        }
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::new(body)).into_response())
}

struct Export<'a> {
    api: &'a Api,
    snapshot: &'a Arc<dyn Snapshot>,
    pieces: &'a Pieces,
}

/// What lies beside the rows, read before them: the head says what there is.
struct Beside {
    memories: Option<Vec<MemoryLine>>,
    logs: Option<Vec<LogLine>>,
    delay: Option<Vec<DelayLine>>,
    outbox_unsent: Option<u64>,
}

impl Export<'_> {
    async fn run(&self, sale: SaleRow, mut rows: Rows) -> Result<(), BrokenOff> {
        let beside = self.beside(&sale).await;
        let skus = rows.ranges.remove(&sale.id).unwrap_or_default().skus;
        let shards: Vec<ShardId> = (0..sale.shards).map(|k| ShardId { sale: sale.id, k }).collect();
        let reads = Reads {
            skus: skus.iter().map(|sku| (sale.id, *sku)).collect(),
            stock: shards.iter().flat_map(|shard| skus.iter().map(|sku| (*shard, *sku))).collect(),
            shards: shards.iter().copied().collect(),
            ..Reads::default()
        };
        rows.absorb(self.read(reads).await?);
        let meta = MetaLine {
            sale: sale.id,
            at: self.snapshot.taken_at(),
            memories: beside.memories.is_some(),
            logs: beside.logs.is_some(),
            delay: beside.delay.is_some(),
            outbox_unsent: beside.outbox_unsent,
        };
        self.send(lines(meta, &rows)).await?;
        for shard in shards {
            self.orders(shard).await?;
        }
        self.payments(sale.id).await?;
        let memories = beside.memories.into_iter().flatten().map(AuditLine::Memory);
        let logs = beside.logs.into_iter().flatten().map(AuditLine::Log);
        let delay = beside.delay.into_iter().flatten().map(AuditLine::Delay);
        self.send(memories.chain(logs).chain(delay).collect()).await
    }

    async fn beside(&self, sale: &SaleRow) -> Beside {
        let mut memories = Some(Vec::new());
        for k in 0..sale.shards {
            match self.api.ports.ledger.inspect(ShardId { sale: sale.id, k }).await {
                Outcome::Done(view) => memories.iter_mut().for_each(|lines| lines.extend(memory_line(k, &view))),
                // Nobody serves it, or nobody answers: what is missing is not told as absent.
                Outcome::Refused(_) | Outcome::Unknown => memories = None,
            }
        }
        let Some(depths) = &self.api.ports.depths else {
            return Beside { memories, logs: None, delay: None, outbox_unsent: None };
        };
        let (logs, delay) = (depths.logs(sale.id).await, depths.delay(sale.id).await);
        Beside { memories, logs, delay, outbox_unsent: depths.outbox_unsent().await }
    }

    /// All payments of the sale, the declined, late and second ones included. Payments are not kept by sale: an audit
    /// looks at every one of the platform.
    async fn payments(&self, sale: SaleId) -> Result<(), BrokenOff> {
        let mut after = None;
        loop {
            let page = self.snapshot.payments(after, PAGE_MAX).await.map_err(|_| BrokenOff)?;
            after = page.last().map(|payment| payment.id);
            let whole = page.len() == PAGE_MAX;
            let of_sale = page.into_iter().filter(|payment| payment.order.shard.sale == sale);
            self.send(of_sale.map(AuditLine::Payment).collect()).await?;
            if !whole {
                return Ok(());
            }
        }
    }

    async fn orders(&self, shard: ShardId) -> Result<(), BrokenOff> {
        let mut users: BTreeSet<UserId> = BTreeSet::new();
        let mut after = None;
        loop {
            let page = self.snapshot.orders(shard, after, PAGE_MAX).await.map_err(|_| BrokenOff)?;
            let newcomers: BTreeSet<_> =
                page.iter().map(|row| row.user.clone()).filter(|user| users.insert(user.clone())).collect();
            let quotas = newcomers.into_iter().map(|user| (shard, user)).collect();
            let rows = self.read(Reads { quotas, ..Reads::default() }).await?;
            let mut out: Vec<AuditLine> = page.iter().map(AuditLine::from).collect();
            out.extend(
                rows.quotas
                    .into_iter()
                    .map(|((shard, user), row)| AuditLine::Quota(QuotaLine { k: shard.k, user, live: row.live })),
            );
            self.send(out).await?;
            match page.last() {
                Some(last) if page.len() == PAGE_MAX => after = Some(last.id.reservation),
                Some(_) | None => return Ok(()),
            }
        }
    }

    async fn read(&self, reads: Reads) -> Result<Rows, BrokenOff> {
        self.snapshot.read(reads).await.map_err(|unavailable| {
            let _: Problem = unavailable.into();
            BrokenOff
        })
    }

    async fn send(&self, lines: Vec<AuditLine>) -> Result<(), BrokenOff> {
        let mut text = Vec::with_capacity(256 * lines.len());
        for line in lines {
            serde_json::to_writer(&mut text, &line).expect("a line is plain data");
            text.push(b'\n');
        }
        if text.is_empty() {
            return Ok(());
        }
        self.pieces.send(Some(Bytes::from(text))).await.map_err(|_| BrokenOff)
    }
}

/// A memory's counters; its pages are not scanned here.
fn memory_line(k: u16, view: &ServerView) -> Option<MemoryLine> {
    let meta = view.meta?;
    let counters = view.counters.iter().map(|(sku, counter)| CounterLine::of(*sku, counter)).collect();
    Some(MemoryLine {
        k,
        server: view.server,
        nonce: meta.nonce,
        epoch: meta.epoch,
        state: meta.state,
        seq: meta.seq,
        acked: meta.acked,
        counters,
        scan: None,
    })
}
