//! The hourly walk over a partition's rings: those whose window has changed are told to search.

use super::command::SalesCommand;
use super::hour::{HOUR_MS, Hour};
use super::worker::Effect;
use crate::call::Call;
use crate::database::command::Command;
use crate::ids::SkuId;
use crate::inbox::Partition;
use crate::limits::{SALES_EMIT_DELAY_MS, SALES_EMIT_MAX};
use crate::machine::Ticket;
use crate::rng::Rng;
use crate::time::{Mono, Now};

/// The walks of one assigned partition, one per hour; the first begins with the assignment, because nobody knows
/// whether the worker before has finished its own. A window is told once per hour, whoever walks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Emission {
    /// The hour whose walk was finished last.
    done: Option<Hour>,
    walk: Option<Walk>,
    call: Call,
    /// When the next walk begins, as far as the wall clock has told.
    next_at: Mono,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Walk {
    hour: Hour,
    /// The last SKU that is done.
    after: Option<SkuId>,
    /// SKUs whose windows are to be told next.
    page: Vec<SkuId>,
}

impl Emission {
    /// Of a newly assigned partition.
    pub fn new(now: Mono) -> Emission {
        Emission { done: None, walk: None, call: Call::QUIET, next_at: now }
    }

    /// Whether the open question has this ticket; it is then closed.
    pub fn awaits(&mut self, ticket: Ticket) -> bool {
        self.call.take(ticket)
    }

    /// Asks again after a pause. Pages are only read, and a window is told once per hour: both may be repeated.
    pub fn retry(&mut self, now: Mono, rng: &mut Rng) {
        self.call.retry(now, rng);
    }

    /// The next SKUs with a ring, in their order; none when the walk is at its end.
    pub fn listed(&mut self, now: Mono, skus: Vec<SkuId>) {
        let Some(walk) = &mut self.walk else { return };
        assert!(skus.len() <= SALES_EMIT_MAX, "a page has at most as many rings as were asked for");
        if skus.is_empty() {
            self.done = Some(walk.hour);
            self.walk = None;
            return self.call.rest();
        }
        walk.page = skus;
        self.call.again_at(now);
    }

    /// The windows of the page are told.
    pub fn told(&mut self, now: Mono) {
        let Some(walk) = &mut self.walk else { return };
        walk.after = walk.page.last().copied();
        walk.page.clear();
        self.call.again_at(now);
    }

    /// Starts what is due.
    pub fn pump(&mut self, now: Now, partition: Partition, tickets: &mut Ticket, out: &mut Vec<Effect>) {
        let hour = Hour::of(now.wall.before_ms(SALES_EMIT_DELAY_MS));
        let due_at = hour.next().start().after_ms(SALES_EMIT_DELAY_MS);
        self.next_at = now.mono.after_ms((due_at.0 - now.wall.0).min(HOUR_MS));
        // A walk for an hour that the wall clock has taken back would wait for it; one that is late goes on.
        let walks_ahead = self.walk.as_ref().is_some_and(|walk| walk.hour > hour);
        if walks_ahead || (self.walk.is_none() && self.done != Some(hour)) {
            self.walk = Some(Walk { hour, after: None, page: Vec::new() });
            self.call.again_at(now.mono);
        }
        let Some(walk) = self.walk.as_ref().filter(|_| self.call.is_due(now.mono)) else { return };
        let ticket = self.call.ask(now.mono, tickets.advance());
        out.push(match walk.page.is_empty() {
            true => Effect::ListRings { ticket, partition, after: walk.after, limit: SALES_EMIT_MAX },
            false => {
                let emit = SalesCommand::Emit { hour: walk.hour, skus: walk.page.clone() };
                Effect::Apply { ticket, partition, command: Command::Sales(emit) }
            }
        });
    }

    /// When it must be looked at.
    pub fn wakes(&self) -> [(Option<Mono>, &'static str); 2] {
        [(self.call.wake_at(), "windows"), (self.walk.is_none().then_some(self.next_at), "the next hour's windows")]
    }

    /// Whether windows of an hour that has come are still to be told.
    pub fn pending(&self) -> Option<&'static str> {
        self.walk.as_ref().map(|_| "windows are being told")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::BACKOFF_MS_MAX;
    use crate::time::Wall;

    #[test]
    fn a_page_that_could_not_be_read_is_asked_for_again() {
        let (mut emission, mut tickets, mut out) = (Emission::new(Mono(0)), Ticket::default(), Vec::new());
        let at = |millis| Now { mono: Mono(0).after_ms(millis), wall: Wall(0).after_ms(9 * HOUR_MS + millis) };
        emission.pump(at(0), Partition(0), &mut tickets, &mut out);
        assert!(emission.awaits(tickets), "it asks for rings");
        emission.retry(at(0).mono, &mut Rng::seeded(1));
        emission.pump(at(BACKOFF_MS_MAX), Partition(0), &mut tickets, &mut out);
        assert!(matches!(out[..], [Effect::ListRings { .. }, Effect::ListRings { .. }]), "{out:?}");
    }
}
