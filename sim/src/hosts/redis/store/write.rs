use doorbuster_core::time::Wall;

use super::stream::StreamId;
use crate::hosts::redis::Bytes;

/// One change of the data set with nothing left to decide: what the log keeps and a replica receives.
///
/// A script is replicated by what it did and not by its text, so every change names values and times that are
/// already computed, and applying the same changes to equal data sets gives equal data sets.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// A string, in place of whatever was there.
    SetString { key: Bytes, value: Bytes, expires_at: Option<Wall> },
    /// One field of a hash.
    SetField { key: Bytes, field: Bytes, value: Bytes },
    /// One field less.
    RemoveField { key: Bytes, field: Bytes },
    /// One member of a sorted set.
    SetScore { key: Bytes, member: Bytes, score: f64 },
    /// One member less.
    RemoveMember { key: Bytes, member: Bytes },
    /// One entry at the end of a stream.
    Append { key: Bytes, id: StreamId, fields: Vec<Bytes> },
    /// No entries below this id any more.
    TrimBelow { key: Bytes, id: StreamId },
    /// A group of readers; the stream too where it is missing.
    CreateGroup { key: Bytes, group: Bytes, last_delivered: StreamId },
    /// A reader of a group, or that it was seen again.
    SeeConsumer { key: Bytes, group: Bytes, consumer: Bytes, at: Wall },
    /// How far a group has read.
    AdvanceGroup { key: Bytes, group: Bytes, last_delivered: StreamId, entries_read: Option<u64> },
    /// An entry is now in this consumer's hands.
    Deliver { key: Bytes, group: Bytes, consumer: Bytes, id: StreamId, delivered_at: Wall, deliveries: u64 },
    /// An entry is in nobody's hands any more.
    Acknowledge { key: Bytes, group: Bytes, id: StreamId },
    /// A key less.
    Delete { key: Bytes },
    /// The time at which a key goes.
    Expire { key: Bytes, at: Wall },
    /// Nothing is left.
    Flush,
}
