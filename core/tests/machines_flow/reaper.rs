//! The reaper and the sweep: every unpaid order ends, none before its time, and no task leaves the queue too early.

use super::world::{Fate, Outside, World, order};
use doorbuster_core::database::command::{Command, Reply};
use doorbuster_core::delay::claims::Standing;
use doorbuster_core::delay::queue::{Completion, Queue, Task, Token};
use doorbuster_core::delay::reaper::{Effect, Event, QueueAway, Reaper};
use doorbuster_core::delay::sweep::{self, DuePage, Sweep};
use doorbuster_core::ids::{OrderId, ShardId, Version};
use doorbuster_core::inbox::{self, Offset, Partition, Record};
use doorbuster_core::limits::{ENDINGS_MAX, SWEEP_PAGE_MAX};
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::{Now, Wall};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const SHARDS: u64 = 4;

#[derive(Clone, Copy, Debug)]
struct Order {
    version: u64,
    expires_at: u64,
    settled: bool,
}

/// Orders, their queue and the topic between them.
struct Windows {
    orders: BTreeMap<OrderId, Order>,
    queue: Queue,
    /// How far the queue's clock is ahead of the database's, from a middle of 5 s.
    skew_ms: u64,
    topic: Vec<Option<Task>>,
    scheduled: BTreeSet<(OrderId, Version)>,
    committed: u64,
    furthest: u64,
    /// Sweep only: the queue is lost now and then, and the topic is silent.
    loses_queue: bool,
}

impl Windows {
    fn new(skew_ms: u64, loses_queue: bool) -> Windows {
        Windows {
            orders: BTreeMap::new(),
            queue: Queue::default(),
            skew_ms,
            topic: Vec::new(),
            scheduled: BTreeSet::new(),
            committed: 0,
            furthest: 0,
            loses_queue,
        }
    }

    fn queue_now(&self, now: Now) -> Wall {
        Wall(now.wall.0 + self.skew_ms - 5_000)
    }

    fn tell(&mut self, id: OrderId) {
        let row = self.orders[&id];
        self.topic.push(Some(Task { order: id, version: Version(row.version), due: Wall(row.expires_at) }));
    }

    fn trade(&mut self, now: Now, rng: &mut Rng) {
        for _ in 0..rng.below(6) {
            let id = order(rng.below(SHARDS) as u16, self.orders.len() as u64);
            let expires_at = now.wall.0 + rng.below(20_000);
            self.orders.insert(id, Order { version: 1, expires_at, settled: false });
            self.tell(id);
        }
        if rng.below(20) == 0 {
            self.topic.push(None);
        }
        let ids: Vec<OrderId> = self.orders.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = ids[rng.below(ids.len() as u64) as usize];
        let row = self.orders.get_mut(&id).unwrap();
        match rng.below(3) {
            0 => row.settled = true,
            1 if !row.settled => {
                (row.version, row.expires_at) = (row.version + 1, row.expires_at.max(now.wall.0) + rng.below(20_000));
                self.tell(id);
            }
            _ => {}
        }
    }

    fn expire(&mut self, now: Now, command: &Command) -> usize {
        let Command::Order(OrderCommand::Expire { shard, orders }) = command else { panic!("a reaper only expires") };
        assert!(orders.len() <= ENDINGS_MAX && orders.iter().all(|order| order.shard == *shard));
        let mut ended = 0;
        for id in orders {
            let row = self.orders.get_mut(id).unwrap();
            if !row.settled && now.wall.0 >= row.expires_at {
                row.settled = true;
                ended += 1;
            }
        }
        ended
    }

    fn stand(&self, now: Now, id: &OrderId) -> Standing {
        match self.orders.get(id) {
            None => Standing::Missing,
            Some(row) if row.settled => Standing::Settled,
            Some(row) => Standing::Unpaid { remaining_ms: row.expires_at.saturating_sub(now.wall.0) },
        }
    }

    fn schedule(&mut self, tasks: &[Task]) -> Outcome<(), QueueAway> {
        for task in tasks {
            self.queue.schedule(*task);
            self.scheduled.insert((task.order, task.version));
        }
        Outcome::Done(())
    }

