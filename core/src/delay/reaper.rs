//! Ends orders whose pay window is over: TimeoutDue -> delay queue -> claim -> transaction -> completion.
//!
//! A task leaves the queue only after its order's end is durable. Nothing here decides whether an order is over: the
//! conditional row and the database's clock do (S8), so an early, late or doubled attempt is harmless.

use super::claims::{Claims, Errand, Standing};
use super::queue::{Completion, Task, Token};
use crate::call::{Call, earliest};
use crate::database::command::{Command, Refusal, Reply};
use crate::ids::{OrderId, ShardId};
use crate::inbox::{self, Inbox};
use crate::limits::{
    CLAIM_PERIOD_MS, CLAIMED_MAX, DELAY_FLIGHTS_MAX, DELAY_TASKS_MAX, LEASE_MS, REAPER_FLIGHTS_MAX, RECOVERY_PERIOD_MS,
};
use crate::machine::{Machine, Ticket};
use crate::outcome::Outcome;
use crate::rng::Rng;
use crate::time::{Mono, Now};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound::{Excluded, Unbounded};

/// The queue's server certainly did nothing: loading, read-only, or gone before the call left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueAway;

/// What happens to the reaper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The time asked for has come.
    Woken,
    /// Something of the partitions of `timeouts`.
    Inbox(inbox::Event<Task>),
    /// Answers `Schedule`.
    Scheduled(Ticket, Outcome<(), QueueAway>),
    /// Answers `Claim` with the tasks that are ours now.
    Claimed(Ticket, Token, Outcome<Vec<OrderId>, QueueAway>),
    /// Answers `Recover` with the number of recovered tasks.
    Recovered(Ticket, Outcome<usize, QueueAway>),
    /// Answers `Apply`.
    Applied(Ticket, Outcome<Reply, Refusal>),
    /// Answers `Look`: one standing per order, in the order asked.
    Looked(Ticket, Outcome<Vec<Standing>, Infallible>),
    /// Answers `Complete`. Stale tokens among the completions changed nothing and are no refusal.
    Completed(Ticket, Outcome<(), QueueAway>),
}

/// What the reaper asks for. Every effect may be run twice, and late.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Something of the partitions of `timeouts`.
    Inbox(inbox::Effect),
    /// Puts tasks of one shard into the queue.
    Schedule(Ticket, ShardId, Vec<Task>),
    /// Claims due tasks of any shard under this token.
    Claim {
        /// To answer with.
        ticket: Ticket,
        /// Names the claim.
        token: Token,
        /// Most tasks.
        limit: usize,
        /// How long they are ours, by the queue's clock.
        lease_ms: u64,
    },
    /// Returns tasks whose lease has ended, at most so many of each queue.
    Recover(Ticket, usize),
    /// Runs one transaction; always an expiry of orders.
    Apply(Ticket, Command),
    /// Reads where orders stand, strongly, with the database's clock.
    Look(Ticket, ShardId, Vec<OrderId>),
    /// Ends claims.
    Complete(Ticket, ShardId, Vec<Completion>),
}

/// One worker on the delay queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reaper {
    tickets: Ticket,
    rng: Rng,
    inbox: Inbox<Task>,
    claim: Call,
    recover: Call,
    claims: BTreeMap<ShardId, Claims>,
    /// Shards with an open errand.
    errands: BTreeMap<Ticket, ShardId>,
    last: Option<ShardId>,
    /// Claimed tasks in all shards: at most `CLAIMED_MAX`.
    held: usize,
}

impl Reaper {
    /// A reaper without partitions, which begins to claim at once. The seed names its claims: it must be fresh entropy
    /// for each process, or two workers would hold one token.
    pub fn new(now: Mono, seed: u64) -> Reaper {
        Reaper {
            tickets: Ticket::default(),
            rng: Rng::seeded(seed),
            inbox: Inbox::new(DELAY_FLIGHTS_MAX),
            claim: Call::due(now),
            recover: Call::due(now),
            claims: BTreeMap::new(),
            errands: BTreeMap::new(),
            last: None,
            held: 0,
        }
    }
}

