//! One process in one group: it stays there, reads ahead what is assigned to it, and keeps the group's places.
//!
//! A thread of its own polls the client, so that rebalances are answered however slow the role is. It also commits, so
//! that no rebalance comes between the look at whose a partition is and the commit of its place: the broker itself would
//! take a place of any member for any partition, and an older one behind a newer one.

mod context;
mod reader;
mod row;
mod settings;
mod state;

use crate::config::KafkaConfig;
use crate::letter::Letter;
use crate::thread::start;
use crate::topic::TopicId;
use context::MemberContext;
use doorbuster_core::inbox::NotAssigned;
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::{FETCH_WAIT_MS, Unavailable};
use rdkafka::consumer::BaseConsumer;
use row::{Given, Unreadable};
use state::State;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Reads a record, or says what is wrong with it.
pub(crate) type Decode<T> = fn(&Letter) -> Result<T, String>;

/// A member of a group.
pub(crate) struct Member<T: Clone + Send + 'static>(Arc<Shared<T>>);

/// Everything of a partition before `next` is done.
struct Commit {
    next: u64,
    answer: oneshot::Sender<Outcome<(), NotAssigned>>,
}

/// What the member's thread, its client's callbacks and its callers share.
pub(crate) struct Shared<T> {
    config: Arc<KafkaConfig>,
    env: SharedEnv,
    topic: String,
    group: &'static str,
    decode: Decode<T>,
    state: Mutex<State<T>>,
    /// Commits that wait for the thread, the last one of each partition: a role that asks again has given up the one before.
    commits: Mutex<BTreeMap<u32, Commit>>,
    /// Counts what changed in the state.
    news: watch::Sender<u64>,
    /// When the role last asked for its assignment, in microseconds of the environment's clock.
    asked: AtomicU64,
    is_ended: AtomicBool,
}

impl<T: Clone + Send + 'static> Member<T> {
    /// Joins the group, and stays in it until this is dropped.
    ///
    /// # Errors
    /// When the client cannot be made, which is the configuration's fault, or there is no thread.
    pub(crate) fn join(
        config: Arc<KafkaConfig>,
        env: SharedEnv,
        group: &'static str,
        topic: TopicId,
        decode: Decode<T>,
    ) -> Result<Member<T>, Unavailable> {
        let shared = Arc::new(Shared {
            topic: topic.full_name(&config.prefix),
            asked: AtomicU64::new(env.now().mono.0),
            state: Mutex::new(State::new()),
            commits: Mutex::default(),
            news: watch::Sender::new(0),
            is_ended: AtomicBool::new(false),
            config,
            env,
            group,
            decode,
        });
        let group_id = format!("{}{group}.{}", shared.config.prefix, topic.name());
        let context = MemberContext(shared.clone());
        let consumer = settings::settings(&shared.config, &group_id).create_with_context(context);
        let consumer: BaseConsumer<_> =
            consumer.map_err(|error| Unavailable(format!("no consumer of {group_id}: {error}")))?;
        let own = shared.clone();
        // The client ends with its thread, because that takes a while.
        start("kafka-member", move || reader::run(&consumer, &own))
            .map_err(|error| Unavailable(format!("no thread for {group_id}: {error}")))?;
        Ok(Member(shared))
    }

    /// The group's assignment; waits a moment for another one than that of this generation.
    pub(crate) async fn assignment(&self, generation: u64) -> Option<(u64, Vec<(u32, u64)>)> {
        self.0.asked.store(self.0.env.now().mono.0, Ordering::SeqCst);
        let other = |state: &mut State<T>| state.assignment().filter(|(current, _)| *current != generation);
        let found = self.0.wait(FETCH_WAIT_MS, other).await;
        found.or_else(|| self.0.with(|state| state.assignment()))
    }

    /// Whether the partition is ours.
    pub(crate) fn owns(&self, partition: u32) -> bool {
        self.0.with(|state| state.owns(partition))
    }

    /// Up to `limit` records of a partition at or behind a place; waits a moment for the first.
    pub(crate) async fn fetch(&self, partition: u32, from: u64, limit: usize) -> Result<Vec<Given<T>>, NotAssigned> {
        let found = |state: &mut State<T>| {
            if !state.owns(partition) {
                return Some(Err(NotAssigned));
            }
            if !state.reach(partition, from) {
                return None;
            }
            let found = state.fetch(partition, from, limit);
            (!found.is_empty()).then_some(Ok(found))
        };
        self.0.wait(FETCH_WAIT_MS, found).await.unwrap_or_else(|| Ok(Vec::new()))
    }

    /// Everything of a partition before `next` is done.
    pub(crate) async fn commit(&self, partition: u32, next: u64) -> Outcome<(), NotAssigned> {
        let (answer, answered) = oneshot::channel();
        self.0.commits.lock().expect("no holder of this lock panics").insert(partition, Commit { next, answer });
        let wait = Duration::from_millis(self.0.config.commit_ms);
        // Without an answer it is kept or not: asked again, the same place is kept.
        tokio::time::timeout(wait, answered).await.ok().and_then(Result::ok).unwrap_or(Outcome::Unknown)
    }

    /// A record that cannot be read, while it is not done.
    pub(crate) fn unreadable(&self, partition: u32, offset: u64) -> Option<Unreadable> {
        self.0.with(|state| state.unreadable(partition, offset))
    }

    /// Makes sure that a record comes again.
    pub(crate) fn read_again(&self, partition: u32, offset: u64) {
        self.0.with(|state| {
            let _: bool = state.reach(partition, offset);
        });
    }
}

impl<T: Clone + Send + 'static> Drop for Member<T> {
    fn drop(&mut self) {
        self.0.is_ended.store(true, Ordering::SeqCst);
    }
}

impl<T: Clone> Shared<T> {
    fn with<R>(&self, act: impl FnOnce(&mut State<T>) -> R) -> R {
        act(&mut self.state.lock().expect("no holder of this lock panics"))
    }

    fn tell(&self) {
        self.news.send_modify(|news| *news += 1);
    }

    /// What this finds in the state, now or when it changes within so many milliseconds.
    async fn wait<R>(&self, millis: u64, mut find: impl FnMut(&mut State<T>) -> Option<R>) -> Option<R> {
        let mut news = self.news.subscribe();
        let found = async {
            loop {
                if let Some(found) = self.with(&mut find) {
                    return found;
                }
                // The sender is this member's own.
                let _ = news.changed().await;
            }
        };
        tokio::time::timeout(Duration::from_millis(millis), found).await.ok()
    }
}
