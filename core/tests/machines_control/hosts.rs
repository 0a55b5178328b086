//! The keepers and the settler in the world: their effects wait, are performed late, and their answers get lost.

use super::feed::Feed;
use super::world::{World, sale, shard};
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::event::Event;
use doorbuster_core::database::rows::{Phase, ShardRow, StockRow};
use doorbuster_core::ids::SkuId;
use doorbuster_core::keeper::Keeper;
use doorbuster_core::keeper::talk::{KeeperEffect, KeeperEvent};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::ledger::epoch::{chunks, load_head};
use doorbuster_core::ledger::load::{Chunk, LoadRefusal};
use doorbuster_core::ledger::settle::Settlement;
use doorbuster_core::ledger::shard::{Fence, Fenced};
use doorbuster_core::machine::{Machine, Ticket};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::settler::{Settler, SettlerEffect, SettlerEvent, ShardChange};

pub const KEEPERS: usize = 2;

pub enum Task {
    Keeper {
        who: usize,
        life: u64,
        effect: KeeperEffect,
    },
    /// A load whose snapshot was read and whose chunks are still on their way.
    Stream {
        who: usize,
        life: u64,
        ticket: Ticket,
        fence: Fence,
        chunks: Vec<Chunk>,
    },
    Settler {
        life: u64,
        effect: SettlerEffect,
    },
}

pub struct Hosts {
    pub world: World,
    pub keepers: Vec<Keeper>,
    pub settler: Settler,
    pub tasks: Vec<Task>,
    lives: Vec<u64>,
    settler_life: u64,
    feed: Feed,
    /// Some worlds are kinder than others, or no run would come far: a fault is so many times rarer.
    kindness: usize,
    /// No fault happens any more.
    pub healed: bool,
}

impl Hosts {
    pub fn new(seed: u64) -> Hosts {
        Hosts::around(World::new(seed))
    }

    /// Fresh keepers and a fresh settler in a world that has a past.
    pub fn around(mut world: World) -> Hosts {
        let keepers = (0..KEEPERS).map(|_| Keeper::new(shard(), world.rng.draw(), world.rng.draw())).collect();
        let settler = Settler::new(world.rng.draw());
        let kindness = 1 << (2 * world.below(4));
        let mut hosts = Hosts {
            world,
            keepers,
            settler,
            tasks: Vec::new(),
            lives: vec![0; KEEPERS],
            settler_life: 0,
            feed: Feed::default(),
            kindness,
            healed: false,
        };
        let assigned = hosts.feed.assign();
        hosts.tell_settler(SettlerEvent::Inbox(assigned));
        hosts
    }

    /// Wakes whoever is due; keepers as if woken too early as well.
    pub fn wake(&mut self) {
        for who in 0..KEEPERS {
            self.tell_keeper(who, KeeperEvent::Tick);
        }
        self.tell_settler(SettlerEvent::Tick);
    }

    /// The earliest wake-up of all.
    pub fn wake_at(&self) -> u64 {
        let times = self.keepers.iter().filter_map(Keeper::wake_at).chain(self.settler.wake_at());
        times.map(|(at, _)| at.0).min().unwrap_or(self.world.mono.0 + 1_000_000)
    }

    pub fn tell_keeper(&mut self, who: usize, event: KeeperEvent) {
        let mut out = Vec::new();
        self.keepers[who].step(self.world.now(), event, &mut out);
        self.keepers[who].check();
        let life = self.lives[who];
        self.tasks.extend(out.into_iter().map(|effect| Task::Keeper { who, life, effect }));
    }

    fn tell_settler(&mut self, event: SettlerEvent) {
        let mut out = Vec::new();
        self.settler.step(self.world.now(), event, &mut out);
        let life = self.settler_life;
        self.tasks.extend(out.into_iter().map(|effect| Task::Settler { life, effect }));
    }

    pub fn deliver(&mut self) {
        let (again, count) = (self.faulty(8), 1 + self.world.below(3));
        let down = &self.world.down;
        let log = |offset| down.get(offset).map(|event: &Event| ShardChange::of(event.clone()).expect("it goes down"));
        if let Some(fetched) = self.feed.deliver(count, again, log) {
            self.answer_settler(self.settler_life, SettlerEvent::Inbox(fetched));
        }
    }

    pub fn all_delivered(&self) -> bool {
        self.feed.has_delivered(self.world.down.len())
    }