impl Machine for Reaper {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        self.absorb(now.mono, event);
        let mut effects = Vec::new();
        self.inbox.pump(now.mono, &mut self.tickets, &mut effects);
        out.extend(effects.into_iter().map(Effect::Inbox));
        self.start_schedules(now.mono, out);
        self.start_queue_calls(now.mono, out);
        self.start_errands(now.mono, out);
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        let inbox = self.inbox.wake_at().map(|(at, why)| (Some(at), why));
        let claim = if self.room() > 0 { self.claim.wake_at() } else { None };
        let full = self.errands.len() >= REAPER_FLIGHTS_MAX;
        let errands = self.claims.values().filter(move |claims| !full || claims.call.is_asked());
        let errands = errands.map(|claims| (claims.call.wake_at(), "errand"));
        let timers = [(claim, "claim"), (self.recover.wake_at(), "recover")];
        earliest(errands.chain(inbox).chain(timers))
    }

    fn check(&self) {
        self.inbox.check();
        assert!(self.held <= CLAIMED_MAX, "claimed tasks are bounded");
        assert!(self.errands.len() <= REAPER_FLIGHTS_MAX, "errands are bounded");
        assert!(self.claims.is_empty() == (self.held == 0), "every held task is in a shard's claims");
    }

    fn pending(&self) -> Option<&'static str> {
        if self.held > 0 { Some("claimed tasks are not completed") } else { self.inbox.pending() }
    }
}

impl Reaper {
    fn absorb(&mut self, now: Mono, event: Event) {
        match event {
            Event::Woken => {}
            Event::Inbox(event) => self.inbox.absorb(now, &mut self.rng, event, |task| task.order.shard),
            Event::Scheduled(ticket, outcome) => match outcome {
                Outcome::Done(()) => self.inbox.finish(now, ticket),
                // Unknown: a version that the queue knows is ignored, one that it does not know is added now.
                Outcome::Refused(QueueAway) | Outcome::Unknown => self.inbox.retry(now, &mut self.rng, ticket),
            },
            Event::Claimed(ticket, token, outcome) => self.absorb_claimed(now, ticket, token, outcome),
            Event::Recovered(ticket, outcome) => self.absorb_recovered(now, ticket, outcome),
            Event::Applied(ticket, outcome) => self.absorb_applied(now, ticket, outcome),
            Event::Looked(ticket, outcome) => {
                let Some(claims) = self.answered(ticket) else { return };
                match outcome {
                    Outcome::Done(standings) => claims.looked(now, &standings),
                    Outcome::Refused(never) => match never {},
                    // A read changes nothing.
                    Outcome::Unknown => self.retry_errand(now, ticket),
                }
            }
            Event::Completed(ticket, outcome) => self.absorb_completed(now, ticket, outcome),
        }
        self.errands.retain(|_, shard| self.claims.get(shard).is_some_and(|claims| !claims.call.is_due(now)));
    }

    fn absorb_claimed(&mut self, now: Mono, ticket: Ticket, token: Token, outcome: Outcome<Vec<OrderId>, QueueAway>) {
        if !self.claim.take(ticket) {
            // Late: whatever was claimed under that token comes back when its lease ends.
            return;
        }
        let orders = match outcome {
            Outcome::Done(orders) => orders,
            // Unknown: what was claimed comes back when its lease ends; the next attempt has a token of its own.
            Outcome::Refused(QueueAway) | Outcome::Unknown => return self.claim.retry(now, &mut self.rng),
        };
        assert!(orders.len() <= self.room(), "a claim is never larger than the room that it was asked for");
        self.claim.again_at(if orders.is_empty() { now.after_ms(CLAIM_PERIOD_MS) } else { now });
        self.held += orders.len();
        for order in orders {
            let claims = self.claims.entry(order.shard).or_insert_with(|| Claims::new(order.shard, now));
            claims.push(order, token);
        }
    }

    fn absorb_recovered(&mut self, now: Mono, ticket: Ticket, outcome: Outcome<usize, QueueAway>) {
        if !self.recover.take(ticket) {
            return;
        }
        match outcome {
            Outcome::Done(count) if count >= DELAY_TASKS_MAX => self.recover.again_at(now),
            Outcome::Done(_) => self.recover.again_at(now.after_ms(RECOVERY_PERIOD_MS)),
            // Unknown: a recovered task is not recovered twice, its lease is gone.
            Outcome::Refused(QueueAway) | Outcome::Unknown => self.recover.retry(now, &mut self.rng),
        }
    }

