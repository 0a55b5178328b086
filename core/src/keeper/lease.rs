//! The keeper's hold on its shard's lease, by its own clock.

use crate::limits::{LEASE_MS, LEASE_RENEWAL_MS};
use crate::machine::Ticket;
use crate::time::{Mono, Now};

/// What the keeper believes of its lease. It only keeps two keepers from working at once: every step of the ladder
/// is conditional on the rung, so a belief that is wrong costs a refused step and no unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LeaseHold {
    until: Mono,
    renewal: Option<Renewal>,
    not_before: Mono,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Renewal {
    ticket: Ticket,
    asked_at: Mono,
}

impl LeaseHold {
    /// Whether it is held.
    pub fn is_held(&self, now: Now) -> bool {
        now.mono < self.until
    }

    /// Notes that a step was taken that renews the lease. It counts from the asking, which came before the
    /// database's clock was read: so this end is never later than the row's, if the clocks run alike.
    pub fn renewed(&mut self, asked_at: Mono) {
        self.until = self.until.max(asked_at.after_ms(LEASE_MS));
    }

    /// Another keeper has it.
    pub fn lost(&mut self) {
        *self = LeaseHold::default();
    }

    /// Forgets a lease that has run out, so that nothing wakes up to renew it.
    pub fn expire(&mut self, now: Now) {
        if !self.is_held(now) {
            self.lost();
        }
    }

    /// When to ask for its renewal, while it is held.
    pub fn renew_at(&self) -> Option<Mono> {
        let renew_at = Mono(self.until.0.saturating_sub(LEASE_RENEWAL_MS * 1000)).max(self.not_before);
        (self.until > Mono(0)).then_some(renew_at)
    }

    /// Whether a renewal is to be asked for now; an answer that does not come is asked for again.
    pub fn is_due(&self, now: Now) -> bool {
        self.is_held(now) && self.renew_at().is_some_and(|renew_at| now.mono >= renew_at)
    }

    /// Notes that a renewal was asked for; the next one not before a second, so that an outage is not hammered.
    pub fn ask(&mut self, now: Now, ticket: Ticket) {
        self.renewal = Some(Renewal { ticket, asked_at: now.mono });
        self.not_before = now.mono.after_ms(1_000);
    }

    /// When the renewal with this ticket was asked for; `None` when the ticket is not the last renewal's.
    pub fn take(&mut self, ticket: Ticket) -> Option<Mono> {
        let renewal = self.renewal.filter(|renewal| renewal.ticket == ticket)?;
        self.renewal = None;
        Some(renewal.asked_at)
    }
}
