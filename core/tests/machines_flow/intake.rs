//! Intake over the real decision: every intent is decided once, in order, before its offset is committed.

use super::world::{DAWN, Fate, Outside, World, apply, order, shard};
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::rows::{AckLevel, Currency, Phase, SaleRow, SaleState, ShardRow, SkuRow, StockRow};
use doorbuster_core::database::tables::Rows;
use doorbuster_core::ids::{Epoch, Nonce, ProductId, SaleId, Seq, ServerId, SkuId, UserId, Version};
use doorbuster_core::inbox::{self, NotAssigned, Offset, Partition, Record};
use doorbuster_core::intake::consumer::{Consumer, Effect, Event};
use doorbuster_core::ledger::basket::{Basket, Line};
use doorbuster_core::ledger::entry::{Entry, EntryKind, Intent, Reserved};
use doorbuster_core::ledger::shard::Window;
use doorbuster_core::limits::{INTAKE_ENTRIES_MAX, INTAKE_RESERVATIONS_MAX};
use doorbuster_core::machine::Machine;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::{Mono, Now, Wall};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const SHARDS: u16 = 5;
const PARTITIONS: u32 = 2;
const STOCK: u64 = 1_000_000;

/// A sale with open shards.
pub fn open_sale(shards: u16) -> Rows {
    let mut rows = Rows::default();
    let (sale, sku) = (SaleId::parse("demo").unwrap(), SkuId::parse("tv").unwrap());
    let window = Window { starts_at: Wall(DAWN), ends_at: Wall(DAWN + 86_400_000) };
    let sale_row = SaleRow {
        id: sale,
        title: "demo".to_owned(),
        window,
        limit: 1_000,
        hold_ms: 30_000,
        shards,
        ack: AckLevel::Redis,
        currency: Currency::parse("EUR").unwrap(),
        state: SaleState::Open,
        version: Version(1),
    };
    let sku_row = SkuRow {
        sale,
        sku,
        product: ProductId::parse("tv").unwrap(),
        name: "tv".to_owned(),
        price_minor: 100,
        total: STOCK * u64::from(shards),
        pool: 0,
        version: Version(1),
    };
    rows.sales.insert(sale, sale_row);
    rows.skus.insert((sale, sku), sku_row);
    for k in 0..shards {
        rows.stock.insert((shard(k), sku), StockRow { granted: STOCK, consumed: 0, grant_seq: 1 });
        rows.shards.insert(shard(k), shard_row(k));
    }
    rows
}

/// A shard that sells.
pub fn shard_row(k: u16) -> ShardRow {
    ShardRow {
        id: shard(k),
        epoch: Epoch(1),
        phase: Phase::Open,
        server: ServerId(7),
        nonce: Nonce(7),
        cursor: Seq(0),
        replay_from: None,
        reason: None,
        lease: None,
    }
}

/// An entry that took one unit for each of these reservations.
pub fn entry(k: u16, epoch: u64, seq: u64, numbers: std::ops::Range<u64>) -> Entry {
    let line = Line { sku: SkuId::parse("tv").unwrap(), quantity: 1 };
    let basket = Basket::parse(&[line]).unwrap();
    let reserved = |number| Reserved {
        id: order(k, number).reservation,
        user: UserId::parse(&format!("user-{number}")).unwrap(),
        body: basket.body_hash(),
        basket: basket.clone(),
        reserved_at: Wall(DAWN),
    };
    Entry { epoch: Epoch(epoch), seq: Seq(seq), kind: EntryKind::Reserved(numbers.map(reserved).collect()) }
}

struct Intents {
    rows: Rows,
    /// Per partition: records by offset; `None` is poison. Offsets have holes.
    log: BTreeMap<Partition, BTreeMap<u64, Option<Intent>>>,
    /// What the next assignment starts from: a late commit may set it back.
    committed: BTreeMap<Partition, Offset>,
    furthest: BTreeMap<Partition, Offset>,
    aside: BTreeSet<(Partition, u64)>,
    seqs: BTreeMap<u16, u64>,
    reservations: u64,
    taken: u64,
}

impl Intents {
    fn new() -> Intents {
        let starts = || (0..PARTITIONS).map(|partition| (Partition(partition), Offset(0))).collect();
        Intents {
            rows: open_sale(SHARDS),
            log: (0..PARTITIONS).map(|partition| (Partition(partition), BTreeMap::new())).collect(),
            committed: starts(),
            furthest: starts(),
            aside: BTreeSet::new(),
            seqs: BTreeMap::new(),
            reservations: 0,
            taken: 0,
        }
    }

