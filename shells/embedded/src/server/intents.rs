//! The shard's log is the `intents` partition: what the server's thread appends, intake reads.

use super::call::Call;
use super::port::ask;
use super::thread::PARTITION;
use crate::log::{LogReader, Position};
use crate::rows::RowsStore;
use async_trait::async_trait;
use doorbuster_core::ids::{Epoch, ShardId};
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::ports::intents::{Delivery, Intents};
use doorbuster_runtime::ports::{Offset, Unavailable};
use tokio::sync::{mpsc, watch};

/// Bytes of one poll: some hundred groups, far below what a read of a segment costs in memory.
const POLL_BYTES_MAX: usize = 4 << 20;

/// The log as intake reads it.
#[derive(Clone)]
pub struct LogIntents {
    reader: LogReader,
    synced: watch::Receiver<u64>,
    calls: mpsc::Sender<Call>,
    store: RowsStore,
}

impl LogIntents {
    pub(super) fn new(
        reader: LogReader,
        synced: watch::Receiver<u64>,
        calls: mpsc::Sender<Call>,
        store: RowsStore,
    ) -> LogIntents {
        LogIntents { reader, synced, calls, store }
    }

    /// Records that are synced and not yet committed by intake.
    pub fn lag(&self) -> Result<u64, Unavailable> {
        Ok(self.reader.last(PARTITION).0.saturating_sub(self.store.intents_offset()?))
    }

    fn read(&self, after: Offset, limit: usize) -> Result<Vec<Delivery>, Unavailable> {
        let from = Position(after.0 + 1).max(self.reader.first(PARTITION));
        let records = self.reader.read(PARTITION, from, POLL_BYTES_MAX).map_err(|e| Unavailable(e.to_string()))?;
        let delivery = |record: crate::log::Record| Delivery {
            offset: Offset(record.position.0),
            intent: postcard::from_bytes(&record.payload).map_err(|_| record.payload),
        };
        Ok(records.into_iter().take(limit).map(delivery).collect())
    }
}

#[async_trait]
impl Intents for LogIntents {
    fn partitions(&self) -> u32 {
        1
    }

    async fn committed(&self, _partition: u32) -> Result<Offset, Unavailable> {
        self.store.intents_offset().map(Offset)
    }

    async fn poll(&self, _partition: u32, after: Offset, limit: usize) -> Result<Vec<Delivery>, Unavailable> {
        let mut synced = self.synced.clone();
        let ended = |_| Unavailable("the log's writer has stopped".to_owned());
        synced.wait_for(|last| *last > after.0).await.map_err(ended)?;
        self.read(after, limit)
    }

    async fn commit(&self, _partition: u32, offset: Offset) -> Result<(), Unavailable> {
        self.store.put_intents_offset(offset.0).await
    }

    async fn seal(&self, shard: ShardId, epoch: Epoch) -> Outcome<(), Unavailable> {
        match ask(&self.calls, |answer| Call::AppendSeal(shard, epoch, answer)).await {
            Some(()) => Outcome::Done(()),
            // Appended or not; a second seal of the same epoch is passed over by intake.
            None => Outcome::Unknown,
        }
    }
}
