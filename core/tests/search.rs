//! Indexers and invalidators in a hostile small world: whatever is lost, late or done twice, the rows have the last word.

use doorbuster_core::cache::invalidator::{self, Invalidator};
use doorbuster_core::database::rows::ProductRow;
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::inbox::marks::{Mark, Marks};
use doorbuster_core::inbox::{self, Offset, Partition, Record};
use doorbuster_core::machine::{Machine, Ticket};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::rng::Rng;
use doorbuster_core::search::document::{Document, SnapshotTime};
use doorbuster_core::search::indexer::{self, Indexer, PushedBack, Written};
use doorbuster_core::time::{Mono, Now, Wall};
use proptest::prelude::*;
use std::collections::BTreeMap;

const PRODUCTS: u64 = 5;

fn product(number: u64) -> ProductId {
    ProductId::parse(&format!("product-{number}")).unwrap()
}

/// What both workers work on, and what they have done to it.
struct World {
    rng: Rng,
    time: u64,
    rows: BTreeMap<ProductId, Version>,
    topic: Vec<(Offset, Option<Mark>)>,
    committed: Offset,
    index: BTreeMap<ProductId, Document>,
    floors: BTreeMap<ProductId, Version>,
    announced: BTreeMap<ProductId, Version>,
}

impl World {
    fn new(seed: u64) -> World {
        World {
            rng: Rng::seeded(seed),
            time: 1,
            rows: BTreeMap::new(),
            topic: Vec::new(),
            committed: Offset(0),
            index: BTreeMap::new(),
            floors: BTreeMap::new(),
            announced: BTreeMap::new(),
        }
    }

    fn now(&self) -> Now {
        Now { mono: Mono(self.time * 1000), wall: Wall(self.time) }
    }

    fn change(&mut self) {
        let key = product(self.rng.below(PRODUCTS));
        let version = self.rows.entry(key).or_default();
        *version = version.next();
        let mark = Mark { product: key, version: *version };
        let offset = Offset(self.topic.last().map_or(0, |(last, _)| last.0 + 1 + self.rng.below(2)));
        let noise = self.rng.below(6) == 0;
        self.topic.push((offset, Some(mark)));
        if noise {
            self.topic.push((offset.next(), None));
        }
    }

    fn inbox(&mut self, effect: inbox::Effect) -> inbox::Event<Option<Mark>> {
        match effect {
            inbox::Effect::Fetch { ticket, partition, from, limit } => {
                let behind = self.topic.iter().filter(|(offset, _)| *offset >= from).take(limit);
                let records = behind.map(|(offset, mark)| Record::Delivered(*offset, *mark)).collect();
                inbox::Event::Fetched { ticket, partition, outcome: Outcome::Done(records) }
            }
            inbox::Effect::Commit { ticket, partition, next } => {
                self.check_done(next);
                self.committed = self.committed.max(next);
                inbox::Event::Committed { ticket, partition, outcome: Outcome::Done(()) }
            }
            inbox::Effect::SetAside { .. } => panic!("every record can be read"),
        }
    }

    /// S10: what is behind the offset has reached the index or the floors.
    fn check_done(&self, next: Offset) {
        let behind = self.topic.iter().filter(|(offset, _)| *offset < next);
        for mark in behind.filter_map(|(_, mark)| *mark) {
            let shown = self.index.get(&mark.product).and_then(|document| document.row.as_ref()).map(|row| row.version);
            let known = shown.max(self.floors.get(&mark.product).copied());
            assert!(known >= Some(mark.version), "{mark:?} was committed at {known:?}");
        }
    }

    fn document(&self, product: ProductId) -> Document {
        let row = self.rows.get(&product).map(|version| ProductRow {
            id: product,
            name: format!("version {}", version.0),
            category: String::new(),
            image_url: String::new(),
            version: *version,
        });
        Document::of(product, SnapshotTime(self.time), row.as_ref(), [])
    }

