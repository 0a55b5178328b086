//! The calls of one client that are not answered yet.

use super::{Away, FLIGHTS_MAX};
use doorbuster_core::outcome::Outcome;
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::sync::oneshot;

/// What a caller is told.
pub(super) type Answer<R> = Outcome<R, Away>;

/// All of them.
#[derive(Debug)]
pub(super) struct Pending<R>(Mutex<State<R>>);

#[derive(Debug)]
struct State<R> {
    numbers: u64,
    /// The connection in use, counted from 1.
    connection: u64,
    /// Frames that were read from it.
    reads: u64,
    calls: BTreeMap<u64, Call<R>>,
}

#[derive(Debug)]
struct Call<R> {
    answer: oneshot::Sender<Answer<R>>,
    /// The connection that it left on, and how much had been read from that by then; absent before it left.
    left: Option<(u64, u64)>,
}

/// What to make of a call whose caller has waited long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// It never left.
    NotSent,
    /// It may be applied now or later.
    Sent,
    /// The same, and nothing has come back on its connection since it left: that one is as good as dead.
    Stalled(u64),
}

impl<R> Pending<R> {
    pub fn new() -> Pending<R> {
        Pending(Mutex::new(State { numbers: 0, connection: 0, reads: 0, calls: BTreeMap::new() }))
    }

    fn with<T>(&self, act: impl FnOnce(&mut State<R>) -> T) -> T {
        act(&mut self.0.lock().expect("no holder of this lock panics"))
    }

    /// A call begins; `None` when too many are in flight.
    pub fn enter(&self) -> Option<(u64, oneshot::Receiver<Answer<R>>)> {
        self.with(|state| {
            if state.calls.len() >= FLIGHTS_MAX {
                return None;
            }
            let (answer, answered) = oneshot::channel();
            state.numbers += 1;
            state.calls.insert(state.numbers, Call { answer, left: None });
            Some((state.numbers, answered))
        })
    }

    /// Its caller waits no longer; `None` when it was answered at the last moment, or nobody knows it.
    pub fn leave(&self, number: u64) -> Option<Overdue> {
        self.with(|state| {
            let call = state.calls.remove(&number)?;
            Some(match call.left {
                None => Overdue::NotSent,
                Some(left) if left == (state.connection, state.reads) => Overdue::Stalled(state.connection),
                Some(_) => Overdue::Sent,
            })
        })
    }

    /// It leaves now; `false` when nobody waits for it any more.
    pub fn send(&self, number: u64) -> bool {
        self.with(|state| {
            let left = (state.connection, state.reads);
            state.calls.get_mut(&number).map(|call| call.left = Some(left)).is_some()
        })
    }

    /// A new connection is in use; its number.
    pub fn connected(&self) -> u64 {
        self.with(|state| {
            (state.connection, state.reads) = (state.connection + 1, 0);
            state.connection
        })
    }

    /// An answer came. One that nobody waits for is dropped.
    pub fn answered(&self, number: u64, reply: R) {
        self.with(|state| {
            state.reads += 1;
            if let Some(call) = state.calls.remove(&number) {
                // Its caller may have gone in this moment.
                let _ = call.answer.send(Outcome::Done(reply));
            }
        });
    }

    /// The connection is gone: what left on it may have been applied.
    pub fn broken(&self) {
        self.tell_all(|call| call.left.is_some(), || Outcome::Unknown);
    }

    /// No connection can be had: what did not leave was certainly not applied.
    pub fn refused(&self) {
        self.tell_all(|call| call.left.is_none(), || Outcome::Refused(Away));
    }

    fn tell_all(&self, which: impl Fn(&Call<R>) -> bool, what: impl Fn() -> Answer<R>) {
        self.with(|state| {
            let numbers: Vec<u64> = state.calls.iter().filter(|(_, call)| which(call)).map(|(n, _)| *n).collect();
            for number in numbers {
                let call = state.calls.remove(&number).expect("it was just listed");
                // Its caller may have gone in this moment.
                let _ = call.answer.send(what());
            }
        });
    }
}
