//! The recoverable delay queue: ready, processing, owner. The meaning of the shipped scripts.
//!
//! S13: a task is in exactly one place; S12: only the holder of the current token can complete it. Every call is one
//! atomic step. Time is the queue's own server clock, so a worker with a wrong clock cannot end another's lease.

use crate::ids::{OrderId, Version};
use crate::limits::DELAY_TASKS_MAX;
use crate::time::Wall;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What names one claim: drawn afresh by its worker, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token(pub u64);

/// A wish to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Task {
    /// About which order.
    pub order: OrderId,
    /// Of which version of the order: a later one moves the time, an older one is ignored.
    pub version: Version,
    /// When.
    pub due: Wall,
}

/// How a worker ends its claim on one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Completion {
    /// Which task.
    pub order: OrderId,
    /// The claim's token.
    pub token: Token,
    /// Absent: the task is done. Else it is due again so many milliseconds later by the queue's clock.
    pub again_ms: Option<u64>,
}

/// What became of a `schedule`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheduled {
    /// It waits.
    Ready,
    /// It is claimed; it will wait again when the claim ends.
    AfterClaim,
    /// The queue knows this version or a later one.
    Ignored,
}

/// The claim is not the task's current one: it ended, or the task went on to another worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StaleToken;

/// What the owner hash knows of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Owner {
    version: Version,
    /// Whose claim it is; absent while ready.
    token: Option<Token>,
    /// A later version came during the claim: when it is due.
    again: Option<Wall>,
}

/// A sorted set: members by score.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Scores {
    by_score: BTreeSet<(Wall, OrderId)>,
    by_order: BTreeMap<OrderId, Wall>,
}

/// The queue of one or more shards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Queue {
    /// Score: due time.
    ready: Scores,
    /// Score: end of the lease.
    processing: Scores,
    owner: BTreeMap<OrderId, Owner>,
}

impl Queue {
    /// Adds a task, or moves it when `version` is later than the known one. A claimed task keeps its claim.
    pub fn schedule(&mut self, task: Task) -> Scheduled {
        let Some(owner) = self.owner.get_mut(&task.order) else {
            self.owner.insert(task.order, Owner { version: task.version, token: None, again: None });
            self.ready.put(task.order, task.due);
            return Scheduled::Ready;
        };
        if task.version <= owner.version {
            return Scheduled::Ignored;
        }
        owner.version = task.version;
        if owner.token.is_some() {
            owner.again = Some(task.due);
            return Scheduled::AfterClaim;
        }
        self.ready.put(task.order, task.due);
        Scheduled::Ready
    }

    /// Moves up to `limit` due tasks from ready to processing under `token`, the longest due first; tasks that are due
    /// at the same time come in any order.
    pub fn claim(&mut self, now: Wall, limit: usize, token: Token, lease_ms: u64) -> Vec<OrderId> {
        assert!(limit <= DELAY_TASKS_MAX, "a script's work is bounded");
        let due = self.ready.up_to(now, limit);
        for order in &due {
            self.ready.remove(*order);
            self.processing.put(*order, now.after_ms(lease_ms));
            let owner = self.owner.get_mut(order).expect("a ready task has an owner record");
            assert!(owner.token.is_none(), "a ready task has no token");
            owner.token = Some(token);
        }
        due
    }

    /// Ends a claim. A task that is done is gone, unless a later version came meanwhile: then it is ready again.
    pub fn complete(&mut self, now: Wall, completion: Completion) -> Result<(), StaleToken> {
        let order = completion.order;
        let owner = self.owner.get_mut(&order).ok_or(StaleToken)?;
        if owner.token != Some(completion.token) {
            return Err(StaleToken);
        }
        let again = owner.again.take().or(completion.again_ms.map(|pause_ms| now.after_ms(pause_ms)));
        self.processing.remove(order);
        match again {
            Some(due) => {
                owner.token = None;
                self.ready.put(order, due);
            }
            None => drop(self.owner.remove(&order)),
        }
        Ok(())
    }

    /// Moves up to `limit` tasks whose lease has ended back to ready; returns how many.
    pub fn recover(&mut self, now: Wall, limit: usize) -> usize {
        assert!(limit <= DELAY_TASKS_MAX, "a script's work is bounded");
        let ended = self.processing.up_to(now, limit);
        for order in &ended {
            let lease_end = self.processing.remove(*order).expect("it was just listed");
            let owner = self.owner.get_mut(order).expect("a claimed task has an owner record");
            owner.token = None;
            // Without a later version it was due before its claim; any time up to now keeps it due.
            let due = owner.again.take().unwrap_or(lease_end);
            self.ready.put(*order, due);
        }
        ended.len()
    }

    /// Tasks that wait.
    pub fn ready(&self) -> usize {
        self.ready.by_order.len()
    }

    /// Tasks under a claim.
    pub fn processing(&self) -> usize {
        self.processing.by_order.len()
    }

    /// Whether the queue has a task about this order.
    pub fn contains(&self, order: OrderId) -> bool {
        self.owner.contains_key(&order)
    }

    /// Whether no task is anywhere.
    pub fn is_empty(&self) -> bool {
        self.owner.is_empty()
    }

    /// The earliest due time of the tasks that wait.
    pub fn due_at(&self) -> Option<Wall> {
        self.ready.by_score.first().map(|(due, _)| *due)
    }

    /// The earliest end of a lease.
    pub fn lease_ends_at(&self) -> Option<Wall> {
        self.processing.by_score.first().map(|(end, _)| *end)
    }

    /// Every task: its order, when it is due or its lease ends, and the claim on it, if there is one.
    pub fn tasks(&self) -> impl Iterator<Item = (OrderId, Wall, Option<Token>)> + '_ {
        let ready = self.ready.by_order.iter().map(|(order, due)| (*order, *due, None));
        let claimed = self.processing.by_order.iter().map(|(order, lease_end)| {
            let owner = self.owner.get(order).expect("a claimed task has an owner record");
            (*order, *lease_end, owner.token)
        });
        ready.chain(claimed)
    }

    /// The queue's counts agree (S13): O(1).
    pub fn check(&self) {
        assert_eq!(self.owner.len(), self.ready() + self.processing(), "S13: a task is in exactly one place");
        assert_eq!(self.ready.by_score.len(), self.ready.by_order.len(), "one score per member");
        assert_eq!(self.processing.by_score.len(), self.processing.by_order.len(), "one score per member");
    }

    /// S13 task by task, for quiet points: names the first that is in no or in two places.
    pub fn scan(&self) -> Result<(), String> {
        self.check();
        for (order, owner) in &self.owner {
            let ready = self.ready.by_order.contains_key(order);
            let processing = self.processing.by_order.contains_key(order);
            if ready == processing || processing != owner.token.is_some() {
                return Err(format!("S13 is broken for {order}: ready {ready}, processing {processing}, {owner:?}"));
            }
            if ready && owner.again.is_some() {
                return Err(format!("{order} waits and is to wait again"));
            }
        }
        Ok(())
    }
}

impl Scores {
    fn put(&mut self, order: OrderId, score: Wall) {
        self.remove(order);
        self.by_order.insert(order, score);
        self.by_score.insert((score, order));
    }

    fn remove(&mut self, order: OrderId) -> Option<Wall> {
        let score = self.by_order.remove(&order)?;
        assert!(self.by_score.remove(&(score, order)), "one score per member");
        Some(score)
    }

    fn up_to(&self, now: Wall, limit: usize) -> Vec<OrderId> {
        self.by_score.iter().take_while(|(score, _)| *score <= now).take(limit).map(|(_, order)| *order).collect()
    }
}
