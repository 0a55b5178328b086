//! The database behind its port: a command is one transaction, a read is one state.

use crate::connection::{Connection, within};
use crate::read::{Reader, most};
use crate::rows::{Cells, order_key};
use crate::snapshot::SpannerSnapshot;
use crate::trouble::Trouble;
use crate::value::{number, time};
use crate::write::mutations;
use async_trait::async_trait;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::decide::{decide, reads};
use doorbuster_core::database::tables::{Reads, Rows, View};
use doorbuster_core::ids::{ShardId, Version};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::store::{Due, Snapshot, Store};
use google_cloud_spanner::key::{Key, KeyRange};
use google_cloud_spanner::read::ReadRequest;
use google_cloud_spanner::transaction::ReadWriteTransaction;
use google_cloud_spanner::value::Value;
use std::sync::Arc;

/// Rounds of reads of one decision: two are enough for every command, so more are a fault of ours.
const ROUNDS_MAX: usize = 4;

/// Rows that somebody may wait for: a basket's lines, a page of a shop. Whoever reads more works in the background.
const FEW_MAX: usize = 128;

/// The rows in Spanner.
#[derive(Clone)]
pub struct SpannerStore {
    connection: Connection,
}

impl SpannerStore {
    /// Over this connection, whose schema must be this program's.
    pub fn new(connection: Connection) -> SpannerStore {
        SpannerStore { connection }
    }
}

/// One attempt at a command. Nothing is buffered of what is refused.
async fn attempt(
    connection: Connection,
    transaction: ReadWriteTransaction,
    command: Arc<Command>,
) -> Result<Result<Reply, Refusal>, Trouble> {
    let reader = Reader::Writing(&transaction);
    let mut view = View::default();
    let wanted = reads(&command, &view);
    // The clock is read beside the first rows: it costs no round trip of its own.
    let (at, rows) = tokio::try_join!(reader.clock(), reader.rows(&wanted))?;
    view.absorb(wanted, rows);
    for round in 1.. {
        let wanted = reads(&command, &view);
        if wanted.is_empty() {
            break;
        }
        assert!(round < ROUNDS_MAX, "a decision asks for rows again and again");
        let rows = reader.rows(&wanted).await?;
        view.absorb(wanted, rows);
    }
    let decision = match decide(&view, &command, at) {
        Ok(decision) => decision,
        Err(refusal) => return Ok(Err(refusal)),
    };
    match mutations(&view, decision.change, &connection.draw()) {
        Ok(mutations) => transaction.buffer(mutations)?,
        Err(refusal) => return Ok(Err(refusal)),
    }
    Ok(Ok(decision.reply))
}

#[async_trait]
impl Store for SpannerStore {
    async fn apply(&self, command: Command) -> Outcome<Reply, Refusal> {
        let (connection, command) = (self.connection.clone(), Arc::new(command));
        let work = move |transaction| -> crate::transaction::Work<_> {
            Box::pin(attempt(connection.clone(), transaction, command.clone()))
        };
        match self.connection.transact("apply", work).await {
            Ok(Ok(reply)) => Outcome::Done(reply),
            Ok(Err(refusal)) => Outcome::Refused(refusal),
            Err(trouble) => {
                tracing::warn!(%trouble, "nobody knows whether a transaction was committed");
                Outcome::Unknown
            }
        }
    }

    async fn read(&self, reads: Reads) -> Result<Rows, Unavailable> {
        let config = self.connection.config();
        let limit_ms = if reads.len() <= FEW_MAX { config.read_ms } else { config.scan_ms };
        let rows = within(limit_ms, async {
            let moment = self.connection.snapshot_now().await?;
            Reader::Snapshot(&moment).rows(&reads).await
        });
        Ok(rows.await?)
    }

    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Unavailable> {
        let moment = self.connection.snapshot_now().await?;
        Ok(Arc::new(SpannerSnapshot::new(moment, self.connection.config().scan_ms)))
    }

    async fn due(
        &self,
        shard: ShardId,
        before: Wall,
        after: Option<Due>,
        limit: usize,
    ) -> Result<Vec<Due>, Unavailable> {
        let request = ReadRequest::builder("orders", ["sale", "k", "reservation", "due_at", "version"])
            .with_index("orders_due", due_range(shard, before, after))
            .set_limit(most(limit))
            .build();
        let due = within(self.connection.config().read_ms, async {
            let mut found = self.connection.reads().single_use().build().execute_read(request).await?;
            let mut due = Vec::new();
            while let Some(row) = found.next().await {
                let row = row?;
                let mut cells = Cells::of("orders_due", row.raw_values());
                let (order, expires_at) = (cells.order()?, cells.time()?);
                due.push(Due { expires_at, order, version: Version(cells.number()?) });
            }
            Ok(due)
        });
        Ok(due.await?)
    }
}

/// The index's keys are (sale, k, due_at, reservation): behind a place, and before a time.
fn due_range(shard: ShardId, before: Wall, after: Option<Due>) -> KeyRange {
    let at = |at: Wall| -> Vec<Value> { of_shard(shard).into_iter().chain([time(at)]).collect() };
    let end = Key::new(at(before));
    match after {
        Some(after) => {
            let reservation = order_key(shard, after.order.reservation).pop().expect("a key has columns");
            let place = at(after.expires_at).into_iter().chain([reservation]).collect();
            KeyRange::open_open(Key::new(place), end)
        }
        None => KeyRange::closed_open(Key::new(of_shard(shard)), end),
    }
}

/// A whole shard's rows.
pub(crate) fn of_shard(shard: ShardId) -> Vec<Value> {
    vec![shard.sale.as_str().into(), number(shard.k.into())]
}
