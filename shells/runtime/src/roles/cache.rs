//! The products of one process, wired: its local cache, the shared one, and the database behind both.

use super::waiters::Waiters;
use crate::drive::{Inbox, Perform, Performed, Stop, drive, inbox, spawn};
use crate::env::SharedEnv;
use crate::ports::cache::{Notice, SharedCache};
use crate::ports::store::Store;
use doorbuster_core::cache::Value;
use doorbuster_core::cache::local::Cache;
use doorbuster_core::cache::talk::{Absent, Answer, Effect, Event};
use doorbuster_core::database::rows::ProductRow;
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Now;
use std::sync::Arc;

/// The products as this process's callers read them.
pub struct Products {
    events: Inbox<Event>,
    waiters: Arc<Waiters<Answer>>,
}

/// What stands behind the local cache; cheap to clone.
#[derive(Clone)]
pub struct Behind {
    /// Clocks and entropy.
    pub env: SharedEnv,
    /// The database.
    pub store: Arc<dyn Store>,
    /// The cache that all processes share.
    pub shared: Arc<dyn SharedCache>,
}

/// Starts the cache of this process; it listens to changes from now on.
pub fn start(behind: Behind, stop: &Stop) -> Arc<Products> {
    let (events, received) = inbox();
    let waiters = Arc::new(Waiters::default());
    let (env, shared) = (behind.env.clone(), behind.shared.clone());
    let performer = Arc::new(CachePerformer { behind, waiters: waiters.clone() });
    let machine = Cache::new(env.entropy());
    let channel = (events.clone(), received);
    spawn(drive(machine, performer, env, stop.clone(), channel, |_| Event::Woken));
    spawn(listen(shared, stop.clone(), events.clone()));
    Arc::new(Products { events, waiters })
}

impl Products {
    /// Those of a process that has no cache: whoever asks is told to come again, elsewhere.
    pub fn stopped() -> Arc<Products> {
        Arc::new(Products { events: inbox().0, waiters: Arc::default() })
    }

    /// One product, from wherever it is nearest.
    pub async fn read(&self, key: ProductId) -> Answer {
        // Where the inbox is full the caller waits for room in it, as long as the patience for a request lasts: a crowd is
        // what the cache is there for, and it has room for more callers than a process has connections.
        let Ok(room) = self.events.reserve().await else { return Answer::NotReady };
        let (token, answered) = self.waiters.enter();
        room.send(Event::Asked { token, key });
        tokio::select! {
            biased;
            answer = answered => answer.unwrap_or(Answer::NotReady),
            // The cache stopped with the caller in it: another process answers.
            () = self.events.closed() => Answer::NotReady,
        }
    }
}

/// A product as caches keep it and as readers are sent it: one JSON document, the same bytes all the way.
pub fn encode(row: &ProductRow) -> Value {
    serde_json::to_vec(row).expect("a row of texts and numbers has a JSON form").into()
}

/// Reads what [`encode`] writes; nothing where another release wrote what this one cannot read.
pub fn decode(value: &Value) -> Option<ProductRow> {
    serde_json::from_slice(value).ok()
}

async fn listen(shared: Arc<dyn SharedCache>, stop: Stop, events: Inbox<Event>) {
    let mut notices = shared.listen(stop);
    while let Some(notice) = notices.next().await {
        let event = match notice {
            Notice::Invalidated(key, version) => Event::Invalidated { key, version },
            Notice::Reconnected => Event::Reconnected,
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

struct CachePerformer {
    behind: Behind,
    waiters: Arc<Waiters<Answer>>,
}

impl Perform<Cache> for CachePerformer {
    fn perform(&self, _: Now, effect: Effect) -> Option<Performed<Event>> {
        let Behind { store, shared, .. } = self.behind.clone();
        match effect {
            Effect::ReadShared { ticket, key } => {
                Some(Box::pin(async move { Some(Event::SharedRead { ticket, key, outcome: shared.read(key).await }) }))
            }
            Effect::Load { ticket, key } => {
                Some(Box::pin(
                    async move { Some(Event::Loaded { ticket, key, outcome: load(store.as_ref(), key).await }) },
                ))
            }
            Effect::FillShared { key, version, value, asked_at } => Some(Box::pin(async move {
                Some(Event::Filled { key, outcome: shared.fill(key, version, value, asked_at).await })
            })),
            Effect::Reply { token, answer } => {
                self.waiters.answer(token, answer);
                None
            }
        }
    }
}

async fn load(store: &dyn Store, key: ProductId) -> Outcome<(Version, Value), Absent> {
    let reads = Reads { products: [key].into(), ..Reads::default() };
    match store.read(reads).await {
        Ok(rows) => match rows.products.get(&key) {
            Some(row) => Outcome::Done((row.version, encode(row))),
            None => Outcome::Refused(Absent),
        },
        // A read changes nothing.
        Err(_) => Outcome::Unknown,
    }
}
