//! The world: its hosts, what is to happen when, and the steps of its time.

use super::catalog::Catalog;
use super::crowd::Crowd;
use super::link::{Links, Treatment};
use super::memory;
use super::ports::Services;
use super::process::Process;
use super::queue::Claims;
use super::redis::{self, Pair};
use super::rpc::mount::{Mount, Noted, Observe};
use super::scene::Scene;
use super::{hours, roles, service};
use crate::fault::FaultKind;
use crate::hosts::redis::SyncPolicy;
use crate::plan::Plan;
use crate::seed::Seed;
use crate::services::broker::Broker;
use crate::services::broker::group::Group;
use crate::services::database::Database;
use crate::services::provider::Provider;
use crate::services::search::Search;
use crate::trace::{Kind, Stock, Trace};
use crate::worlds::fast::clock::{BEGIN, Clock};
use crate::worlds::fast::roles::instances;
use crate::worlds::watch::{self, Watch};
use doorbuster_core::database::command::Command;
use doorbuster_core::database::rows::Phase;
use doorbuster_core::ids::{Epoch, Nonce, ProductId, SaleId, Seq, ServerId, ShardId, SkuId};
use doorbuster_core::ledger::shard::ShardState;
use doorbuster_core::oracle::probe::Probe;
use doorbuster_core::order::status::Status;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::Now;
use doorbuster_web::token::Tokens;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use turmoil::{Builder, Sim};

/// What is to happen at a time.
type Act = Box<dyn FnOnce(&mut World)>;

/// A host as the world sees it.
pub struct HostEntry {
    /// Its process.
    pub process: Arc<Process>,
    /// Its role; "redis", "database" and the like for what is none of the product's.
    pub role: &'static str,
    /// Whether it runs.
    pub is_up: bool,
    /// It dies again and again until its strike ends.
    pub restarts: bool,
    /// It is dead for ever.
    pub is_gone: bool,
}

/// See the module.
pub struct World {
    sim: Sim<'static>,
    /// What all hosts share.
    pub scene: Arc<Scene>,
    /// The plan.
    pub plan: Arc<Plan>,
    /// Root of all streams.
    pub seed: Seed,
    /// The sale.
    pub sale: SaleId,
    /// By number.
    pub hosts: Vec<HostEntry>,
    names: Vec<String>,
    /// The servers of shards.
    pub pair: Pair,
    /// The database.
    pub database: Arc<Mount<Database>>,
    /// The broker.
    pub broker: Arc<Mount<Broker>>,
    /// The provider.
    pub provider: Arc<Mount<Provider>>,
    /// The search index.
    pub search: Arc<Mount<Search>>,
    /// The buyers.
    pub crowd: Arc<Crowd>,
    /// Products, and the watch over their caches.
    pub catalog: Arc<Catalog>,
    links: Links,
    agenda: BTreeMap<(u64, u64), Act>,
    turns: u64,
    /// Entropy that is no host's own.
    pub rng: Rng,
    seen_open: BTreeSet<(ShardId, Epoch, Nonce, ServerId)>,
    marks: BTreeMap<(ShardId, Epoch), Seq>,
    claims: Claims,
}

/// Tick lengths in milliseconds: a host's steps of one tick happen before any other host hears of them.
const TICKS_MS: [u64; 4] = [5, 10, 20, 20];