    pub fn crash_keeper(&mut self, who: usize) {
        self.lives[who] += 1;
        self.keepers[who] = Keeper::new(shard(), self.world.rng.draw(), self.world.rng.draw());
    }

    pub fn crash_settler(&mut self) {
        self.settler_life += 1;
        self.settler = Settler::new(self.world.rng.draw());
        let assigned = self.feed.assign();
        self.tell_settler(SettlerEvent::Inbox(assigned));
    }

    fn faulty(&mut self, one_in: usize) -> bool {
        !self.healed && self.world.below(one_in * self.kindness) == 0
    }

    /// Performs one waiting effect: the oldest, or in the unkind time any, perhaps long after its machine is gone.
    pub fn perform(&mut self) {
        if self.tasks.is_empty() {
            return;
        }
        let index = if self.healed { 0 } else { self.world.below(self.tasks.len()) };
        match self.tasks.remove(index) {
            Task::Keeper { who, life, effect } => self.perform_keeper(who, life, effect),
            Task::Stream { who, life, ticket, fence, chunks } => {
                let count = chunks.len() as u32;
                let loaded: Result<(), LoadRefusal> =
                    chunks.iter().try_for_each(|chunk| self.world.server.load(fence, chunk));
                let outcome = loaded.map_or_else(Outcome::Refused, |()| Outcome::Done(count));
                self.answer_keeper(who, life, KeeperEvent::Loaded { ticket, outcome });
            }
            Task::Settler { life, effect } => self.perform_settler(life, effect),
        }
        self.world.check_memory();
    }

    /// Answers once, twice, or never.
    fn answer_keeper(&mut self, who: usize, life: u64, event: KeeperEvent) {
        if life != self.lives[who] || self.faulty(6) {
            return;
        }
        let copies = 1 + usize::from(self.faulty(6));
        for _ in 0..copies {
            self.tell_keeper(who, event.clone());
        }
    }

    fn unknown<T, R>(&mut self, outcome: Outcome<T, R>) -> Outcome<T, R> {
        if self.faulty(10) { Outcome::Unknown } else { outcome }
    }

    fn perform_keeper(&mut self, who: usize, life: u64, effect: KeeperEffect) {
        let event = match effect {
            KeeperEffect::ReadRow(ticket) => {
                let rows = (self.world.sale_row(), self.world.row());
                KeeperEvent::RowRead { ticket, rows: (!self.faulty(10)).then_some(rows) }
            }
            KeeperEffect::Apply(ticket, command) => {
                // A commit that never arrived is as unknown as one whose answer was lost.
                let outcome = if self.faulty(12) { Outcome::Unknown } else { self.apply(&Command::Ladder(command)) };
                KeeperEvent::Applied { ticket, outcome: self.unknown(outcome) }
            }
            KeeperEffect::AskServer(ticket) => {
                let (server, meta) = (self.world.server.server, self.world.server.meta().copied());
                match self.faulty(8) {
                    true => KeeperEvent::ServerUnreachable { ticket },
                    false => KeeperEvent::ServerSeen { ticket, server, meta },
                }
            }
            KeeperEffect::Seal { ticket, server, epoch } => {
                let reached = self.world.server.server == server && !self.faulty(6);
                let last = if reached { self.world.server.seal(epoch) } else { None };
                KeeperEvent::Sealed { ticket, last }
            }
            KeeperEffect::Drain { ticket, epoch, last } => {
                // Without the last place the drain may end early; its rest may still come behind the seal.
                let count = if last.is_some() { usize::MAX } else { self.world.below(4) };
                self.world.forward(count);
                if !self.faulty(6) {
                    self.world.intake(Intent::Seal(shard(), epoch));
                }
                KeeperEvent::Drained { ticket }
            }
            KeeperEffect::Load { ticket, fence } => return self.load(who, life, ticket, fence),
            KeeperEffect::Open { ticket, fence, chunks, paused } => {
                let opened = self.world.server.open(fence, chunks, paused);
                let outcome = opened.map_or_else(Outcome::Refused, Outcome::Done);
                KeeperEvent::Opened { ticket, outcome: self.unknown(outcome) }
            }
            KeeperEffect::SetState { .. } | KeeperEffect::ReadRange(_) | KeeperEffect::Withdraw { .. } => {
                self.perform_small(effect)
            }
            KeeperEffect::Explain(_) => return,
        };
        self.answer_keeper(who, life, event);
    }

