//! Finds unpaid orders that the delay queue has forgotten, in the database's index of due orders.
//!
//! Losing the queue's server loses the queue; that every unpaid order ends is certain because of this.

use super::queue::Task;
use super::reaper::QueueAway;
use crate::call::{Call, earliest};
use crate::ids::{OrderId, ShardId};
use crate::limits::{DELAY_TASKS_MAX, OVERDUE_MS, SWEEP_FLIGHTS_MAX, SWEEP_PAGE_MAX, SWEEP_PERIOD_MS};
use crate::machine::{Machine, Ticket};
use crate::outcome::Outcome;
use crate::rng::Rng;
use crate::time::{Mono, Now, Wall};
use std::collections::BTreeMap;
use std::convert::Infallible;

const _: () = assert!(SWEEP_PAGE_MAX <= DELAY_TASKS_MAX, "a page is scheduled in one call");

/// A place in the index of due orders.
pub type Place = (Wall, OrderId);

/// A page of the index: unpaid orders of one shard in the order of their due times.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DuePage {
    /// The database's clock in the same read.
    pub at: Wall,
    /// Only PENDING_PAYMENT; fewer than asked for when the index ends here.
    pub tasks: Vec<Task>,
}

/// What happens to the sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The time asked for has come.
    Woken,
    /// A shard to look after; told again, nothing changes.
    ShardFound(ShardId),
    /// A shard that needs no sweep any more.
    ShardGone(ShardId),
    /// The shard's memory is another: what its delay queue held may be lost, so it is swept at once.
    EpochChanged(ShardId),
    /// Answers `ScanDue`.
    Scanned(Ticket, ShardId, Outcome<DuePage, Infallible>),
    /// Answers `Schedule`.
    Scheduled(Ticket, ShardId, Outcome<(), QueueAway>),
}

/// What the sweep asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Reads a page of the shard's index, behind `after`.
    ScanDue {
        /// To answer with.
        ticket: Ticket,
        /// Which shard.
        shard: ShardId,
        /// The last place of the page before.
        after: Option<Place>,
        /// Most orders.
        limit: usize,
    },
    /// Puts tasks of one shard into the delay queue.
    Schedule(Ticket, ShardId, Vec<Task>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// Between two rounds, or about to read the page behind this place.
    Reading(Option<Place>),
    /// About to schedule these; then the page behind the place, or the end of the round.
    Scheduling(Vec<Task>, Option<Place>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Round {
    stage: Stage,
    call: Call,
    /// The epoch changed during the round: another one follows at once.
    again: bool,
}

/// The sweep of some shards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sweep {
    tickets: Ticket,
    rng: Rng,
    rounds: BTreeMap<ShardId, Round>,
    /// Rounds with an open question: at most `SWEEP_FLIGHTS_MAX`.
    flights: BTreeMap<Ticket, ShardId>,
}

impl Sweep {
    /// A sweep without shards; `seed` only varies its pauses.
    pub fn new(seed: u64) -> Sweep {
        let (rounds, flights) = (BTreeMap::new(), BTreeMap::new());
        Sweep { tickets: Ticket::default(), rng: Rng::seeded(seed), rounds, flights }
    }
}

impl Machine for Sweep {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        self.absorb(now.mono, event);
        self.start(now.mono, out);
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        let full = self.flights.len() >= SWEEP_FLIGHTS_MAX;
        let rounds = self.rounds.values().filter(move |round| !full || round.call.is_asked());
        earliest(rounds.map(|round| (round.call.wake_at(), "sweep")))
    }

    fn check(&self) {
        assert!(self.flights.len() <= SWEEP_FLIGHTS_MAX, "a sweep does not crowd out buyers");
        assert!(self.flights.len() <= self.rounds.len(), "a round has at most one open question");
    }

    fn pending(&self) -> Option<&'static str> {
        let resting = |round: &Round| round.stage == Stage::Reading(None) && !round.again && !round.call.is_asked();
        (!self.rounds.values().all(resting)).then_some("a sweep is under way")
    }
}