    fn store(&mut self, document: Document, fails: bool) -> Written {
        if fails {
            return Written::Failed;
        }
        match self.index.get(&document.product) {
            Some(known) if known.version >= document.version => Written::Newer,
            Some(_) | None => {
                self.index.insert(document.product, document);
                Written::Stored
            }
        }
    }
}

/// One worker, and what it has asked for.
struct Worker<M: Machine> {
    machine: M,
    in_flight: Vec<M::Effect>,
}

impl<M: Machine> Worker<M> {
    fn tell(&mut self, world: &World, event: M::Event) {
        self.machine.step(world.now(), event, &mut self.in_flight);
        self.machine.check();
    }
}

fn index(world: &mut World, effect: indexer::Effect, peace: bool) -> Option<indexer::Event> {
    let lost = !peace && world.rng.below(5) == 0;
    match effect {
        indexer::Effect::Inbox(effect) => Some(indexer::Event::Inbox(world.inbox(effect))),
        indexer::Effect::Read { ticket, products } => {
            let documents = products.into_iter().map(|product| world.document(product)).collect();
            Some(indexer::Event::Read { ticket, documents: Some(documents).filter(|_| !lost) })
        }
        indexer::Effect::Write { ticket, documents } => {
            if !peace && world.rng.below(6) == 0 {
                return Some(indexer::Event::Written { ticket, outcome: Outcome::Refused(PushedBack) });
            }
            let mut store = |document| {
                let fails = !peace && world.rng.below(4) == 0;
                world.store(document, fails)
            };
            let written = documents.into_iter().map(&mut store).collect();
            let outcome = if lost { Outcome::Unknown } else { Outcome::Done(written) };
            Some(indexer::Event::Written { ticket, outcome })
        }
        indexer::Effect::ReportRejected(product) => panic!("{product} can be indexed"),
    }
}

fn invalidate(world: &mut World, effect: invalidator::Effect, peace: bool) -> Option<invalidator::Event> {
    let lost = !peace && world.rng.below(5) == 0;
    match effect {
        invalidator::Effect::Inbox(effect) => Some(invalidator::Event::Inbox(world.inbox(effect))),
        invalidator::Effect::Floor { ticket, floors } => {
            let written = if peace { floors.len() } else { world.rng.below(floors.len() as u64 + 1) as usize };
            for (product, version) in floors.iter().take(written) {
                let floor = world.floors.entry(*product).or_default();
                *floor = (*floor).max(*version);
            }
            let whole = written == floors.len() && !lost;
            let outcome = if whole { Outcome::Done(()) } else { Outcome::Unknown };
            Some(invalidator::Event::Floored { ticket, outcome })
        }
        invalidator::Effect::Announce(changes) => {
            for (product, version) in changes {
                let floor = world.floors.get(&product).copied();
                assert!(floor >= Some(version), "a change is told after its floor: {floor:?}");
                let told = world.announced.entry(product).or_default();
                *told = (*told).max(version);
            }
            None
        }
    }
}

type Perform<M> = fn(&mut World, <M as Machine>::Effect, bool) -> Option<<M as Machine>::Event>;

