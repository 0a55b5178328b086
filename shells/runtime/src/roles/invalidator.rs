//! The invalidator, wired: changes of products, to the shared cache and to whoever listens.

use super::Ports;
use super::member::{Member, Reader};
use crate::drive::{Perform, Performed, Stop, drive, inbox, spawn};
use crate::ports::cache::SharedCache;
use doorbuster_core::cache::invalidator::{Effect, Event, Invalidator, Unreachable, mark_of};
use doorbuster_core::database::event::{Event as Told, Topic};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Now;
use std::sync::Arc;

/// The group under which invalidators read.
pub const READER: Reader = Reader { group: "invalidator", topic: Topic::Catalog };

/// Starts the invalidator of what changes in the catalogue.
pub fn start(ports: &Ports, shared: &Arc<dyn SharedCache>, stop: &Stop) {
    let (events, received) = inbox();
    let member = READER.join(ports);
    spawn(member.clone().attend(stop.clone(), events.clone(), Event::Inbox));
    let performer = Arc::new(InvalidatorPerformer { member, shared: shared.clone() });
    let machine = Invalidator::new(ports.env.entropy());
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), (events, received), |_| Event::Woken));
}

struct InvalidatorPerformer {
    member: Member<Told>,
    shared: Arc<dyn SharedCache>,
}

impl Perform<Invalidator> for InvalidatorPerformer {
    fn perform(&self, _: Now, effect: Effect) -> Option<Performed<Event>> {
        let (member, shared) = (self.member.clone(), self.shared.clone());
        match effect {
            Effect::Inbox(effect) => Some(Box::pin(async move {
                Some(Event::Inbox(member.perform(effect, |event| Some(mark_of(&event))).await))
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
