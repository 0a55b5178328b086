//! The contract of the outbox, as its readers see it.

use super::group::{self, Placed, places, read_all, read_from};
use super::world::{IntoCommand, NewWorld, World, apply, done, order_row, sku};
use super::{Start, Subject};
use crate::ports::feed::Feed;
use crate::ports::group::Group;
use crate::ports::store::Store;
use doorbuster_core::database::command::{Command, Refusal};
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::ids::{Key, Version};
use doorbuster_core::ledger::reserve::ReserveItem;
use doorbuster_core::order::command::OrderCommand;
use doorbuster_core::order::status::{Ending, Status};
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_core::time::Wall;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What writes the outbox, and what reads it.
pub struct StoreAndFeed {
    /// Writes.
    pub store: Arc<dyn Store>,
    /// Reads.
    pub feed: Arc<dyn Feed>,
}

const GROUP: &str = "contract";
const OTHER_GROUP: &str = "contract-too";
/// Rounds over a topic's partitions that began after a write and found nothing, after which its news counts as lost.
const NEWS_EMPTY_MAX: usize = 20;

/// Holds a feed to [`Feed`]'s contract.
///
/// # Panics
/// With the sentence that was broken.
pub async fn feed_contract(make: impl AsyncFn(Start) -> Subject<StoreAndFeed>) {
    let subject = make(Start::Fresh).await;
    let own = Own::join(subject.port);
    let world = World::named("feed");
    world.create(own.store.as_ref(), NewWorld::default()).await;
    events_tell_of_every_change_in_order(&world, &own).await;
    a_refused_transaction_says_nothing(&world, &own).await;
    a_fetch_waits_for_news_but_not_for_ever(&world, &own).await;
    pages_follow_each_other(own.of(Topic::Orders)).await;
    let before = read_all(own.of(Topic::Orders)).await;
    let committed = group::commit_half(own.of(Topic::Orders), &before).await;
    a_commit_is_of_one_group(&own, &before).await;
    drop((own, subject.keep));
    let again = make(Start::Again).await;
    let own = Own::join(again.port);
    group::a_crash_repeats_and_loses_nothing(own.of(Topic::Orders), &before, &committed).await;
    let other = read_all(own.feed.join(OTHER_GROUP, Topic::Orders).as_ref()).await;
    assert!(other.len() >= before.len(), "a group that committed nothing gets everything again");
}

/// The suite's process: a member of one group in every topic.
struct Own {
    store: Arc<dyn Store>,
    feed: Arc<dyn Feed>,
    members: BTreeMap<Topic, Arc<dyn Group<Event>>>,
}

impl Own {
    fn join(port: StoreAndFeed) -> Own {
        let members = Topic::ALL.map(|topic| (topic, port.feed.join(GROUP, topic))).into();
        Own { store: port.store, feed: port.feed, members }
    }

    fn of(&self, topic: Topic) -> &dyn Group<Event> {
        self.members[&topic].as_ref()
    }

    async fn read(&self, topic: Topic) -> Vec<Placed<Event>> {
        let placed = read_all(self.of(topic)).await;
        assert!(placed.iter().all(|(_, _, event)| event.topic() == topic), "events of this topic");
        placed
    }

    async fn read_everything(&self) -> Vec<Placed<Event>> {
        let mut events = Vec::new();
        for topic in Topic::ALL {
            events.extend(self.read(topic).await);
        }
        events
    }
}

fn cancel(world: &World, item: &ReserveItem) -> Command {
    Command::Order(OrderCommand::Cancel { order: world.order(item), user: None, ending: Ending::Operator })
}

