//! The keeper of one shard: it runs the epoch ladder, one question at a time, from what it has just read.
//!
//! A run begins with the row. Each step of the ladder is conditional on the rung that was read, so a run that is
//! overtaken is refused and ends; a run whose answer is lost ends too, and the next one reads what became of it.
//! The keeper never writes a counter: units move only by the ledger's rules.

pub mod balance;
pub mod balancer;
mod counters;
mod lease;
mod opening;
pub(crate) mod pace;
mod sealing;
pub mod talk;

use crate::call::earliest;
use crate::database::rows::{Phase, SaleRow, SaleState, SealReason, ShardRow};
use crate::ids::{Epoch, ShardId, SkuId};
use crate::ledger::epoch::{LadderCommand, LadderStep};
use crate::ledger::shard::Fence;
use crate::limits::{ANSWER_MS_MAX, LEASE_MS, LOAD_ANSWER_MS, LOOK_MS, PRELOAD_MS, WISHES_MAX};
use crate::machine::{Machine, Ticket};
use crate::time::{Mono, Now};
use lease::LeaseHold;
use pace::Pace;
use std::collections::BTreeMap;
use talk::{KeeperEffect, KeeperEvent};

/// The keeper of one shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Keeper {
    shard: ShardId,
    owner: u64,
    tickets: Ticket,
    pace: Pace,
    lease: LeaseHold,
    state: State,
    rows: Option<(SaleRow, ShardRow)>,
    owes: Option<&'static str>,
    /// The one load that this keeper began last: the same fence is never loaded again.
    loaded: Option<Fence>,
    /// Looks in a row that found no server.
    unreachable: u32,
    seal_asked: bool,
    /// The epoch whose counters were found broken.
    broken: Option<Epoch>,
    /// The epoch whose seal was sent, and when it is to be sent again if the row does not show it.
    sent_seal: Option<(Epoch, Mono)>,
    /// Units that somebody wants elsewhere, per SKU: at most `WISHES_MAX`. They end with the run: whoever balances looks
    /// at the stock again before asking for more.
    wishes: BTreeMap<SkuId, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Resting { until: Mono },
    Asking(Question),
    Closed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    ticket: Ticket,
    asked_at: Mono,
    until: Mono,
    work: Work,
}

/// What the open question is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Work {
    Read,
    Look,
    Apply(LadderStep),
    Seal,
    Drain,
    Load,
    Open,
    /// Whether the pause is the first step of closing.
    SetState {
        closing: bool,
    },
    ReadRange,
    /// The SKUs still to be withdrawn of a closing shard.
    WithdrawAll(Vec<SkuId>),
    Withdraw,
}

impl Keeper {
    /// A keeper that knows nothing yet. `owner` tells it from other keepers of this shard; it and the seed, from
    /// which nonces and jitter are made, must be drawn afresh for each life of a keeper.
    pub fn new(shard: ShardId, owner: u64, seed: u64) -> Keeper {
        Keeper {
            shard,
            owner,
            tickets: Ticket::default(),
            pace: Pace::new(seed),
            lease: LeaseHold::default(),
            state: State::Resting { until: Mono(0) },
            rows: None,
            owes: Some("its shard's row is not read yet"),
            loaded: None,
            unreachable: 0,
            seal_asked: false,
            broken: None,
            sent_seal: None,
            wishes: BTreeMap::new(),
        }
    }

    /// The shard's row as last read or written by this keeper.
    pub fn row(&self) -> Option<&ShardRow> {
        self.rows.as_ref().map(|(_, row)| row)
    }

    fn begin_run(&mut self, now: Now, out: &mut Vec<KeeperEffect>) {
        if self.lease.is_held(now) {
            self.ask(now, Work::Read, KeeperEffect::ReadRow, out);
        } else {
            self.apply(now, LadderStep::KeepLease, out);
        }
    }

