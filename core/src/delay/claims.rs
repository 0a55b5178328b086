//! Claimed tasks on their way to an end: expire, look at what was passed over, complete.

use super::queue::{Completion, Token};
use crate::call::Call;
use crate::database::command::Command;
use crate::database::rows::OrderRow;
use crate::ids::{OrderId, ShardId};
use crate::limits::{ENDINGS_MAX, HOLD_MS_MAX, POSTPONE_MS};
use crate::order::command::OrderCommand;
use crate::order::status::Status;
use crate::time::{Mono, Wall};
use std::collections::VecDeque;

/// Where an order stands, seen from the end of its pay window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// No row. A task is made with its order's row, so there is nothing left to end.
    Missing,
    /// It waits for money.
    Unpaid {
        /// Of its pay window, by the database's clock.
        remaining_ms: u64,
    },
    /// Paid or ended: no time ends it any more.
    Settled,
}

impl Standing {
    /// The standing of a row; `at` is the database's clock in the same read.
    pub fn of(row: Option<&OrderRow>, at: Wall) -> Standing {
        let Some(row) = row else { return Standing::Missing };
        match row.status {
            Status::PendingPayment => Standing::Unpaid { remaining_ms: row.expires_at.0.saturating_sub(at.0) },
            Status::Paid | Status::Cancelled(_) | Status::Refunding(_) | Status::Refunded(_) | Status::Rejected(_) => {
                Standing::Settled
            }
        }
    }

    /// Absent when the task is done, else the pause until it is tried again.
    fn again_ms(self) -> Option<u64> {
        match self {
            Standing::Missing | Standing::Settled => None,
            // A pause instead of a time: the queue's clock may differ from the database's.
            Standing::Unpaid { remaining_ms } => Some(remaining_ms.clamp(1, HOLD_MS_MAX)),
        }
    }
}

/// What one shard's claimed tasks need next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Errand {
    /// Ends what is unpaid and over.
    Apply(Command),
    /// Asks about those that a transaction passed over.
    Look(Vec<OrderId>),
    /// Tells the queue.
    Complete(Vec<Completion>),
}

/// Claimed tasks of one shard; one errand at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claims {
    shard: ShardId,
    waiting: VecDeque<(OrderId, Token)>,
    stage: Stage,
    /// The open errand.
    pub call: Call,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Collecting,
    Expiring(Vec<(OrderId, Token)>),
    Looking(Vec<(OrderId, Token)>),
    Completing(Vec<Completion>),
}

impl Claims {
    /// No tasks yet.
    pub fn new(shard: ShardId, now: Mono) -> Claims {
        Claims { shard, waiting: VecDeque::new(), stage: Stage::Collecting, call: Call::due(now) }
    }

    /// Adds a claimed task.
    pub fn push(&mut self, order: OrderId, token: Token) {
        assert!(order.shard == self.shard, "claims are grouped by shard");
        self.waiting.push_back((order, token));
    }

    /// Whether nothing is left to do.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.stage == Stage::Collecting
    }

    /// The errand of the present stage; asked again it is the same one, and every errand may be run twice.
    pub fn errand(&mut self) -> Errand {
        if self.stage == Stage::Collecting {
            let count = self.waiting.len().min(ENDINGS_MAX);
            assert!(count > 0, "empty claims have no errand");
            self.stage = Stage::Expiring(self.waiting.drain(..count).collect());
        }
        match &self.stage {
            Stage::Collecting => unreachable!("it was just left"),
            Stage::Expiring(tasks) => {
                let orders = tasks.iter().map(|(order, _)| *order).collect();
                Errand::Apply(Command::Order(OrderCommand::Expire { shard: self.shard, orders }))
            }
            Stage::Looking(tasks) => Errand::Look(tasks.iter().map(|(order, _)| *order).collect()),
            Stage::Completing(completions) => Errand::Complete(completions.clone()),
        }
    }

    /// So many orders were ended. When some were passed over nobody knows yet which, so they are looked at.
    pub fn expired(&mut self, now: Mono, ended: usize) {
        let Stage::Expiring(tasks) = &mut self.stage else { return };
        let tasks = std::mem::take(tasks);
        assert!(ended <= tasks.len(), "a transaction ends only what it was told");
        self.stage = match ended == tasks.len() {
            true => Stage::Completing(tasks.into_iter().map(|task| completion(task, None)).collect()),
            false => Stage::Looking(tasks),
        };
        self.call.again_at(now);
    }

    /// The transaction was refused: nothing was ended, and all come back later.
    pub fn refused(&mut self, now: Mono) {
        let Stage::Expiring(tasks) = &mut self.stage else { return };
        let tasks = std::mem::take(tasks);
        self.stage = Stage::Completing(tasks.into_iter().map(|task| completion(task, Some(POSTPONE_MS))).collect());
        self.call.again_at(now);
    }

    /// Where the orders stand, in the order in which they were asked for.
    pub fn looked(&mut self, now: Mono, standings: &[Standing]) {
        let Stage::Looking(tasks) = &mut self.stage else { return };
        let tasks = std::mem::take(tasks);
        assert_eq!(tasks.len(), standings.len(), "one standing per order");
        let completions =
            tasks.into_iter().zip(standings).map(|(task, standing)| completion(task, standing.again_ms()));
        self.stage = Stage::Completing(completions.collect());
        self.call.again_at(now);
    }

    /// The queue knows; returns how many tasks are off this worker's hands.
    pub fn completed(&mut self, now: Mono) -> usize {
        let Stage::Completing(completions) = &self.stage else { return 0 };
        let count = completions.len();
        self.stage = Stage::Collecting;
        match self.waiting.is_empty() {
            true => self.call.rest(),
            false => self.call.again_at(now),
        }
        count
    }
}

fn completion((order, token): (OrderId, Token), again_ms: Option<u64>) -> Completion {
    Completion { order, token, again_ms }
}
