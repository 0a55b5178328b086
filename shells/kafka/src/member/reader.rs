//! The thread of one member: it polls the client, and moves what comes into its state.

use super::context::MemberContext;
use super::row::Unreadable;
use super::{Commit, Shared};
use crate::letter::{Letter, place};
use doorbuster_core::inbox::NotAssigned;
use doorbuster_core::outcome::Outcome;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Longest wait for a record; what is asked for meanwhile (a commit, a seek, room, the end) waits for so long.
const POLL: Duration = Duration::from_millis(10);
/// Records between two looks at the state: a partition is overfull by no more than this.
const BATCH_MAX: usize = 256;
/// Longest wait for a seek; it is tried again.
const SEEK: Duration = Duration::from_millis(1_000);

type Client<T> = BaseConsumer<MemberContext<T>>;

/// Polls until the member is dropped. The client's end, which leaves the group, comes with the end of this thread.
pub(super) fn run<T: Clone + Send + 'static>(consumer: &Client<T>, shared: &Arc<Shared<T>>) {
    let mut paused = BTreeSet::new();
    let mut is_subscribed = false;
    while !shared.is_ended.load(Ordering::SeqCst) {
        is_subscribed = attend(consumer, shared, is_subscribed);
        learn_places(consumer, shared);
        commit(consumer, shared);
        seek(consumer, shared);
        regulate(consumer, shared, &mut paused);
        take(consumer, shared);
    }
}

/// Subscribes. A role must go on asking for its assignment: one that hangs gives its partitions away.
fn attend<T: Clone + Send + 'static>(consumer: &Client<T>, shared: &Shared<T>, is_subscribed: bool) -> bool {
    let silent_micros = shared.env.now().mono.0.saturating_sub(shared.asked.load(Ordering::SeqCst));
    let is_wanted = silent_micros <= 1_000 * shared.config.session_ms;
    if is_wanted == is_subscribed {
        return is_subscribed;
    }
    if !is_wanted {
        tracing::warn!(group = shared.group, "a worker has not asked for its partitions: it leaves the group");
        consumer.unsubscribe();
        return false;
    }
    match consumer.subscribe(&[&shared.topic]) {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(%error, topic = shared.topic, "not subscribed");
            false
        }
    }
}

/// Asks for the group's places of new partitions; what is not answered is asked again.
fn learn_places<T: Clone + Send + 'static>(consumer: &Client<T>, shared: &Shared<T>) {
    let unplaced = shared.with(|state| state.unplaced());
    if unplaced.is_empty() {
        return;
    }
    let wait = Duration::from_millis(shared.config.connect_ms);
    match consumer.committed_offsets(list(&shared.topic, &unplaced), wait) {
        Ok(places) => {
            for element in places.elements() {
                let committed = match element.offset() {
                    Offset::Offset(offset) => place(offset),
                    // The group has none: it begins at the beginning.
                    _ => 0,
                };
                if element.error().is_ok() {
                    shared.with(|state| state.place(place(element.partition().into()) as u32, committed));
                }
            }
            shared.tell();
        }
        Err(error) => tracing::warn!(%error, group = shared.group, "the group's places are not known"),
    }
}

/// Commits what is asked for, all of it in one request. No partition goes meanwhile: this thread would have to let it go.
fn commit<T: Clone + Send + 'static>(consumer: &Client<T>, shared: &Shared<T>) {
    let asked = std::mem::take(&mut *shared.commits.lock().expect("no holder of this lock panics"));
    if asked.is_empty() {
        return;
    }
    let mut list = TopicPartitionList::new();
    let mut planned = Vec::new();
    for (partition, Commit { next, answer }) in asked {
        match shared.with(|state| state.is_news(partition, next)) {
            // Nobody may wait any more.
            None => drop(answer.send(Outcome::Refused(NotAssigned))),
            Some(false) => drop(answer.send(Outcome::Done(()))),
            Some(true) => {
                let offset = Offset::Offset(next as i64);
                list.add_partition_offset(&shared.topic, partition as i32, offset).expect("an offset can be committed");
                planned.push((partition, next, answer));
            }
        }
    }
    if planned.is_empty() {
        return;
    }
    let kept = consumer.commit(&list, CommitMode::Sync);
    if let Err(error) = &kept {
        tracing::warn!(%error, group = shared.group, topic = shared.topic, "places are not kept");
    }
    for (partition, next, answer) in planned {
        if kept.is_ok() {
            shared.with(|state| state.keep(partition, next));
        }
        // Kept or not, if it failed; and nobody may wait any more.
        let _ = answer.send(if kept.is_ok() { Outcome::Done(()) } else { Outcome::Unknown });
    }
    shared.tell();
}

fn seek<T: Clone + Send + 'static>(consumer: &Client<T>, shared: &Shared<T>) {
    for (partition, from) in shared.with(|state| state.seeks()) {
        // It waits, so that nothing of the place before comes afterwards. Not possible yet: tried again.
        match consumer.seek(&shared.topic, partition as i32, Offset::Offset(from as i64), SEEK) {
            Ok(()) => shared.with(|state| state.sought(partition, from)),
            Err(error) => tracing::debug!(%error, partition, from, "not sought yet"),
        }
    }
}

/// Pauses partitions that are full, and goes on with those that have room again.
fn regulate<T: Clone + Send + 'static>(consumer: &Client<T>, shared: &Shared<T>, paused: &mut BTreeSet<u32>) {
    let (owned, full) = shared.with(|state| {
        let owned = state.partitions();
        let is_full = |partition: &u32| state.is_full(*partition, paused.contains(partition));
        let full: BTreeSet<u32> = owned.iter().copied().filter(is_full).collect();
        (owned, full)
    });
    paused.retain(|partition| owned.contains(partition));
    let stop: Vec<u32> = full.difference(paused).copied().collect();
    let go: Vec<u32> = paused.difference(&full).copied().collect();
    // Not paused or not resumed: looked at again in some milliseconds, because the set is not changed.
    if !stop.is_empty() && consumer.pause(&list(&shared.topic, &stop)).is_ok() {
        paused.extend(stop);
    }
    if !go.is_empty() && consumer.resume(&list(&shared.topic, &go)).is_ok() {
        paused.retain(|partition| !go.contains(partition));
    }
}

/// Takes what there is, after a wait for the first of it.
fn take<T: Clone + Send + 'static>(consumer: &Client<T>, shared: &Shared<T>) {
    let mut wait = POLL;
    let mut taken = 0;
    while taken < BATCH_MAX {
        let Some(polled) = consumer.poll(wait) else { break };
        wait = Duration::ZERO;
        taken += 1;
        receive(shared, polled);
    }
    if taken > 0 {
        shared.tell();
    }
}

fn receive<T: Clone + Send + 'static>(shared: &Shared<T>, polled: KafkaResult<BorrowedMessage<'_>>) {
    match polled {
        Ok(message) => {
            let letter = Letter::copied(&message);
            let (partition, offset) = (letter.partition, letter.offset);
            let record = (shared.decode)(&letter).map_err(|reason| Unreadable { letter, reason });
            if let Err(unreadable) = &record {
                let (topic, reason) = (message.topic(), &unreadable.reason);
                tracing::error!(topic, partition, offset, reason, "a record cannot be read");
            }
            shared.with(|state| state.push(partition, offset, record));
        }
        // The client goes on by itself; where it cannot, its partitions stay unread and their lag tells.
        Err(error) => tracing::warn!(%error, group = shared.group, topic = shared.topic, "not read"),
    }
}

fn list(topic: &str, partitions: &[u32]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic, *partition as i32);
    }
    list
}