    fn append(&mut self, rng: &mut Rng) {
        let k = rng.below(u64::from(SHARDS)) as u16;
        let log = self.log.get_mut(&Partition(u32::from(k) % PARTITIONS)).unwrap();
        let offset = log.last_key_value().map_or(0, |(last, _)| *last) + 1 + rng.below(3);
        if rng.below(40) == 0 {
            log.insert(offset, None);
            return;
        }
        let seq = self.seqs.entry(k).or_default();
        *seq += 1;
        let count = if rng.below(10) == 0 { 200 } else { 1 + rng.below(3) };
        let entry = entry(k, 1, *seq, self.reservations..self.reservations + count);
        self.reservations += count;
        log.insert(offset, Some(Intent::Entry(shard(k), entry)));
    }

    fn is_durable(&self, partition: Partition, offset: u64, intent: &Option<Intent>) -> bool {
        match intent {
            None => self.aside.contains(&(partition, offset)),
            Some(Intent::Entry(shard, entry)) => entry.seq <= self.rows.shards[shard].cursor,
            Some(Intent::Seal(..)) => true,
        }
    }

    fn commit(&mut self, partition: Partition, next: Offset) -> Outcome<(), NotAssigned> {
        for (offset, intent) in self.log[&partition].range(..next.0) {
            assert!(self.is_durable(partition, *offset, intent), "S10: offset {offset} was committed too early");
        }
        self.committed.insert(partition, next);
        let furthest = self.furthest.get_mut(&partition).unwrap();
        *furthest = next.max(*furthest);
        Outcome::Done(())
    }

    fn fetch(&self, partition: Partition, from: Offset, limit: usize) -> Vec<Record<Intent>> {
        let records = self.log[&partition].range(from.0..).take(limit);
        let read = |(offset, intent): (&u64, &Option<Intent>)| match intent {
            None => Record::Undecodable(Offset(*offset)),
            Some(intent) => Record::Delivered(Offset(*offset), intent.clone()),
        };
        records.map(read).collect()
    }

    fn decide(&mut self, now: Now, command: &Command) -> Outcome<Reply, Refusal> {
        let Command::Intake(batch) = command else { panic!("intake only takes in") };
        assert!(batch.intents.len() <= INTAKE_ENTRIES_MAX);
        let weigh = |intent: &Intent| match intent {
            Intent::Entry(_, Entry { kind: EntryKind::Reserved(all), .. }) => all.len(),
            Intent::Entry(..) | Intent::Seal(..) => 0,
        };
        assert!(batch.intents.iter().map(weigh).sum::<usize>() <= INTAKE_RESERVATIONS_MAX);
        let (reply, _) = apply(&mut self.rows, now.wall, command).unwrap();
        let Reply::Intake(report) = &reply else { panic!("intake reports") };
        assert_eq!(report.alarms, [], "the order per shard is kept");
        self.taken += u64::from(report.created);
        Outcome::Done(reply)
    }
}

impl Outside for Intents {
    type Machine = Consumer;

    fn start(&mut self, _: Now, seed: u64) -> (Consumer, Vec<Event>) {
        let assigned = |(partition, from): (&Partition, &Offset)| {
            Event::Inbox(inbox::Event::Assigned { partition: *partition, from: *from })
        };
        (Consumer::new(seed), self.committed.iter().map(assigned).collect())
    }

    fn woken() -> Event {
        Event::Woken
    }

    fn perform(&mut self, now: Now, effect: &Effect, fate: Fate) -> Option<Event> {
        match effect {
            Effect::RaiseAlarm(alarm) => panic!("{alarm:?}"),
            Effect::ReportRefusal { .. } => None,
            Effect::Apply { ticket, command } => {
                let outcome = fate.of(Some(Refusal::NoSale), || self.decide(now, command))?;
                Some(Event::Applied { ticket: *ticket, outcome })
            }
            Effect::Inbox(inbox::Effect::Fetch { ticket, partition, from, limit }) => {
                let outcome = fate.of(None, || Outcome::Done(self.fetch(*partition, *from, *limit)))?;
                Some(Event::Inbox(inbox::Event::Fetched { ticket: *ticket, partition: *partition, outcome }))
            }
            Effect::Inbox(inbox::Effect::Commit { ticket, partition, next }) => {
                let outcome = fate.of(None, || self.commit(*partition, *next))?;
                Some(Event::Inbox(inbox::Event::Committed { ticket: *ticket, partition: *partition, outcome }))
            }
            Effect::Inbox(inbox::Effect::SetAside { ticket, partition, offset }) => {
                let (ticket, partition, offset) = (*ticket, *partition, *offset);
                let outcome = fate.of(None, || {
                    self.aside.insert((partition, offset.0));
                    Outcome::Done(())
                })?;
                Some(Event::Inbox(inbox::Event::SetAside { ticket, partition, offset, outcome }))
            }
        }
    }

