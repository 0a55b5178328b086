//! The worker of the sales windows, wired: movements into rings, rings into search every hour.

use super::Ports;
use super::member::{Member, Reader};
use crate::drive::{Perform, Performed, Stop, drive, inbox, spawn};
use crate::ports::windows::Windows;
use crate::telemetry::Metric;
use doorbuster_core::database::event::{Event as Told, Topic};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::time::Now;
use doorbuster_core::window::movement::Movement;
use doorbuster_core::window::worker::{Effect, Event, SalesWindows};
use std::sync::Arc;

/// The group under which workers read.
pub const READER: Reader = Reader { group: "sales", topic: Topic::Sales };

/// Starts a worker of whichever partitions are assigned to this process.
pub fn start(ports: &Ports, windows: &Arc<dyn Windows>, stop: &Stop) {
    let (events, received) = inbox();
    let member = READER.join(ports);
    spawn(member.clone().attend(stop.clone(), events.clone(), Event::Inbox));
    let performer = Arc::new(SalesPerformer { ports: ports.clone(), member, windows: windows.clone() });
    let machine = SalesWindows::new(ports.env.entropy());
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), (events, received), |_| Event::Woken));
}

struct SalesPerformer {
    ports: Ports,
    member: Member<Told>,
    windows: Arc<dyn Windows>,
}

impl Perform<SalesWindows> for SalesPerformer {
    fn perform(&self, _: Now, effect: Effect) -> Option<Performed<Event>> {
        let (ports, member, windows) = (self.ports.clone(), self.member.clone(), self.windows.clone());
        match effect {
            Effect::Inbox(effect) => {
                Some(Box::pin(async move { Some(Event::Inbox(member.perform(effect, movement).await)) }))
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
                let skus = windows.rings(partition, after, limit).await.ok();
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

fn movement(event: Told) -> Option<Movement> {
    match event {
        Told::SalesMoved(movement) => Some(movement),
        Told::OrderChanged(_)
        | Told::TimeoutDue { .. }
        | Told::Settled { .. }
        | Told::Granted { .. }
        | Told::ReservationLost { .. }
        | Told::PaymentLate { .. }
        | Told::RefundDue { .. }
        | Told::SaleChanged { .. }
        | Told::CatalogChanged { .. }
        | Told::SalesAdvanced { .. } => None,
    }
}