impl Sweep {
    fn absorb(&mut self, now: Mono, event: Event) {
        match event {
            Event::Woken => {}
            Event::ShardFound(shard) => drop(self.round(now, shard)),
            Event::ShardGone(shard) => drop(self.rounds.remove(&shard)),
            Event::EpochChanged(shard) => {
                let round = self.round(now, shard);
                if round.stage == Stage::Reading(None) && !round.call.is_asked() {
                    round.call.again_at(now);
                } else {
                    round.again = true;
                }
            }
            Event::Scanned(ticket, shard, outcome) => {
                let Some(round) = answered(&mut self.rounds, ticket, shard) else { return };
                match outcome {
                    Outcome::Done(page) => round.absorb_page(now, page),
                    Outcome::Refused(never) => match never {},
                    // A read changes nothing.
                    Outcome::Unknown => round.call.retry(now, &mut self.rng),
                }
            }
            Event::Scheduled(ticket, shard, outcome) => {
                let Some(round) = answered(&mut self.rounds, ticket, shard) else { return };
                match outcome {
                    Outcome::Done(()) => round.absorb_scheduled(now),
                    // Unknown: a version that the queue knows is ignored, one that it does not know is added now.
                    Outcome::Refused(QueueAway) | Outcome::Unknown => round.call.retry(now, &mut self.rng),
                }
            }
        }
    }

    fn round(&mut self, now: Mono, shard: ShardId) -> &mut Round {
        let fresh = || Round { stage: Stage::Reading(None), call: Call::due(now), again: false };
        self.rounds.entry(shard).or_insert_with(fresh)
    }

    fn start(&mut self, now: Mono, out: &mut Vec<Effect>) {
        let rounds = &self.rounds;
        let open = |round: &Round| round.call.is_asked() && !round.call.is_due(now);
        self.flights.retain(|ticket, shard| rounds.get(shard).is_some_and(|round| open(round) && round.owns(*ticket)));
        for (shard, round) in &mut self.rounds {
            if self.flights.len() >= SWEEP_FLIGHTS_MAX {
                return;
            }
            if !round.call.is_due(now) {
                continue;
            }
            let ticket = round.call.ask(now, self.tickets.advance());
            self.flights.insert(ticket, *shard);
            out.push(match &round.stage {
                Stage::Reading(after) => {
                    Effect::ScanDue { ticket, shard: *shard, after: *after, limit: SWEEP_PAGE_MAX }
                }
                Stage::Scheduling(tasks, _) => Effect::Schedule(ticket, *shard, tasks.clone()),
            });
        }
    }
}

fn answered(rounds: &mut BTreeMap<ShardId, Round>, ticket: Ticket, shard: ShardId) -> Option<&mut Round> {
    let round = rounds.get_mut(&shard)?;
    round.call.take(ticket).then_some(round)
}

impl Round {
    fn owns(&self, ticket: Ticket) -> bool {
        let mut call = self.call;
        call.take(ticket)
    }

    /// The index is in the order of due times, so the first order that is not overdue ends the round.
    fn absorb_page(&mut self, now: Mono, page: DuePage) {
        let full = page.tasks.len() >= SWEEP_PAGE_MAX;
        let limit = page.at.before_ms(OVERDUE_MS);
        let overdue: Vec<Task> = page.tasks.iter().copied().take_while(|task| task.due < limit).collect();
        let next = overdue.last().filter(|_| full && overdue.len() == page.tasks.len());
        let next = next.map(|task| (task.due, task.order));
        if overdue.is_empty() {
            return self.end(now);
        }
        self.stage = Stage::Scheduling(overdue, next);
        self.call.again_at(now);
    }

    fn absorb_scheduled(&mut self, now: Mono) {
        let Stage::Scheduling(_, next) = &self.stage else { return };
        match *next {
            Some(place) => {
                self.stage = Stage::Reading(Some(place));
                self.call.again_at(now);
            }
            None => self.end(now),
        }
    }

    fn end(&mut self, now: Mono) {
        self.stage = Stage::Reading(None);
        let again = std::mem::take(&mut self.again);
        self.call.again_at(if again { now } else { now.after_ms(SWEEP_PERIOD_MS) });
    }
}