    /// What the rows ask for. Both were just read.
    fn decide(&mut self, now: Now, out: &mut Vec<KeeperEffect>) {
        let (sale, row) = self.rows.as_ref().expect("a run decides after it has read");
        let (state, rung, starts_at) = (sale.state, row.rung(), sale.window.starts_at);
        match row.phase {
            Phase::Closed => self.retire(),
            Phase::Sealing => self.seal(now, out),
            Phase::Open | Phase::Opening if self.seal_asked => self.begin_sealing(now, SealReason::Operator, out),
            Phase::Open if self.broken == Some(rung.epoch) => self.begin_sealing(now, SealReason::CountersBroken, out),
            Phase::Opening if state == SaleState::Closed => self.begin_sealing(now, SealReason::SaleClosed, out),
            Phase::Open if state == SaleState::Closed => self.stop_to_close(now, out),
            Phase::Open | Phase::Opening => self.look(now, out),
            Phase::Sealed => {
                self.seal_asked = false;
                let due = now.wall.after_ms(PRELOAD_MS) >= starts_at;
                match state {
                    SaleState::Closed => self.apply(now, LadderStep::Close(rung), out),
                    SaleState::Open | SaleState::Stopped if due => self.look(now, out),
                    SaleState::Draft | SaleState::Open | SaleState::Stopped => self.finish(now),
                }
            }
        }
    }

    fn look(&mut self, now: Now, out: &mut Vec<KeeperEffect>) {
        self.ask(now, Work::Look, KeeperEffect::AskServer, out);
    }

    fn apply(&mut self, now: Now, step: LadderStep, out: &mut Vec<KeeperEffect>) {
        let command = LadderCommand { shard: self.shard, owner: Some(self.owner), step };
        self.ask(now, Work::Apply(step), |ticket| KeeperEffect::Apply(ticket, command), out);
    }

    fn ask(&mut self, now: Now, work: Work, effect: impl FnOnce(Ticket) -> KeeperEffect, out: &mut Vec<KeeperEffect>) {
        let patience_ms = if work == Work::Load { LOAD_ANSWER_MS } else { ANSWER_MS_MAX };
        self.owes = work.name().or(self.owes);
        let ticket = self.tickets.advance();
        let question = Question { ticket, asked_at: now.mono, until: now.mono.after_ms(patience_ms), work };
        self.state = State::Asking(question);
        out.push(effect(ticket));
    }

    /// The question with this ticket, if it is the open one; an answer to an older one is dropped.
    fn take(&mut self, now: Now, ticket: Ticket) -> Option<Question> {
        let open = matches!(&self.state, State::Asking(question) if question.ticket == ticket);
        if !open {
            return None;
        }
        match std::mem::replace(&mut self.state, State::Resting { until: now.mono }) {
            State::Asking(question) => Some(question),
            State::Resting { .. } | State::Closed => unreachable!("the state was just looked at"),
        }
    }

    /// Ends the run without a result; the next one begins with the row.
    fn fail(&mut self, now: Now) {
        self.wishes.clear();
        self.state = State::Resting { until: self.pace.fail(now) };
    }

    /// Ends the run with nothing left to do.
    fn finish(&mut self, now: Now) {
        self.pace.succeed();
        self.owes = None;
        self.state = State::Resting { until: now.mono.after_ms(LOOK_MS) };
    }

    /// Another keeper runs the ladder: it owes what is to be done.
    fn stand_by(&mut self, now: Now) {
        self.lease.lost();
        self.wishes.clear();
        self.owes = None;
        self.state = State::Resting { until: now.mono.after_ms(LEASE_MS / 4) };
    }

    fn retire(&mut self) {
        self.owes = None;
        self.wishes.clear();
        self.lease.lost();
        self.state = State::Closed;
    }

    /// Ends the rest at once, so that what was just asked for is not looked at a second later.
    fn hurry(&mut self, now: Now) {
        if let State::Resting { until } = &mut self.state {
            *until = now.mono;
        }
    }

    /// Only the keeper that runs the ladder takes units back: another one has none to take.
    fn wish(&mut self, now: Now, sku: SkuId, quantity: u64) {
        let open = self.row().is_some_and(|row| row.phase == Phase::Open);
        if !open || !self.lease.is_held(now) || self.wishes.len() >= WISHES_MAX {
            return;
        }
        self.wishes.insert(sku, quantity);
        // A wish ends a rest, not the pause after a failure: many wishes would else be many tries, and a server that is
        // cut off for seconds would be taken for lost.
        if !self.pace.is_failing() {
            self.hurry(now);
        }
    }

