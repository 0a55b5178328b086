//! One product that is being asked for, and everybody who waits for it.

use crate::ids::Version;
use crate::keeper::pace::Pace;
use crate::limits::{CACHE_PATIENCE_MS, CACHE_WAITING_MAX};
use crate::machine::Ticket;
use crate::time::{Mono, Wall};
use std::collections::VecDeque;

/// The only one of its product: callers join it, and whoever loses patience leaves it alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    pub stage: Stage,
    /// End of the stage: the answer is overdue, or the pause is over.
    pub until: Mono,
    /// When the open question was asked: the age of its answer counts from here.
    pub began: Mono,
    /// The least version that may be served.
    pub floor: Version,
    /// Messages may have been lost since the open question was asked, so its answer may be older than it looks.
    pub overtaken: bool,
    /// Loads that began.
    pub loads: u32,
    /// The shared cache's clock at the read that found nothing to serve; without it nothing can be filled there.
    pub asked_at: Option<Wall>,
    pub pace: Pace,
    waiters: VecDeque<Waiter>,
}

/// What a flight waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// The shared cache's answer.
    Reading(Ticket),
    /// The database's answer.
    Loading(Ticket),
    /// The time to load again.
    Pausing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Waiter {
    token: u64,
    patience: Mono,
}

/// Whether a caller could join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    Yes,
    Full,
}

impl Flight {
    /// A flight with nobody in it, which has asked nothing yet.
    pub fn new(now: Mono, floor: Version, pace: Pace) -> Flight {
        let (stage, waiters) = (Stage::Pausing, VecDeque::new());
        Flight { stage, until: now, began: now, floor, overtaken: false, loads: 0, asked_at: None, pace, waiters }
    }

    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub fn join(&mut self, now: Mono, token: u64) -> Joined {
        if self.waiters.len() >= CACHE_WAITING_MAX {
            return Joined::Full;
        }
        self.waiters.push_back(Waiter { token, patience: now.after_ms(CACHE_PATIENCE_MS) });
        Joined::Yes
    }

    /// The next caller whose patience is over; all have the same, so the first to come is the first to go.
    pub fn impatient(&mut self, now: Mono) -> Option<u64> {
        self.waiters.pop_front_if(|waiter| waiter.patience <= now).map(|waiter| waiter.token)
    }

    /// When it must be looked at again.
    pub fn wake_at(&self) -> Mono {
        self.waiters.front().map_or(self.until, |waiter| waiter.patience.min(self.until))
    }

    /// Everybody who waits, in the order in which they came.
    pub fn into_callers(self) -> impl Iterator<Item = u64> {
        self.waiters.into_iter().map(|waiter| waiter.token)
    }
}
