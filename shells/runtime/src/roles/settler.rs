//! The settler, wired: what the outbox sends down to shards.

use super::Ports;
use super::follower::{self, Reader};
use crate::drive::{Perform, Performed, Stop, drive, inbox, spawn};
use crate::ports::Offset;
use doorbuster_core::database::event::Topic;
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::ShardId;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::settler::{Settler, SettlerEffect, SettlerEvent, Unreachable};
use doorbuster_core::time::Now;
use std::sync::Arc;
use tokio::sync::watch;

/// The group under which the settler reads.
pub const READER: Reader = Reader { group: "settler", topic: Topic::ShardDown };

/// Told when units of a shard came back, so that a sold-out latch is forgotten at once.
pub type ClearLatch = Arc<dyn Fn(ShardId, Option<doorbuster_core::ids::SkuId>) + Send + Sync>;

/// Starts the settler of the one partition of what goes down.
pub fn start(ports: &Ports, stop: &Stop, clear_latch: ClearLatch) {
    let (events, received) = inbox();
    let (paused, is_paused) = watch::channel(false);
    let performer = Arc::new(SettlerPerformer { ports: ports.clone(), paused, clear_latch });
    let machine = Settler::new(ports.env.entropy());
    let channel = (events.clone(), received);
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), channel, |_| SettlerEvent::Tick));
    follower::start(READER, ports, stop, is_paused, events, |offset, event| SettlerEvent::Delivered { offset, event });
}

struct SettlerPerformer {
    ports: Ports,
    paused: watch::Sender<bool>,
    clear_latch: ClearLatch,
}

impl Perform<Settler> for SettlerPerformer {
    fn perform(&self, _: Now, effect: SettlerEffect) -> Option<Performed<SettlerEvent>> {
        let ports = self.ports.clone();
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
            SettlerEffect::Commit { offset } => Some(Box::pin(async move {
                // A commit that is lost only means that events are sent down again.
                let _ = ports.feed.commit(READER.group, READER.topic, Offset(offset)).await;
                None
            })),
            SettlerEffect::Pause => {
                self.paused.send_replace(true);
                None
            }
            SettlerEffect::Resume => {
                self.paused.send_replace(false);
                None
            }
        }
    }
}