    fn absorb_applied(&mut self, now: Mono, ticket: Ticket, outcome: Outcome<Reply, Refusal>) {
        let Some(claims) = self.answered(ticket) else { return };
        match outcome {
            Outcome::Done(Reply::Count(ended)) => claims.expired(now, ended),
            Outcome::Done(
                Reply::Done
                | Reply::Order(_)
                | Reply::Payment(_)
                | Reply::Sale(_)
                | Reply::Shard(_)
                | Reply::Intake(_)
                | Reply::Sales(_),
            ) => panic!("an expiry answers with the number of orders that it ended"),
            Outcome::Refused(_) => claims.refused(now),
            // Committed: the orders have ended and are passed over, then found settled. Not committed: they end now.
            Outcome::Unknown => self.retry_errand(now, ticket),
        }
    }

    fn absorb_completed(&mut self, now: Mono, ticket: Ticket, outcome: Outcome<(), QueueAway>) {
        let Some(claims) = self.answered(ticket) else { return };
        match outcome {
            Outcome::Done(()) => {
                let completed = claims.completed(now);
                self.held -= completed;
                self.claims.retain(|_, claims| !claims.is_empty());
            }
            // Unknown: a completed claim's token is stale and changes nothing, an open one is completed now.
            Outcome::Refused(QueueAway) | Outcome::Unknown => self.retry_errand(now, ticket),
        }
        self.errands.remove(&ticket);
    }

    /// The claims whose open errand this ticket is.
    fn answered(&mut self, ticket: Ticket) -> Option<&mut Claims> {
        let shard = self.errands.get(&ticket)?;
        let claims = self.claims.get_mut(shard)?;
        claims.call.take(ticket).then_some(claims)
    }

    fn retry_errand(&mut self, now: Mono, ticket: Ticket) {
        let Some(shard) = self.errands.remove(&ticket) else { return };
        let claims = self.claims.get_mut(&shard).expect("an open errand has its claims");
        claims.call.retry(now, &mut self.rng);
    }

    fn room(&self) -> usize {
        CLAIMED_MAX - self.held
    }

    fn start_schedules(&mut self, now: Mono, out: &mut Vec<Effect>) {
        while let Some(id) = self.inbox.due_lane(now) {
            let ticket = self.tickets.advance();
            let tasks = self.inbox.begin(now, id, ticket, |taken, _| taken < DELAY_TASKS_MAX);
            out.push(Effect::Schedule(ticket, id.1, tasks));
        }
    }

    fn start_queue_calls(&mut self, now: Mono, out: &mut Vec<Effect>) {
        if self.claim.is_due(now) && self.room() > 0 {
            let ticket = self.claim.ask(now, self.tickets.advance());
            let token = Token(self.rng.draw());
            let limit = self.room().min(DELAY_TASKS_MAX);
            out.push(Effect::Claim { ticket, token, limit, lease_ms: LEASE_MS });
        }
        if self.recover.is_due(now) {
            let ticket = self.recover.ask(now, self.tickets.advance());
            out.push(Effect::Recover(ticket, DELAY_TASKS_MAX));
        }
    }

    fn start_errands(&mut self, now: Mono, out: &mut Vec<Effect>) {
        while self.errands.len() < REAPER_FLIGHTS_MAX {
            let Some(shard) = self.due_claims(now) else { return };
            let claims = self.claims.get_mut(&shard).expect("it was just found");
            let ticket = claims.call.ask(now, self.tickets.advance());
            out.push(match claims.errand() {
                Errand::Apply(command) => Effect::Apply(ticket, command),
                Errand::Look(orders) => Effect::Look(ticket, shard, orders),
                Errand::Complete(completions) => Effect::Complete(ticket, shard, completions),
            });
            self.errands.insert(ticket, shard);
            self.last = Some(shard);
        }
    }

    /// The next shard in turn whose errand is due.
    fn due_claims(&self, now: Mono) -> Option<ShardId> {
        let after = self.last.map_or(Unbounded, Excluded);
        let due = |(_, claims): &(&ShardId, &Claims)| claims.call.is_due(now);
        let later = self.claims.range((after, Unbounded)).find(due);
        later.or_else(|| self.claims.iter().find(due)).map(|(shard, _)| *shard)
    }
}