/// Two workers who both believe that the partition is theirs, then one in peace.
fn run<M: Machine>(
    seed: u64,
    new: fn(u64) -> M,
    wrap: fn(inbox::Event<Option<Mark>>) -> M::Event,
    woken: fn() -> M::Event,
    perform: Perform<M>,
) -> World {
    let mut world = World::new(seed);
    let partition = Partition(0);
    let mut workers = [1, 2].map(|n| Worker { machine: new(seed ^ n), in_flight: Vec::new() });
    for worker in &mut workers {
        worker.tell(&world, wrap(inbox::Event::Assigned { partition, from: Offset(0) }));
    }
    for _ in 0..400 {
        world.time += world.rng.below(400);
        if world.rng.below(5) == 0 {
            world.change();
        }
        let worker = &mut workers[world.rng.below(2) as usize];
        if world.rng.below(40) == 0 {
            let from = world.committed;
            worker.tell(&world, wrap(inbox::Event::Assigned { partition, from }));
        }
        if worker.in_flight.is_empty() || world.rng.below(3) == 0 {
            worker.tell(&world, woken());
            continue;
        }
        let which = world.rng.below(worker.in_flight.len() as u64) as usize;
        let effect = worker.in_flight.swap_remove(which);
        let answer = perform(&mut world, effect, false);
        // Some answers never come.
        if let Some(event) = answer.filter(|_| world.rng.below(8) > 0) {
            worker.tell(&world, event);
        }
    }
    let [first, mut second] = workers;
    // The first dies, what it has sent still lands: a message that dies with its sender makes nothing wrong, only slow.
    for effect in first.in_flight {
        perform(&mut world, effect, true);
    }
    for _ in 0..2_000 {
        world.time += 50;
        second.tell(&world, woken());
        for effect in std::mem::take(&mut second.in_flight) {
            if let Some(event) = perform(&mut world, effect, true) {
                second.tell(&world, event);
            }
        }
    }
    assert_eq!(second.machine.pending(), None);
    world
}

/// A worker died between the commit of a record and the message that it had asked for before.
#[test]
fn a_message_on_its_way_outlives_its_sender() {
    let seed = 5_605_247_783_519_054_962;
    let world = run(seed, Invalidator::new, invalidator::Event::Inbox, || invalidator::Event::Woken, invalidate);
    assert_eq!(world.announced, world.rows);
}

/// Marks of partition 0, in which these products wait in this order.
fn marks(products: &[u64]) -> Marks {
    let (mut marks, mut rng, partition) = (Marks::new(), Rng::seeded(1), Partition(0));
    marks.absorb(Mono(0), &mut rng, inbox::Event::Assigned { partition, from: Offset(0) });
    let mut effects = Vec::new();
    marks.pump(Mono(0), &mut Ticket::default(), &mut effects);
    let Some(inbox::Effect::Fetch { ticket, .. }) = effects.pop() else { panic!("it asks for records") };
    let record = |(offset, number): (u64, &u64)| {
        Record::Delivered(Offset(offset), Some(Mark { product: product(*number), version: Version(1) }))
    };
    let outcome = Outcome::Done((0..).zip(products).map(record).collect());
    marks.absorb(Mono(0), &mut rng, inbox::Event::Fetched { ticket, partition, outcome });
    marks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn search_comes_to_show_the_rows(seed in any::<u64>()) {
        let world = run(seed, Indexer::new, indexer::Event::Inbox, || indexer::Event::Woken, index);
        let shown = |document: &Document| Some((document.product, document.row.as_ref()?.version));
        let shown: BTreeMap<ProductId, Version> = world.index.values().filter_map(shown).collect();
        prop_assert_eq!(shown, world.rows);
    }

    #[test]
    fn every_change_has_a_floor_and_is_told(seed in any::<u64>()) {
        let world = run(seed, Invalidator::new, invalidator::Event::Inbox, || invalidator::Event::Woken, invalidate);
        prop_assert_eq!(&world.floors, &world.rows);
        prop_assert_eq!(&world.announced, &world.rows);
    }
}

#[test]
fn products_that_wait_take_turns() {
    let (mut marks, mut turns) = (marks(&[1, 2, 3]), Vec::new());
    for _ in 0..4 {
        turns.extend(marks.take(1).iter().map(|mark| mark.product));
        // It fails, and waits again behind the others.
        marks.finish(|_| false);
    }
    assert_eq!(turns, [1, 2, 3, 1].map(product));
}

#[test]
fn what_is_worked_on_is_owed_until_it_is_done() {
    let mut marks = marks(&[1, 2]);
    marks.take(2);
    assert_eq!(marks.owes(), Some("marked products are not done"));
    marks.finish(|_| true);
    assert_ne!(marks.owes(), Some("marked products are not done"));
}
