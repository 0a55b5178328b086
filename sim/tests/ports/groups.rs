//! Groups over the wire: two processes share the partitions, lose them to each other, and nothing stays undone.

use super::pipes::Pipes;
use doorbuster_core::database::event::{Event, Topic};
use doorbuster_core::ids::{Epoch, Key, OrderId, ReservationId, SaleId, Seq, ShardId, SkuId, UserId};
use doorbuster_core::inbox::{Offset, Partition, Record};
use doorbuster_core::ledger::entry::{Entry, EntryKind, Intent};
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::drive::spawn;
use doorbuster_runtime::ports::feed::Feed;
use doorbuster_runtime::ports::group::{Assignment, Group};
use doorbuster_sim::fault::FaultKind;
use doorbuster_sim::seed::Seed;
use doorbuster_sim::services::broker::group;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

const EVENTS: u64 = 40;
const PAGE: usize = 7;

fn shard() -> ShardId {
    ShardId { sale: SaleId::parse("demo").expect("a short name"), k: 0 }
}

/// An event of a subject of its own.
fn settled(number: u64) -> Event {
    let user = UserId::parse(&format!("buyer-{number}")).expect("a short name");
    let reservation = ReservationId::derive(shard().sale, &user, &Key::parse("key").expect("a short key"));
    Event::TimeoutDue {
        order: OrderId { shard: shard(), reservation },
        version: doorbuster_core::ids::Version(1),
        expires_at: doorbuster_core::time::Wall(number),
    }
}

