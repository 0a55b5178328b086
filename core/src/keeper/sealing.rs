//! Down the ladder: OPEN or OPENING -> SEALING -> SEALED, the way to CLOSED, and units that leave an open shard.

use super::talk::KeeperEffect;
use super::{Keeper, Work};
use crate::database::rows::SealReason;
use crate::ids::{Seq, SkuId};
use crate::ledger::epoch::LadderStep;
use crate::ledger::shard::Fenced;
use crate::limits::RESEND_MS;
use crate::machine::Ticket;
use crate::outcome::Outcome;
use crate::time::Now;

impl Keeper {
    pub(super) fn begin_sealing(&mut self, now: Now, reason: SealReason, out: &mut Vec<KeeperEffect>) {
        let rung = self.row().expect("a run seals after it has read").rung();
        self.apply(now, LadderStep::BeginSealing(rung, reason), out);
    }

    /// The row says SEALING: the recorded server is sealed, its log drained, and the seal sent behind it; intake's
    /// transaction moves the row.
    pub(super) fn seal(&mut self, now: Now, out: &mut Vec<KeeperEffect>) {
        let row = self.row().expect("a run seals after it has read");
        let (server, epoch) = (row.server, row.epoch);
        match self.sent_seal {
            // Sent, and intake has not come to it yet: seals are idempotent, but another drain would be for nothing.
            Some((sent, again_at)) if sent == epoch && now.mono < again_at => {
                self.fail(now);
                self.owes = Some("a seal is on its way to intake");
            }
            Some(_) | None => self.ask(now, Work::Seal, |ticket| KeeperEffect::Seal { ticket, server, epoch }, out),
        }
    }

    /// Without the last entry's place the drain runs into its timeout: that keeps promises, and is not needed for safety.
    pub(super) fn sealed(&mut self, now: Now, ticket: Ticket, last: Option<Seq>, out: &mut Vec<KeeperEffect>) {
        let Some(_) = self.take(now, ticket) else { return };
        let epoch = self.row().expect("a run seals after it has read").epoch;
        self.ask(now, Work::Drain, |ticket| KeeperEffect::Drain { ticket, epoch, last }, out);
    }

    /// Sent or not, the row tells: sent, it becomes SEALED; not sent, the seal is sent again later.
    pub(super) fn drained(&mut self, now: Now, ticket: Ticket, out: &mut Vec<KeeperEffect>) {
        let Some(_) = self.take(now, ticket) else { return };
        let epoch = self.row().expect("a run drains after it has read").epoch;
        self.sent_seal = Some((epoch, now.mono.after_ms(RESEND_MS)));
        self.ask(now, Work::Read, KeeperEffect::ReadRow, out);
    }

    /// The sale is over: the first step stops selling, so that what is withdrawn next is all there is.
    pub(super) fn stop_to_close(&mut self, now: Now, out: &mut Vec<KeeperEffect>) {
        let fence = self.row().expect("a run closes after it has read").fence();
        self.wishes.clear();
        let stop = |ticket| KeeperEffect::SetState { ticket, fence, paused: true };
        self.ask(now, Work::SetState { closing: true }, stop, out);
    }

    pub(super) fn range_read(
        &mut self,
        now: Now,
        ticket: Ticket,
        skus: Option<Vec<SkuId>>,
        out: &mut Vec<KeeperEffect>,
    ) {
        let Some(_) = self.take(now, ticket) else { return };
        // A read that failed costs time only: the close itself counts what was not withdrawn.
        self.withdraw_next(now, skus.unwrap_or_default(), out);
    }

    fn withdraw_next(&mut self, now: Now, mut skus: Vec<SkuId>, out: &mut Vec<KeeperEffect>) {
        let Some(sku) = skus.pop() else { return self.begin_sealing(now, SealReason::SaleClosed, out) };
        let fence = self.row().expect("a run closes after it has read").fence();
        let withdraw = |ticket| KeeperEffect::Withdraw { ticket, fence, sku, quantity: u64::MAX };
        self.ask(now, Work::WithdrawAll(skus), withdraw, out);
    }

    pub(super) fn withdrawn(
        &mut self,
        now: Now,
        ticket: Ticket,
        outcome: Outcome<Option<Seq>, Fenced>,
        out: &mut Vec<KeeperEffect>,
    ) {
        let Some(question) = self.take(now, ticket) else { return };
        match (question.work, outcome) {
            (Work::WithdrawAll(skus), Outcome::Done(_)) => self.withdraw_next(now, skus, out),
            // Withdrawn or not: the log tells of it if it was, and the close counts what was not.
            (Work::WithdrawAll(skus), Outcome::Unknown) => self.withdraw_next(now, skus, out),
            (Work::WithdrawAll(_), Outcome::Refused(Fenced)) => {
                self.begin_sealing(now, SealReason::SaleClosed, out);
            }
            (_, Outcome::Done(_)) => self.balance(now, out),
            (_, Outcome::Refused(Fenced)) => self.fail(now),
            // Withdrawn or not: asking again could take twice, so the wish has ended; units that were taken are in the
            // log and come to the pool, where the next look finds them.
            (_, Outcome::Unknown) => self.balance(now, out),
        }
    }

    /// The memory is the row's and follows the sale: now the units that somebody wants elsewhere.
    pub(super) fn balance(&mut self, now: Now, out: &mut Vec<KeeperEffect>) {
        let fence = self.row().expect("a run balances after it has read").fence();
        let Some((sku, quantity)) = self.wishes.pop_first() else { return self.finish(now) };
        let withdraw = |ticket| KeeperEffect::Withdraw { ticket, fence, sku, quantity };
        self.ask(now, Work::Withdraw, withdraw, out);
    }
}