    fn complete(&mut self, now: Now, completions: &[Completion]) -> Outcome<(), QueueAway> {
        for completion in completions {
            let accepted = self.queue.complete(self.queue_now(now), *completion).is_ok();
            let gone = accepted && !self.queue.contains(completion.order);
            assert!(!gone || self.orders[&completion.order].settled, "S13: a task left before its order had ended");
        }
        Outcome::Done(())
    }

    fn commit(&mut self, next: Offset) -> Outcome<(), inbox::NotAssigned> {
        for task in self.topic[..next.0 as usize].iter().flatten() {
            assert!(self.scheduled.contains(&(task.order, task.version)), "S10: committed before it was scheduled");
        }
        self.committed = next.0;
        self.furthest = self.furthest.max(next.0);
        Outcome::Done(())
    }

    fn unended(&self) -> Option<String> {
        self.queue.scan().unwrap();
        let open = self.orders.iter().find(|(_, row)| !row.settled);
        open.map(|(id, row)| format!("{id} {row:?} has not ended"))
    }

    fn perform_inbox(&mut self, effect: &inbox::Effect, fate: Fate) -> Option<inbox::Event<Task>> {
        match effect {
            inbox::Effect::Fetch { ticket, partition, from, limit } => {
                let places = (from.0 as usize..self.topic.len()).take(*limit);
                let records = places.map(|place| match self.topic[place] {
                    Some(task) => Record::Delivered(Offset(place as u64), task),
                    None => Record::Undecodable(Offset(place as u64)),
                });
                let outcome = fate.of(None, || Outcome::Done(records.collect()))?;
                Some(inbox::Event::Fetched { ticket: *ticket, partition: *partition, outcome })
            }
            inbox::Effect::Commit { ticket, partition, next } => {
                let outcome = fate.of(None, || self.commit(*next))?;
                Some(inbox::Event::Committed { ticket: *ticket, partition: *partition, outcome })
            }
            inbox::Effect::SetAside { ticket, partition, offset } => {
                let (ticket, partition, offset) = (*ticket, *partition, *offset);
                let outcome = fate.of(None, || Outcome::Done(()))?;
                Some(inbox::Event::SetAside { ticket, partition, offset, outcome })
            }
        }
    }
}

impl Outside for Windows {
    type Machine = Reaper;

    fn start(&mut self, now: Now, seed: u64) -> (Reaper, Vec<Event>) {
        let assigned = inbox::Event::Assigned { partition: Partition(0), from: Offset(self.committed) };
        (Reaper::new(now.mono, seed), vec![Event::Inbox(assigned)])
    }

    fn woken() -> Event {
        Event::Woken
    }

    fn perform(&mut self, now: Now, effect: &Effect, fate: Fate) -> Option<Event> {
        let away = Some(QueueAway);
        Some(match effect {
            Effect::Inbox(effect) => Event::Inbox(self.perform_inbox(effect, fate)?),
            Effect::Schedule(ticket, shard, tasks) => {
                assert!(tasks.iter().all(|task| task.order.shard == *shard));
                Event::Scheduled(*ticket, fate.of(away, || self.schedule(tasks))?)
            }
            Effect::Claim { ticket, token, limit, lease_ms } => {
                let at = self.queue_now(now);
                let claim = || Outcome::Done(self.queue.claim(at, *limit, *token, *lease_ms));
                Event::Claimed(*ticket, *token, fate.of(away, claim)?)
            }
            Effect::Recover(ticket, limit) => {
                let at = self.queue_now(now);
                Event::Recovered(*ticket, fate.of(away, || Outcome::Done(self.queue.recover(at, *limit)))?)
            }
            Effect::Apply(ticket, command) => {
                let refusal = Some(doorbuster_core::database::command::Refusal::NotYet);
                let expire = || Outcome::Done(Reply::Count(self.expire(now, command)));
                Event::Applied(*ticket, fate.of(refusal, expire)?)
            }
            Effect::Look(ticket, _, orders) => {
                let look = || Outcome::Done(orders.iter().map(|id| self.stand(now, id)).collect());
                Event::Looked(*ticket, fate.of(None, look)?)
            }
            Effect::Complete(ticket, _, completions) => {
                Event::Completed(*ticket, fate.of(away, || self.complete(now, completions))?)
            }
        })
    }

