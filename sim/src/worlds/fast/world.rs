//! The event heap: what happens next, and who hears of it.

use super::buyer::Buyers;
use super::catalog::Catalog;
use super::embedded::Platform;
use super::host::{Host, Told};
use super::meeting::{self, Meetings};
pub use super::message::{Address, Answer, At, Away, Continuation, Names, Request};
use super::network::{Network, Passage};
use crate::explore::fingerprint;
use crate::fault::FaultKind;
use crate::plan::{Plan, Setup};
use crate::report::{FaultLedger, Violation};
use crate::seed::Seed;
use crate::services::broker::Broker;
use crate::services::broker::group::Group;
use crate::services::database::Database;
use crate::services::node::Node;
use crate::services::provider::Provider;
use crate::services::search::Search;
use crate::trace::{Kind, Trace};
use crate::worlds::rest;
use crate::worlds::watch::Watch;
use doorbuster_core::ids::{SaleId, ServerId, ShardId, SkuId};
use doorbuster_core::oracle::window_watch::WindowWatch;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::Now;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

/// Events of one run: far above what a plan of minutes takes, so that only a run in circles meets it.
pub const EVENTS_MAX: u64 = 400_000;
/// How long a caller waits for a service before it knows nothing: below every machine's own patience.
pub const PATIENCE_US: u64 = 4_000_000;

struct Open {
    at: At,
    to: Address,
    deadline_us: u64,
    then: Continuation,
}

/// What happens.
pub enum Happening {
    /// A machine's time has come.
    Wake {
        at: At,
        cell: usize,
    },
    /// A machine is told.
    Told {
        at: At,
        cell: usize,
        told: Told,
    },
    /// A request arrives.
    Arrived {
        call: u64,
        request: Request,
    },
    /// A reply, or the end of patience, arrives.
    Answered {
        call: u64,
        answer: Answer,
    },
    /// A service's time has come.
    ServiceWake(Address),
    /// A strike of the plan begins or ends.
    Struck(usize),
    Healed(usize),
    /// Anything else.
    Then(Box<dyn FnOnce(&mut World)>),
}

struct Entry {
    at_us: u64,
    turn: u64,
    happening: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        (self.at_us, self.turn) == (other.at_us, other.turn)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        (self.at_us, self.turn).cmp(&(other.at_us, other.turn))
    }
}

/// The whole world.
pub struct World {
    pub now_us: u64,
    heap: BinaryHeap<Reverse<Entry>>,
    turns: u64,
    calls: BTreeMap<u64, Open>,
    pub setup: Setup,
    pub plan: Arc<Plan>,
    pub seed: Seed,
    pub sale: SaleId,
    pub skus: Vec<SkuId>,
    pub hosts: Vec<Host>,
    pub network: Network,
    pub database: Database,
    pub broker: Broker,
    pub nodes: Vec<Node>,
    /// The server that is in charge of all shards.
    pub primary: usize,
    /// The process and the disk of an embedded platform.
    pub platform: Platform,
    pub provider: Provider,
    pub search: Search,
    pub catalog: Catalog,
    pub buyers: Buyers,
    pub watch: Watch,
    /// Sales of seven days, recounted from the orders.
    pub windows: WindowWatch,
    pub trace: Trace,
    pub faults: FaultLedger,
    pub counts: BTreeMap<&'static str, u64>,
    pub violation: Option<Violation>,
    /// Strikes that wait for their moment.
    pub meetings: Meetings,
    pub plants: super::Plants,
    /// The durable log lost what it had acknowledged.
    pub durable_lost: bool,
    /// Nobody is to start now: in a run of days processes sleep most of the time.
    pub is_night: bool,
    /// All faults are over: the liveness phase.
    pub is_healed: bool,
    rng: Rng,
    pub(super) service_wakes: BTreeMap<Address, u64>,
    pub names: Names,
}