impl World {
    /// The world of a plan, with every host in its first life.
    pub fn new(plan: &Plan, trace: Trace) -> World {
        let (seed, setup) = (Seed(plan.seed), &plan.setup);
        let mut rng = seed.stream("wire");
        let tick = Duration::from_millis(TICKS_MS[rng.below(4) as usize]);
        let (least_us, greatest_us) = setup.latency_us;
        let latency_ms = (least_us / 1000, greatest_us.div_ceil(1000).max(1));
        let sim = Builder::new()
            .rng_seed(seed.stream("turmoil").draw())
            .epoch(SystemTime::UNIX_EPOCH + Duration::from_millis(BEGIN.0))
            .simulation_duration(Duration::from_secs(1 << 32))
            .tick_duration(tick)
            .min_message_latency(Duration::from_millis(latency_ms.0))
            .max_message_latency(Duration::from_millis(latency_ms.1))
            .tcp_capacity(1 << 12)
            .enable_random_order()
            .build();
        let sale = SaleId::parse("demo").expect("a short name");
        let skus: Vec<SkuId> =
            (0..setup.stock.len()).map(|n| SkuId::parse(&format!("sku-{n}")).expect("a short name")).collect();
        let scene = Scene::new(trace, Watch::new(sale, setup.shards, setup.limit), seed.stream("dice"));
        let catalog = catalog(&scene, plan);
        let (observe, own) = observer(&scene, &catalog, instances(setup, Group::Sales.role()) > 0);
        let database =
            Mount::new(Database::new(seed.stream("database")), seed.stream("database/link"), observe.clone());
        own.set(Arc::downgrade(&database)).unwrap_or_else(|_| unreachable!("it is set once"));
        let broker = Mount::new(Broker::new(seed.stream("broker")), seed.stream("broker/link"), observe.clone());
        let provider = Mount::new(Provider::default(), seed.stream("provider/link"), observe.clone());
        let search = Mount::new(Search::new(seed.stream("search")), seed.stream("search/link"), observe);
        let edges = (0..setup.instances.get("edge").copied().unwrap_or(1)).map(|n| format!("edge-{n}")).collect();
        let errands = mpsc::unbounded_channel();
        let crowd = Arc::new(Crowd {
            process: Process::new("buyers", 0, &scene, seed),
            sale,
            skus,
            setup: setup.clone(),
            edges,
            habits: super::strikes::habits(plan),
            tokens: Tokens::new(&roles::secrets().tokens),
            busy: AtomicU64::new(0),
            outside: (errands.0, Mutex::new(Some(errands.1))),
        });
        let mut world = World {
            sim,
            scene,
            plan: Arc::new(plan.clone()),
            seed,
            sale,
            hosts: Vec::new(),
            names: Vec::new(),
            pair: Pair::new(sync_policy(plan, &mut rng), seed.stream("redis")),
            database,
            broker,
            provider,
            search,
            crowd,
            catalog,
            links: Links::new(latency_ms.1),
            agenda: BTreeMap::new(),
            turns: 0,
            rng,
            seen_open: BTreeSet::new(),
            marks: BTreeMap::new(),
            claims: Claims::default(),
        };
        world.people();
        world
    }

    fn people(&mut self) {
        let crowd = self.crowd.clone();
        let (seed, opens_ms) = (self.seed, super::OPENS_MS);
        self.host(crowd.process.clone(), "buyers", move |process| {
            let crowd = crowd.clone();
            async move {
                process.begin_life();
                crowd.arrive(seed, opens_ms);
                crowd.run_errands().await;
                Ok(())
            }
        });
        for (number, name) in redis::NAMES.into_iter().enumerate() {
            let (process, server) = (self.process(name), self.pair.servers[number].clone());
            self.host(process, "redis", move |process| redis::run(process, server.clone()));
        }
        let (database, broker, provider) = (self.database.clone(), self.broker.clone(), self.provider.clone());
        let edges = Arc::new(self.crowd.edges.clone());
        let process = self.process("database");
        self.host(process, "database", move |process| service::run(process, database.clone()));
        let process = self.process("broker");
        self.host(process, "broker", move |process| service::run(process, broker.clone()));
        let process = self.process("provider");
        self.host(process, "provider", move |process| service::run_provider(process, provider.clone(), edges.clone()));
        if instances(&self.plan.setup, Group::Indexer.role()) > 0 {
            let (process, search) = (self.process("search"), self.search.clone());
            self.host(process, "search", move |process| service::run(process, search.clone()));
        }
        let services = Services {
            database: self.database.endpoint(service::address_of::<Database>()),
            broker: self.broker.endpoint(service::address_of::<Broker>()),
            provider: self.provider.endpoint(service::address_of::<Provider>()),
            search: self.search.endpoint(service::address_of::<Search>()),
        };
        for role in roles::ROLES {
            for instance in 0..instances(&self.plan.setup, role) {
                let (process, services) = (self.process(&format!("{role}-{instance}")), services.clone());
                let catalog = self.catalog.clone();
                self.host(process, role, move |process| roles::run(process, role, services.clone(), catalog.clone()));
            }
        }
    }

