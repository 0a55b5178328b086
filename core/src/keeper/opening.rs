//! Up the ladder: SEALED -> OPENING -> OPEN, and looking after what is open.

use super::talk::{Finding, KeeperEffect};
use super::{Keeper, Work};
use crate::database::command::Refusal;
use crate::database::rows::{Phase, SaleRow, SaleState, SealReason, ShardRow};
use crate::ids::{Nonce, ServerId};
use crate::ledger::epoch::LadderStep;
use crate::ledger::load::LoadRefusal;
use crate::ledger::shard::{Fenced, Meta, ShardState};
use crate::limits::UNREACHABLE_MAX;
use crate::machine::Ticket;
use crate::outcome::Outcome;
use crate::time::Now;

/// What a memory is to the row that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    /// The row's own, selling or paused.
    Own(ShardState),
    /// The row's own, and sealed.
    OwnSealed,
    /// Another server's, another epoch's, another load's, unfinished, or none at all.
    Other,
}

fn compare(row: &ShardRow, server: ServerId, meta: Option<Meta>) -> Match {
    let Some(meta) = meta else { return Match::Other };
    if server != row.server || meta.epoch != row.epoch || meta.nonce != row.nonce {
        return Match::Other;
    }
    match meta.state {
        ShardState::Open | ShardState::Stopped => Match::Own(meta.state),
        ShardState::Sealed => Match::OwnSealed,
        ShardState::Loading => Match::Other,
    }
}

impl Keeper {
    pub(super) fn row_read(
        &mut self,
        now: Now,
        ticket: Ticket,
        rows: Option<(SaleRow, ShardRow)>,
        out: &mut Vec<KeeperEffect>,
    ) {
        let Some(_) = self.take(now, ticket) else { return };
        match rows {
            Some(rows) => {
                assert!(rows.1.id == self.shard, "a keeper reads its own shard");
                self.rows = Some(rows);
                self.decide(now, out);
            }
            None => self.fail(now),
        }
    }

    pub(super) fn applied(
        &mut self,
        now: Now,
        ticket: Ticket,
        outcome: Outcome<ShardRow, Refusal>,
        out: &mut Vec<KeeperEffect>,
    ) {
        if let Some(asked_at) = self.lease.take(ticket) {
            return match outcome {
                Outcome::Done(_) => self.lease.renewed(asked_at),
                // Two keepers must not work at once: the run ends, wherever it was.
                Outcome::Refused(_) => self.stand_by(now),
                // Renewed or not: until its old end it is held, and a longer one hurts nobody. Asked for again.
                Outcome::Unknown => {}
            };
        }
        let Some(question) = self.take(now, ticket) else { return };
        let Work::Apply(step) = question.work else { unreachable!("the ticket was of a step") };
        match outcome {
            Outcome::Done(row) => {
                self.lease.renewed(question.asked_at);
                self.climbed(now, step, row, out);
            }
            Outcome::Refused(Refusal::LeaseHeld) => self.stand_by(now),
            Outcome::Refused(_) => {
                out.push(KeeperEffect::Explain(Finding::StepRefused));
                self.fail(now);
            }
            // Taken or not: the next run reads on which rung the shard stands and goes on from there.
            Outcome::Unknown => self.fail(now),
        }
    }

    fn climbed(&mut self, now: Now, step: LadderStep, row: ShardRow, out: &mut Vec<KeeperEffect>) {
        if let Some(rows) = &mut self.rows {
            rows.1 = row.clone();
        }
        match step {
            LadderStep::KeepLease => self.ask(now, Work::Read, KeeperEffect::ReadRow, out),
            LadderStep::BeginSealing(..) => {
                self.pace.succeed();
                (self.seal_asked, self.broken) = (false, None);
                self.wishes.clear();
                self.seal(now, out);
            }
            LadderStep::BeginOpening(..) => {
                let fence = row.fence();
                assert!(self.loaded != Some(fence), "a fence is loaded once");
                self.loaded = Some(fence);
                self.ask(now, Work::Load, |ticket| KeeperEffect::Load { ticket, fence }, out);
            }
            LadderStep::FinishOpening(_) => self.finish(now),
            LadderStep::Close(_) => self.retire(),
        }
    }