    fn nudge(&mut self, now: Now, rng: &mut Rng, peace: bool) -> Vec<Event> {
        if !peace {
            self.trade(now, rng);
        }
        Vec::new()
    }

    fn missing(&self, _: &Reaper) -> Option<String> {
        let behind = (self.furthest < self.topic.len() as u64).then(|| "tasks are not scheduled".to_owned());
        let owed = (!self.queue.is_empty()).then(|| "the queue is not empty".to_owned());
        self.unended().or(behind).or(owed)
    }
}

/// The same orders, without the reaper's topic: only the sweep brings tasks into a queue that is lost now and then.
struct Swept(Windows);

impl Swept {
    /// Ends whatever the queue says is due.
    fn reap(&mut self, now: Now, rng: &mut Rng) {
        let (at, token) = (self.0.queue_now(now), Token(rng.draw()));
        for id in self.0.queue.claim(at, 100, token, 1_000) {
            let row = self.0.orders.get_mut(&id).unwrap();
            row.settled |= now.wall.0 >= row.expires_at;
            let again_ms = if row.settled { None } else { Some(500) };
            self.0.queue.complete(at, Completion { order: id, token, again_ms }).unwrap();
        }
    }

    fn page(&self, now: Now, shard: ShardId, after: Option<sweep::Place>, limit: usize) -> DuePage {
        let unpaid = self.0.orders.iter().filter(|(id, row)| !row.settled && id.shard == shard);
        let task = |(id, row): (&OrderId, &Order)| Task {
            order: *id,
            version: Version(row.version),
            due: Wall(row.expires_at),
        };
        let mut tasks: Vec<Task> = unpaid.map(task).collect();
        tasks.retain(|task| Some((task.due, task.order)) > after);
        tasks.sort_by_key(|task| (task.due, task.order));
        tasks.truncate(limit);
        DuePage { at: now.wall, tasks }
    }
}

impl Outside for Swept {
    type Machine = Sweep;

    fn start(&mut self, _: Now, seed: u64) -> (Sweep, Vec<sweep::Event>) {
        let found = (0..SHARDS).map(|k| sweep::Event::ShardFound(order(k as u16, 0).shard));
        (Sweep::new(seed), found.collect())
    }

    fn woken() -> sweep::Event {
        sweep::Event::Woken
    }

    fn perform(&mut self, now: Now, effect: &sweep::Effect, fate: Fate) -> Option<sweep::Event> {
        Some(match effect {
            sweep::Effect::ScanDue { ticket, shard, after, limit } => {
                assert!(*limit <= SWEEP_PAGE_MAX);
                let page = || Outcome::Done(self.page(now, *shard, *after, *limit));
                sweep::Event::Scanned(*ticket, *shard, fate.of(None, page)?)
            }
            sweep::Effect::Schedule(ticket, shard, tasks) => {
                // An index entry may be overdue only by the database's clock, which never goes back.
                assert!(tasks.iter().all(|task| task.due.0 + 60_000 < now.wall.0), "scheduled again only when overdue");
                sweep::Event::Scheduled(*ticket, *shard, fate.of(Some(QueueAway), || self.0.schedule(tasks))?)
            }
        })
    }

    fn nudge(&mut self, now: Now, rng: &mut Rng, peace: bool) -> Vec<sweep::Event> {
        self.reap(now, rng);
        if peace {
            return Vec::new();
        }
        if rng.below(3) == 0 {
            self.0.trade(now, rng);
        }
        if self.0.loses_queue && rng.below(30) == 0 {
            self.0.queue = Queue::default();
            return vec![sweep::Event::EpochChanged(order(rng.below(SHARDS) as u16, 0).shard)];
        }
        Vec::new()
    }

    fn missing(&self, _: &Sweep) -> Option<String> {
        self.0.unended()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_reaper_ends_every_unpaid_order_and_loses_no_task(seed: u64, skew_ms in 0u64..10_000) {
        World::run(Windows::new(skew_ms, false), seed, 60_000);
    }

    #[test]
    fn the_sweep_alone_ends_every_unpaid_order(seed: u64, skew_ms in 0u64..10_000) {
        let world = World::run(Swept(Windows::new(skew_ms, true)), seed, 120_000);
        prop_assert!(world.0.orders.len() > 1);
    }
}
