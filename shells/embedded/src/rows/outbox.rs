//! The outbox on disk: one value per topic and transaction, so that a batch of a thousand orders costs a few keys.

use doorbuster_core::database::event::{Event, Topic};
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