/// Reads and commits for ever, as a role does: what is assigned, from the place that comes with it.
async fn read(feed: Arc<dyn Feed>, seen: Arc<Mutex<Vec<Event>>>) {
    let member = feed.join("reaper", Topic::Timeouts);
    let (assigned, mut news) = watch::channel(Assignment::default());
    spawn(attend(member.clone(), assigned));
    loop {
        let mut own = news.borrow_and_update().clone();
        while !news.has_changed().expect("attendance goes on") {
            for (partition, next) in &mut own.partitions {
                read_page(member.as_ref(), *partition, next, &seen).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn attend(member: Arc<dyn Group<Event>>, assigned: watch::Sender<Assignment>) {
    loop {
        let generation = assigned.borrow().generation;
        match member.assigned(generation).await {
            Ok(next) if next.generation != generation => assigned.send_modify(|own| *own = next),
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

async fn read_page(member: &dyn Group<Event>, partition: Partition, next: &mut Offset, seen: &Mutex<Vec<Event>>) {
    let Outcome::Done(page) = member.fetch(partition, *next, PAGE).await else { return };
    for record in page {
        *next = record.offset().next();
        match record {
            Record::Delivered(_, event) => seen.lock().expect("no holder panics").push(event),
            Record::Undecodable(offset) => while member.set_aside(partition, offset).await == Outcome::Unknown {},
        }
    }
    // A commit that is not heard of is asked again with the next page.
    let _ = member.commit(partition, *next).await;
}

/// Waits until the group has done everything.
async fn until_done(pipes: &Pipes, group: group::Group, records: u64) {
    for _ in 0..300 {
        let aside = pipes.mounts.broker.look(|broker| broker.aside.len());
        let kept: u64 = pipes.mounts.broker.look(|broker| {
            broker.logs().filter(|(topic, _, _)| *topic == group.topic()).map(|(_, _, log)| log.behind(Offset(0))).sum()
        });
        if kept >= records + aside as u64 && pipes.mounts.broker.look(|broker| broker.lag(group)) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{} records are not done", pipes.mounts.broker.look(|broker| broker.lag(group)));
}

async fn publish(pipes: &Arc<Pipes>, numbers: std::ops::Range<u64>) {
    let publish = pipes.connect().publish;
    while publish.publish_events(numbers.clone().map(settled).collect()).await != Outcome::Done(()) {}
}

fn numbers(events: &[Event]) -> BTreeSet<u64> {
    let number = |event: &Event| match event {
        Event::TimeoutDue { expires_at, .. } => expires_at.0,
        other => panic!("{other:?} is not of this topic"),
    };
    events.iter().map(number).collect()
}

#[tokio::test(start_paused = true)]
async fn two_readers_share_a_topic_and_leave_nothing_behind() {
    let pipes = Pipes::new(Seed(21));
    let seen: [Arc<Mutex<Vec<Event>>>; 2] = Default::default();
    for own in &seen {
        spawn(read(pipes.connect().feed, own.clone()));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    publish(&pipes, 0..EVENTS).await;
    until_done(&pipes, group::Group::Reaper, EVENTS).await;
    let each: Vec<BTreeSet<u64>> = seen.iter().map(|own| numbers(&own.lock().expect("no holder panics"))).collect();
    assert!(each.iter().all(|own| !own.is_empty()), "each has a partition: {each:?}");
    assert_eq!(each[0].union(&each[1]).count() as u64, EVENTS);
}

#[tokio::test(start_paused = true)]
async fn partitions_that_move_and_places_that_go_back_repeat_and_lose_nothing() {
    let pipes = Pipes::new(Seed(22));
    let seen: Arc<Mutex<Vec<Event>>> = Arc::default();
    for _ in 0..2 {
        spawn(read(pipes.connect().feed, seen.clone()));
    }
    for round in 0..6 {
        publish(&pipes, round * EVENTS..(round + 1) * EVENTS).await;
        pipes.mounts.broker.act(pipes.env.now(), |broker, out| match round % 2 {
            0 => broker.rebalance(pipes.env.now(), group::Group::Reaper, out),
            _ => drop(broker.rewind(pipes.env.now(), group::Group::Reaper, 10, out)),
        });
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    until_done(&pipes, group::Group::Reaper, 6 * EVENTS).await;
    assert_eq!(numbers(&seen.lock().expect("no holder panics")).len() as u64, 6 * EVENTS);
}

#[tokio::test(start_paused = true)]
async fn records_that_are_no_records_end_among_the_dead_letters() {
    let pipes = Pipes::new(Seed(23));
    let seen: Arc<Mutex<Vec<Event>>> = Arc::default();
    spawn(read(pipes.connect().feed, seen.clone()));
    pipes.mounts.broker.act(pipes.env.now(), |broker, _| broker.conditions.strike(FaultKind::K11, 500));
    publish(&pipes, 0..EVENTS).await;
    until_done(&pipes, group::Group::Reaper, EVENTS).await;
    assert!(pipes.mounts.broker.look(|broker| !broker.aside.is_empty()), "some were struck");
    assert_eq!(numbers(&seen.lock().expect("no holder panics")).len() as u64, EVENTS);
}

#[tokio::test(start_paused = true)]
async fn intents_come_in_order_and_are_committed() {
    let pipes = Pipes::new(Seed(24));
    let wired = pipes.connect();
    let Outcome::Done(producer) = wired.publish.take_producer(Partition(0)).await else { panic!("nobody refuses") };
    let sku = SkuId::parse("thing").expect("a short name");
    let entry = |seq| Entry { epoch: Epoch(1), seq: Seq(seq), kind: EntryKind::Withdrawn { sku, quantity: 1 } };
    let sent: Vec<Intent> = (1..=20).map(|seq| Intent::Entry(shard(), entry(seq))).collect();
    let published = wired.publish.publish_intents(producer, Partition(0), sent.clone()).await;
    assert_eq!(published, Outcome::Done(()));
    let intents = wired.intents;
    let (partition, mut next) = intents.assigned(0).await.expect("they are told at once").partitions[0];
    let mut read = Vec::new();
    while read.len() < sent.len() {
        let Outcome::Done(page) = intents.fetch(partition, next, PAGE).await else { panic!("nobody refuses") };
        for record in page {
            let Record::Delivered(offset, intent) = record else { panic!("every record is an intent") };
            next = offset.next();
            read.push(intent);
        }
    }
    assert_eq!(read, sent);
    assert_eq!(intents.commit(partition, next).await, Outcome::Done(()));
    assert_eq!(pipes.mounts.broker.look(|broker| broker.lag(group::Group::Intake)), 0);
}
