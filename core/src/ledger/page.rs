//! A user's page: what one shard remembers of one buyer.

use super::basket::{Basket, BodyHash};
use crate::ids::{Epoch, ReservationId, Seq};
use crate::limits::KEYS_MAX;
use crate::time::Wall;
use serde::{Deserialize, Serialize};

/// The records of one user in one shard: at most [`KEYS_MAX`] accepted keys, the ended ones included,
/// so that an acceptance is replayed word for word for as long as the sale lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Page {
    records: Vec<Record>,
}

/// One accepted reservation as its shard remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// Which.
    pub id: ReservationId,
    /// Fingerprint of the request.
    pub body: BodyHash,
    /// What was taken.
    pub basket: Basket,
    /// Whether it still holds its units.
    pub state: RecordState,
    /// Where and when it was accepted; part of the receipt, so it outlives a rebuild.
    pub acceptance: Acceptance,
}

/// Whether a record holds units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RecordState {
    /// It does.
    Live,
    /// It did; they were given back.
    Ended,
}

/// What is promised by an acceptance; replayed unchanged to every retry of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Acceptance {
    /// Memory that accepted it.
    pub epoch: Epoch,
    /// Entry that carries it.
    pub seq: Seq,
    /// When, by the shard's server.
    pub reserved_at: Wall,
}

impl Page {
    /// The record of this reservation.
    pub fn find(&self, id: ReservationId) -> Option<&Record> {
        self.records.iter().find(|record| record.id == id)
    }

    /// All records, oldest first.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Whether a further key would be one too many.
    pub fn is_full(&self) -> bool {
        self.records.len() >= KEYS_MAX
    }

    /// Units that its live records hold, over all SKUs.
    pub fn live_units(&self) -> u32 {
        self.records.iter().filter(|record| record.state == RecordState::Live).map(|record| record.basket.units()).sum()
    }

    pub(super) fn insert(&mut self, record: Record) {
        assert!(self.find(record.id).is_none(), "a key has one record");
        // Most users have one record: room for four, a vector's first step, would be most of a shard's memory.
        self.records.reserve_exact(1);
        self.records.push(record);
    }

    /// Ends a live record and returns its basket; `None` when it is missing or has ended already.
    pub(super) fn end(&mut self, id: ReservationId) -> Option<Basket> {
        let record = self.records.iter_mut().find(|record| record.id == id)?;
        if record.state == RecordState::Ended {
            return None;
        }
        record.state = RecordState::Ended;
        Some(record.basket.clone())
    }
}
