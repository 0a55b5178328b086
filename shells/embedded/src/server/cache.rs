//! The shared cache of a platform that is one process: core's model behind a lock, and changes told from task to task.

use async_trait::async_trait;
use doorbuster_core::cache::Value;
use doorbuster_core::cache::shared::{FillRefusal, Floored, Found, SharedCache as Model};
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use doorbuster_runtime::drive::Stop;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::cache::{Listen, Notice, SharedCache};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;

/// Changes that wait for their listener: more than a catalogue's import tells at once. A listener who lets more come is
/// told that it missed some.
const NOTICES_MAX: usize = 4_096;
/// How often documents that have ended are dropped: rarely enough that looking at all of them costs nothing, often enough
/// that no more than twice the products of a longest age are held.
const EXPIRE_MS: u64 = 10_000;

/// The shared cache in memory. What it holds is gone with the process, and so is everybody who has read it.
#[derive(Clone)]
pub struct MemorySharedCache {
    documents: Arc<Mutex<Documents>>,
    changes: broadcast::Sender<(ProductId, Version)>,
    env: SharedEnv,
}

#[derive(Default)]
struct Documents {
    model: Model,
    expire_at: Wall,
}

impl MemorySharedCache {
    /// Empty.
    pub fn new(env: SharedEnv) -> MemorySharedCache {
        MemorySharedCache { documents: Arc::default(), changes: broadcast::Sender::new(NOTICES_MAX), env }
    }

    fn call<T>(&self, call: impl FnOnce(&mut Model, Wall) -> T) -> T {
        // A panic inside the model is a broken invariant: the process must not go on with such a cache.
        let mut documents = self.documents.lock().expect("the cache's model does not panic");
        // Read under the lock, so that the times of calls stand in the order of the calls.
        let now = self.env.now().wall;
        // A clock that was set back far below the next time drops what has ended by the new clock.
        if now >= documents.expire_at || now.after_ms(EXPIRE_MS) < documents.expire_at {
            documents.model.expire(now);
            documents.expire_at = now.after_ms(EXPIRE_MS);
        }
        call(&mut documents.model, now)
    }
}

#[async_trait]
impl SharedCache for MemorySharedCache {
    async fn read(&self, product: ProductId) -> Outcome<Found, Infallible> {
        Outcome::Done(self.call(|model, now| model.read(product, now)))
    }

    async fn fill(
        &self,
        product: ProductId,
        version: Version,
        value: Value,
        asked_at: Wall,
    ) -> Outcome<(), FillRefusal> {
        match self.call(|model, now| model.fill(product, version, value, asked_at, now)) {
            Ok(()) => Outcome::Done(()),
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    async fn floor(&self, changes: Vec<(ProductId, Version)>) -> Outcome<Vec<Floored>, Unavailable> {
        let floor = |(product, version)| self.call(|model, now| model.floor(product, version, now));
        Outcome::Done(changes.into_iter().map(floor).collect())
    }

    async fn announce(&self, changes: Vec<(ProductId, Version)>) -> Outcome<(), Unavailable> {
        for change in changes {
            // Where nobody listens, nobody keeps anything.
            let _ = self.changes.send(change);
        }
        Outcome::Done(())
    }

    fn listen(&self, stop: Stop) -> Box<dyn Listen> {
        Box::new(Heard { changes: self.changes.subscribe(), stop, begun: false })
    }
}

/// What one listener has not read yet.
struct Heard {
    changes: broadcast::Receiver<(ProductId, Version)>,
    stop: Stop,
    begun: bool,
}

#[async_trait]
impl Listen for Heard {
    async fn next(&mut self) -> Option<Notice> {
        if !self.begun {
            self.begun = true;
            return Some(Notice::Reconnected);
        }
        let heard = tokio::select! {
            biased;
            _ = self.stop.wait_for(|stopped| *stopped) => return None,
            heard = self.changes.recv() => heard,
        };
        match heard {
            Ok((product, version)) => Some(Notice::Invalidated(product, version)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Notice::Reconnected),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorbuster_core::limits::CACHE_FLOOR_MS;
    use doorbuster_runtime::env::SystemEnv;
    use tokio::sync::watch;

    fn lamp() -> ProductId {
        ProductId::parse("lamp").unwrap()
    }

    #[tokio::test]
    async fn a_listener_who_is_too_slow_is_told_that_it_missed_something() {
        let cache = MemorySharedCache::new(SystemEnv::shared());
        let (stop, stopped) = watch::channel(false);
        let mut listener = cache.listen(stopped);
        assert_eq!(listener.next().await, Some(Notice::Reconnected), "it begins with a silence");
        let told = |version: usize| (lamp(), Version(version as u64));
        assert_eq!(cache.announce((0..=NOTICES_MAX).map(told).collect()).await, Outcome::Done(()));
        assert_eq!(listener.next().await, Some(Notice::Reconnected), "the oldest did not fit");
        assert_eq!(listener.next().await, Some(Notice::Invalidated(lamp(), Version(1))), "the rest is still there");
        stop.send_replace(true);
        assert_eq!(listener.next().await, None);
    }

    #[test]
    fn what_has_ended_is_dropped_also_after_the_clock_was_set_back() {
        let mut documents = Documents { model: Model::default(), expire_at: Wall(u64::MAX) };
        documents.model.floor(lamp(), Version(1), Wall(0));
        let cache = MemorySharedCache::new(SystemEnv::shared());
        *cache.documents.lock().unwrap() = documents;
        cache.call(|model, now| {
            assert!(now > Wall(CACHE_FLOOR_MS));
            assert_eq!(*model, Model::default());
        });
    }
}
