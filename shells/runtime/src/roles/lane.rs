//! The lanes of this process: one driven machine per shard, made when its first buyer comes.

use super::Ports;
use super::waiters::Waiters;
use crate::drive::{Inbox, Perform, Performed, Stop, drive, inbox, spawn_on};
use crate::ports::admit::{Admission, Admit};
use async_trait::async_trait;
use doorbuster_core::database::rows::Phase;
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::ShardId;
use doorbuster_core::lane::{Lane, LaneAnswer, LaneEffect, LaneEvent};
use doorbuster_core::ledger::reserve::{ItemReply, ReserveItem};
use doorbuster_core::ledger::shard::Fence;
use doorbuster_core::time::Now;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use tokio::runtime::Handle;

/// All lanes of one process.
pub struct Lanes {
    ports: Ports,
    stop: Stop,
    batch_max: usize,
    /// Where lanes run: they serve every buyer, and the runtime of a buyer's connection serves its connections alone.
    runtime: Handle,
    lanes: RwLock<BTreeMap<ShardId, Arc<LaneHandle>>>,
}

/// One lane from outside.
struct LaneHandle {
    events: Inbox<LaneEvent>,
    /// Buyers who wait for this lane. One who hung up asks again under the same key.
    waiters: Arc<Waiters<LaneAnswer>>,
}

impl Lanes {
    /// Lanes that send at most `batch_max` reservations at once. To be called on the runtime on which they are to run.
    pub fn new(ports: Ports, stop: Stop, batch_max: usize) -> Lanes {
        Lanes { ports, stop, batch_max, runtime: Handle::current(), lanes: RwLock::default() }
    }

    fn lane(&self, shard: ShardId) -> Arc<LaneHandle> {
        if let Some(lane) = self.lanes.read().expect("no holder of this lock panics").get(&shard) {
            return lane.clone();
        }
        let mut lanes = self.lanes.write().expect("no holder of this lock panics");
        lanes.entry(shard).or_insert_with(|| Arc::new(self.start(shard))).clone()
    }

    fn start(&self, shard: ShardId) -> LaneHandle {
        let (events, received) = inbox();
        let waiters = Arc::new(Waiters::default());
        let performer = Arc::new(LanePerformer { shard, ports: self.ports.clone(), waiters: waiters.clone() });
        let machine = Lane::new(self.batch_max, self.ports.env.entropy());
        let channel = (events.clone(), received);
        let driven = drive(machine, performer, self.ports.env.clone(), self.stop.clone(), channel, |_| LaneEvent::Tick);
        spawn_on(&self.runtime, driven);
        LaneHandle { events, waiters }
    }
}

#[async_trait]
impl Admit for Lanes {
    async fn reserve(&self, shard: ShardId, item: ReserveItem) -> Admission {
        let lane = self.lane(shard);
        let (token, answered) = lane.waiters.enter();
        if lane.events.try_send(LaneEvent::Asked { token, item }).is_err() {
            lane.waiters.answer(token, LaneAnswer::Overloaded);
        }
        match answered.await {
            Ok(LaneAnswer::Decided(ItemReply::Accepted(acceptance))) => Admission::Accepted(acceptance),
            Ok(LaneAnswer::Decided(ItemReply::Replayed(acceptance))) => Admission::Replayed(acceptance),
            Ok(LaneAnswer::Decided(ItemReply::Refused(refusal))) => Admission::Refused(refusal),
            Ok(LaneAnswer::Overloaded) => Admission::Overloaded,
            Ok(LaneAnswer::NotReady) => Admission::NotReady,
            // The lane stopped with the buyer in it: taken or not, the same key finds out at the next start.
            Ok(LaneAnswer::Unknown) | Err(_) => Admission::Unknown,
        }
    }
}

struct LanePerformer {
    shard: ShardId,
    ports: Ports,
    waiters: Arc<Waiters<LaneAnswer>>,
}

impl Perform<Lane> for LanePerformer {
    fn perform(&self, _: Now, effect: LaneEffect) -> Option<Performed<LaneEvent>> {
        let (shard, ports) = (self.shard, self.ports.clone());
        match effect {
            LaneEffect::Send { ticket, fence, items } => Some(Box::pin(async move {
                let outcome = ports.ledger.reserve(shard, fence, items).await;
                Some(LaneEvent::Replied { ticket, outcome })
            })),
            LaneEffect::ReadRow(ticket) => {
                Some(Box::pin(
                    async move { Some(LaneEvent::RowRead { ticket, fence: open_fence(&ports, shard).await }) },
                ))
            }
            LaneEffect::Reply { token, answer } => {
                self.waiters.answer(token, answer);
                None
            }
        }
    }
}

/// A lane takes (epoch, nonce) from a row in phase OPEN and from no other.
async fn open_fence(ports: &Ports, shard: ShardId) -> Option<Fence> {
    let mut reads = Reads::default();
    reads.shards.insert(shard);
    let rows = ports.store.read(reads).await.ok()?;
    rows.shards.get(&shard).filter(|row| row.phase == Phase::Open).map(|row| row.fence())
}