impl World {
    /// An empty world for this plan; hosts and rows come next.
    pub fn new(plan: &Plan, trace: Trace, plants: super::Plants) -> World {
        let seed = Seed(plan.seed);
        let setup = plan.setup.clone();
        let trails = plan.strikes.iter().any(|strike| {
            matches!(strike.fault, FaultKind::R1 | FaultKind::R2 | FaultKind::R3 | FaultKind::R4 | FaultKind::C4)
        });
        let mut rng = seed.stream("world");
        let node = |n: usize, rng: &mut Rng| {
            Node::new(ServerId(u128::from(rng.draw())), trails, seed.stream(["redis-0", "redis-1"][n]))
        };
        let nodes = vec![node(0, &mut rng), node(1, &mut rng)];
        let skus = (0..setup.stock.len()).map(|n| SkuId::parse(&format!("sku-{n}")).expect("a short name")).collect();
        let sale = SaleId::parse("demo").expect("a short name");
        World {
            now_us: 0,
            heap: BinaryHeap::new(),
            turns: 0,
            calls: BTreeMap::new(),
            seed,
            sale,
            skus,
            hosts: Vec::new(),
            network: Network::new(seed, setup.latency_us),
            database: Database::new(seed.stream("database")),
            broker: Broker::new(seed.stream("broker")),
            nodes,
            primary: 0,
            platform: Platform::new(&setup, seed, plants),
            provider: Provider::default(),
            search: Search::new(seed.stream("search")),
            catalog: Catalog::new(&setup, seed),
            buyers: Buyers::new(&setup, seed),
            watch: Watch::new(sale, setup.shards, setup.limit),
            windows: WindowWatch::default(),
            trace,
            faults: FaultLedger::default(),
            counts: BTreeMap::new(),
            violation: None,
            meetings: Meetings::default(),
            plants,
            durable_lost: false,
            is_night: false,
            is_healed: false,
            rng,
            service_wakes: BTreeMap::new(),
            names: Names::new(),
            setup,
            plan: Arc::new(plan.clone()),
        }
    }

    /// Whether a role has any instance.
    pub fn has_role(&self, role: &str) -> bool {
        super::roles::instances(&self.setup, role) > 0
    }

    /// Groups of consumers that have members.
    pub fn groups(&self) -> impl Iterator<Item = Group> + use<> {
        // The intake of an embedded platform reads its server's own log.
        let is_topic = |group| !(self.setup.embedded && group == Group::Intake);
        let has = Group::ALL.map(|group| (group, is_topic(group) && self.has_role(group.role())));
        has.into_iter().filter(|(_, has)| *has).map(|(group, _)| group)
    }

