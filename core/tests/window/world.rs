//! A database that is rows, a topic, and workers whose effects come late, twice in effect, or without an answer.

use crate::common::transact;
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::event::Event as Outgoing;
use doorbuster_core::database::tables::Rows;
use doorbuster_core::ids::{OrderId, ProductId, ReservationId, SaleId, ShardId, SkuId};
use doorbuster_core::inbox::{self, Offset, Partition, Record};
use doorbuster_core::limits::SALES_EMIT_DELAY_MS;
use doorbuster_core::machine::Machine;
use doorbuster_core::oracle::window_watch::WindowWatch;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::{Mono, Now, Wall};
use doorbuster_core::window::command::{SalesBatch, SalesCommand, SalesReport};
use doorbuster_core::window::hour::Hour;
use doorbuster_core::window::movement::{Movement, Sign};
use doorbuster_core::window::worker::{Effect, Event, SalesWindows};
use std::collections::BTreeMap;

pub const HOUR_MS: u64 = 3_600_000;
pub const SKUS: usize = 4;

pub fn sku(number: usize) -> SkuId {
    SkuId::parse(&format!("sku-{number}")).unwrap()
}

/// SKUs 0 and 2 are variants of product 0, 1 and 3 of product 1.
pub fn product(number: usize) -> ProductId {
    ProductId::parse(&format!("product-{}", number % 2)).unwrap()
}

pub fn partition(number: usize) -> Partition {
    Partition((number % 2) as u32)
}

pub fn order(number: usize) -> OrderId {
    let shard = ShardId { sale: SaleId::parse("demo").unwrap(), k: 0 };
    OrderId { shard, reservation: ReservationId((number as u128).to_be_bytes()) }
}

/// A line of an order that was paid.
pub fn line(number: usize, of: usize, quantity: u32, paid_at: Wall) -> Movement {
    let (sku, product) = (sku(number), product(number));
    Movement { sku, order: order(of), sign: Sign::Paid, product, quantity, paid_at }
}

/// The database, told of its own commits by the watch.
#[derive(Clone, Debug, Default)]
pub struct Database {
    pub rows: Rows,
    /// Its clock.
    pub at: Wall,
    pub watch: WindowWatch,
    /// What search shows, and of which state of the rows.
    pub shown: BTreeMap<ProductId, u64>,
    pub commits: u64,
}

impl Database {
    pub fn at(at: Wall) -> Database {
        Database { at, ..Database::default() }
    }

    pub fn apply(&mut self, command: &Command) -> Result<(Vec<Outgoing>, Reply), Refusal> {
        let Command::Sales(sales) = command else { panic!("the worker only asks for {command:?}") };
        let (next, events, reply) = transact(&self.rows, command, self.at)?;
        let before = std::mem::replace(&mut self.rows, next);
        self.commits += 1;
        for id in self.rows.counted.keys().filter(|id| !before.counted.contains_key(id)) {
            self.watch.movement_counted(*id);
        }
        if let SalesCommand::Emit { skus, .. } = sales {
            let hour = Hour::of(self.at.before_ms(SALES_EMIT_DELAY_MS));
            for sku in skus {
                let (old, new) = (before.sales_rings.get(sku), self.rows.sales_rings.get(sku));
                if old != new {
                    self.watch.window_emitted(*sku, hour.0, new.map_or(0, |row| row.emitted));
                }
            }
        }
        self.rows.sales_rings.values().for_each(|row| row.ring.check());
        self.index(&events);
        Ok((events, reply))
    }

    /// Search writes marked products from a snapshot of now.
    fn index(&mut self, events: &[Outgoing]) {
        for event in events {
            let Outgoing::SalesAdvanced { product, .. } = event else { continue };
            let units = self.told_of(*product);
            self.watch.document_shown(*product, self.commits, units);
            self.shown.insert(*product, units);
        }
    }

    /// What the rows of a product's SKUs tell.
    pub fn told_of(&self, product: ProductId) -> u64 {
        let rows = self.rows.sales_rings.values().filter(|row| row.product == product);
        rows.map(|row| row.emitted).sum()
    }

    pub fn count(&mut self, expected: u64, next: u64, movements: &[Movement]) -> Result<SalesReport, Refusal> {
        let (expected, next) = (Offset(expected), Offset(next));
        let batch = SalesBatch { partition: partition(0), expected, next, movements: movements.to_vec() };
        match self.apply(&Command::Sales(SalesCommand::Count(batch)))?.1 {
            Reply::Sales(report) => Ok(report),
            other => panic!("a batch answers with its report, not {other:?}"),
        }
    }

    pub fn emit(&mut self, hour: Hour, numbers: &[usize]) -> Result<Vec<Outgoing>, Refusal> {
        let skus = numbers.iter().map(|number| sku(*number)).collect();
        Ok(self.apply(&Command::Sales(SalesCommand::Emit { hour, skus }))?.0)
    }