    fn process(&self, name: &str) -> Arc<Process> {
        Process::new(name, self.hosts.len() as u64, &self.scene, self.seed)
    }

    fn host<F>(&mut self, process: Arc<Process>, role: &'static str, run: impl Fn(Arc<Process>) -> F + 'static)
    where
        F: Future<Output = turmoil::Result> + 'static,
    {
        let own = process.clone();
        self.sim.host(&*process.name, move || run(own.clone()));
        self.names.push(process.name.to_string());
        self.hosts.push(HostEntry { process, role, is_up: true, restarts: false, is_gone: false });
    }

    /// The shards of the sale.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        let sale = self.sale;
        (0..self.plan.setup.shards).map(move |k| ShardId { sale, k })
    }

    /// The groups that have members in this run.
    pub fn groups(&self) -> impl Iterator<Item = Group> + use<> {
        let plan = self.plan.clone();
        Group::ALL.into_iter().filter(move |group| instances(&plan.setup, group.role()) > 0)
    }

    /// Microseconds of the run.
    pub fn now_us(&self) -> u64 {
        self.sim.elapsed().as_micros() as u64
    }

    /// The clock of services, and of whoever watches.
    pub fn clock(&self) -> Now {
        self.scene.after_leaps(Clock::default().read(self.now_us()))
    }

    /// Whether a promise is broken.
    pub fn is_broken(&self) -> bool {
        self.scene.state().violation.is_some()
    }

    /// Lets something happen after so many milliseconds.
    pub fn after_ms(&mut self, millis: u64, act: impl FnOnce(&mut World) + 'static) {
        self.at_ms(self.now_us() / 1000 + millis, act);
    }

    /// Lets something happen at this millisecond of the run.
    pub fn at_ms(&mut self, millis: u64, act: impl FnOnce(&mut World) + 'static) {
        self.turns += 1;
        self.agenda.insert((millis * 1000, self.turns), Box::new(act));
    }

    /// Runs for so long, or until a promise is broken.
    pub fn run_for(&mut self, millis: u64) {
        let until_us = self.now_us() + millis * 1000;
        while self.now_us() < until_us && !self.is_broken() {
            self.step();
        }
    }

    fn step(&mut self) {
        let now_us = self.now_us();
        self.scene.state().now_us = now_us;
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= now_us) {
            entry.remove()(self);
        }
        if let Err(error) = self.sim.step() {
            self.scene.violate("panic", error.to_string());
        }
        self.scene.state().now_us = self.now_us();
        self.bury();
        let (now, carries) = (self.clock(), self.carries());
        self.follow_queues();
        self.pair.replicate(now, carries);
        self.look_at_memories(now);
        hours::look_at_search(self, now);
        let has_committed = std::mem::take(&mut self.scene.state().has_committed);
        if has_committed && self.scene.state().trace.keeps_lines() {
            self.note_stocks(now);
        }
    }

    /// Where the units are, for the picture.
    fn note_stocks(&self, now: Now) {
        let at_us = self.now_us();
        for (number, sku) in self.crowd.skus.iter().enumerate() {
            let (held, sold, open) = self.database.look(|database| {
                let (mut held, mut sold) = (0, 0);
                for row in database.rows().orders.values() {
                    let lines = row.held_lines().iter().filter(|line| line.sku == *sku);
                    let units: u64 = lines.map(|line| u64::from(line.quantity)).sum();
                    *(if row.status == Status::PendingPayment { &mut held } else { &mut sold }) += units;
                }
                let open = database.rows().shards.values().filter(|row| row.phase == Phase::Open);
                (held, sold, open.map(|row| row.id).collect::<Vec<_>>())
            });
            let mut server = self.pair.in_charge().borrow_mut();
            let counts = open.into_iter().filter_map(|shard| {
                let (_, counters) = memory::head(server.host(), shard, now).ok().flatten()?;
                counters.get(sku).map(|counter| counter.available)
            });
            let available = counts.sum();
            self.scene.state().trace.stocks.push(Stock { at_us, sku: number, available, held, sold });
        }
    }

    /// Processes that died between two messages are gone, and start again.
    fn bury(&mut self) {
        for host in 0..self.hosts.len() {
            if self.hosts[host].is_up && self.hosts[host].process.is_dead() {
                self.scene.take_effect(FaultKind::P2, "between two effects");
                self.crash(host);
                self.after_ms(1_000, move |world| world.start(host));
            }
        }
    }

    /// Whether the link between the two servers lets anything through.
    fn carries(&self) -> bool {
        let state = self.scene.state();
        let [first, second] = redis::NAMES;
        let stops = |client: &str, server: &str| {
            state.treatments(client, server).any(|(_, treatment)| {
                matches!(treatment, Treatment::Hold | Treatment::Refuse | Treatment::SwallowRequests)
            })
        };
        !stops(first, second) && !stops(second, first)
    }

    /// I4, S2, S10 and S26 of the memories of the server in charge.
    fn look_at_memories(&mut self, now: Now) {
        let (server, shards) = (self.pair.in_charge().clone(), self.shards());
        let id = memory::server_id(&server);
        for shard in shards {
            let (meta, counters) = match memory::head(server.borrow_mut().host(), shard, now) {
                Ok(Some(head)) => head,
                Ok(None) => continue,
                // A count below zero is none.
                Err(error) => return self.scene.violate("S2", error),
            };
            if let Some((id, what)) = watch::memory(shard, meta.state, counters) {
                self.scene.violate(id, what);
            }
            let (epoch, nonce) = (meta.epoch, meta.nonce);
            let opened = matches!(meta.state, ShardState::Open | ShardState::Stopped);
            if opened && self.seen_open.insert((shard, epoch, nonce, id)) {
                self.report(Probe::EpochOpened { shard, epoch, nonce });
                // It was just filled: its pages must hold what its counters say.
                let line = memory::dump(&server, shard, now).ok().and_then(|dump| memory::line(&server, shard, &dump));
                if let Some(what) = line.and_then(|line| line.scan) {
                    self.scene.violate("I4", format!("{shard}: {what}"));
                }
            }
            let mark = self.marks.entry((shard, epoch)).or_default();
            let from = std::mem::replace(mark, meta.acked.max(*mark)).0 + 1;
            for seq in from..=meta.acked.0 {
                self.report(Probe::EntryAcked { shard, epoch, seq: Seq(seq) });
            }
        }
    }

    /// S12 of what the scripts of the server in charge did.
    fn follow_queues(&mut self) {
        let primary = self.pair.primary;
        for number in 0..redis::NAMES.len() {
            let server = self.pair.servers[number].clone();
            let runs = server.borrow_mut().host().take_ran();
            self.catalog.follow(&runs);
            if number == primary && !runs.is_empty() {
                let probes = self.claims.follow(&runs);
                probes.into_iter().for_each(|probe| self.report(probe));
            }
        }
    }

    /// Another memory is in charge.
    pub fn memory_changed(&mut self) {
        let now = self.clock();
        self.follow_queues();
        let dumps: Vec<_> =
            self.shards().filter_map(|shard| memory::dump(self.pair.in_charge(), shard, now).ok()).collect();
        let probes = self.claims.replace(&dumps);
        self.scene.state().watch.probes.extend(probes);
    }

    fn report(&self, probe: Probe) {
        let broken = self.scene.state().watch.report(probe, false);
        if let Some((id, what)) = broken {
            self.scene.violate(id, what);
        }
    }

    /// Makes the network what the rules say.
    pub fn follow_rules(&mut self) {
        let rules = self.scene.state().rules.clone();
        self.links.follow(&mut self.sim, &self.names, &rules);
    }

    /// The process is gone, with all that it knew.
    pub fn crash(&mut self, host: usize) {
        if self.hosts[host].is_up {
            self.hosts[host].is_up = false;
            let name = self.hosts[host].process.name.clone();
            self.scene.tell(&name, Kind::Step, || "dies".to_owned());
            let carriers = &self.hosts[host].process.carriers;
            carriers.dies(true);
            self.sim.crash(&*name);
            carriers.dies(false);
            self.catalog.gone(self.hosts[host].process.number);
        }
    }

    /// A host that is down starts again.
    pub fn start(&mut self, host: usize) {
        if !self.hosts[host].is_up && !self.hosts[host].is_gone {
            self.hosts[host].is_up = true;
            let name = self.hosts[host].process.name.clone();
            self.scene.tell(&name, Kind::Step, || "starts".to_owned());
            self.sim.bounce(&*name);
        }
    }

    /// What an operator does with a database that answers him.
    pub fn command_now(&self, command: &Command) -> bool {
        let now = self.clock();
        self.database.act(now, |database, out| database.commit(now, command, out).is_ok())
    }
}