    fn tick(&mut self, now: Now, out: &mut Vec<KeeperEffect>) {
        self.lease.expire(now);
        let (overdue, rested) = match &self.state {
            State::Asking(question) => (question.until <= now.mono, false),
            State::Resting { until } => (false, *until <= now.mono),
            State::Closed => (false, false),
        };
        if overdue {
            // Done or not done: the next run reads the row and the server, and every step is conditional on both.
            self.fail(now);
        }
        if rested {
            self.begin_run(now, out);
        } else if self.lease.is_due(now) {
            let ticket = self.tickets.advance();
            self.lease.ask(now, ticket);
            let command = LadderCommand { shard: self.shard, owner: Some(self.owner), step: LadderStep::KeepLease };
            out.push(KeeperEffect::Apply(ticket, command));
        }
    }
}

impl Work {
    /// What is owed until it is answered. A look owes nothing new: a healthy shard is looked at every second.
    fn name(&self) -> Option<&'static str> {
        Some(match self {
            Work::Read | Work::Look | Work::Apply(LadderStep::KeepLease) => return None,
            Work::Apply(LadderStep::BeginSealing(..)) => "an epoch is to be ended",
            Work::Apply(LadderStep::BeginOpening(..)) => "an epoch is to be opened",
            Work::Apply(LadderStep::FinishOpening(_)) => "an opened epoch is to be announced",
            Work::Apply(LadderStep::Close(_)) => "a closed sale's units are to be returned",
            Work::Seal => "an ended epoch's server is being sealed",
            Work::Drain => "an ended epoch's log is being drained",
            Work::Load => "a server is being loaded",
            Work::Open => "a loaded server is being opened",
            Work::SetState { .. } => "a server is being paused or resumed",
            Work::ReadRange | Work::WithdrawAll(_) => "a closed sale's units are being withdrawn",
            Work::Withdraw => "units are being balanced",
        })
    }
}

impl Machine for Keeper {
    type Event = KeeperEvent;
    type Effect = KeeperEffect;

    fn step(&mut self, now: Now, event: KeeperEvent, out: &mut Vec<KeeperEffect>) {
        match event {
            KeeperEvent::Tick => {}
            KeeperEvent::RowRead { ticket, rows } => self.row_read(now, ticket, rows, out),
            KeeperEvent::Applied { ticket, outcome } => self.applied(now, ticket, outcome, out),
            KeeperEvent::ServerSeen { ticket, server, meta } => self.server_seen(now, ticket, server, meta, out),
            KeeperEvent::ServerUnreachable { ticket } => self.server_unreachable(now, ticket, out),
            KeeperEvent::Sealed { ticket, last } => self.sealed(now, ticket, last, out),
            KeeperEvent::Drained { ticket } => self.drained(now, ticket, out),
            KeeperEvent::Loaded { ticket, outcome } => self.loaded(now, ticket, outcome, out),
            KeeperEvent::Opened { ticket, outcome } => self.opened(now, ticket, outcome, out),
            KeeperEvent::StateSet { ticket, outcome } => self.state_set(now, ticket, outcome, out),
            KeeperEvent::RangeRead { ticket, skus } => self.range_read(now, ticket, skus, out),
            KeeperEvent::Withdrawn { ticket, outcome } => self.withdrawn(now, ticket, outcome, out),
            KeeperEvent::OperatorSeal => {
                self.seal_asked = true;
                self.hurry(now);
            }
            KeeperEvent::RebalanceAsked { sku, quantity } => self.wish(now, sku, quantity),
            KeeperEvent::CountersRead(counters) => self.counters_read(now, &counters, out),
        }
        self.tick(now, out);
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        let (state, renewal) = match &self.state {
            State::Asking(question) => ((question.until, "an answer is overdue"), self.lease.renew_at()),
            State::Resting { until } => ((*until, "the shard is to be looked at"), None),
            State::Closed => return None,
        };
        earliest([(Some(state.0), state.1), (renewal, "the lease is to be renewed")])
    }

    fn check(&self) {
        assert!(self.wishes.len() <= WISHES_MAX, "wishes are bounded");
        if let (State::Asking(question), Some(row)) = (&self.state, self.row()) {
            match question.work {
                Work::Load | Work::Open => assert!(row.phase == Phase::Opening, "only an OPENING shard is loaded"),
                Work::Seal | Work::Drain => assert!(row.phase == Phase::Sealing, "only a SEALING shard is drained"),
                Work::Read
                | Work::Look
                | Work::Apply(_)
                | Work::SetState { .. }
                | Work::ReadRange
                | Work::WithdrawAll(_)
                | Work::Withdraw => {}
            }
        }
    }

    fn pending(&self) -> Option<&'static str> {
        self.owes
    }
}
