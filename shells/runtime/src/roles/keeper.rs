//! The keepers, wired: one per shard.

use super::auditor::Keepers;
use super::load::load;
use super::{Ports, shards};
use crate::drive::{Inbox, Perform, Performed, Stop, drive, inbox, spawn};
use crate::telemetry::Metric;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::rows::{SaleRow, ShardRow};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::{ShardId, SkuId};
use doorbuster_core::keeper::Keeper;
use doorbuster_core::keeper::talk::{KeeperEffect, KeeperEvent};
use doorbuster_core::ledger::epoch::{LadderCommand, LadderStep};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Now;
use std::sync::Arc;

/// Starts a keeper for each shard of each sale, now and whenever one appears; wishes go into their inboxes.
pub fn follow(ports: &Ports, stop: &Stop) -> Keepers {
    let keepers = Keepers::default();
    let (started, of, until) = (keepers.clone(), ports.clone(), stop.clone());
    shards::follow(ports, stop, move |shard| {
        let events = start(shard, &of, &until);
        started.lock().expect("no holder of this lock panics").insert(shard, events);
    });
    keepers
}

fn start(shard: ShardId, ports: &Ports, stop: &Stop) -> Inbox<KeeperEvent> {
    let (events, received) = inbox();
    let machine = Keeper::new(shard, ports.owner, ports.env.entropy());
    let performer = Arc::new(KeeperPerformer { shard, ports: ports.clone() });
    let channel = (events.clone(), received);
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), channel, |_| KeeperEvent::Tick));
    events
}

struct KeeperPerformer {
    shard: ShardId,
    ports: Ports,
}

impl Perform<Keeper> for KeeperPerformer {
    fn perform(&self, _: Now, effect: KeeperEffect) -> Option<Performed<KeeperEvent>> {
        let (shard, ports) = (self.shard, self.ports.clone());
        if let KeeperEffect::Explain(finding) = effect {
            tracing::error!(%shard, ?finding, "the keeper found what must not be");
            ports.telemetry.add(Metric::Alarms, 1);
            return None;
        }
        Some(Box::pin(async move { answer(shard, &ports, effect).await }))
    }
}

async fn answer(shard: ShardId, ports: &Ports, effect: KeeperEffect) -> Option<KeeperEvent> {
    let ledger = &ports.ledger;
    let event = match effect {
        KeeperEffect::ReadRow(ticket) => KeeperEvent::RowRead { ticket, rows: rows(ports, shard).await },
        KeeperEffect::Apply(ticket, command) => KeeperEvent::Applied { ticket, outcome: climb(ports, command).await },
        KeeperEffect::AskServer(ticket) => match ledger.inspect(shard).await {
            Outcome::Done(view) => KeeperEvent::ServerSeen { ticket, server: view.server, meta: view.meta },
            // Nobody answered, or the answer was lost: the keeper asks again before it concludes anything.
            Outcome::Refused(_) | Outcome::Unknown => KeeperEvent::ServerUnreachable { ticket },
        },
        KeeperEffect::Seal { ticket, server, epoch } => {
            let last = match ledger.seal(shard, server, epoch).await {
                Outcome::Done(last) => last,
                // Sealed or not: an entry that it still writes stands behind the seal and is stale.
                Outcome::Refused(_) | Outcome::Unknown => None,
            };
            KeeperEvent::Sealed { ticket, last }
        }
        KeeperEffect::Drain { ticket, epoch, last } => {
            // Whether the seal stands in the partition, the shard's row will tell.
            let _ = ports.drain.drain(shard, epoch, last).await;
            KeeperEvent::Drained { ticket }
        }
        KeeperEffect::Load { ticket, fence } => {
            KeeperEvent::Loaded { ticket, outcome: load(ports, shard, fence).await }
        }
        KeeperEffect::Open { ticket, fence, chunks, paused } => {
            KeeperEvent::Opened { ticket, outcome: ledger.open(shard, fence, chunks, paused).await }
        }
        KeeperEffect::SetState { ticket, fence, paused } => {
            KeeperEvent::StateSet { ticket, outcome: ledger.set_state(shard, fence, paused).await }
        }
        KeeperEffect::ReadRange(ticket) => KeeperEvent::RangeRead { ticket, skus: range(ports, shard).await },
        KeeperEffect::Withdraw { ticket, fence, sku, quantity } => {
            KeeperEvent::Withdrawn { ticket, outcome: ledger.withdraw(shard, fence, sku, quantity).await }
        }
        KeeperEffect::Explain(_) => return None,
    };
    Some(event)
}

async fn rows(ports: &Ports, shard: ShardId) -> Option<(SaleRow, ShardRow)> {
    let mut reads = Reads::default();
    reads.sales.insert(shard.sale);
    reads.shards.insert(shard);
    let mut rows = ports.store.read(reads).await.ok()?;
    Some((rows.sales.remove(&shard.sale)?, rows.shards.remove(&shard)?))
}

async fn range(ports: &Ports, shard: ShardId) -> Option<Vec<SkuId>> {
    let mut reads = Reads::default();
    reads.ranges.insert(shard.sale);
    let mut rows = ports.store.read(reads).await.ok()?;
    Some(rows.ranges.remove(&shard.sale).unwrap_or_default().skus)
}

async fn climb(ports: &Ports, command: LadderCommand) -> Outcome<ShardRow, Refusal> {
    let step = command.step;
    match ports.store.apply(Command::Ladder(command)).await {
        Outcome::Done(Reply::Shard(row)) => {
            match step {
                LadderStep::BeginSealing(..) => ports.telemetry.add(Metric::Sealed, 1),
                LadderStep::FinishOpening(_) => ports.telemetry.add(Metric::Opened, 1),
                LadderStep::KeepLease | LadderStep::BeginOpening(..) | LadderStep::Close(_) => {}
            }
            Outcome::Done(row)
        }
        Outcome::Done(_) => unreachable!("a step of the ladder is answered with the shard's row"),
        Outcome::Refused(refusal) => Outcome::Refused(refusal),
        Outcome::Unknown => Outcome::Unknown,
    }
}
