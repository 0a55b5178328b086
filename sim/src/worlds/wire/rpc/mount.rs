//! One service machine where it is mounted: who waits for it, who hears what it tells, what befalls its answers.

use super::exchange::Exchange;
use super::service::Service;
use crate::fault::FaultKind;
use crate::services::database::Commit;
use crate::services::{ServiceEffect, ServiceEvent};
use doorbuster_core::oracle::probe::Probe;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::{Mono, Now};
use doorbuster_redis::dial::Address;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};

/// What a service tells beside its answers.
#[derive(Clone, Debug)]
pub enum Noted {
    /// For the oracle.
    Probed(Probe),
    /// A fault changed an outcome while this was in flight.
    Bitten(FaultKind, &'static str),
    /// Rows were committed.
    Committed(Box<Commit>),
}

/// Hears what services tell, with the service's name and its clock; called while nothing is locked.
pub type Observe = Arc<dyn Fn(&'static str, Now, Noted) + Send + Sync>;

/// An answer on its way out.
#[derive(Debug)]
pub(super) enum Outgoing<R> {
    /// Told to the caller with this number of its own.
    Told(u64, R),
    /// The connection ends in the middle of this answer's frame.
    Torn(u64, R),
}

/// Where a connection's answers wait to be written.
pub(super) type Outbox<R> = mpsc::Sender<Outgoing<R>>;

/// Values of one service whose frames are under way.
#[derive(Debug)]
pub(super) struct Values<Q, R> {
    pub asked: Exchange<Q>,
    pub told: Exchange<R>,
}

/// Where a client finds a service.
pub struct Endpoint<S: Service> {
    pub(super) address: Address,
    pub(super) values: Arc<Values<S::Request, S::Reply>>,
}

impl<S: Service> Clone for Endpoint<S> {
    fn clone(&self) -> Endpoint<S> {
        Endpoint { address: self.address.clone(), values: self.values.clone() }
    }
}

struct Caller<R> {
    outbox: Outbox<R>,
    call: u64,
    stage: &'static str,
}

struct State<S: Service> {
    machine: S,
    calls: u64,
    callers: BTreeMap<u64, Caller<S::Reply>>,
    rng: Rng,
    /// Parts per thousand of answers that are lost, or that their connection breaks in, while that is on.
    troubles: BTreeMap<FaultKind, u64>,
}

/// A service where it is mounted. What it keeps outlives the host that serves it, as a real service's disks and replicas
/// do: a crash of that host breaks connections and nothing else.
pub struct Mount<S: Service> {
    state: Mutex<State<S>>,
    values: Arc<Values<S::Request, S::Reply>>,
    observe: Observe,
    /// Counts the machine's steps: its next waking may have changed.
    steps: watch::Sender<u64>,
}

impl<S: Service> Mount<S> {
    /// Mounts a machine; `rng` decides what befalls answers.
    pub fn new(machine: S, rng: Rng, observe: Observe) -> Arc<Mount<S>> {
        let state = State { machine, calls: 0, callers: BTreeMap::new(), rng, troubles: BTreeMap::new() };
        let values = Arc::new(Values { asked: Exchange::default(), told: Exchange::default() });
        Arc::new(Mount { state: Mutex::new(state), values, observe, steps: watch::Sender::new(0) })
    }

    /// What a client needs to find it at this address.
    pub fn endpoint(&self, address: Address) -> Endpoint<S> {
        Endpoint { address, values: self.values.clone() }
    }

    /// Looks at the machine.
    pub fn look<T>(&self, look: impl FnOnce(&S) -> T) -> T {
        look(&self.state.lock().expect("no holder of this lock panics").machine)
    }

    /// Does something to the machine that its own requests do not: a strike, an operator's act. `now` is the clock that
    /// the serving host's environment reads.
    pub fn act<T>(&self, now: Now, act: impl FnOnce(&mut S, &mut Vec<ServiceEffect<S::Reply>>) -> T) -> T {
        self.step(now, |state, out| act(&mut state.machine, out))
    }

    /// So many of a thousand answers get lost after their calls were applied (N9), or break their connection in the middle
    /// of their frame (N5), until it is healed.
    pub fn trouble(&self, kind: FaultKind, permille: u64) {
        assert!(matches!(kind, FaultKind::N9 | FaultKind::N5), "{kind} is none of an answer's troubles");
        self.state.lock().expect("no holder of this lock panics").troubles.insert(kind, permille);
    }

    /// Answers arrive again.
    pub fn heal(&self, kind: FaultKind) {
        self.state.lock().expect("no holder of this lock panics").troubles.remove(&kind);
    }

    /// Changes with every step of the machine: for whoever takes what it leaves to be taken.
    pub fn steps(&self) -> watch::Receiver<u64> {
        self.steps.subscribe()
    }

    pub(super) fn values(&self) -> &Values<S::Request, S::Reply> {
        &self.values
    }

    pub(super) fn wake_at(&self) -> Option<Mono> {
        self.look(|machine| machine.wake_at().map(|(at, _)| at))
    }

    pub(super) fn woken(&self, now: Now) {
        self.step(now, |state, out| state.machine.step(now, ServiceEvent::Woken, out));
    }

    /// A request has arrived whole; its answer goes into this outbox under the caller's own number.
    pub(super) fn asked(&self, now: Now, outbox: &Outbox<S::Reply>, call: u64, request: S::Request) {
        self.step(now, |state, out| {
            state.calls += 1;
            let (own, stage) = (state.calls, S::stage_of(&request));
            state.callers.insert(own, Caller { outbox: outbox.clone(), call, stage });
            state.machine.step(now, ServiceEvent::Asked { call: own, request }, out);
        });
    }

    fn step<T>(&self, now: Now, step: impl FnOnce(&mut State<S>, &mut Vec<ServiceEffect<S::Reply>>) -> T) -> T {
        let (mut effects, mut noted) = (Vec::new(), Vec::new());
        let result = {
            let mut state = self.state.lock().expect("no holder of this lock panics");
            let result = step(&mut state, &mut effects);
            state.machine.check();
            for effect in effects {
                noted.extend(state.perform(effect));
            }
            result
        };
        self.steps.send_modify(|steps| *steps += 1);
        noted.into_iter().for_each(|noted| (self.observe)(S::NAME, now, noted));
        result
    }
}

impl<S: Service> State<S> {
    fn perform(&mut self, effect: ServiceEffect<S::Reply>) -> Option<Noted> {
        match effect {
            ServiceEffect::Answered { call, reply } => self.answer(call, reply),
            ServiceEffect::Dropped { call } => {
                self.callers.remove(&call);
                None
            }
            ServiceEffect::Probed(probe) => Some(Noted::Probed(probe)),
            ServiceEffect::Bitten(kind, stage) => Some(Noted::Bitten(kind, stage)),
            ServiceEffect::Committed(commit) => Some(Noted::Committed(commit)),
        }
    }

    fn answer(&mut self, call: u64, reply: S::Reply) -> Option<Noted> {
        let caller = self.callers.remove(&call)?;
        if self.bites(FaultKind::N9) {
            return Some(Noted::Bitten(FaultKind::N9, caller.stage));
        }
        let torn = self.bites(FaultKind::N5);
        let outgoing = match torn {
            true => Outgoing::Torn(caller.call, reply),
            false => Outgoing::Told(caller.call, reply),
        };
        // A connection that is gone, or that takes no answers any more, has a caller who finds out by its own patience.
        let _ = caller.outbox.try_send(outgoing);
        torn.then_some(Noted::Bitten(FaultKind::N5, caller.stage))
    }

    fn bites(&mut self, kind: FaultKind) -> bool {
        match self.troubles.get(&kind) {
            Some(permille) => self.rng.below(1000) < *permille,
            None => false,
        }
    }
}
