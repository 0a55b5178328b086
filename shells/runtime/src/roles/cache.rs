//! The products of one process, wired: its local cache, the shared one, and the database behind both.

use super::Ports;
use super::waiters::Waiters;
use crate::drive::{Inbox, Perform, Performed, Stop, drive, inbox, spawn};
use crate::ports::cache::{Notice, SharedCache};
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

/// Starts the cache of this process; it listens to changes from now on.
pub fn start(ports: &Ports, shared: &Arc<dyn SharedCache>, stop: &Stop) -> Arc<Products> {
    let (events, received) = inbox();
    let waiters = Arc::new(Waiters::default());
    let performer = Arc::new(CachePerformer { ports: ports.clone(), shared: shared.clone(), waiters: waiters.clone() });
    let machine = Cache::new(ports.env.entropy());
    let channel = (events.clone(), received);
    spawn(drive(machine, performer, ports.env.clone(), stop.clone(), channel, |_| Event::Woken));
    spawn(listen(shared.clone(), stop.clone(), events.clone()));
    Arc::new(Products { events, waiters })
}

impl Products {
    /// One product, from wherever it is nearest.
    pub async fn read(&self, key: ProductId) -> Answer {
        let (token, answered) = self.waiters.enter();
        if self.events.try_send(Event::Asked { token, key }).is_err() {
            self.waiters.answer(token, Answer::Overloaded);
        }
        // The cache stopped with the caller in it: another process answers.
        answered.await.unwrap_or(Answer::NotReady)
    }
}

/// A product as caches keep it.
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
    ports: Ports,
    shared: Arc<dyn SharedCache>,
    waiters: Arc<Waiters<Answer>>,
}

impl Perform<Cache> for CachePerformer {
    fn perform(&self, _: Now, effect: Effect) -> Option<Performed<Event>> {
        let (ports, shared) = (self.ports.clone(), self.shared.clone());
        match effect {
            Effect::ReadShared { ticket, key } => {
                Some(Box::pin(async move { Some(Event::SharedRead { ticket, key, outcome: shared.read(key).await }) }))
            }
            Effect::Load { ticket, key } => {
                Some(Box::pin(async move { Some(Event::Loaded { ticket, key, outcome: load(&ports, key).await }) }))
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

async fn load(ports: &Ports, key: ProductId) -> Outcome<(Version, Value), Absent> {
    let reads = Reads { products: [key].into(), ..Reads::default() };
    match ports.store.read(reads).await {
        Ok(rows) => match rows.products.get(&key) {
            Some(row) => Outcome::Done((row.version, encode(row))),
            None => Outcome::Refused(Absent),
        },
        // A read changes nothing.
        Err(_) => Outcome::Unknown,
    }
}