async fn events_tell_of_every_change_in_order(world: &World, own: &Own) {
    let items: Vec<ReserveItem> = (0..20).map(|buyer| world.item(buyer, 1, &[(0, 1)])).collect();
    for (seq, pair) in (1..).zip(items.chunks(2)) {
        world.take_in(own.store.as_ref(), Wall(1), &[(seq, pair.to_vec())]).await;
    }
    for item in &items[..10] {
        done(own.store.as_ref(), cancel(world, item)).await;
    }
    let mut versions: BTreeMap<_, Vec<Version>> = BTreeMap::new();
    for (_, _, event) in own.read(Topic::Orders).await {
        let Event::OrderChanged(row) = event else { panic!("nothing else happened to orders: {event:?}") };
        versions.entry(row.id).or_default().push(row.version);
    }
    for (number, item) in items.iter().enumerate() {
        let told = versions.get_mut(&world.order(item)).expect("each order's change has its event");
        told.dedup();
        let expected: &[Version] = if number < 10 { &[Version(1), Version(2)] } else { &[Version(1)] };
        assert_eq!(told, expected, "each change once, in order (repetitions of one are allowed)");
    }
    let down = own.read(Topic::ShardDown).await;
    let granted = down.iter().position(|(_, _, event)| matches!(event, Event::Granted { .. }));
    let settled = down.iter().position(|(_, _, event)| matches!(event, Event::Settled { .. }));
    assert!(granted < settled, "events of one shard keep their order: {granted:?}, {settled:?}");
}

async fn a_refused_transaction_says_nothing(world: &World, own: &Own) {
    let store = own.store.as_ref();
    let before = own.read_everything().await;
    let refused = apply(store, cancel(world, &world.item(0, 1, &[(0, 1)]))).await;
    assert!(matches!(refused, Err(Refusal::Forbidden(_))), "an ended order does not end again: {refused:?}");
    let key = Key::parse("top-up").expect("a suite names a key");
    let top_up = SaleCommand::TopUp { sale: world.sale, sku: sku(99), quantity: 5, key };
    assert_eq!(apply(store, top_up.into_command()).await, Err(Refusal::NoSku));
    assert_eq!(own.read_everything().await, before, "a refusal leaves no event");
}

async fn a_fetch_waits_for_news_but_not_for_ever(world: &World, own: &Own) {
    let orders = own.of(Topic::Orders);
    let mut ends = places(orders).await;
    for (partition, offset, _) in own.read(Topic::Orders).await {
        ends.iter_mut().filter(|(of, _)| *of == partition).for_each(|(_, end)| *end = offset.next());
    }
    assert_eq!(read_from(orders, &ends, 5).await, [], "there is nothing yet");
    let item = world.item(50, 1, &[(0, 1)]);
    let written = AtomicBool::new(false);
    let reading = async {
        let mut empty = 0;
        while empty < NEWS_EMPTY_MAX {
            empty += usize::from(written.load(Ordering::SeqCst));
            for (partition, end) in &ends {
                let page = group::fetch(orders, *partition, *end, 5).await;
                if !page.is_empty() {
                    return page;
                }
            }
        }
        panic!("news does not reach a reader that waits for it")
    };
    let writing = async {
        world.take_in(own.store.as_ref(), Wall(1), &[(11, vec![item.clone()])]).await;
        written.store(true, Ordering::SeqCst);
    };
    let (page, ()) = tokio::join!(reading, writing);
    let told = matches!(&page[0].1, Event::OrderChanged(row) if row.id == world.order(&item));
    assert!(told, "the event that was waited for: {page:?}");
    let row = order_row(own.store.as_ref(), world.order(&item)).await;
    assert_eq!(row.map(|row| row.status), Some(Status::PendingPayment), "a row and its event come together");
    let items = (60..75).map(|buyer| world.item(buyer, 1, &[(0, 1)])).collect();
    world.take_in(own.store.as_ref(), Wall(1), &[(12, items)]).await;
}

async fn pages_follow_each_other(member: &dyn Group<Event>) {
    let all = read_all(member).await;
    for (partition, _) in places(member).await {
        let own: Vec<(_, _)> = all
            .iter()
            .filter(|(of, _, _)| *of == partition)
            .map(|(_, offset, event)| (*offset, event.clone()))
            .collect();
        for (index, (offset, _)) in own.iter().enumerate() {
            let page = group::fetch(member, partition, *offset, 3).await;
            assert_eq!(page.first(), Some(&own[index]), "reading can begin at every event");
            assert_eq!(page, own[index..own.len().min(index + page.len())], "one reading is like another");
        }
    }
}

async fn a_commit_is_of_one_group(own: &Own, before: &[Placed<Event>]) {
    let other = read_all(own.feed.join(OTHER_GROUP, Topic::Orders).as_ref()).await;
    assert_eq!(other.len(), before.len(), "another group reads for itself");
    assert!(!own.read(Topic::Timeouts).await.is_empty(), "another topic is read for itself");
}