    fn nudge(&mut self, _: Now, rng: &mut Rng, peace: bool) -> Vec<Event> {
        if peace {
            return Vec::new();
        }
        for _ in 0..rng.below(8) {
            self.append(rng);
        }
        if rng.below(10) > 0 {
            return Vec::new();
        }
        let partition = Partition(rng.below(u64::from(PARTITIONS)) as u32);
        let from = self.committed[&partition];
        let events = [inbox::Event::Revoked { partition }, inbox::Event::Assigned { partition, from }];
        events.into_iter().map(Event::Inbox).collect()
    }

    fn missing(&self, _: &Consumer) -> Option<String> {
        for (partition, log) in &self.log {
            for (offset, intent) in log {
                if !self.is_durable(*partition, *offset, intent) {
                    return Some(format!("{partition:?} {offset} is not decided"));
                }
                if self.furthest[partition].0 <= *offset {
                    return Some(format!("{partition:?} {offset} is not committed"));
                }
            }
        }
        None
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn intake_decides_every_intent_once_and_commits_afterwards(seed: u64) {
        let world = World::run(Intents::new(), seed, 40_000);
        prop_assert_eq!(world.rows.orders.len() as u64, world.reservations);
        prop_assert_eq!(world.taken, world.reservations);
        let consumed: u64 = world.rows.stock.values().map(|stock| stock.consumed).sum();
        prop_assert_eq!(consumed, world.reservations);
    }
}

/// Steps a consumer, and wakes it when it wants to be until it asks for something.
struct Stepped {
    consumer: Consumer,
    mono: Mono,
}

impl Stepped {
    fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut out = Vec::new();
        self.consumer.step(Now { mono: self.mono, wall: Wall(DAWN) }, event, &mut out);
        out
    }

    /// The first effect that is what is wanted, of this event or of the next times at which it wakes.
    fn until<T>(&mut self, event: Event, wanted: impl Fn(Effect) -> Option<T>) -> T {
        let mut event = event;
        for _ in 0..10 {
            if let Some(found) = self.step(event).into_iter().find_map(&wanted) {
                return found;
            }
            let (at, _) = self.consumer.wake_at().expect("it owes something");
            (self.mono, event) = (at.max(self.mono), Event::Woken);
        }
        panic!("it does not ask for what it owes")
    }
}

#[test]
fn intake_owes_a_record_until_it_is_decided_and_its_place_is_kept() {
    let mut intake = Stepped { consumer: Consumer::new(1), mono: Mono(0) };
    let partition = Partition(0);
    let ticket =
        intake.until(Event::Inbox(inbox::Event::Assigned { partition, from: Offset(3) }), |effect| match effect {
            Effect::Inbox(inbox::Effect::Fetch { ticket, .. }) => Some(ticket),
            Effect::Inbox(_) | Effect::Apply { .. } | Effect::RaiseAlarm(_) | Effect::ReportRefusal { .. } => None,
        });
    assert_eq!(intake.consumer.pending(), None, "nothing was read yet");
    let record = Record::Delivered(Offset(5), Intent::Entry(shard(0), entry(0, 1, 1, 0..2)));
    let fetched = inbox::Event::Fetched { ticket, partition, outcome: Outcome::Done(vec![record]) };
    let (ticket, command) = intake.until(Event::Inbox(fetched), |effect| match effect {
        Effect::Apply { ticket, command } => Some((ticket, command)),
        Effect::Inbox(_) | Effect::RaiseAlarm(_) | Effect::ReportRefusal { .. } => None,
    });
    assert_eq!(intake.consumer.pending(), Some("records are not done"));
    let (reply, _) = apply(&mut open_sale(1), Wall(DAWN), &command).expect("an open shard takes its entries");
    let applied = Event::Applied { ticket, outcome: Outcome::Done(reply) };
    let (ticket, next) = intake.until(applied, |effect| match effect {
        Effect::Inbox(inbox::Effect::Commit { ticket, next, .. }) => Some((ticket, next)),
        Effect::Inbox(_) | Effect::Apply { .. } | Effect::RaiseAlarm(_) | Effect::ReportRefusal { .. } => None,
    });
    assert_eq!((next, intake.consumer.pending()), (Offset(6), Some("an offset is not committed")));
    intake.step(Event::Inbox(inbox::Event::Committed { ticket, partition, outcome: Outcome::Done(()) }));
    assert_eq!(intake.consumer.pending(), None);
}