    /// The shards of the sale.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        let sale = self.sale;
        (0..self.setup.shards).map(move |k| ShardId { sale, k })
    }

    /// Entropy that is no stream's own: identities of servers.
    pub fn draw(&mut self) -> u64 {
        self.rng.draw()
    }

    /// The clock of services, and of whoever watches.
    pub fn clock(&self) -> Now {
        super::clock::Clock::default().read(self.now_us)
    }

    /// Adds one to a count of the report.
    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// The first broken promise ends the run.
    pub fn violate(&mut self, id: &str, what: String) {
        if self.violation.is_none() {
            let at_us = self.now_us;
            let few = self.is_healed && self.hosts.iter().any(|host| host.is_gone);
            let (id, what) = rest::of_few(few, id, what);
            let world = self.names.world.clone();
            self.trace.tell(at_us, &world, Kind::Violated, None, || format!("{id}: {what}"));
            self.violation = Some(Violation { id: id.to_owned(), at_us, what });
        }
    }

    /// A line of the trace, where lines are kept.
    pub fn tell(&mut self, host: &Arc<str>, kind: Kind, message: Option<u64>, text: impl FnOnce() -> String) {
        self.trace.tell(self.now_us, host, kind, message, text);
    }

    /// Lets something happen at this time.
    pub fn at(&mut self, at_us: u64, happening: Happening) {
        self.turns += 1;
        self.heap.push(Reverse(Entry { at_us: at_us.max(self.now_us), turn: self.turns, happening }));
    }

    /// Lets something happen after so many milliseconds.
    pub fn after_ms(&mut self, millis: u64, then: impl FnOnce(&mut World) + 'static) {
        self.at(self.now_us + millis * 1000, Happening::Then(Box::new(then)));
    }

    /// Whether this life goes on.
    pub fn lives(&self, at: At) -> bool {
        self.hosts[at.host].lives(at.life)
    }

    /// Runs until nothing happens any more before this time, or a promise is broken.
    pub fn run_until(&mut self, until_us: u64) {
        while self.violation.is_none() {
            let due = self.heap.peek().is_some_and(|Reverse(entry)| entry.at_us <= until_us);
            if !due {
                self.now_us = self.now_us.max(until_us);
                return;
            }
            let Reverse(entry) = self.heap.pop().expect("it was just seen");
            self.now_us = entry.at_us;
            if self.trace.events() > EVENTS_MAX {
                return self.violate("L11", format!("no end after {EVENTS_MAX} events"));
            }
            self.happen(entry.happening);
        }
    }

    fn happen(&mut self, happening: Happening) {
        let happening = match self.withhold(happening) {
            Some(happening) => happening,
            None => return,
        };
        match happening {
            Happening::Wake { at, cell } => super::host::wake(self, at, cell),
            Happening::Told { at, cell, told } => super::host::step(self, at, cell, told),
            Happening::Arrived { call, request } => self.arrived(call, request),
            Happening::Answered { call, answer } => self.answered(call, answer),
            Happening::ServiceWake(address) => self.service_woken(address),
            Happening::Struck(index) => super::strikes::strike(self, index),
            Happening::Healed(index) => super::strikes::heal(self, index),
            Happening::Then(then) => then(self),
        }
    }

    /// What is for a host that stands still waits until it goes on.
    fn withhold(&mut self, happening: Happening) -> Option<Happening> {
        let host = match &happening {
            Happening::Wake { at, .. } | Happening::Told { at, .. } => at.host,
            Happening::Arrived { request: Request::Edge(host, _), .. } => *host,
            Happening::Answered { call, .. } => self.calls.get(call)?.at.host,
            Happening::Arrived { .. }
            | Happening::ServiceWake(_)
            | Happening::Struck(_)
            | Happening::Healed(_)
            | Happening::Then(_) => return Some(happening),
        };
        match self.hosts[host].paused {
            true => {
                self.hosts[host].queued.push(happening);
                None
            }
            false => Some(happening),
        }
    }

    /// Sends a request; `then` goes on with the answer, or with `Unknown` when patience ends.
    pub fn ask(&mut self, at: At, request: Request, then: Continuation) {
        self.ask_within(at, request, PATIENCE_US, then);
    }

    /// The same with another patience.
    pub fn ask_within(&mut self, at: At, request: Request, patience_us: u64, then: Continuation) {
        self.turns += 1;
        let call = self.turns;
        let to = request.address();
        let deadline_us = self.now_us + patience_us;
        self.trace.feed(self.now_us, at.host as u64, request.fingerprint());
        self.tell_message(at, Kind::Sent, call, &request);
        self.calls.insert(call, Open { at, to, deadline_us, then });
        let slow_us = self.hosts[at.host].slow_us;
        let name = self.hosts[at.host].name.clone();
        meeting::on_its_way(self, &name, Network::name(to), (request.stage(), true));
        let passage = self.network.request(self.now_us + slow_us, &name, Network::name(to));
        self.bite(request.stage());
        match passage {
            Passage::Arrives(arrives_us) => {
                // A host of our own may die with the question in it; a service says when it drops one.
                if matches!(to, Address::Host(_)) || arrives_us > deadline_us {
                    self.at(deadline_us, Happening::Answered { call, answer: Answer::Lost });
                }
                self.at(arrives_us, Happening::Arrived { call, request });
            }
            Passage::Lost => {
                self.tell_message(at, Kind::Lost, call, &request);
                self.at(deadline_us, Happening::Answered { call, answer: Answer::Lost });
            }
            Passage::Broken => self.at(self.now_us + 1, Happening::Answered { call, answer: Answer::Lost }),
            Passage::Refused => self.at(self.now_us + 1, Happening::Answered { call, answer: Answer::Away }),
        }
    }

    fn tell_message(&mut self, at: At, kind: Kind, call: u64, request: &Request) {
        if self.trace.keeps_lines() {
            let name = self.hosts[at.host].name.clone();
            let to = Network::name(request.address());
            self.tell(&name, kind, Some(call), || format!("-> {to}: {}", request.describe()));
        }
    }

    /// Counts what the network did to a message of this stage.
    pub fn bite(&mut self, stage: &'static str) {
        for kind in std::mem::take(&mut self.network.bitten) {
            self.faults.take_effect(kind, stage);
        }
    }

    /// An answer leaves.
    pub fn respond(&mut self, call: u64, answer: Answer) {
        let Some(open) = self.calls.get(&call) else { return };
        let (at, to, deadline_us) = (open.at, open.to, open.deadline_us);
        let name = self.hosts[at.host].name.clone();
        meeting::on_its_way(self, &name, Network::name(to), (answer.stage(), false));
        let passage = self.network.reply(self.now_us, &name, Network::name(to));
        self.bite(answer.stage());
        let slow_us = self.hosts[at.host].slow_us;
        match passage {
            Passage::Arrives(arrives_us) if arrives_us + slow_us <= deadline_us => {
                self.at(arrives_us + slow_us, Happening::Answered { call, answer });
            }
            Passage::Broken => self.at(self.now_us + 1, Happening::Answered { call, answer: Answer::Lost }),
            Passage::Arrives(_) | Passage::Lost | Passage::Refused => {
                self.at(deadline_us, Happening::Answered { call, answer: Answer::Lost });
            }
        }
    }

    /// Whether somebody waits for the answer of this call.
    pub fn waits(&self, call: u64) -> bool {
        self.calls.contains_key(&call)
    }

    /// Nobody will answer this call.
    pub fn drop_call(&mut self, call: u64) {
        if let Some(open) = self.calls.get(&call) {
            let deadline_us = open.deadline_us;
            self.at(deadline_us, Happening::Answered { call, answer: Answer::Lost });
        }
    }

    fn answered(&mut self, call: u64, answer: Answer) {
        let Some(open) = self.calls.remove(&call) else { return };
        if !self.lives(open.at) {
            return;
        }
        let line = answer.describe();
        self.trace.feed(self.now_us, open.at.host as u64, fingerprint::of(&(call, &line)) as u64);
        if self.trace.keeps_lines() {
            let name = self.hosts[open.at.host].name.clone();
            self.tell(&name, Kind::Delivered, Some(call), || line);
        }
        let at = open.at;
        match (open.then, answer) {
            (Continuation::Database(then), answer) => then(self, at, answer.database()),
            (Continuation::Broker(then), answer) => then(self, at, answer.broker()),
            (Continuation::Node(then), answer) => then(self, at, answer.node()),
            (Continuation::Provider(then), answer) => then(self, at, answer.provider()),
            (Continuation::Edge(then), answer) => then(self, at, answer.edge()),
            (Continuation::Search(then), answer) => then(self, at, answer.search()),
        }
    }

    pub(super) fn service_name(&self, address: Address) -> Arc<str> {
        match address {
            Address::Database => self.names.database.clone(),
            Address::Broker => self.names.broker.clone(),
            Address::Provider => self.names.provider.clone(),
            Address::Search => self.names.search.clone(),
            Address::Node(n) => self.names.nodes[n].clone(),
            Address::Host(host) => self.hosts[host].name.clone(),
        }
    }

    /// Ends what this life waits for.
    pub fn forget_calls(&mut self, at: At) {
        self.calls.retain(|_, open| open.at != at);
    }

    /// What happened while a host stood still happens now, in its order.
    pub fn release(&mut self, host: usize) {
        for happening in std::mem::take(&mut self.hosts[host].queued) {
            self.at(self.now_us, happening);
        }
    }
}
