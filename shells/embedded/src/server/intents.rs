//! The shard's log is the `intents` partition: what the server's thread appends, intake reads.

use super::call::Call;
use super::port::ask;
use super::thread::PARTITION;
use crate::log::{LogError, LogReader, Position};
use crate::rows::RowsStore;
use crate::wait::{Waited, until};
use async_trait::async_trait;
use doorbuster_core::ids::{Epoch, Seq, ShardId};
use doorbuster_core::inbox::{NotAssigned, Record};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::ports::drain::Drain;
use doorbuster_runtime::ports::group::{Assignment, Group};
use doorbuster_runtime::ports::{Offset, Partition, Unavailable};
use tokio::sync::{mpsc, watch};

/// Bytes of one poll: some hundred groups, far below what a read of a segment costs in memory.
const POLL_BYTES_MAX: usize = 4 << 20;

/// Decided records are given up in portions of this many: each costs a sync of the rows.
const PURGE_RECORDS: u64 = 16_384;

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

    /// Decided records go once the rows that they became are durable; until then they are what the rows are made from.
    async fn give_up_decided(&self, next: Offset) {
        if next.0.saturating_sub(self.reader.first(PARTITION).0) < PURGE_RECORDS {
            return;
        }
        // A failure only keeps the records longer.
        if self.store.sync().await.is_ok() {
            let _ = self.calls.send(Call::Purge(next.0)).await;
        }
    }
}

/// Synced records from a position on, as intake takes them: at most `limit`, and what was purged is passed over.
///
/// # Errors
/// [`LogError::Damaged`] and [`LogError::Io`] from the disk; nothing is known of the records then.
pub fn read_intents(reader: &LogReader, from: Offset, limit: usize) -> Result<Vec<Record<Intent>>, LogError> {
    let from = Position(from.0).max(reader.first(PARTITION));
    let records = reader.read(PARTITION, from, POLL_BYTES_MAX)?;
    let parse = |record: crate::log::Record| match postcard::from_bytes(&record.payload) {
        Ok(intent) => Record::Delivered(Offset(record.position.0), intent),
        Err(_) => Record::Undecodable(Offset(record.position.0)),
    };
    Ok(records.into_iter().take(limit).map(parse).collect())
}

#[async_trait]
impl Group<Intent> for LogIntents {
    async fn assigned(&self, generation: u64) -> Result<Assignment, Unavailable> {
        Ok(Assignment::alone(generation, Offset(self.store.intents_offset()? + 1)).await)
    }

    async fn fetch(
        &self,
        _partition: Partition,
        from: Offset,
        limit: usize,
    ) -> Outcome<Vec<Record<Intent>>, NotAssigned> {
        let mut synced = self.synced.clone();
        match until(synced.wait_for(|last| *last >= from.0)).await {
            Waited::Ready => read_intents(&self.reader, from, limit).map_or(Outcome::Unknown, Outcome::Done),
            Waited::TimedOut => Outcome::Done(Vec::new()),
            Waited::Ended => Outcome::Unknown,
        }
    }

    async fn commit(&self, _partition: Partition, next: Offset) -> Outcome<(), NotAssigned> {
        // Not kept or kept: an older offset only makes intake pass over what it has decided.
        if self.store.put_intents_offset(next.0 - 1).await.is_err() {
            return Outcome::Unknown;
        }
        self.give_up_decided(next).await;
        Outcome::Done(())
    }

    async fn set_aside(&self, _partition: Partition, offset: Offset) -> Outcome<(), NotAssigned> {
        let Ok(records) = self.reader.read(PARTITION, Position(offset.0), 1) else { return Outcome::Unknown };
        let bytes = records.into_iter().next().map(|record| record.payload).unwrap_or_default();
        tracing::error!(offset = offset.0, ?bytes, "a record of the log is no intent: it is kept with the rows");
        self.store.put_dead_letter(offset.0, bytes).await.map_or(Outcome::Unknown, Outcome::Done)
    }
}

#[async_trait]
impl Drain for LogIntents {
    async fn drain(&self, shard: ShardId, epoch: Epoch, _last: Option<Seq>) -> Outcome<(), Unavailable> {
        // What the memory wrote is in this log already: only the seal is missing.
        match ask(&self.calls, |answer| Call::AppendSeal(shard, epoch, answer)).await {
            Some(()) => Outcome::Done(()),
            // Appended or not; a second seal of the same epoch is passed over by intake.
            None => Outcome::Unknown,
        }
    }
}
