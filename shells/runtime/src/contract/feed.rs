//! The contract of the outbox, as its readers see it.

use super::world::{IntoCommand, NewWorld, World, apply, done, order_row, sku};
use super::{Start, Subject};
use crate::ports::feed::Feed;
use crate::ports::store::Store;
use crate::ports::{FETCH_WAIT_MS, Offset};
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
use std::time::Duration;

/// What writes the outbox, and what reads it.
pub struct StoreAndFeed {
    /// Writes.
    pub store: Arc<dyn Store>,
    /// Reads.
    pub feed: Arc<dyn Feed>,
}

const GROUP: &str = "contract";
const OTHER_GROUP: &str = "contract-too";
/// Fetches in a row that find nothing, after which a topic counts as read to its end.
const EMPTY_MAX: usize = 2;
/// Fetches that began after a write and found nothing, after which its news counts as lost.
const NEWS_EMPTY_MAX: usize = 20;
/// A fetch that waits longer than this is not bounded: many times what it may wait.
const BOUND: Duration = Duration::from_millis(20 * FETCH_WAIT_MS);

/// Holds a feed to [`Feed`]'s contract.
///
/// # Panics
/// With the sentence that was broken.
pub async fn feed_contract(make: impl AsyncFn(Start) -> Subject<StoreAndFeed>) {
    let subject = make(Start::Fresh).await;
    let world = World::named("feed");
    world.create(subject.port.store.as_ref(), NewWorld::default()).await;
    events_tell_of_every_change_in_order(&world, &subject.port).await;
    a_refused_transaction_says_nothing(&world, &subject.port).await;
    a_fetch_waits_for_news_but_not_for_ever(&world, &subject.port).await;
    pages_follow_each_other(&world, &subject.port).await;
    let committed = a_commit_is_of_one_group(&subject.port).await;
    let before = read_all(subject.port.feed.as_ref(), GROUP, Topic::Orders, Offset(0)).await;
    drop(subject);
    let again = make(Start::Again).await;
    a_crash_repeats_and_loses_nothing(&again.port, committed, &before).await;
}

async fn fetch(feed: &dyn Feed, topic: Topic, from: Offset, limit: usize) -> Vec<(Offset, Event)> {
    let fetched = tokio::time::timeout(BOUND, feed.fetch(GROUP, topic, from, limit)).await;
    let found = fetched.expect("a fetch waits a bounded time").expect("the feed can be read");
    assert!(found.len() <= limit, "at most {limit} events were asked for");
    assert!(found.iter().all(|(offset, event)| *offset >= from && event.topic() == topic), "events of this place");
    assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0), "offsets grow");
    found
}

async fn read_all(feed: &dyn Feed, group: &'static str, topic: Topic, from: Offset) -> Vec<(Offset, Event)> {
    let first = feed.committed(group, topic).await.expect("the feed can be read");
    let (mut events, mut next, mut empty) = (Vec::new(), first.max(from), 0);
    while empty < EMPTY_MAX {
        let page = fetch(feed, topic, next, 7).await;
        empty = if page.is_empty() { empty + 1 } else { 0 };
        next = page.last().map_or(next, |(offset, _)| offset.next());
        events.extend(page);
    }
    events
}

fn cancel(world: &World, item: &ReserveItem) -> Command {
    Command::Order(OrderCommand::Cancel { order: world.order(item), user: None, ending: Ending::Operator })
}

async fn events_tell_of_every_change_in_order(world: &World, port: &StoreAndFeed) {
    let items: Vec<ReserveItem> = (0..20).map(|buyer| world.item(buyer, 1, &[(0, 1)])).collect();
    for (seq, pair) in (1..).zip(items.chunks(2)) {
        world.take_in(port.store.as_ref(), Wall(1), &[(seq, pair.to_vec())]).await;
    }
    for item in &items[..10] {
        done(port.store.as_ref(), cancel(world, item)).await;
    }
    let mut versions: BTreeMap<_, Vec<Version>> = BTreeMap::new();
    for (_, event) in read_all(port.feed.as_ref(), GROUP, Topic::Orders, Offset(0)).await {
        let Event::OrderChanged(row) = event else { panic!("nothing else happened to orders: {event:?}") };
        versions.entry(row.id).or_default().push(row.version);
    }
    for (number, item) in items.iter().enumerate() {
        let told = versions.get_mut(&world.order(item)).expect("each order's change has its event");
        told.dedup();
        let expected: &[Version] = if number < 10 { &[Version(1), Version(2)] } else { &[Version(1)] };
        assert_eq!(told, expected, "each change once, in order (repetitions of one are allowed)");
    }
    let down = read_all(port.feed.as_ref(), GROUP, Topic::ShardDown, Offset(0)).await;
    let granted = down.iter().position(|(_, event)| matches!(event, Event::Granted { .. }));
    let settled = down.iter().position(|(_, event)| matches!(event, Event::Settled { .. }));
    assert!(granted < settled, "events of one shard keep their order: {granted:?}, {settled:?}");
}

