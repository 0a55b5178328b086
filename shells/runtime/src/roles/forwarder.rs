//! The forwarders, wired: one per partition of intents in every process; the lease lets one of them work.

use super::{Ports, shard_log, shards};
use crate::drive::{Inbox, Perform, Performed, Stop, drive, inbox, spawn};
use crate::ports::leases::Leases;
use crate::ports::publish::Publish;
use crate::ports::shard_log::ShardLog;
use doorbuster_core::database::rows::ShardRow;
use doorbuster_core::database::tables::Reads;
use doorbuster_core::forwarder::{Effect, Event, Forwarder, NoRow};
use doorbuster_core::ids::ShardId;
use doorbuster_core::inbox::Partition;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Now;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What forwarders stand on beside the ports of all roles; cheap to clone.
#[derive(Clone)]
pub struct Forwarding {
    /// The shards' logs.
    pub log: Arc<dyn ShardLog>,
    /// Who forwards into which partition.
    pub leases: Arc<dyn Leases>,
    /// The topics.
    pub publish: Arc<dyn Publish>,
    /// How many partitions `intents` has: the same number for ever, for a shard's entries stand in one of them.
    pub partitions: u32,
}

/// Starts a forwarder for each partition, and tells it of its shards, now and whenever one appears.
pub fn start(ports: &Ports, forwarding: &Forwarding, stop: &Stop) {
    let of = |partition| (partition, start_one(ports, forwarding, stop, partition));
    let forwarders: BTreeMap<_, _> = (0..forwarding.partitions).map(Partition).map(of).collect();
    let partitions = forwarding.partitions;
    shards::follow(ports, stop, move |shard| {
        let events = forwarders[&Partition::of_shard(shard, partitions)].clone();
        // Told once, so it waits for room; a forwarder that has ended needs no shard.
        spawn(async move { events.send(Event::ShardFound(shard)).await });
    });
}

fn start_one(ports: &Ports, forwarding: &Forwarding, stop: &Stop, partition: Partition) -> Inbox<Event> {
    let (events, received) = inbox();
    let machine = Forwarder::new(ports.env.now().mono, partition, ports.env.entropy());
    let performer = Arc::new(ForwarderPerformer { ports: ports.clone(), forwarding: forwarding.clone() });
    let channel = (events.clone(), received);
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), channel, |_| Event::Woken));
    events
}

struct ForwarderPerformer {
    ports: Ports,
    forwarding: Forwarding,
}

impl Perform<Forwarder> for ForwarderPerformer {
    fn perform(&self, _: Now, effect: Effect) -> Option<Performed<Event>> {
        let (ports, forwarding) = (self.ports.clone(), self.forwarding.clone());
        match shard_log::perform(&self.forwarding.log, effect) {
            Ok(performed) => Some(performed),
            Err(other) => Some(Box::pin(async move { Some(answer(&ports, &forwarding, other).await) })),
        }
    }
}

async fn answer(ports: &Ports, forwarding: &Forwarding, effect: Effect) -> Event {
    match effect {
        Effect::KeepLease(ticket, partition) => {
            Event::LeaseKept(ticket, forwarding.leases.keep(partition, ports.owner).await)
        }
        Effect::TakeProducer(ticket, partition) => {
            Event::ProducerTaken(ticket, forwarding.publish.take_producer(partition).await)
        }
        Effect::ReadRow(ticket, shard) => Event::RowRead(ticket, shard, row(ports, shard).await),
        Effect::Publish { ticket, producer, partition, intents } => {
            Event::Published(ticket, forwarding.publish.publish_intents(producer, partition, intents).await)
        }
        Effect::Apply(ticket, shard, command) => Event::Applied(ticket, shard, ports.store.apply(command).await),
        Effect::ReadLog { .. } | Effect::Ack { .. } | Effect::Trim { .. } => unreachable!("the log has these"),
    }
}

async fn row(ports: &Ports, shard: ShardId) -> Outcome<ShardRow, NoRow> {
    let mut reads = Reads::default();
    reads.shards.insert(shard);
    // Not read, nothing known: the forwarder asks again.
    let Ok(mut rows) = ports.store.read(reads).await else { return Outcome::Unknown };
    rows.shards.remove(&shard).map_or(Outcome::Refused(NoRow), Outcome::Done)
}
