//! The settler, wired: what the outbox sends down to shards.

use super::Ports;
use super::member::{Member, Reader};
use crate::drive::{Perform, Performed, Stop, drive, inbox, spawn};
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::ShardId;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::settler::{Settler, SettlerEffect, SettlerEvent, ShardChange, Unreachable};
use doorbuster_core::time::Now;
use std::sync::Arc;

/// The group under which the settler reads.
pub const READER: Reader = Reader { group: "settler", topic: Topic::ShardDown };

/// Told when units of a shard came back, so that a sold-out latch is forgotten at once.
pub type ClearLatch = Arc<dyn Fn(ShardId, Option<doorbuster_core::ids::SkuId>) + Send + Sync>;

/// Starts the settler of what goes down.
pub fn start(ports: &Ports, stop: &Stop, clear_latch: ClearLatch) {
    let (events, received) = inbox();
    let member = READER.join(ports);
    spawn(member.clone().attend(stop.clone(), events.clone(), SettlerEvent::Inbox));
    let performer = Arc::new(SettlerPerformer { ports: ports.clone(), member, clear_latch });
    let machine = Settler::new(ports.env.entropy());
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), (events, received), |_| SettlerEvent::Tick));
}

struct SettlerPerformer {
    ports: Ports,
    member: Member<Event>,
    clear_latch: ClearLatch,
}

impl Perform<Settler> for SettlerPerformer {
    fn perform(&self, _: Now, effect: SettlerEffect) -> Option<Performed<SettlerEvent>> {
        let (ports, member) = (self.ports.clone(), self.member.clone());
        match effect {
            SettlerEffect::Settle { ticket, shard, changes } => Some(Box::pin(async move {
                let outcome = match ports.ledger.settle(shard, changes).await {
                    Outcome::Done(settled) => Outcome::Done(settled),
                    Outcome::Refused(_) => Outcome::Refused(Unreachable),
                    // Applied or not: rules 5 and 6 do the same again without effect.
                    Outcome::Unknown => Outcome::Unknown,
                };
                Some(SettlerEvent::Settled { ticket, outcome })
            })),
            SettlerEffect::ReadShard { ticket, shard } => Some(Box::pin(async move {
                let mut reads = Reads::default();
                reads.shards.insert(shard);
                let rows = ports.store.read(reads).await.ok();
                let rung = rows.and_then(|rows| rows.shards.get(&shard).map(|row| (row.phase, row.epoch)));
                Some(SettlerEvent::ShardRead { ticket, rung })
            })),
            SettlerEffect::ClearLatch { shard, sku } => {
                (self.clear_latch)(shard, sku);
                None
            }
            SettlerEffect::Inbox(effect) => {
                Some(Box::pin(async move { Some(SettlerEvent::Inbox(member.perform(effect, ShardChange::of).await)) }))
            }
        }
    }
}