    fn perform_small(&mut self, effect: KeeperEffect) -> KeeperEvent {
        match effect {
            KeeperEffect::SetState { ticket, fence, paused } => {
                let set = self.world.server.set_state(fence, paused);
                let outcome = set.map_or_else(Outcome::Refused, Outcome::Done);
                KeeperEvent::StateSet { ticket, outcome: self.unknown(outcome) }
            }
            KeeperEffect::ReadRange(ticket) => {
                let skus = self.world.rows.ranges[&sale()].skus.clone();
                KeeperEvent::RangeRead { ticket, skus: (!self.faulty(6)).then_some(skus) }
            }
            KeeperEffect::Withdraw { ticket, fence, sku, quantity } => {
                let outcome = match self.world.server.withdraw(fence, sku, quantity) {
                    Ok(entry) => {
                        self.world.log.extend(entry.clone());
                        Outcome::Done(entry.map(|entry| entry.seq))
                    }
                    Err(Fenced) => Outcome::Refused(Fenced),
                };
                KeeperEvent::Withdrawn { ticket, outcome: self.unknown(outcome) }
            }
            KeeperEffect::ReadRow(_)
            | KeeperEffect::Apply(..)
            | KeeperEffect::AskServer(_)
            | KeeperEffect::Seal { .. }
            | KeeperEffect::Drain { .. }
            | KeeperEffect::Load { .. }
            | KeeperEffect::Open { .. }
            | KeeperEffect::Explain(_) => unreachable!("performed by the caller"),
        }
    }

    fn apply(&mut self, command: &Command) -> Outcome<ShardRow, Refusal> {
        match self.world.transact(command) {
            Ok(Reply::Shard(row)) => Outcome::Done(row),
            Ok(reply) => panic!("a step of the ladder answered {reply:?}"),
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    fn load(&mut self, who: usize, life: u64, ticket: Ticket, fence: Fence) {
        let row = self.world.row();
        if row.phase != Phase::Opening || row.fence() != fence {
            let outcome = Outcome::Refused(LoadRefusal::Taken);
            return self.answer_keeper(who, life, KeeperEvent::Loaded { ticket, outcome });
        }
        let stock: Vec<(SkuId, StockRow)> = self.world.rows.stock.iter().map(|((_, sku), row)| (*sku, *row)).collect();
        let head = load_head(&self.world.sale_row(), &stock);
        let chunks = chunks(head, self.world.rows.orders.values()).collect();
        self.tasks.push(Task::Stream { who, life, ticket, fence, chunks });
    }

    fn perform_settler(&mut self, life: u64, effect: SettlerEffect) {
        let event = match effect {
            SettlerEffect::Settle { ticket, changes, .. } => {
                if self.faulty(8) {
                    SettlerEvent::Settled { ticket, outcome: Outcome::Unknown }
                } else {
                    let done = changes.iter().map(|change| self.change(change)).collect();
                    let outcome = self.unknown(Outcome::Done(done));
                    SettlerEvent::Settled { ticket, outcome }
                }
            }
            SettlerEffect::ReadShard { ticket, .. } => {
                // An answer may be late, and the read itself stale: nothing that it shows may be believed to be so still.
                let age = if self.healed { 0 } else { self.world.below(3) };
                let shown = self.world.rungs.len().saturating_sub(1 + age);
                let rung = (!self.faulty(6)).then_some(self.world.rungs[shown]);
                SettlerEvent::ShardRead { ticket, rung }
            }
            SettlerEffect::Inbox(effect) if life == self.settler_life => {
                let lost = self.faulty(4);
                match self.feed.perform(effect, lost) {
                    Some(event) => SettlerEvent::Inbox(event),
                    None => return,
                }
            }
            SettlerEffect::Inbox(_) => return,
            SettlerEffect::ClearLatch { .. } => return,
        };
        self.answer_settler(life, event);
    }

    /// Answers once, twice, or never.
    fn answer_settler(&mut self, life: u64, event: SettlerEvent) {
        if life != self.settler_life || self.faulty(6) {
            return;
        }
        let copies = 1 + usize::from(self.faulty(6));
        for _ in 0..copies {
            self.tell_settler(event.clone());
        }
    }

    fn change(&mut self, change: &ShardChange) -> Settlement {
        match change {
            ShardChange::GiveBack { epoch, user, id } => self.world.server.settle(*epoch, user, *id),
            ShardChange::Grant { epoch, sku, quantity, grant_seq } => {
                self.world.server.grant(*epoch, *sku, *quantity, *grant_seq)
            }
        }
    }
}