    pub(super) fn server_seen(
        &mut self,
        now: Now,
        ticket: Ticket,
        server: ServerId,
        meta: Option<Meta>,
        out: &mut Vec<KeeperEffect>,
    ) {
        let Some(_) = self.take(now, ticket) else { return };
        let Some((sale, row)) = &self.rows else { unreachable!("a run looks after it has read") };
        let (rung, paused, found) = (row.rung(), sale.state == SaleState::Stopped, compare(row, server, meta));
        self.unreachable = 0;
        match (rung.phase, found) {
            (Phase::Sealed, _) => {
                let nonce = Nonce(self.pace.draw());
                self.apply(now, LadderStep::BeginOpening(rung, server, nonce), out);
            }
            (Phase::Opening, Match::Own(_)) => self.apply(now, LadderStep::FinishOpening(rung), out),
            // Also a memory that is still loading: whoever loads it may be dead, and a load is never taken over.
            (Phase::Opening, Match::OwnSealed | Match::Other) => {
                self.begin_sealing(now, SealReason::LoaderLost, out);
            }
            (Phase::Open, Match::Own(state)) => self.tend(now, state, paused, out),
            (Phase::Open, Match::OwnSealed) => self.begin_sealing(now, SealReason::CountersBroken, out),
            (Phase::Open, Match::Other) => self.begin_sealing(now, SealReason::ServerLost, out),
            (Phase::Sealing | Phase::Closed, _) => unreachable!("no server is asked about an ended epoch"),
        }
    }

    pub(super) fn server_unreachable(&mut self, now: Now, ticket: Ticket, out: &mut Vec<KeeperEffect>) {
        let Some(_) = self.take(now, ticket) else { return };
        self.unreachable = self.unreachable.saturating_add(1);
        self.owes = Some("no server answers for its shard");
        let lasting = self.unreachable >= UNREACHABLE_MAX;
        match self.row().expect("a run looks after it has read").phase {
            Phase::Opening => self.begin_sealing(now, SealReason::LoaderLost, out),
            // A cut between this keeper and the server alone must not end an epoch that sells.
            Phase::Open if lasting => self.begin_sealing(now, SealReason::ServerLost, out),
            Phase::Open | Phase::Sealed => self.fail(now),
            Phase::Sealing | Phase::Closed => unreachable!("no server is asked about an ended epoch"),
        }
    }

    /// The memory is the row's: it follows the sale, then units that are to be balanced.
    fn tend(&mut self, now: Now, state: ShardState, paused: bool, out: &mut Vec<KeeperEffect>) {
        if paused == (state == ShardState::Stopped) {
            return self.balance(now, out);
        }
        let fence = self.row().expect("a run tends after it has read").fence();
        let set = |ticket| KeeperEffect::SetState { ticket, fence, paused };
        self.ask(now, Work::SetState { closing: false }, set, out);
    }

    pub(super) fn state_set(
        &mut self,
        now: Now,
        ticket: Ticket,
        outcome: Outcome<ShardState, Fenced>,
        out: &mut Vec<KeeperEffect>,
    ) {
        let Some(question) = self.take(now, ticket) else { return };
        let Work::SetState { closing } = question.work else { unreachable!("the ticket was of a pause") };
        match outcome {
            Outcome::Done(_) if closing => self.ask(now, Work::ReadRange, KeeperEffect::ReadRange, out),
            Outcome::Done(_) => self.balance(now, out),
            // Paused or not: the seal that follows ends the sale, and the close counts what was not withdrawn.
            Outcome::Refused(_) | Outcome::Unknown if closing => {
                self.begin_sealing(now, SealReason::SaleClosed, out);
            }
            // The memory is another: the next run finds out whose.
            Outcome::Refused(_) => self.fail(now),
            // Paused or not: the next look compares again, and setting the same state twice changes nothing.
            Outcome::Unknown => self.fail(now),
        }
    }

    pub(super) fn loaded(
        &mut self,
        now: Now,
        ticket: Ticket,
        outcome: Outcome<u32, LoadRefusal>,
        out: &mut Vec<KeeperEffect>,
    ) {
        let Some(_) = self.take(now, ticket) else { return };
        let Some((sale, row)) = &self.rows else { unreachable!("a run loads after it has read") };
        let (fence, paused) = (row.fence(), sale.state == SaleState::Stopped);
        match outcome {
            Outcome::Done(chunks) => {
                let open = |ticket| KeeperEffect::Open { ticket, fence, chunks, paused };
                self.ask(now, Work::Open, open, out);
            }
            Outcome::Refused(refusal) => {
                out.push(KeeperEffect::Explain(Finding::LoadRefused(refusal)));
                self.fail(now);
            }
            // Loaded or not: the chunks of a second snapshot must not mix with it, so the epoch is given up unopened.
            Outcome::Unknown => self.fail(now),
        }
    }

    pub(super) fn opened(
        &mut self,
        now: Now,
        ticket: Ticket,
        outcome: Outcome<(), LoadRefusal>,
        out: &mut Vec<KeeperEffect>,
    ) {
        let Some(_) = self.take(now, ticket) else { return };
        let rung = self.row().expect("a run opens after it has read").rung();
        match outcome {
            Outcome::Done(()) => self.apply(now, LadderStep::FinishOpening(rung), out),
            Outcome::Refused(refusal) => {
                out.push(KeeperEffect::Explain(Finding::LoadRefused(refusal)));
                self.fail(now);
            }
            // Open or not: no lane knows the nonce before the row is OPEN; the next run asks the server which it is.
            Outcome::Unknown => self.fail(now),
        }
    }
}
