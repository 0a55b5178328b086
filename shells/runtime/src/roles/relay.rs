//! The relay, wired: the outbox's change stream, into its topics.

use super::Ports;
use crate::drive::{Perform, Performed, Stop, drive, inbox, spawn};
use crate::ports::changes::Changes;
use crate::ports::publish::Publish;
use doorbuster_core::relay::{Effect, Event, Relay};
use doorbuster_core::time::Now;
use std::sync::Arc;

/// What a relay stands on beside the environment.
#[derive(Clone)]
pub struct Relaying {
    /// The stream.
    pub changes: Arc<dyn Changes>,
    /// The topics.
    pub publish: Arc<dyn Publish>,
}

/// Starts a relay of whichever partitions nobody else relays.
pub fn start(ports: &Ports, relaying: &Relaying, stop: &Stop) {
    let machine = Relay::new(ports.env.now().mono, ports.env.entropy());
    let performer = Arc::new(RelayPerformer { relaying: relaying.clone() });
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), inbox(), |_| Event::Woken));
}

struct RelayPerformer {
    relaying: Relaying,
}

impl Perform<Relay> for RelayPerformer {
    fn perform(&self, _: Now, effect: Effect) -> Option<Performed<Event>> {
        let relaying = self.relaying.clone();
        Some(Box::pin(async move { Some(answer(&relaying, effect).await) }))
    }
}

async fn answer(relaying: &Relaying, effect: Effect) -> Event {
    let changes = &relaying.changes;
    match effect {
        Effect::ListReady { ticket, owner, limit } => Event::Listed(ticket, changes.ready(owner, limit).await),
        Effect::Change { ticket, owner, token, change } => {
            Event::Changed(ticket, token, changes.change(owner, token, change).await)
        }
        Effect::Read { ticket, token, from, limit } => {
            Event::Read(ticket, token, changes.read(token, from, limit).await)
        }
        Effect::Publish { ticket, token, events } => {
            Event::Published(ticket, token, relaying.publish.publish_events(events).await)
        }
    }
}
