//! What all hosts of one run share: the trace, the faults that are on, and what was seen.
//!
//! Everything runs on one thread, so that no lock ever waits; there are locks because the shells want to be told that
//! what they hold may be sent.

use super::link::{Rule, Treatment};
use super::stage::describe;
use crate::fault::FaultKind;
use crate::report::{FaultLedger, Violation};
use crate::trace::{Kind, Trace};
use crate::worlds::rest;
use crate::worlds::watch::Watch;
use doorbuster_core::oracle::history::History;
use doorbuster_core::oracle::window_watch::WindowWatch;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::Now;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// See the module.
pub struct Scene {
    state: Mutex<State>,
    /// Milliseconds that have passed on every wall clock, and that nobody has lived through.
    leapt_ms: AtomicU64,
}

/// What the scene holds.
pub struct State {
    /// The time of whoever runs the hosts: the beginning of the present tick, in microseconds.
    pub now_us: u64,
    /// The hash, and lines where they are kept.
    pub trace: Trace,
    /// Faults.
    pub faults: FaultLedger,
    /// What buyers got.
    pub counts: BTreeMap<&'static str, u64>,
    /// The first broken promise.
    pub violation: Option<Violation>,
    /// What befalls links now.
    pub rules: Vec<Rule>,
    /// All faults are over.
    pub is_healed: bool,
    /// Hosts that are dead for ever.
    pub gone: BTreeSet<Arc<str>>,
    /// Rows were committed since somebody looked.
    pub has_committed: bool,
    /// The oracle as things happen.
    pub watch: Watch,
    /// What the buyers saw.
    pub history: History,
    /// What was told and shown of sales.
    pub windows: WindowWatch,
    /// What the network's own dice say.
    dice: Rng,
    messages: u64,
    /// Messages that were written and not read, by the writer's and the reader's end; only where lines are kept.
    flows: BTreeMap<(SocketAddr, SocketAddr), VecDeque<(usize, u64)>>,
}

impl Scene {
    /// A scene at the beginning.
    pub fn new(trace: Trace, watch: Watch, dice: Rng) -> Arc<Scene> {
        Arc::new(Scene {
            state: Mutex::new(State {
                now_us: 0,
                trace,
                faults: FaultLedger::default(),
                counts: BTreeMap::new(),
                violation: None,
                rules: Vec::new(),
                is_healed: false,
                gone: BTreeSet::new(),
                has_committed: false,
                watch,
                history: History { calls: Vec::new(), is_complete: true },
                windows: WindowWatch::default(),
                dice,
                messages: 0,
                flows: BTreeMap::new(),
            }),
            leapt_ms: AtomicU64::new(0),
        })
    }

    /// What it holds. Nobody keeps this across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// Microseconds of the run.
    pub fn now_us(&self) -> u64 {
        turmoil::sim_elapsed().map_or_else(|| self.state().now_us, |elapsed| elapsed.as_micros() as u64)
    }

    /// The same clocks, after the time that nobody has lived through.
    pub fn after_leaps(&self, now: Now) -> Now {
        Now { wall: now.wall.after_ms(self.leapt_ms.load(Ordering::Relaxed)), ..now }
    }

    /// Lets so much time pass on every wall clock at once.
    pub fn leap(&self, millis: u64) {
        self.leapt_ms.fetch_add(millis, Ordering::Relaxed);
    }

    /// One of these hosts, of those that are not dead for ever: no balancer sends anybody to such a one.
    pub fn one_of<'a>(&self, hosts: &'a [String], pick: u64) -> &'a str {
        let state = self.state();
        let left: Vec<&String> = hosts.iter().filter(|host| !state.gone.contains(host.as_str())).collect();
        left[(pick % left.len() as u64) as usize]
    }

    /// A line, where lines are kept.
    pub fn tell(&self, host: &Arc<str>, kind: Kind, text: impl FnOnce() -> String) {
        let at_us = self.now_us();
        self.state().trace.tell(at_us, host, kind, None, text);
    }

    /// The first broken promise ends the run.
    pub fn violate(&self, id: &str, what: String) {
        let at_us = self.now_us();
        self.state().violate(at_us, id, what);
    }

    /// Adds one to a count of the report.
    pub fn count(&self, what: &'static str) {
        *self.state().counts.entry(what).or_default() += 1;
    }

    /// A kind changed an outcome while this was in flight.
    pub fn take_effect(&self, kind: FaultKind, stage: &'static str) {
        self.state().faults.take_effect(kind, stage);
    }
}

impl State {
    /// See [`Scene::violate`].
    pub fn violate(&mut self, at_us: u64, id: &str, what: String) {
        if self.violation.is_none() {
            let (id, what) = rest::of_few(!self.gone.is_empty() && self.is_healed, id, what);
            self.trace.tell(at_us, &Arc::from("world"), Kind::Violated, None, || format!("{id}: {what}"));
            self.violation = Some(Violation { id: id.to_owned(), at_us, what });
        }
    }

    /// Bytes leave a host: into the hash, and a line of them.
    pub fn note_sent(&mut self, at_us: u64, (host, number): (&Arc<str>, u64), ends: Ends<'_>, bytes: &[u8]) {
        self.trace.feed(at_us, number, fingerprint(bytes));
        if self.trace.keeps_lines() {
            self.messages += 1;
            let message = self.messages;
            self.flows.entry((ends.own, ends.other)).or_default().push_back((bytes.len(), message));
            self.trace.tell(at_us, host, Kind::Sent, Some(message), || {
                format!("-> {}: {}", ends.peer, describe(host, ends.peer, ends.is_client, bytes))
            });
        }
    }

    /// So many bytes arrived.
    pub fn note_delivered(&mut self, at_us: u64, host: &Arc<str>, ends: Ends<'_>, mut count: usize) {
        let Some(flow) = self.flows.get_mut(&(ends.other, ends.own)) else { return };
        let mut arrived = Vec::new();
        while let Some((left, message)) = flow.front_mut().filter(|_| count > 0) {
            let part = count.min(*left);
            count -= part;
            *left -= part;
            if *left == 0 {
                arrived.push(*message);
                flow.pop_front();
            }
        }
        for message in arrived {
            self.trace.tell(at_us, host, Kind::Delivered, Some(message), || format!("<- {}", ends.peer));
        }
    }

    /// What rules do to a message of `from` to `to` over a connection that `from` or `to` opened, in their order.
    pub fn treatments(&self, client: &str, server: &str) -> impl Iterator<Item = (FaultKind, Treatment)> + '_ {
        let (client, server) = (client.to_owned(), server.to_owned());
        self.rules.iter().filter(move |rule| rule.is_about(&client, &server)).map(|rule| (rule.fault, rule.treatment))
    }

    /// Whether something of this many parts per thousand happens now.
    pub fn happens(&mut self, permille: u64) -> bool {
        self.dice.below(1000) < permille
    }
}

/// The two ends of a connection as one of them sees it.
#[derive(Clone, Copy)]
pub struct Ends<'a> {
    /// This end's address.
    pub own: SocketAddr,
    /// The other's.
    pub other: SocketAddr,
    /// The other's name.
    pub peer: &'a str,
    /// Whether this end opened it.
    pub is_client: bool,
}

/// FNV-1a (Fowler, Noll, Vo).
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
