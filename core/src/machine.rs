//! A long-running process as a pure function: events in, effects out.

use crate::time::{Mono, Now};

/// A process that is told what happened and says what to do; it never waits and never fails.
///
/// Machines derive `Clone` and `Hash`, so that an explorer can fork and recognise their states.
/// An effect that can be answered carries a [`Ticket`]; its answer comes back as an event.
pub trait Machine {
    /// What can happen to it.
    type Event;
    /// What it asks the outside to do.
    type Effect;

    /// Takes one event. Effects are appended to `out` in the order in which they are to be started.
    fn step(&mut self, now: Now, event: Self::Event, out: &mut Vec<Self::Effect>);

    /// The latest time at which it must be woken, and why. An earlier wake-up is harmless.
    fn wake_at(&self) -> Option<(Mono, &'static str)>;

    /// Asserts its own invariants in O(1); full scans belong to quiet points.
    fn check(&self) {}

    /// What it still owes; `None` when it is at rest.
    fn pending(&self) -> Option<&'static str> {
        None
    }
}

/// Names one question, so that a late answer to an older one is recognised and dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

impl Ticket {
    /// The next ticket; each is used once.
    pub fn advance(&mut self) -> Ticket {
        self.0 += 1;
        *self
    }
}
