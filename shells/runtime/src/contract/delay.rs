//! The contract of the delay queue.

use super::world::{World, certain};
use super::{Clock, Subject};
use crate::ports::delay::DelayQueue;
use doorbuster_core::delay::queue::{Completion, StaleToken, Task, Token};
use doorbuster_core::ids::{OrderId, Version};
use doorbuster_core::time::Wall;
use std::collections::BTreeSet;
use std::sync::Arc;

const LEASE_MS: u64 = 2_000;
const LIMIT: usize = 100;

/// A queue with its clock, and a time from which the suite counts.
struct Case<'a> {
    queue: &'a dyn DelayQueue,
    clock: &'a dyn Clock,
    world: World,
    began: Wall,
}

/// Holds a delay queue to [`DelayQueue`]'s contract.
///
/// # Panics
/// With the sentence that was broken.
pub async fn delay_contract(make: impl AsyncFn() -> Subject<Arc<dyn DelayQueue>>) {
    let cases = ["due", "leases", "versions", "stale", "limits"];
    for name in cases {
        let subject = make().await;
        let clock = subject.clock.as_ref();
        let case = Case { queue: subject.port.as_ref(), clock, world: World::named(name), began: clock.now().await };
        match name {
            "due" => case.a_task_is_claimed_once_it_is_due().await,
            "leases" => case.an_expired_lease_goes_to_another_worker().await,
            "versions" => case.a_later_version_moves_a_task().await,
            "stale" => case.a_stale_token_ends_nothing().await,
            _ => case.limits_are_kept().await,
        }
    }
}

impl Case<'_> {
    fn order(&self, number: usize) -> OrderId {
        self.world.order(&self.world.item(number, 1, &[(0, 1)]))
    }

    fn task(&self, number: usize, version: u64, after_ms: u64) -> Task {
        Task { order: self.order(number), version: Version(version), due: self.began.after_ms(after_ms) }
    }

    async fn schedule(&self, tasks: &[Task]) {
        certain(async || self.queue.schedule(tasks.to_vec()).await).await.expect("the queue can be asked");
    }

    async fn claim(&self, token: u64, limit: usize) -> Vec<OrderId> {
        // A claim whose answer is lost is another worker's to recover: a suite's queue answers.
        certain(async || self.queue.claim(Token(token), limit, LEASE_MS).await).await.expect("the queue can be asked")
    }

    async fn complete(&self, number: usize, token: u64, again_ms: Option<u64>) -> Result<(), StaleToken> {
        let completion = Completion { order: self.order(number), token: Token(token), again_ms };
        let ended = certain(async || self.queue.complete(vec![completion]).await).await;
        ended.expect("the queue can be asked").pop().expect("one answer per completion")
    }

    async fn recover(&self, limit: usize) -> usize {
        certain(async || self.queue.recover(limit).await).await.expect("the queue can be asked")
    }

    async fn a_task_is_claimed_once_it_is_due(&self) {
        self.schedule(&[self.task(1, 1, 2_000), self.task(2, 1, 1_000), self.task(3, 1, 600_000)]).await;
        assert_eq!(self.claim(1, LIMIT).await, [], "nothing is due");
        self.clock.pass_ms(3_000).await;
        assert_eq!(self.claim(2, LIMIT).await, [self.order(2), self.order(1)], "the longest due comes first");
        assert_eq!(self.claim(3, LIMIT).await, [], "a claimed task is nobody else's");
        assert_eq!(self.complete(1, 2, None).await, Ok(()));
        assert_eq!(self.complete(2, 2, Some(1_000)).await, Ok(()), "a task can be put back");
        assert_eq!(self.claim(4, LIMIT).await, [], "it is due again later");
        self.clock.pass_ms(1_500).await;
        assert_eq!(self.claim(5, LIMIT).await, [self.order(2)], "what is done is gone, what was put back is due");
    }

    async fn an_expired_lease_goes_to_another_worker(&self) {
        self.schedule(&[self.task(1, 1, 0)]).await;
        assert_eq!(self.claim(1, LIMIT).await, [self.order(1)]);
        assert_eq!(self.recover(LIMIT).await, 0, "the lease has not ended");
        self.clock.pass_ms(LEASE_MS + 500).await;
        assert_eq!(self.claim(2, LIMIT).await, [], "an expired lease ends by a recovery");
        assert_eq!(self.recover(LIMIT).await, 1);
        assert_eq!(self.recover(LIMIT).await, 0, "a task is recovered once");
        assert_eq!(self.claim(3, LIMIT).await, [self.order(1)]);
        assert_eq!(self.complete(1, 1, None).await, Err(StaleToken), "the first worker is too late");
        assert_eq!(self.complete(1, 3, None).await, Ok(()));
    }

    async fn a_later_version_moves_a_task(&self) {
        self.schedule(&[self.task(1, 2, 600_000), self.task(2, 2, 0)]).await;
        self.schedule(&[self.task(1, 1, 0), self.task(1, 2, 0)]).await;
        assert_eq!(self.claim(1, LIMIT).await, [self.order(2)], "an older or equal version changes nothing");
        self.schedule(&[self.task(1, 3, 0), self.task(2, 3, 0)]).await;
        assert_eq!(self.claim(2, LIMIT).await, [self.order(1)], "a later version moves the time, but ends no claim");
        assert_eq!(self.complete(2, 1, None).await, Ok(()));
        assert_eq!(self.claim(3, LIMIT).await, [self.order(2)], "a version that came during the claim is due after it");
    }

    async fn a_stale_token_ends_nothing(&self) {
        self.schedule(&[self.task(1, 1, 0)]).await;
        assert_eq!(self.complete(1, 1, None).await, Err(StaleToken), "nothing is claimed yet");
        assert_eq!(self.claim(2, LIMIT).await, [self.order(1)]);
        assert_eq!(self.complete(1, 1, None).await, Err(StaleToken), "another token");
        assert_eq!(self.complete(7, 2, None).await, Err(StaleToken), "a task that the queue does not have");
        assert_eq!(self.complete(1, 2, None).await, Ok(()));
        assert_eq!(self.complete(1, 2, None).await, Err(StaleToken), "a claim ends once");
    }

    async fn limits_are_kept(&self) {
        let tasks: Vec<Task> = (0..25).map(|number| self.task(number, 1, 0)).collect();
        self.schedule(&tasks).await;
        self.schedule(&tasks).await;
        let mut seen = BTreeSet::new();
        for (token, expected) in [(1, 10), (2, 10), (3, 5), (4, 0)] {
            let claimed = self.claim(token, 10).await;
            assert_eq!(claimed.len(), expected, "a claim takes at most its limit");
            assert!(claimed.into_iter().all(|order| seen.insert(order)), "a task is claimed once");
        }
        self.clock.pass_ms(LEASE_MS + 500).await;
        let recovered = [self.recover(20).await, self.recover(20).await, self.recover(20).await];
        assert_eq!(recovered, [20, 5, 0], "a recovery takes at most its limit");
    }
}
