//! The contract of a group, as two members of it read one topic: that of what was sold.

use super::world::{World, certain};
use super::{Clock, Subject};
use crate::ports::group::{Assignment, Group};
use crate::ports::publish::Publish;
use crate::ports::{FETCH_WAIT_MS, Offset, Partition};
use async_trait::async_trait;
use doorbuster_core::database::event::Event;
use doorbuster_core::ids::{ProductId, SkuId};
use doorbuster_core::inbox::{NotAssigned, Record};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use doorbuster_core::window::movement::{Movement, Sign};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Writes what no worker can read, for a suite that cannot.
#[async_trait]
pub trait Spoil: Send + Sync {
    /// Appends this event, and right before it, in its partition, a record that is no event.
    async fn spoil(&self, event: Event);
}

/// What writes the partitions of `sales`, and two members of one group that reads them.
pub struct MembersAndSpoil {
    /// Writes.
    pub publish: Arc<dyn Publish>,
    /// Writes what is no event.
    pub spoil: Arc<dyn Spoil>,
    /// A member; it asks first.
    pub first: Arc<dyn Group<Event>>,
    /// Another one of the same group, not in it before it asks.
    pub second: Arc<dyn Group<Event>>,
}

/// Fetches in a row that find nothing, after which a partition counts as read to its end.
const EMPTY_MAX: usize = 6;
/// SKUs of the suite, enough for several partitions, and movements of each.
const SKUS: usize = 8;
const EACH: usize = 5;
/// Questions after which an assignment that is due has not come.
const LOOKS_MAX: usize = 120;
/// Milliseconds between two of them.
const LOOK_MS: u64 = 500;
/// A call that waits longer than this is not bounded: many times what it may wait.
const BOUND: Duration = Duration::from_millis(40 * FETCH_WAIT_MS);

/// Holds the members of a group to [`Group`]'s contract. The subject begins without movements and without a group.
///
/// # Panics
/// With the sentence that was broken.
pub async fn members_contract(make: impl AsyncFn() -> Subject<MembersAndSpoil>) {
    let subject = make().await;
    let case = Case { port: &subject.port, clock: subject.clock.as_ref() };
    let all = case.whoever_asks_is_in_the_group().await;
    let placed = case.movements_of_one_sku_keep_their_order(&all).await;
    case.reading_can_begin_at_every_record(&placed).await;
    case.what_is_no_movement_is_seen_and_set_aside(&all).await;
    let shared = case.two_workers_share_the_partitions(&all).await;
    let kept = case.a_place_is_kept_by_whoever_has_the_partition(&shared, &placed).await;
    case.whoever_asks_no_more_loses_its_partitions(&all, &placed, &kept).await;
}

/// One movement where it stands.
type Placed = (Partition, Offset, Event);

struct Case<'a> {
    port: &'a MembersAndSpoil,
    clock: &'a dyn Clock,
}

fn sold(number: usize, quantity: usize) -> Event {
    let (world, name) = (World::named("moved"), format!("moved-{number}"));
    let order = world.order(&world.item(quantity, 1, &[(0, 1)]));
    let sku = SkuId::parse(&name).expect("a suite names a SKU");
    let product = ProductId::parse(&name).expect("a suite names a product");
    Event::SalesMoved(Movement { sku, order, sign: Sign::Paid, product, quantity: quantity as u32, paid_at: Wall(1) })
}

async fn assigned(worker: &dyn Group<Event>, generation: u64) -> Assignment {
    let asked = certain(async || {
        match tokio::time::timeout(BOUND, worker.assigned(generation)).await.expect("a question waits a bounded time") {
            Ok(assignment) => Outcome::Done(assignment),
            Err(_) => Outcome::<_, NotAssigned>::Unknown,
        }
    });
    asked.await.expect("a question is not refused")
}

async fn fetch(worker: &dyn Group<Event>, partition: Partition, from: Offset, limit: usize) -> Vec<Record<Event>> {
    let asked = certain(async || {
        tokio::time::timeout(BOUND, worker.fetch(partition, from, limit)).await.expect("a fetch waits a bounded time")
    });
    let records = asked.await.expect("the partition is this worker's");
    assert!(records.len() <= limit, "at most {limit} records were asked for");
    assert!(records.iter().all(|record| record.offset() >= from), "records of this place");
    assert!(records.windows(2).all(|pair| pair[0].offset() < pair[1].offset()), "offsets grow");
    records
}