async fn a_refused_transaction_says_nothing(world: &World, port: &StoreAndFeed) {
    let store = port.store.as_ref();
    let before = read_everything(port.feed.as_ref()).await;
    let refused = apply(store, cancel(world, &world.item(0, 1, &[(0, 1)]))).await;
    assert!(matches!(refused, Err(Refusal::Forbidden(_))), "an ended order does not end again: {refused:?}");
    let key = Key::parse("top-up").expect("a suite names a key");
    let top_up = SaleCommand::TopUp { sale: world.sale, sku: sku(99), quantity: 5, key };
    assert_eq!(apply(store, top_up.into_command()).await, Err(Refusal::NoSku));
    assert_eq!(read_everything(port.feed.as_ref()).await, before, "a refusal leaves no event");
}

async fn read_everything(feed: &dyn Feed) -> Vec<(Offset, Event)> {
    let mut events = Vec::new();
    for topic in Topic::ALL {
        events.extend(read_all(feed, GROUP, topic, Offset(0)).await);
    }
    events
}

async fn a_fetch_waits_for_news_but_not_for_ever(world: &World, port: &StoreAndFeed) {
    let orders = read_all(port.feed.as_ref(), GROUP, Topic::Orders, Offset(0)).await;
    let end = orders.last().expect("there were events").0.next();
    assert_eq!(fetch(port.feed.as_ref(), Topic::Orders, end, 5).await, [], "there is nothing yet");
    let item = world.item(50, 1, &[(0, 1)]);
    let written = AtomicBool::new(false);
    let reading = async {
        let mut empty = 0;
        while empty < NEWS_EMPTY_MAX {
            empty += usize::from(written.load(Ordering::SeqCst));
            let page = fetch(port.feed.as_ref(), Topic::Orders, end, 5).await;
            if !page.is_empty() {
                return page;
            }
        }
        panic!("news does not reach a reader that waits for it")
    };
    let writing = async {
        world.take_in(port.store.as_ref(), Wall(1), &[(11, vec![item.clone()])]).await;
        written.store(true, Ordering::SeqCst);
    };
    let (page, ()) = tokio::join!(reading, writing);
    let told = matches!(&page[0].1, Event::OrderChanged(row) if row.id == world.order(&item));
    assert!(told, "the event that was waited for: {page:?}");
    let row = order_row(port.store.as_ref(), world.order(&item)).await;
    assert_eq!(row.map(|row| row.status), Some(Status::PendingPayment), "a row and its event come together");
}

async fn pages_follow_each_other(world: &World, port: &StoreAndFeed) {
    let items = (60..75).map(|buyer| world.item(buyer, 1, &[(0, 1)])).collect();
    world.take_in(port.store.as_ref(), Wall(1), &[(12, items)]).await;
    let all = read_all(port.feed.as_ref(), GROUP, Topic::Orders, Offset(0)).await;
    for (index, (offset, event)) in all.iter().enumerate() {
        let page = fetch(port.feed.as_ref(), Topic::Orders, *offset, 3).await;
        assert_eq!(page.first(), Some(&(*offset, event.clone())), "reading can begin at every event");
        let expected = &all[index..all.len().min(index + page.len())];
        assert_eq!(page, expected, "one reading is like another");
    }
}

async fn a_commit_is_of_one_group(port: &StoreAndFeed) -> Offset {
    let feed = port.feed.as_ref();
    let orders = read_all(feed, GROUP, Topic::Orders, Offset(0)).await;
    let next = orders[orders.len() / 2].0;
    feed.commit(GROUP, Topic::Orders, next).await.expect("a commit can be kept");
    let (other, timeouts) =
        (feed.committed(OTHER_GROUP, Topic::Orders).await, feed.committed(GROUP, Topic::Timeouts).await);
    assert!(other.is_ok_and(|offset| offset < next), "another group reads for itself");
    assert!(timeouts.is_ok_and(|offset| offset < next), "another topic is read for itself");
    next
}

async fn a_crash_repeats_and_loses_nothing(port: &StoreAndFeed, committed: Offset, before: &[(Offset, Event)]) {
    let feed = port.feed.as_ref();
    let from = feed.committed(GROUP, Topic::Orders).await.expect("the feed can be read");
    assert!(from <= committed, "a group does not begin behind what it committed");
    let after = read_all(feed, GROUP, Topic::Orders, from).await;
    for (offset, event) in before.iter().filter(|(offset, _)| *offset >= committed) {
        assert!(after.iter().any(|(_, told)| told == event), "the event at {} is lost", offset.0);
    }
    let other = read_all(feed, OTHER_GROUP, Topic::Orders, Offset(0)).await;
    assert!(other.len() >= before.len(), "a group that committed nothing gets everything again");
}