    pub fn sum(&self, number: usize, hour: Hour) -> u64 {
        self.rows.sales_rings.get(&sku(number)).map_or(0, |row| row.ring.sum_at(hour))
    }

    pub fn emitted(&self, number: usize) -> u64 {
        self.rows.sales_rings.get(&sku(number)).map_or(0, |row| row.emitted)
    }
}

/// A process with its own idea of the wall clock.
pub struct Worker {
    pub machine: SalesWindows,
    /// Its wall clock against the database's, in milliseconds.
    pub skew_ms: i64,
    in_flight: Vec<Effect>,
}

pub struct World {
    pub database: Database,
    pub mono: Mono,
    topic: BTreeMap<Partition, Vec<(Offset, Record<Movement>)>>,
    committed: BTreeMap<Partition, Offset>,
    pub workers: Vec<Worker>,
    /// Effects of processes that are dead: they may still take place.
    orphans: Vec<Effect>,
    rng: Rng,
    /// In peace nothing is lost, late or reordered.
    pub peace: bool,
    /// Batches that were refused because of their place.
    pub stale: usize,
}

impl World {
    pub fn new(seed: u64, at: Wall) -> World {
        World {
            database: Database::at(at),
            mono: Mono(0),
            topic: BTreeMap::from([(Partition(0), Vec::new()), (Partition(1), Vec::new())]),
            committed: BTreeMap::new(),
            workers: Vec::new(),
            orphans: Vec::new(),
            rng: Rng::seeded(seed),
            peace: false,
            stale: 0,
        }
    }

    pub fn pass(&mut self, millis: u64) {
        self.database.at = self.database.at.after_ms(millis);
        self.mono = self.mono.after_ms(millis);
    }

    /// Appends a record; offsets have gaps, and some records cannot be read.
    pub fn publish(&mut self, partition: Partition, movement: Movement) {
        if self.rng.below(16) == 0 {
            self.append(partition, Record::Undecodable);
        }
        self.append(partition, |offset| Record::Delivered(offset, movement));
    }

    fn append(&mut self, partition: Partition, record: impl Fn(Offset) -> Record<Movement>) {
        let gap = 1 + self.rng.below(2);
        let records = self.topic.get_mut(&partition).unwrap();
        let offset = Offset(records.last().map_or(1, |(last, _)| last.0 + gap));
        records.push((offset, record(offset)));
    }

    /// Delivers the last records once more, behind everything else: a relay that begins from hours ago.
    pub fn replay(&mut self, partition: Partition, count: usize) {
        let records = &self.topic[&partition];
        let last: Vec<_> = records[records.len().saturating_sub(count)..].to_vec();
        for (_, record) in last {
            if let Record::Delivered(_, movement) = record {
                self.append(partition, |offset| Record::Delivered(offset, movement));
            }
        }
    }

    /// A new process; it takes over all partitions, and those that had them may not know it yet.
    pub fn start_worker(&mut self, skew_ms: i64) {
        let machine = SalesWindows::new(self.rng.draw());
        self.workers.push(Worker { machine, skew_ms, in_flight: Vec::new() });
        let index = self.workers.len() - 1;
        for partition in [Partition(0), Partition(1)] {
            let from = self.committed.get(&partition).copied().unwrap_or_default();
            self.tell(index, Event::Inbox(inbox::Event::Assigned { partition, from }));
        }
    }

    pub fn revoke(&mut self, index: usize, partition: Partition) {
        self.tell(index, Event::Inbox(inbox::Event::Revoked { partition }));
    }

    /// The process dies; what it asked for may still happen.
    pub fn crash(&mut self, index: usize) {
        let worker = self.workers.remove(index);
        self.orphans.extend(worker.in_flight);
    }

    /// So many events for random workers, and now and then an effect of a dead one.
    pub fn work(&mut self, steps: usize) {
        for _ in 0..steps {
            if !self.orphans.is_empty() && self.rng.below(4) == 0 {
                let which = self.rng.below(self.orphans.len() as u64) as usize;
                let effect = self.orphans.swap_remove(which);
                drop(self.perform(&effect));
            }
            if !self.workers.is_empty() {
                let index = self.rng.below(self.workers.len() as u64) as usize;
                self.step(index);
            }
        }
    }

    /// One event for this worker: an answer to something it asked, or the time.
    pub fn step(&mut self, index: usize) {
        let waiting = self.workers[index].in_flight.len() as u64;
        if waiting == 0 || self.rng.below(4) == 0 {
            return self.tell(index, Event::Woken);
        }
        let which = if self.peace { 0 } else { self.rng.below(waiting) as usize };
        let effect = self.workers[index].in_flight.remove(which);
        let fate = if self.peace { 0 } else { self.rng.below(10) };
        let answer = match fate {
            // Nothing happens now, nobody is told, and it may happen later.
            1 => {
                self.orphans.push(effect);
                None
            }
            // It does not happen, or it happens and nobody is told.
            2 => unknown(&effect),
            3 => {
                let answer = self.perform(&effect);
                answer.and_then(|_| unknown(&effect))
            }
            _ => self.perform(&effect),
        };
        if let Some(answer) = answer {
            self.tell(index, answer);
        }
    }

