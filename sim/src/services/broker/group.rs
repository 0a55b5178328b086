//! A group of consumers: who has which partition, and which place of it is kept.

use super::PARTITIONS;
use super::log::TopicId;
use doorbuster_core::database::event::Topic;
use doorbuster_core::inbox::{NotAssigned, Offset, Partition};
use doorbuster_core::time::Mono;
use std::collections::BTreeMap;

/// A member says that it is there at least this often.
pub const BEAT_MS: u64 = 3_000;
/// A member that was silent for so long is out: as long as a lease.
pub const SESSION_MS: u64 = 10_000;

/// A group of one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Reads intents.
    Intake,
    /// Reads ends of pay windows.
    Reaper,
    /// Reads what goes down to shards.
    Settler,
    /// Reads payments that need work.
    Payment,
    /// Reads changes of products, for caches.
    Invalidator,
    /// Reads what was sold.
    Sales,
    /// Reads changes of products and of their sales, for search.
    Indexer,
}

impl Group {
    /// All of them.
    pub const ALL: [Group; 7] = [
        Group::Intake,
        Group::Reaper,
        Group::Settler,
        Group::Payment,
        Group::Invalidator,
        Group::Sales,
        Group::Indexer,
    ];

    /// What it reads.
    pub fn topic(self) -> TopicId {
        match self {
            Group::Intake => TopicId::Intents,
            Group::Reaper => TopicId::Outbox(Topic::Timeouts),
            Group::Settler => TopicId::Outbox(Topic::ShardDown),
            Group::Payment => TopicId::Outbox(Topic::Payments),
            Group::Invalidator | Group::Indexer => TopicId::Outbox(Topic::Catalog),
            Group::Sales => TopicId::Outbox(Topic::Sales),
        }
    }

    /// The role whose instances it is made of.
    pub fn role(self) -> &'static str {
        match self {
            Group::Intake => "intake",
            Group::Reaper => "reaper",
            Group::Settler => "settler",
            Group::Payment => "payment",
            Group::Invalidator => "invalidator",
            Group::Sales => "sales",
            Group::Indexer => "indexer",
        }
    }
}

/// The members of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    seen: BTreeMap<u64, Mono>,
    generation: u64,
    turn: u64,
    owners: BTreeMap<Partition, u64>,
    committed: BTreeMap<Partition, Offset>,
}

impl Members {
    /// The number of the present assignment.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// A member is there.
    pub fn attend(&mut self, now: Mono, member: u64) {
        if self.seen.insert(member, now).is_none() {
            self.assign();
        }
    }

    /// A member goes.
    pub fn leave(&mut self, member: u64) {
        if self.seen.remove(&member).is_some() {
            self.assign();
        }
    }

    /// Members that were silent too long are out.
    pub fn expire(&mut self, now: Mono) {
        let before = self.seen.len();
        self.seen.retain(|_, seen| seen.after_ms(SESSION_MS) > now);
        if self.seen.len() != before {
            self.assign();
        }
    }

    /// When the next session may end.
    pub fn expires_at(&self) -> Option<Mono> {
        self.seen.values().min().map(|seen| seen.after_ms(SESSION_MS))
    }

    /// Partitions move on by one member.
    pub fn rotate(&mut self) {
        self.turn += 1;
        self.assign();
    }

    /// Kept places go back by so many offsets, and the next assignment begins there. Whether any did.
    pub fn rewind(&mut self, offsets: u64) -> bool {
        let mut moved = false;
        for place in self.committed.values_mut() {
            let back = place.0.saturating_sub(offsets);
            moved |= back < place.0;
            *place = Offset(back);
        }
        self.assign();
        moved
    }

    /// A partition ends here now: a kept place behind it goes back, and it is assigned anew.
    pub fn cut(&mut self, partition: Partition, end: Offset) {
        if let Some(place) = self.committed.get_mut(&partition) {
            *place = end.min(*place);
        }
        self.assign();
    }

    fn assign(&mut self) {
        self.generation += 1;
        self.owners.clear();
        let members: Vec<u64> = self.seen.keys().copied().collect();
        if members.is_empty() {
            return;
        }
        for partition in 0..PARTITIONS {
            let place = (u64::from(partition) + self.turn) % members.len() as u64;
            self.owners.insert(Partition(partition), members[place as usize]);
        }
    }

    /// The partitions of a member, with their kept places.
    pub fn assignment(&self, member: u64) -> Vec<(Partition, Offset)> {
        let own = self.owners.iter().filter(|(_, owner)| **owner == member);
        own.map(|(partition, _)| (*partition, self.committed(*partition))).collect()
    }

    /// The kept place of a partition.
    pub fn committed(&self, partition: Partition) -> Offset {
        self.committed.get(&partition).copied().unwrap_or_default()
    }

    /// Keeps a place, if the partition is the member's; an older place than the kept one changes nothing.
    pub fn commit(&mut self, member: u64, partition: Partition, next: Offset) -> Result<(), NotAssigned> {
        if self.owners.get(&partition) != Some(&member) {
            return Err(NotAssigned);
        }
        let kept = self.committed.entry(partition).or_default();
        *kept = next.max(*kept);
        Ok(())
    }
}
