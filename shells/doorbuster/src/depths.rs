//! What lies beneath the rows of the embedded platform, for audits.

use async_trait::async_trait;
use doorbuster_core::ids::{SaleId, ShardId};
use doorbuster_core::oracle::audit::{DelayLine, DelayPlace, LogLine};
use doorbuster_core::outcome::Outcome;
use doorbuster_embedded::rows::RowsFeed;
use doorbuster_embedded::server::MemoryDelayQueue;
use doorbuster_runtime::ports::ledger::Ledger;
use doorbuster_runtime::ports::store::Store;
use doorbuster_runtime::roles::{payment, reaper, settler};
use doorbuster_web::admin::audit::Depths;
use std::sync::Arc;

/// The embedded adapters, as an audit asks them.
pub struct EmbeddedDepths {
    /// The rows.
    pub store: Arc<dyn Store>,
    /// The shards' server.
    pub ledger: Arc<dyn Ledger>,
    /// The delay queue.
    pub delay: MemoryDelayQueue,
    /// The outbox.
    pub feed: RowsFeed,
}

#[async_trait]
impl Depths for EmbeddedDepths {
    async fn logs(&self, sale: SaleId) -> Option<Vec<LogLine>> {
        let sales = self.store.snapshot().await.ok()?.sales().await.ok()?;
        let shards = sales.iter().find(|row| row.id == sale)?.shards;
        let mut ends = Vec::new();
        for k in 0..shards {
            // The server answers behind the sync of everything that it has written: its memory's end is the log's.
            match self.ledger.inspect(ShardId { sale, k }).await {
                Outcome::Done(view) => {
                    ends.extend(view.meta.map(|meta| LogLine { k, epoch: meta.epoch, seq: meta.seq }));
                }
                Outcome::Refused(_) | Outcome::Unknown => return None,
            }
        }
        Some(ends)
    }

    async fn delay(&self, sale: SaleId) -> Option<Vec<DelayLine>> {
        let of_sale = self.delay.tasks().into_iter().filter(|(order, ..)| order.shard.sale == sale);
        let line = |(order, due_at, token): (_, _, Option<_>)| DelayLine {
            order,
            place: if token.is_some() { DelayPlace::Processing } else { DelayPlace::Ready },
            due_at,
            owner: token.map(|token: doorbuster_core::delay::queue::Token| token.0),
        };
        Some(of_sale.map(line).collect())
    }

    async fn outbox_unsent(&self) -> Option<u64> {
        let readers = [reaper::READER, settler::READER, payment::READER];
        readers.iter().map(|reader| self.feed.unsent(reader.group, reader.topic).ok()).sum()
    }
}
