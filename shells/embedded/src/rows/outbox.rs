//! The outbox on disk: one value per topic and transaction, so that a batch of a thousand orders costs a few keys.

use super::key;
use super::store::Shelf;
use doorbuster_core::database::event::{Event, Topic};
use fjall::Readable;
use serde::{Deserialize, Serialize};

/// A topic's byte in keys, never reused. The belt's tables (13 and 14) stand in the same keyspace.
pub trait TopicCode {
    /// The byte.
    fn code(&self) -> u8;
}

impl TopicCode for Topic {
    fn code(&self) -> u8 {
        match self {
            Topic::Orders => 1,
            Topic::Timeouts => 2,
            Topic::ShardDown => 3,
            Topic::Payments => 4,
            Topic::Catalog => 5,
            Topic::Sales => 6,
        }
    }
}

/// The events of one transaction in one topic.
#[derive(Serialize, Deserialize)]
pub struct Batch {
    /// In the order in which the decision emitted them.
    pub events: Vec<Event>,
}

/// The next free offset of each topic, in the order of `Topic::ALL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends(pub [u64; Topic::ALL.len()]);

impl Ends {
    /// Nothing was ever written.
    pub const EMPTY: Ends = Ends([1; Topic::ALL.len()]);

    /// The next free offset of this topic.
    pub fn of(&self, topic: Topic) -> u64 {
        self.0[index(topic)]
    }

    /// Moves the end of this topic.
    pub fn advance(&mut self, topic: Topic, count: u64) {
        self.0[index(topic)] += count;
    }
}

fn index(topic: Topic) -> usize {
    usize::from(topic.code()) - 1
}

/// Batches of one trim: some milliseconds of work, so that no command waits long behind it.
const TRIM_BATCHES_MAX: usize = 512;

/// Removes batches that end before this offset, the oldest first, and moves `trimmed` to what is the oldest then. The
/// last batch of a topic always stays: from it the next start learns where the topic ends.
pub fn trim(shelf: &Shelf, topic: Topic, trimmed: &mut Ends, before: u64) -> Result<(), fjall::Error> {
    let snapshot = shelf.database.snapshot();
    let mut batch = shelf.database.batch();
    let mut older: Option<Vec<u8>> = None;
    // From where the last trim ended: removed keys cost a look each until the store has compacted them.
    let range = key::outbox(topic, trimmed.of(topic))..=key::outbox(topic, before);
    for guard in snapshot.range(&shelf.outbox, range).take(TRIM_BATCHES_MAX) {
        let found = guard.key()?.to_vec();
        let first = u64::from_be_bytes(found[1..9].try_into().expect("an outbox key is a byte and a number"));
        // A batch ends where the next one begins, and that one begins at or before the bound.
        if let Some(ended) = older.replace(found) {
            batch.remove(&shelf.outbox, ended);
            trimmed.advance(topic, first - trimmed.of(topic));
        }
    }
    batch.commit()
}
