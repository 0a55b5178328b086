//! Open connections: ended together at the stop, and one by one when they are silent for too long.
//!
//! One look at all of them every half minute costs nothing; a timer for each request's head would cost every request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::oneshot;

/// A connection that begins no request between two looks, and has none to answer, is closed at the second: a head may
/// take at least this long, and a kept connection be silent for as long. Slow senders hold no slot.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The connections of one server.
#[derive(Default)]
pub struct Connections {
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, Entry>>,
}

/// Why a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server stops: what is in flight is answered.
    Stop,
    /// Nothing came for too long.
    Silence,
}

/// What one connection does.
#[derive(Debug, Default)]
pub struct Activity {
    begun: AtomicU64,
    ended: AtomicU64,
    /// Set before the connection is told to end.
    told: AtomicBool,
}

/// A request in flight, until its answer is whole or gone.
#[derive(Debug)]
pub struct Busy(Arc<Activity>);

struct Entry {
    activity: Arc<Activity>,
    end: oneshot::Sender<Ending>,
    /// Requests begun at the last look.
    looked: u64,
}

/// A connection's place among the open ones, left when dropped.
pub struct Place {
    connections: Arc<Connections>,
    number: u64,
}

impl Activity {
    /// Notes that a request begins.
    pub fn begin(self: &Arc<Activity>) -> Busy {
        self.begun.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Whether the connection is told to end, or is about to be.
    pub fn is_told(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.number);
    }
}

impl Connections {
    /// Notes a new connection; the receiver tells it when to end.
    pub fn enter(self: &Arc<Connections>) -> (Place, Arc<Activity>, oneshot::Receiver<Ending>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (end, ending) = oneshot::channel();
        let activity = Arc::<Activity>::default();
        // A first look must not close what has just come: no count of requests is this one.
        self.lock().insert(number, Entry { activity: activity.clone(), end, looked: u64::MAX });
        (Place { connections: self.clone(), number }, activity, ending)
    }

    /// Ends all of them: each answers what is in flight.
    pub fn stop(&self) {
        let open = std::mem::take(&mut *self.lock());
        for entry in open.into_values() {
            entry.tell(Ending::Stop);
        }
    }

    /// Looks again and again, and ends the silent ones.
    pub async fn watch(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.look();
        }
    }

    fn look(&self) {
        let mut open = self.lock();
        let silent: Vec<u64> =
            open.iter_mut().filter_map(|(number, entry)| entry.is_silent().then_some(*number)).collect();
        for entry in silent.into_iter().filter_map(|number| open.remove(&number)) {
            entry.tell(Ending::Silence);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.open.lock().expect("no holder of this lock panics")
    }
}

impl Entry {
    fn tell(self, why: Ending) {
        self.activity.told.store(true, Ordering::Release);
        // One that has ended by itself meanwhile hears nothing, and need not.
        let _ = self.end.send(why);
    }

    fn is_silent(&mut self) -> bool {
        let ended = self.activity.ended.load(Ordering::Relaxed);
        let begun = self.activity.begun.load(Ordering::Relaxed);
        let silent = begun == ended && begun == self.looked;
        self.looked = begun;
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_silent_from_one_look_to_the_next_is_ended() {
        let connections = Arc::<Connections>::default();
        let (_silent, _, mut of_silent) = connections.enter();
        let (_busy, activity, mut of_busy) = connections.enter();
        let (_slow, waiting, mut of_slow) = connections.enter();
        let _in_flight = waiting.begin();
        connections.look();
        assert!(of_silent.try_recv().is_err(), "one look proves nothing");
        drop(activity.begin());
        connections.look();
        assert_eq!(of_silent.try_recv(), Ok(Ending::Silence));
        assert!(of_busy.try_recv().is_err());
        assert!(of_slow.try_recv().is_err(), "its answer is not there yet");
        connections.stop();
        assert_eq!(of_busy.try_recv(), Ok(Ending::Stop));
        assert_eq!(of_slow.try_recv(), Ok(Ending::Stop));
    }
}
