//! The sweep, wired: the index of due orders, back into the delay queue.

use super::{Ports, shards};
use crate::drive::{Perform, Performed, Stop, drive, inbox, spawn};
use crate::ports::Unavailable;
use crate::ports::store::Due;
use doorbuster_core::delay::queue::Task;
use doorbuster_core::delay::reaper::QueueAway;
use doorbuster_core::delay::sweep::{DuePage, Effect, Event, Place, Sweep};
use doorbuster_core::ids::{ShardId, Version};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::{Now, Wall};
use std::sync::Arc;

/// Starts the sweep over all shards.
pub fn start(ports: &Ports, stop: &Stop) {
    let (events, received) = inbox();
    let performer = Arc::new(SweepPerformer { ports: ports.clone() });
    let machine = Sweep::new(ports.env.entropy());
    let found = events.clone();
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), (events, received), |_| Event::Woken));
    shards::follow(ports, stop, move |shard| {
        // A full inbox loses the news; the next start of the process tells it again, and the queue itself still works.
        let _ = found.try_send(Event::ShardFound(shard));
    });
}

/// Fills an empty delay queue from the index: for a queue that lives in this process's memory.
pub async fn refill(ports: &Ports, shard: ShardId) -> Result<(), Unavailable> {
    const PAGE: usize = 1000;
    let mut after = None;
    loop {
        let due = ports.store.due(shard, Wall(u64::MAX), after, PAGE).await?;
        let Some(last) = due.last().copied() else { return Ok(()) };
        after = Some(last);
        match ports.delay.schedule(due.iter().map(task).collect()).await {
            Outcome::Done(()) => {}
            Outcome::Refused(reason) => return Err(reason),
            Outcome::Unknown => return Err(Unavailable("the delay queue did not answer".to_owned())),
        }
    }
}

fn task(due: &Due) -> Task {
    Task { order: due.order, version: due.version, due: due.expires_at }
}

struct SweepPerformer {
    ports: Ports,
}

impl Perform<Sweep> for SweepPerformer {
    fn perform(&self, _: Now, effect: Effect) -> Option<Performed<Event>> {
        let ports = self.ports.clone();
        match effect {
            Effect::ScanDue { ticket, shard, after, limit } => Some(Box::pin(async move {
                let page = scan(&ports, shard, after, limit).await;
                Some(Event::Scanned(ticket, shard, page.map_or(Outcome::Unknown, Outcome::Done)))
            })),
            Effect::Schedule(ticket, shard, tasks) => Some(Box::pin(async move {
                let outcome = match ports.delay.schedule(tasks).await {
                    Outcome::Done(()) => Outcome::Done(()),
                    Outcome::Refused(_) => Outcome::Refused(QueueAway),
                    // Scheduled or not: scheduling the same version again changes nothing.
                    Outcome::Unknown => Outcome::Unknown,
                };
                Some(Event::Scheduled(ticket, shard, outcome))
            })),
        }
    }
}

async fn scan(ports: &Ports, shard: ShardId, after: Option<Place>, limit: usize) -> Result<DuePage, Unavailable> {
    let at = ports.env.now().wall;
    let after = after.map(|(expires_at, order)| Due { expires_at, order, version: Version(0) });
    let due = ports.store.due(shard, at, after, limit).await?;
    Ok(DuePage { at, tasks: due.iter().map(task).collect() })
}
