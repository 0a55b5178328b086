//! The worker of the sales windows, wired: movements into rings, rings into search every hour.

use super::Ports;
use crate::drive::{Inbox, Perform, Performed, Stop, drive, inbox, spawn};
use crate::ports::Partition;
use crate::ports::movements::{Assignment, Movements};
use crate::ports::windows::Windows;
use crate::telemetry::Metric;
use doorbuster_core::database::tables::Reads;
use doorbuster_core::inbox;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Now;
use doorbuster_core::window::movement::Movement;
use doorbuster_core::window::worker::{Effect, Event, SalesWindows};
use std::sync::Arc;
use std::time::Duration;

/// Pause before the assignment is asked for again when nobody has answered: a fraction of a session, so that one lost
/// answer does not cost the partitions.
const ASSIGNMENT_AGAIN: Duration = Duration::from_millis(200);

/// What a worker stands on beside the environment and the database.
#[derive(Clone)]
pub struct Selling {
    /// What was sold.
    pub movements: Arc<dyn Movements>,
    /// Which SKUs have a ring.
    pub windows: Arc<dyn Windows>,
}

/// Starts a worker of whichever partitions are assigned to this process.
pub fn start(ports: &Ports, selling: &Selling, stop: &Stop) {
    let (events, received) = inbox();
    let performer = Arc::new(SalesPerformer { ports: ports.clone(), selling: selling.clone() });
    let machine = SalesWindows::new(ports.env.entropy());
    let channel = (events.clone(), received);
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), channel, |_| Event::Woken));
    spawn(attend(selling.movements.clone(), stop.clone(), events));
}

/// Stays in the group, and tells the worker of partitions that come and go.
async fn attend(movements: Arc<dyn Movements>, mut stop: Stop, events: Inbox<Event>) {
    let mut own = Assignment::default();
    loop {
        let next = tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => return,
            next = movements.assigned(own.generation) => next,
        };
        let Ok(next) = next else {
            tokio::time::sleep(ASSIGNMENT_AGAIN).await;
            continue;
        };
        for event in changes(&own, &next) {
            if events.send(Event::Inbox(event)).await.is_err() {
                return;
            }
        }
        own = next;
    }
}

/// What an inbox hears of another assignment. A partition that stays is begun anew: another worker may have had it in
/// between, and the group's places may have gone back.
fn changes(own: &Assignment, next: &Assignment) -> Vec<inbox::Event<Movement>> {
    if own.generation == next.generation {
        return Vec::new();
    }
    let stays = |partition: &Partition| next.partitions.iter().any(|(assigned, _)| assigned == partition);
    let gone = own.partitions.iter().map(|(partition, _)| *partition).filter(|partition| !stays(partition));
    let revoked = gone.map(|partition| inbox::Event::Revoked { partition });
    let assigned = next.partitions.iter().map(|(partition, from)| (*partition, *from));
    revoked.chain(assigned.map(|(partition, from)| inbox::Event::Assigned { partition, from })).collect()
}

struct SalesPerformer {
    ports: Ports,
    selling: Selling,
}

impl Perform<SalesWindows> for SalesPerformer {
    fn perform(&self, _: Now, effect: Effect) -> Option<Performed<Event>> {
        let (ports, selling) = (self.ports.clone(), self.selling.clone());
        match effect {
            Effect::Inbox(effect) => {
                Some(Box::pin(async move { Some(Event::Inbox(read(selling.movements.as_ref(), effect).await)) }))
            }
            Effect::ReadCursor { ticket, partition } => Some(Box::pin(async move {
                let reads = Reads { sales_cursors: [partition].into(), ..Reads::default() };
                let rows = ports.store.read(reads).await.ok();
                let next = rows.map(|rows| rows.sales_cursors.get(&partition).copied().unwrap_or_default().next);
                Some(Event::CursorRead { ticket, partition, next })
            })),
            Effect::Apply { ticket, partition, command } => Some(Box::pin(async move {
                Some(Event::Applied { ticket, partition, outcome: ports.store.apply(command).await })
            })),
            Effect::ListRings { ticket, partition, after, limit } => Some(Box::pin(async move {
                let skus = selling.windows.rings(partition, after, limit).await.ok();
                Some(Event::RingsListed { ticket, partition, skus })
            })),
            Effect::ReportCounted(report) => {
                tracing::debug!(?report, "sales were counted");
                None
            }
            Effect::ReportRefusal { partition, refusal } => {
                tracing::error!(partition = partition.0, ?refusal, "the database refuses to count sales");
                ports.telemetry.add(Metric::Alarms, 1);
                None
            }
        }
    }
}

/// Performs what the inbox asks for.
async fn read(movements: &dyn Movements, effect: inbox::Effect) -> inbox::Event<Movement> {
    match effect {
        inbox::Effect::Fetch { ticket, partition, from, limit } => {
            let outcome = movements.fetch(partition, from, limit).await;
            inbox::Event::Fetched { ticket, partition, outcome }
        }
        inbox::Effect::Commit { ticket, partition, next } => {
            let outcome = movements.commit(partition, next).await;
            inbox::Event::Committed { ticket, partition, outcome }
        }
        inbox::Effect::SetAside { ticket, partition, offset } => {
            let outcome = movements.set_aside(partition, offset).await;
            if outcome == Outcome::Done(()) {
                tracing::error!(partition = partition.0, offset = offset.0, "a record of sales is no movement");
            }
            inbox::Event::SetAside { ticket, partition, offset, outcome }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Offset;

    fn assignment(generation: u64, partitions: &[(u32, u64)]) -> Assignment {
        let place = |(partition, from): &(u32, u64)| (Partition(*partition), Offset(*from));
        Assignment { generation, partitions: partitions.iter().map(place).collect() }
    }

    #[test]
    fn a_new_assignment_takes_away_first_and_begins_what_stays_anew() {
        let (own, next) = (assignment(1, &[(0, 5), (1, 7)]), assignment(2, &[(1, 6), (2, 0)]));
        let expected = vec![
            inbox::Event::Revoked { partition: Partition(0) },
            inbox::Event::Assigned { partition: Partition(1), from: Offset(6) },
            inbox::Event::Assigned { partition: Partition(2), from: Offset(0) },
        ];
        assert_eq!(changes(&own, &next), expected);
    }

    #[test]
    fn the_same_assignment_changes_nothing() {
        let own = assignment(3, &[(0, 5)]);
        assert_eq!(changes(&own, &own.clone()), Vec::new());
    }
}
