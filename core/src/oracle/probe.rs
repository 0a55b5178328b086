//! What a simulated or instrumented service reports beside its answers: the order of effects, which no final state shows.

use crate::ids::{Epoch, Nonce, OrderId, ReservationId, Seq, ServerId, ShardId, Version};
use crate::oracle::audit::text;
use crate::order::status::Status;
use crate::relay::partitions::{CommitTime, StreamToken};
use crate::time::Wall;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One effect, reported when it took place. A stream of probes is complete and in the order of the effects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "probe", rename_all = "kebab-case")]
pub enum Probe {
    /// The durable log acknowledged this entry.
    Published {
        /// Of which shard.
        shard: ShardId,
        /// Of which epoch.
        epoch: Epoch,
        /// Its place.
        seq: Seq,
    },
    /// The same of one reservation in the entry.
    ReservationPublished {
        /// Of which shard.
        shard: ShardId,
        /// Of which epoch.
        epoch: Epoch,
        /// The entry's place.
        seq: Seq,
        /// Which, and with it which key of which user.
        id: ReservationId,
    },
    /// The shard's own log was told that this entry is dealt with.
    EntryAcked {
        /// Of which shard.
        shard: ShardId,
        /// Of which epoch.
        epoch: Epoch,
        /// Its place.
        seq: Seq,
    },
    /// A transaction that decided this entry was committed.
    EntryDecided {
        /// Of which shard.
        shard: ShardId,
        /// Of which epoch.
        epoch: Epoch,
        /// Its place.
        seq: Seq,
        /// The row's epoch in that transaction.
        row_epoch: Epoch,
        /// Orders that took units.
        created: u32,
    },
    /// The consumer said that it needs nothing up to this entry again.
    OffsetCommitted {
        /// Of which shard.
        shard: ShardId,
        /// Of which epoch.
        epoch: Epoch,
        /// Last entry before the offset.
        seq: Seq,
    },
    /// An order's row was written by a committed transaction.
    OrderMoved {
        /// Which.
        order: OrderId,
        /// Where it stood; `None` when the row is new.
        from: Option<Status>,
        /// Where it stands.
        to: Status,
        /// The row's version now.
        version: Version,
        /// End of the pay window before the change.
        expires_at: Wall,
        /// The database's clock in the transaction.
        at: Wall,
    },
    /// An outbox row about an order was committed.
    OutboxInserted {
        /// Which order.
        order: OrderId,
        /// Which version of it.
        version: Version,
    },
    /// An event about an order reached its topic.
    EventPublished {
        /// Which order.
        order: OrderId,
        /// Which version of it.
        version: Version,
    },
    /// A committed outbox row stands in a partition of the change stream.
    RecordAppended {
        /// In which partition.
        partition: StreamToken,
        /// Under this commit time.
        at: CommitTime,
        /// A fingerprint of what it tells: two rows that tell the same have the same.
        record: u64,
    },
    /// An event reached its topic.
    RecordSent {
        /// A fingerprint of what it tells.
        record: u64,
    },
    /// A relay reads a partition of the change stream for the first time.
    PartitionRead {
        /// Which.
        partition: StreamToken,
        /// What the stream itself says goes before it.
        parents: BTreeSet<StreamToken>,
    },
    /// A checkpoint was committed: a relay that begins now reads this partition from here on, inclusive.
    PartitionMarked {
        /// Which.
        partition: StreamToken,
        /// Where the next relay begins.
        watermark: CommitTime,
    },
    /// A checkpoint was committed: nobody reads this partition any more.
    PartitionFinished {
        /// Which.
        partition: StreamToken,
    },
    /// An event about an order changed a reader's state.
    EventApplied {
        /// Which reader.
        reader: u32,
        /// Which order.
        order: OrderId,
        /// Which version of it.
        version: Version,
    },
    /// A page was ended and its units were given back.
    UnitsReleased {
        /// In which shard.
        shard: ShardId,
        /// On whose server: what is promoted or started again is another memory of the epoch, and may lack what was
        /// given back in the first one.
        #[serde(with = "text::server")]
        server: ServerId,
        /// In the memory of which epoch.
        epoch: Epoch,
        /// Whose.
        id: ReservationId,
    },
    /// A task of the delay queue became ready.
    TaskScheduled {
        /// Which.
        task: OrderId,
    },
    /// A worker got a task.
    Claimed {
        /// Which.
        task: OrderId,
        /// Under this token, which is used once.
        token: u64,
    },
    /// A claim ran out and the task became ready again.
    Recovered {
        /// Which.
        task: OrderId,
    },
    /// A worker said that the task is done.
    Completed {
        /// Which.
        task: OrderId,
        /// Under this token.
        token: u64,
        /// Whether the queue took its word.
        accepted: bool,
    },
    /// A server's memory began to sell.
    EpochOpened {
        /// Which shard.
        shard: ShardId,
        /// Which epoch.
        epoch: Epoch,
        /// Which loading of it.
        nonce: Nonce,
    },
}
