//! The invalidator, wired: changes of products, to the shared cache and to whoever listens.

use super::Ports;
use super::follower::Reader;
use crate::drive::{Perform, Performed, Stop, drive, inbox, spawn};
use crate::ports::Unavailable;
use crate::ports::cache::SharedCache;
use doorbuster_core::cache::invalidator::{Effect, Event, Invalidator, Unreachable, mark_of};
use doorbuster_core::database::event::Topic;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Now;
use std::sync::Arc;

/// The group under which invalidators read.
pub const READER: Reader = Reader { group: "invalidator", topic: Topic::Catalog };

/// Starts the invalidator of what changes in the catalogue.
///
/// # Errors
/// Its place in the topic cannot be read now.
pub async fn start(ports: &Ports, shared: &Arc<dyn SharedCache>, stop: &Stop) -> Result<(), Unavailable> {
    let (events, received) = inbox();
    let assigned = Event::Inbox(READER.assigned(ports).await?);
    events.send(assigned).await.map_err(|_| Unavailable("the invalidator stopped at its start".to_owned()))?;
    let performer = Arc::new(InvalidatorPerformer { ports: ports.clone(), shared: shared.clone() });
    let machine = Invalidator::new(ports.env.entropy());
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), (events, received), |_| Event::Woken));
    Ok(())
}

struct InvalidatorPerformer {
    ports: Ports,
    shared: Arc<dyn SharedCache>,
}

impl Perform<Invalidator> for InvalidatorPerformer {
    fn perform(&self, _: Now, effect: Effect) -> Option<Performed<Event>> {
        let (ports, shared) = (self.ports.clone(), self.shared.clone());
        match effect {
            Effect::Inbox(effect) => Some(Box::pin(async move {
                Some(Event::Inbox(READER.perform(&ports, effect, |event| Some(mark_of(&event))).await))
            })),
            Effect::Floor { ticket, floors } => Some(Box::pin(async move {
                let outcome = match shared.floor(floors).await {
                    Outcome::Done(_) => Outcome::Done(()),
                    Outcome::Refused(_) => Outcome::Refused(Unreachable),
                    // Written or not: a floor that is written again changes nothing.
                    Outcome::Unknown => Outcome::Unknown,
                };
                Some(Event::Floored { ticket, outcome })
            })),
            Effect::Announce(changes) => Some(Box::pin(async move {
                // Who misses it asks again when its product has reached its age.
                let _ = shared.announce(changes).await;
                None
            })),
        }
    }
}