/// Products, of which some have SKUs in the sale; with an invalidator there are caches.
fn catalog(scene: &Arc<Scene>, plan: &Plan) -> Arc<Catalog> {
    let count = plan.setup.stock.len() as u64 + Seed(plan.seed).stream("products").below(2);
    let product = |number: u64| ProductId::parse(&format!("product-{number}")).expect("a short name");
    Catalog::new(scene, instances(&plan.setup, "invalidator") > 0, (0..count).map(product).collect())
}

/// Hears what services tell; the database is known to it a moment later. `counts` is whether sales are counted.
fn observer(
    scene: &Arc<Scene>,
    catalog: &Arc<Catalog>,
    counts: bool,
) -> (Observe, Arc<OnceLock<Weak<Mount<Database>>>>) {
    let own: Arc<OnceLock<Weak<Mount<Database>>>> = Arc::default();
    let (scene, catalog, database) = (scene.clone(), catalog.clone(), own.clone());
    let observe: Observe = Arc::new(move |name: &'static str, now: Now, noted: Noted| {
        let broken = match noted {
            Noted::Probed(probe) => scene.state().watch.report(probe, false),
            Noted::Bitten(kind, stage) => {
                scene.take_effect(kind, stage);
                None
            }
            Noted::Committed(commit) => {
                let change = &commit.decision.change;
                let (rows, events) = (change.rows.len(), change.events.len());
                scene.tell(&Arc::from(name), Kind::Committed, || {
                    format!("{rows} rows, {events} events: {:?}", commit.decision.reply)
                });
                scene.state().trace.feed(now.mono.0, rows as u64, events as u64);
                scene.state().has_committed = true;
                change.rows.products.values().for_each(|row| catalog.written(row));
                let told = counts.then(|| hours::counted(&scene, &commit)).flatten();
                let mount = database.get().and_then(Weak::upgrade);
                told.or_else(|| {
                    mount.and_then(|mount| mount.look(|own| scene.state().watch.committed(&commit, own.rows())))
                })
            }
        };
        if let Some((id, what)) = broken {
            scene.violate(id, what);
        }
    });
    (observe, own)
}

/// A plan that wants the newest writes lost has a server that may lose them.
fn sync_policy(plan: &Plan, rng: &mut Rng) -> SyncPolicy {
    let loses = plan.strikes.iter().any(|strike| matches!(strike.fault, FaultKind::R1 | FaultKind::R2));
    if loses || rng.below(2) == 0 { SyncPolicy::EverySecond } else { SyncPolicy::Always }
}
