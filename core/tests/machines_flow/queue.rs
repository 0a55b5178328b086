//! The delay queue against a list of tasks.

use super::world::{DAWN, order};
use doorbuster_core::delay::queue::{Completion, Queue, Task, Token};
use doorbuster_core::ids::{OrderId, Version};
use doorbuster_core::time::Wall;
use proptest::prelude::*;

/// A task in the naive model: one record, one place.
#[derive(Clone, Debug)]
struct Naive {
    order: OrderId,
    version: u64,
    score: u64,
    token: Option<u64>,
    again: Option<u64>,
}

#[derive(Clone, Debug)]
enum Step {
    Schedule { order: u64, version: u64, due: u64 },
    Claim { limit: usize },
    Complete { order: u64, token_back: u64, again: Option<u64> },
    Recover,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u64..6, 1u64..5, 0u64..60).prop_map(|(order, version, due)| Step::Schedule { order, version, due }),
        (1usize..4).prop_map(|limit| Step::Claim { limit }),
        (0u64..6, 0u64..4, proptest::option::of(0u64..20)).prop_map(|(order, token_back, again)| Step::Complete {
            order,
            token_back,
            again
        }),
        Just(Step::Recover),
        (1u64..30).prop_map(Step::Wait),
    ]
}

const LEASE_MS: u64 = 25;

#[derive(Default)]
struct Pair {
    queue: Queue,
    naive: Vec<Naive>,
    now: u64,
    tokens: u64,
}

impl Pair {
    fn schedule(&mut self, id: OrderId, version: u64, due: u64) {
        let due = DAWN + self.now + due;
        self.queue.schedule(Task { order: id, version: Version(version), due: Wall(due) });
        let Some(known) = self.naive.iter_mut().find(|task| task.order == id) else {
            return self.naive.push(Naive { order: id, version, score: due, token: None, again: None });
        };
        if version > known.version {
            known.version = version;
            if known.token.is_some() { known.again = Some(due) } else { known.score = due }
        }
    }

    fn claim(&mut self, limit: usize) {
        self.tokens += 1;
        let now = DAWN + self.now;
        let claimed = self.queue.claim(Wall(now), limit, Token(self.tokens), LEASE_MS);
        let mut due: Vec<&mut Naive> =
            self.naive.iter_mut().filter(|task| task.token.is_none() && task.score <= now).collect();
        due.sort_by_key(|task| (task.score, task.order));
        due.truncate(limit);
        assert_eq!(claimed, due.iter().map(|task| task.order).collect::<Vec<_>>());
        for task in due {
            task.token = Some(self.tokens);
            task.score = now + LEASE_MS;
        }
    }

    fn complete(&mut self, id: OrderId, token: u64, again: Option<u64>) {
        let now = DAWN + self.now;
        let completion = Completion { order: id, token: Token(token), again_ms: again };
        let accepted = self.queue.complete(Wall(now), completion).is_ok();
        let index = self.naive.iter().position(|task| task.order == id && task.token == Some(token));
        assert_eq!(accepted, index.is_some(), "S12: only the holder of the current token completes");
        let Some(index) = index else { return };
        match self.naive[index].again.take().or(again.map(|pause| now + pause)) {
            Some(due) => {
                self.naive[index].token = None;
                self.naive[index].score = due;
            }
            None => drop(self.naive.remove(index)),
        }
    }

    fn recover(&mut self) {
        let now = DAWN + self.now;
        let recovered = self.queue.recover(Wall(now), 100);
        let ended: Vec<&mut Naive> =
            self.naive.iter_mut().filter(|task| task.token.is_some() && task.score <= now).collect();
        assert_eq!(recovered, ended.len());
        for task in ended {
            task.token = None;
            task.score = task.again.take().unwrap_or(task.score);
        }
    }

    fn compare(&self) {
        self.queue.scan().unwrap();
        let claimed = self.naive.iter().filter(|task| task.token.is_some()).count();
        assert_eq!(self.queue.processing(), claimed);
        assert_eq!(self.queue.ready(), self.naive.len() - claimed);
        let due = self.naive.iter().filter(|task| task.token.is_none()).map(|task| task.score).min();
        assert_eq!(self.queue.due_at(), due.map(Wall));
        let lease = self.naive.iter().filter(|task| task.token.is_some()).map(|task| task.score).min();
        assert_eq!(self.queue.lease_ends_at(), lease.map(Wall));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_queue_is_a_list_in_which_each_task_has_one_place(steps in proptest::collection::vec(step(), 1..80)) {
        let mut pair = Pair::default();
        for step in steps {
            match step {
                Step::Schedule { order: number, version, due } => pair.schedule(order(0, number), version, due),
                Step::Claim { limit } => pair.claim(limit),
                Step::Complete { order: number, token_back, again } => {
                    pair.complete(order(0, number), pair.tokens.saturating_sub(token_back), again);
                }
                Step::Recover => pair.recover(),
                Step::Wait(ms) => pair.now += ms,
            }
            pair.compare();
        }
    }

    #[test]
    fn a_claimed_task_that_is_moved_keeps_its_claim_and_comes_back(first in 1u64..9, later in 10u64..20, recovers: bool) {
        let mut pair = Pair::default();
        let id = order(0, 1);
        pair.schedule(id, first, 0);
        pair.claim(1);
        pair.schedule(id, later, 500);
        pair.schedule(id, first, 1);
        prop_assert_eq!(pair.queue.processing(), 1);
        if recovers {
            pair.now = LEASE_MS;
            pair.recover();
        } else {
            pair.complete(id, 1, None);
        }
        pair.compare();
        prop_assert_eq!(pair.queue.due_at(), Some(Wall(DAWN + 500)));
    }
}
