//! One shard's changes in order of arrival, and the two questions about them.

use super::{SettlerEffect, ShardChange};
use crate::call::Call;
use crate::database::rows::Phase;
use crate::ids::{Epoch, ShardId};
use crate::inbox::Offset;
use crate::ledger::settle::Settlement;
use crate::limits::SETTLEMENTS_MAX;
use crate::machine::Ticket;
use crate::rng::Rng;
use crate::time::{Mono, Now};
use std::collections::VecDeque;

/// What one shard has not taken yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Parking {
    waiting: VecDeque<(Offset, ShardChange)>,
    /// How many of the first ones the open question carries.
    sent: usize,
    settle: Call,
    row: Call,
}

impl Default for Parking {
    fn default() -> Parking {
        Parking { waiting: VecDeque::new(), sent: 0, settle: Call::QUIET, row: Call::QUIET }
    }
}

impl Parking {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn park(&mut self, now: Now, offset: Offset, change: ShardChange) {
        self.waiting.push_back((offset, change));
        // A shard that must retry keeps its pause: what comes later would have to wait as well.
        if self.settle.is_quiet() {
            self.settle.wish(now.mono);
        }
    }

    /// Whether the open settlement has this ticket; it is then closed.
    pub fn awaits_settlement(&mut self, ticket: Ticket) -> bool {
        self.settle.take(ticket)
    }

    /// Whether the open reading of the row has this ticket; it is then closed.
    pub fn awaits_row(&mut self, ticket: Ticket) -> bool {
        self.row.take(ticket)
    }

    /// Takes out what is done and returns it; the rest keeps its order and is sent again.
    pub fn settle(&mut self, now: Now, settlements: &[Settlement], rng: &mut Rng) -> Vec<(Offset, ShardChange)> {
        assert!(settlements.len() == self.sent, "one answer per change");
        let (mut done, mut kept) = (Vec::new(), Vec::new());
        for (settlement, change) in settlements.iter().zip(self.waiting.drain(..self.sent)) {
            match settlement {
                Settlement::Done => done.push(change),
                Settlement::Retry => kept.push(change),
            }
        }
        let retry = !kept.is_empty();
        for change in kept.into_iter().rev() {
            self.waiting.push_front(change);
        }
        if retry {
            self.retry(now, rng);
        } else {
            self.settle.again_at(now.mono);
        }
        done
    }

    /// All of what was sent goes again after a pause; meanwhile the row may tell that it need not.
    pub fn retry(&mut self, now: Now, rng: &mut Rng) {
        self.sent = 0;
        self.settle.retry(now.mono, rng);
        self.row.wish(now.mono);
    }

    pub fn retry_row(&mut self, now: Now, rng: &mut Rng) {
        self.row.retry(now.mono, rng);
    }

    /// Takes out, and returns the offsets of, what needs no sending, given a row however old:
    /// - CLOSED: the close has returned the shard's free units to the pool, and is the last rung.
    /// - the row's epoch is later: that epoch was loaded, or will be, from a snapshot after the change.
    pub fn drop_counted(&mut self, now: Now, phase: Phase, epoch: Epoch) -> Vec<Offset> {
        self.row.rest();
        if self.settle.is_asked() {
            // Those in flight are answered soon, one by one; only a shard that must retry is worth a look.
            return Vec::new();
        }
        let counted = |change: &ShardChange| phase == Phase::Closed || change.epoch() < epoch;
        let mut dropped = Vec::new();
        self.waiting.retain(|(offset, change)| {
            let drop = counted(change);
            if drop {
                dropped.push(*offset);
            }
            !drop
        });
        if !dropped.is_empty() && !self.waiting.is_empty() {
            self.settle.again_at(now.mono);
        }
        dropped
    }

    pub fn send_due(
        &mut self,
        now: Now,
        shard: ShardId,
        tickets: &mut Ticket,
        rng: &mut Rng,
        out: &mut Vec<SettlerEffect>,
    ) {
        if self.settle.is_asked() && self.settle.is_due(now.mono) {
            // The answer is overdue, which is as good as unknown: applied or not, the same changes may go again.
            self.retry(now, rng);
        }
        if self.settle.is_due(now.mono) && !self.waiting.is_empty() {
            let ticket = self.settle.ask(now.mono, tickets.advance());
            self.sent = self.waiting.len().min(SETTLEMENTS_MAX);
            let changes = self.waiting.iter().take(self.sent).map(|(_, change)| change.clone()).collect();
            out.push(SettlerEffect::Settle { ticket, shard, changes });
        }
        if self.row.is_due(now.mono) {
            let ticket = self.row.ask(now.mono, tickets.advance());
            out.push(SettlerEffect::ReadShard { ticket, shard });
        }
    }

    pub fn wakes(&self) -> [(Option<Mono>, &'static str); 2] {
        [(self.settle.wake_at(), "changes are to be sent again"), (self.row.wake_at(), "a shard's row is to be read")]
    }
}
