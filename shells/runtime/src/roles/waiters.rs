//! Callers who wait for a machine's answer, by the token under which it was asked.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot;

/// Bounded by the machine's own tables: it answers every token once, at once where it has no room.
pub struct Waiters<A> {
    next: AtomicU64,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<A>>>,
}

impl<A> Default for Waiters<A> {
    fn default() -> Waiters<A> {
        Waiters { next: AtomicU64::new(0), waiting: Mutex::default() }
    }
}

impl<A> Waiters<A> {
    /// A caller comes: its token, and where its answer will be.
    pub fn enter(&self) -> (u64, oneshot::Receiver<A>) {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().expect("no holder of this lock panics").insert(token, answer);
        (token, answered)
    }

    /// The caller goes with this. One that is gone already has hung up.
    pub fn answer(&self, token: u64, answer: A) {
        let waiter = self.waiting.lock().expect("no holder of this lock panics").remove(&token);
        waiter.map(|waiter| waiter.send(answer));
    }
}