/// Everything at and behind these places.
async fn read(worker: &dyn Group<Event>, places: &[(Partition, Offset)]) -> Vec<(Partition, Record<Event>)> {
    let mut found = Vec::new();
    for (partition, from) in places {
        let (mut next, mut empty) = (*from, 0);
        while empty < EMPTY_MAX {
            let page = fetch(worker, *partition, next, 3).await;
            empty = if page.is_empty() { empty + 1 } else { 0 };
            next = page.last().map_or(next, |record| record.offset().next());
            found.extend(page.into_iter().map(|record| (*partition, record)));
        }
    }
    found
}

async fn commit(worker: &dyn Group<Event>, partition: Partition, next: Offset) -> Result<(), NotAssigned> {
    certain(async || worker.commit(partition, next).await).await
}

fn names(assignment: &Assignment) -> BTreeSet<Partition> {
    let names: BTreeSet<Partition> = assignment.partitions.iter().map(|(partition, _)| *partition).collect();
    assert_eq!(names.len(), assignment.partitions.len(), "a partition is assigned once");
    names
}

impl Case<'_> {
    async fn publish(&self, events: Vec<Event>) {
        let kept = certain(async || self.port.publish.publish_events(events.clone()).await).await;
        kept.expect("the topics can be asked");
    }

    /// Asks until the assignment is as it must come to be.
    async fn comes_to_be(
        &self,
        worker: &dyn Group<Event>,
        what: &str,
        holds: impl Fn(&Assignment) -> bool,
    ) -> Assignment {
        let mut last = Assignment::default();
        for _ in 0..LOOKS_MAX {
            let next = assigned(worker, last.generation).await;
            assert!(next.generation >= last.generation, "generations grow");
            if next.generation == last.generation {
                assert_eq!(names(&next), names(&last), "one generation is one assignment");
            }
            if holds(&next) {
                return next;
            }
            last = next;
            self.clock.pass_ms(LOOK_MS).await;
        }
        panic!("{what}: {last:?}");
    }

    async fn whoever_asks_is_in_the_group(&self) -> Assignment {
        let first = self.port.first.as_ref();
        let all = self.comes_to_be(first, "a lone worker has partitions", |own| !own.partitions.is_empty()).await;
        assert!(all.generation > 0, "0 stands for no assignment");
        let places = all.partitions.iter().map(|(_, from)| *from);
        assert!(places.into_iter().all(|from| from == Offset(0)), "nothing is committed in a new group");
        let again = assigned(first, all.generation).await;
        assert!(again == all || again.generation > all.generation, "without another assignment the same is answered");
        let (partition, from) = all.partitions[0];
        assert_eq!(fetch(first, partition, from, 3).await, [], "a fetch of nothing waits a bounded time");
        all
    }

    async fn movements_of_one_sku_keep_their_order(&self, all: &Assignment) -> Vec<Placed> {
        for quantity in 1..=EACH {
            self.publish((0..SKUS).map(|number| sold(number, quantity)).collect()).await;
        }
        let delivered = |(partition, record)| match record {
            Record::Delivered(offset, movement) => (partition, offset, movement),
            Record::Undecodable(offset) => panic!("the record at {} is no movement", offset.0),
        };
        let found = read(self.port.first.as_ref(), &all.partitions).await;
        let placed: Vec<Placed> = found.into_iter().map(delivered).collect();
        for number in 0..SKUS {
            let subject = sold(number, 1).subject();
            let own: Vec<&Placed> = placed.iter().filter(|(_, _, event)| event.subject() == subject).collect();
            assert!(own.windows(2).all(|pair| pair[0].0 == pair[1].0), "movements of one SKU stand in one partition");
            let mut told: Vec<&Event> = Vec::new();
            // A record may stand twice: the first time counts.
            for (_, _, event) in own {
                if !told.contains(&event) {
                    told.push(event);
                }
            }
            let expected: Vec<Event> = (1..=EACH).map(|quantity| sold(number, quantity)).collect();
            assert_eq!(
                told,
                expected.iter().collect::<Vec<_>>(),
                "every movement, in the order in which they were published"
            );
        }
        placed
    }

    async fn reading_can_begin_at_every_record(&self, placed: &[Placed]) {
        for (partition, offset, event) in placed {
            let again = fetch(self.port.first.as_ref(), *partition, *offset, 1).await;
            assert_eq!(again, [Record::Delivered(*offset, event.clone())], "an offset is a record's for good");
        }
    }

    async fn what_is_no_movement_is_seen_and_set_aside(&self, all: &Assignment) {
        let first = self.port.first.as_ref();
        let behind = sold(SKUS, 1);
        self.port.spoil.spoil(behind.clone()).await;
        let found = read(first, &all.partitions).await;
        let delivered = |(_, record): &(Partition, Record<Event>)| matches!(record, Record::Delivered(_, movement) if *movement == behind);
        let place = found.iter().position(delivered).expect("what stands behind it is read all the same");
        let Some((partition, Record::Undecodable(offset))) = place.checked_sub(1).map(|place| &found[place]) else {
            panic!("what is no movement is told as such, in its place: {found:?}")
        };
        for _ in 0..2 {
            let kept = certain(async || first.set_aside(*partition, *offset).await).await;
            assert_eq!(kept, Ok(()), "a record is set aside, and may be again");
        }
        let again = fetch(first, *partition, *offset, 1).await;
        assert_eq!(again, [Record::Undecodable(*offset)], "and stays where it stands");
    }

    async fn two_workers_share_the_partitions(&self, all: &Assignment) -> BTreeMap<Partition, Arc<dyn Group<Event>>> {
        let (first, second) = (&self.port.first, &self.port.second);
        let (mut own, mut other) = (all.clone(), Assignment::default());
        for _ in 0..LOOKS_MAX {
            // At once, as two processes: an assignment may wait until every worker has heard of the one before.
            let next =
                tokio::join!(assigned(first.as_ref(), own.generation), assigned(second.as_ref(), other.generation));
            (own, other) = next;
            let (left, right) = (names(&own), names(&other));
            let whole = left.union(&right).copied().collect::<BTreeSet<_>>() == names(all);
            if whole && left.is_disjoint(&right) && !right.is_empty() {
                assert!(own.generation > all.generation, "another assignment has a higher generation");
                let of = |names: BTreeSet<Partition>, worker: &Arc<dyn Group<Event>>| {
                    names.into_iter().map(|partition| (partition, worker.clone())).collect::<Vec<_>>()
                };
                return of(left, first).into_iter().chain(of(right, second)).collect();
            }
            self.clock.pass_ms(LOOK_MS).await;
        }
        panic!("two workers share the partitions, each of which has one worker: {own:?}, {other:?}");
    }

    async fn a_place_is_kept_by_whoever_has_the_partition(
        &self,
        shared: &BTreeMap<Partition, Arc<dyn Group<Event>>>,
        placed: &[Placed],
    ) -> BTreeMap<Partition, Offset> {
        let mut kept = BTreeMap::new();
        for (partition, worker) in shared {
            let own: Vec<&Placed> = placed.iter().filter(|(of, _, _)| of == partition).collect();
            let Some((_, next, _)) = own.get(own.len() / 2) else { continue };
            let strangers =
                [&self.port.first, &self.port.second].into_iter().filter(|other| !Arc::ptr_eq(other, worker));
            for stranger in strangers {
                let beyond = own.last().expect("there is one in the middle").1.next();
                let refused = commit(stranger.as_ref(), *partition, beyond).await;
                assert_eq!(refused, Err(NotAssigned), "whoever knows a partition as another's keeps no place in it");
            }
            assert_eq!(commit(worker.as_ref(), *partition, *next).await, Ok(()), "its own worker keeps a place");
            kept.insert(*partition, *next);
        }
        assert!(!kept.is_empty(), "something was read");
        kept
    }

    async fn whoever_asks_no_more_loses_its_partitions(
        &self,
        all: &Assignment,
        placed: &[Placed],
        kept: &BTreeMap<Partition, Offset>,
    ) {
        let second = self.port.second.as_ref();
        let whole = |own: &Assignment| names(own) == names(all);
        let own = self.comes_to_be(second, "whoever asks no more is out after a session's time", whole).await;
        for (partition, from) in &own.partitions {
            let next = kept.get(partition).copied().unwrap_or_default();
            assert!(*from <= next, "nobody goes on behind what was committed");
        }
        let found = read(second, &own.partitions).await;
        for (partition, offset, event) in placed {
            let done = kept.get(partition).is_some_and(|next| offset < next);
            let told = found.contains(&(*partition, Record::Delivered(*offset, event.clone())));
            assert!(done || told, "what was not committed is delivered to the next worker, at the same offset");
        }
    }
}