    /// Gives everybody what they asked for until nobody asks for more.
    pub fn settle(&mut self) {
        for index in 0..self.workers.len() {
            self.tell(index, Event::Woken);
            while !self.workers[index].in_flight.is_empty() {
                self.step(index);
            }
            let wake = self.workers[index].machine.wake_at();
            assert!(wake.is_none_or(|(at, _)| at > self.mono), "{wake:?} has come and nothing was asked for");
        }
    }

    fn tell(&mut self, index: usize, event: Event) {
        let worker = &mut self.workers[index];
        let wall = Wall(self.database.at.0.saturating_add_signed(worker.skew_ms));
        let mut out = Vec::new();
        worker.machine.step(Now { mono: self.mono, wall }, event, &mut out);
        worker.machine.check();
        worker.in_flight.extend(out);
    }

    fn perform(&mut self, effect: &Effect) -> Option<Event> {
        match effect {
            Effect::Inbox(effect) => Some(Event::Inbox(self.perform_inbox(effect))),
            Effect::ReadCursor { ticket, partition } => {
                let next = self.database.rows.sales_cursors.get(partition).copied().unwrap_or_default().next;
                Some(Event::CursorRead { ticket: *ticket, partition: *partition, next: Some(next) })
            }
            Effect::Apply { ticket, partition, command } => {
                let outcome = match self.database.apply(command) {
                    Ok((_, reply)) => Outcome::Done(reply),
                    Err(refusal) => {
                        self.stale += usize::from(refusal == Refusal::StaleOffset);
                        Outcome::Refused(refusal)
                    }
                };
                Some(Event::Applied { ticket: *ticket, partition: *partition, outcome })
            }
            Effect::ListRings { ticket, partition, after, limit } => {
                let rings = self.database.rows.sales_rings.iter().filter(|(_, row)| row.partition == *partition);
                let behind = rings.map(|(sku, _)| *sku).filter(|sku| after.is_none_or(|after| *sku > after));
                let skus = Some(behind.take(*limit).collect());
                Some(Event::RingsListed { ticket: *ticket, partition: *partition, skus })
            }
            Effect::ReportCounted(_) => None,
            Effect::ReportRefusal { refusal, .. } => panic!("a sound worker is not refused with {refusal:?}"),
        }
    }

    fn perform_inbox(&mut self, effect: &inbox::Effect) -> inbox::Event<Movement> {
        match *effect {
            inbox::Effect::Fetch { ticket, partition, from, limit } => {
                let records = self.topic[&partition].iter().filter(|(offset, _)| *offset >= from).take(limit);
                let records = records.map(|(_, record)| record.clone()).collect();
                inbox::Event::Fetched { ticket, partition, outcome: Outcome::Done(records) }
            }
            inbox::Effect::Commit { ticket, partition, next } => {
                let cursor = self.database.rows.sales_cursors.get(&partition).copied().unwrap_or_default().next;
                let uncounted = self.topic[&partition].iter().find(|(offset, record)| {
                    *offset >= cursor && *offset < next && matches!(record, Record::Delivered(..))
                });
                assert_eq!(uncounted, None, "S10: an offset was committed before its movements were counted");
                self.committed.insert(partition, next);
                inbox::Event::Committed { ticket, partition, outcome: Outcome::Done(()) }
            }
            inbox::Effect::SetAside { ticket, partition, offset } => {
                inbox::Event::SetAside { ticket, partition, offset, outcome: Outcome::Done(()) }
            }
        }
    }
}

fn unknown(effect: &Effect) -> Option<Event> {
    Some(match *effect {
        Effect::Inbox(inbox::Effect::Fetch { ticket, partition, .. }) => {
            Event::Inbox(inbox::Event::Fetched { ticket, partition, outcome: Outcome::Unknown })
        }
        Effect::Inbox(inbox::Effect::Commit { ticket, partition, .. }) => {
            Event::Inbox(inbox::Event::Committed { ticket, partition, outcome: Outcome::Unknown })
        }
        Effect::Inbox(inbox::Effect::SetAside { ticket, partition, offset }) => {
            Event::Inbox(inbox::Event::SetAside { ticket, partition, offset, outcome: Outcome::Unknown })
        }
        Effect::ReadCursor { ticket, partition } => Event::CursorRead { ticket, partition, next: None },
        Effect::Apply { ticket, partition, .. } => Event::Applied { ticket, partition, outcome: Outcome::Unknown },
        Effect::ListRings { ticket, partition, .. } => Event::RingsListed { ticket, partition, skus: None },
        Effect::ReportCounted(_) | Effect::ReportRefusal { .. } => return None,
    })
}
