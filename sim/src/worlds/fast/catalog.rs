//! The catalogue: an operator who changes products, readers who look at them, and the watch over every cache.

use super::edge::{EdgeReply, EdgeRequest};
use super::host::{Told, step};
use super::network::{Network, Passage};
use super::roles::cache::subscribed;
use super::strikes::command_now;
use super::world::{Address, Answer, At, Happening, World};
use crate::fault::FaultKind;
use crate::plan::{Setup, Strike};
use crate::seed::Seed;
use crate::services::node::shared_cache::CacheNews;
use doorbuster_core::cache::talk;
use doorbuster_core::database::command::Command;
use doorbuster_core::database::rows::ProductRow;
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::limits::{CACHE_LAG_AFTER_LOSS_MS, CACHE_LAG_MS, CACHE_LOAD_MS};
use doorbuster_core::machine::Ticket;
use doorbuster_core::oracle::cache_watch::{CacheWatch, Instance, Seen};
use doorbuster_core::oracle::verdict::Judgement;
use doorbuster_core::rng::Rng;
use doorbuster_core::sale::command::SaleCommand;
use doorbuster_core::time::Mono;
use std::collections::{BTreeMap, BTreeSet};

/// Edits of one product that is edited again and again: some seconds of the quickest operator.
const EDITS_MAX: u64 = 40;
/// Visits to it after each edit.
const VISITS: u64 = 3;
/// Tries until every process has told what it shows at the end.
const FINAL_TRIES: u32 = 60;

/// One life of an edge, with its cache.
#[derive(Clone, Copy, Debug)]
struct Process {
    life: u32,
    instance: Instance,
    cell: usize,
    /// The load whose answer it took last.
    loaded: Ticket,
}

/// A change whose floor stands, and which not everybody has heard of.
#[derive(Clone, Debug)]
struct Change {
    product: ProductId,
    version: Version,
    untold: BTreeSet<Instance>,
}

/// Who waits for a product.
#[derive(Clone, Copy, Debug)]
pub enum Reader {
    /// A caller of the edge.
    Call(u64),
    /// The end of the run.
    Final,
}

/// Products, processes and what was seen of them.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// Whether edges have caches at all.
    pub is_on: bool,
    /// The oracle of caches.
    pub watch: CacheWatch,
    /// Whether a server lost what it had shared.
    pub was_lost: bool,
    products: Vec<ProductId>,
    names: BTreeMap<(ProductId, Version), String>,
    instances: u32,
    processes: BTreeMap<usize, Process>,
    changes: Vec<Change>,
    loads: BTreeMap<(Instance, ProductId), (Ticket, Mono)>,
    finals: BTreeMap<(Instance, ProductId), Version>,
    rng: Rng,
}

impl Catalog {
    /// Of this setup: with an invalidator there are caches.
    pub fn new(setup: &Setup, seed: Seed) -> Catalog {
        let is_on = setup.instances.get("invalidator").is_some_and(|count| *count > 0);
        let mut rng = seed.stream("catalog");
        let count = setup.stock.len() as u64 + rng.below(3);
        let product = |number: u64| ProductId::parse(&format!("product-{number}")).expect("a short name");
        Catalog {
            is_on,
            watch: CacheWatch::default(),
            was_lost: false,
            products: (0..count).map(product).collect(),
            names: BTreeMap::new(),
            instances: 0,
            processes: BTreeMap::new(),
            changes: Vec::new(),
            loads: BTreeMap::new(),
            finals: BTreeMap::new(),
            rng,
        }
    }

    /// All products that are ever written.
    pub fn products(&self) -> &[ProductId] {
        &self.products
    }
}

fn see(world: &mut World, seen: Seen) {
    let at = Mono(world.now_us);
    if let Some(broken) = world.catalog.watch.see(at, seen) {
        world.violate(broken.id, format!("{}: {}", broken.finding.place, broken.finding.what));
    }
}

/// Puts changes and visits on the heap: many visits come while a change is under way.
pub fn plan(world: &mut World, span_ms: u64) {
    let mut rng = world.catalog.rng;
    let products = world.catalog.products.clone();
    let any = |rng: &mut Rng| products[rng.below(products.len() as u64) as usize];
    // Not all are there at the beginning: a name that is not there yet is remembered as absent.
    for product in products.iter().copied() {
        if rng.below(3) > 0 {
            edit(world, product);
        }
    }
    let edits: Vec<(u64, ProductId)> = (0..3 + rng.below(10)).map(|_| (rng.below(span_ms), any(&mut rng))).collect();
    for (at_ms, product) in edits.iter().copied() {
        world.at(at_ms * 1000, Happening::Then(Box::new(move |world| edit(world, product))));
    }
    if world.catalog.is_on {
        for _ in 0..20 + rng.below(30) {
            let (near_ms, product) = edits[rng.below(edits.len() as u64) as usize];
            let (at_ms, product) = match rng.below(2) {
                0 => (rng.below(span_ms), any(&mut rng)),
                _ => (near_ms + rng.below(3_000), product),
            };
            let (pick, readers) = (rng.draw(), 1 + rng.below(4));
            world.at(at_ms * 1000, Happening::Then(Box::new(move |world| visit(world, product, pick, readers))));
        }
    }
    world.catalog.rng = rng;
}

/// An operator writes a product.
fn edit(world: &mut World, product: ProductId) {
    let turn = world.catalog.names.len();
    let row = ProductRow {
        id: product,
        name: format!("{product}, turn {turn}"),
        category: String::new(),
        image_url: String::new(),
        version: Version(0),
    };
    command_now(world, &Command::Sale(SaleCommand::PutProducts(vec![row])));
}

/// An operator edits one product again and again, and readers come all the time.
pub fn edit_again(world: &mut World, strike: &Strike) {
    let Ok(product) = ProductId::parse(&strike.target) else { return };
    let pause_ms = strike.amount.max(1);
    for turn in 0..(strike.for_ms / pause_ms).min(EDITS_MAX) {
        let mut rng = world.catalog.rng;
        let at_ms = turn * pause_ms + rng.below(pause_ms);
        world.after_ms(at_ms, move |world| {
            if !world.is_healed {
                edit(world, product);
                world.faults.take_effect(FaultKind::O6, "a product");
            }
        });
        for _ in 0..VISITS {
            let (visit_ms, pick, readers) = (at_ms + rng.below(1_000), rng.draw(), 1 + rng.below(4));
            world.after_ms(visit_ms, move |world| {
                if world.catalog.is_on {
                    visit(world, product, pick, readers);
                }
            });
        }
        world.catalog.rng = rng;
    }
}

/// Some readers at once, most of them at one edge.
fn visit(world: &mut World, product: ProductId, pick: u64, readers: u64) {
    let is_edge = |host: &usize| world.hosts[*host].role == "edge" && !world.hosts[*host].is_gone;
    let edges: Vec<usize> = (0..world.hosts.len()).filter(is_edge).collect();
    for reader in 0..readers {
        let shift = if reader == 3 { 1 } else { 0 };
        let edge = edges[((pick + shift) % edges.len() as u64) as usize];
        let at = At { host: 0, life: world.hosts[0].life };
        world.ask_edge(at, edge, EdgeRequest::Product(product), |_, _, _| {});
    }
}

/// A reader has come to an edge.
pub fn asked(world: &mut World, at: At, call: u64, product: ProductId) {
    let Some(process) = world.catalog.processes.get(&at.host).copied() else { return };
    ask(world, at, process.cell, product, Reader::Call(call));
}

fn ask(world: &mut World, at: At, cell: usize, key: ProductId, reader: Reader) {
    let host = &mut world.hosts[at.host];
    host.tokens += 1;
    let token = host.tokens;
    host.door.readers.insert(token, (key, reader));
    step(world, at, cell, Told::Cache(talk::Event::Asked { token, key }));
}

/// The cache answers.
pub fn answered(world: &mut World, at: At, token: u64, answer: talk::Answer) {
    let Some((key, reader)) = world.hosts[at.host].door.readers.remove(&token) else {
        return world.violate("S17", format!("caller {token} of {} is answered twice", world.hosts[at.host].name));
    };
    let Some(instance) = world.catalog.processes.get(&at.host).map(|process| process.instance) else { return };
    let version = match &answer {
        talk::Answer::Found { version, value } => {
            let name = world.catalog.names.get(&(key, *version));
            if name.is_none_or(|name| name.as_bytes() != &value[..]) {
                world.violate("S16", format!("{key} at version {} is served as something else", version.0));
            }
            Some(*version)
        }
        talk::Answer::Absent => Some(Version(0)),
        talk::Answer::Overloaded | talk::Answer::NotReady => None,
    };
    if let Some(version) = version {
        let asked_at = Mono(world.now_us);
        see(world, Seen::Served { instance, key, version, asked_at });
    }
    match reader {
        Reader::Call(call) => {
            world.count(if version.is_some() { "products read" } else { "products not ready" });
            world.respond(call, Answer::Edge(EdgeReply::Product(version)));
        }
        Reader::Final => drop(version.map(|version| world.catalog.finals.insert((instance, key), version))),
    }
}

/// A cache begins.
pub fn joined(world: &mut World, at: At, cell: usize) {
    world.catalog.instances += 1;
    let instance = Instance(world.catalog.instances);
    let process = Process { life: at.life, instance, cell, loaded: Ticket(0) };
    world.catalog.processes.insert(at.host, process);
}

/// A process is gone, perhaps with a cache.
pub fn gone(world: &mut World, at: At) {
    let known = world.catalog.processes.get(&at.host).filter(|process| process.life == at.life);
    let Some(instance) = known.map(|process| process.instance) else { return };
    world.catalog.processes.remove(&at.host);
    see(world, Seen::Gone(instance));
    forget(world, instance, None);
}

/// What a cache is told, before it takes it in.
pub fn hears(world: &mut World, at: At, event: &talk::Event) {
    let Some(process) = world.catalog.processes.get_mut(&at.host) else { return };
    let instance = process.instance;
    match event {
        talk::Event::Invalidated { key, version } => {
            see(world, Seen::Told { instance, key: *key, version: *version });
            forget(world, instance, Some((*key, *version)));
        }
        talk::Event::Reconnected => forget(world, instance, None),
        talk::Event::Loaded { ticket, key, .. } => {
            process.loaded = *ticket;
            if world.catalog.loads.get(&(instance, *key)).is_some_and(|(open, _)| open == ticket) {
                world.catalog.loads.remove(&(instance, *key));
            }
            see(world, Seen::LoadEnded { instance, key: *key, load: *ticket });
        }
        talk::Event::Woken
        | talk::Event::Asked { .. }
        | talk::Event::SharedRead { .. }
        | talk::Event::Filled { .. } => {}
    }
}

/// This process has heard of a change, or of all; whatever everybody has heard of is acknowledged.
fn forget(world: &mut World, instance: Instance, heard: Option<(ProductId, Version)>) {
    let mut everywhere = Vec::new();
    world.catalog.changes.retain_mut(|change| {
        if heard.is_none_or(|(product, version)| change.product == product && change.version <= version) {
            change.untold.remove(&instance);
        }
        let waits = !change.untold.is_empty();
        if !waits {
            everywhere.push((change.product, change.version));
        }
        waits
    });
    everywhere.into_iter().for_each(|(key, version)| see(world, Seen::Acknowledged { key, version }));
}

/// A load leaves for the database; one that its process gave up in time has ended.
pub fn load_started(world: &mut World, at: At, key: ProductId, load: Ticket) {
    let mono = world.host_clock(at.host).mono;
    let Some(instance) = world.catalog.processes.get(&at.host).map(|process| process.instance) else { return };
    let before = world.catalog.loads.insert((instance, key), (load, mono));
    if let Some((before, _)) = before.filter(|(_, began)| began.after_ms(CACHE_LOAD_MS) <= mono) {
        see(world, Seen::LoadEnded { instance, key, load: before });
    }
    see(world, Seen::LoadStarted { instance, key, load });
}

/// The load that this process took in just now.
pub fn last_load(world: &World, at: At) -> Option<(Instance, Ticket)> {
    world.catalog.processes.get(&at.host).map(|process| (process.instance, process.loaded))
}

/// A server's shared cache did something.
pub fn heard(world: &mut World, node: usize, news: CacheNews) {
    match news {
        CacheNews::Filled((instance, load), key, version) => {
            see(world, Seen::Filled { instance, key, load, version });
        }
        CacheNews::Floored(key, version) => {
            see(world, Seen::Floored { key, version });
            let untold = world.catalog.processes.values().map(|process| process.instance).collect();
            world.catalog.changes.push(Change { product: key, version, untold });
            forget(world, Instance(0), None);
        }
        CacheNews::Told(subscriber, key, version) => {
            let at = subscribed(subscriber);
            let process = world.catalog.processes.get(&at.host).filter(|process| process.life == at.life);
            let Some(cell) = process.map(|process| process.cell) else {
                return world.nodes[node].unsubscribe(subscriber);
            };
            let name = world.hosts[at.host].name.clone();
            let passage = world.network.reply(world.now_us, &name, Network::name(Address::Node(node)));
            world.bite("a floor, not told");
            if let Passage::Arrives(at_us) = passage {
                let told = Told::Cache(talk::Event::Invalidated { key, version });
                world.at(at_us, Happening::Told { at, cell, told });
            }
        }
    }
}

/// The shared cache loses writes now, or until then.
pub fn lost(world: &mut World, until_us: u64) {
    world.catalog.was_lost = true;
    world.catalog.watch.see(Mono(until_us), Seen::SharedLost);
}

/// A product was written.
pub fn written(world: &mut World, row: &ProductRow) {
    world.catalog.names.insert((row.id, row.version), row.name.clone());
}

/// L8: after its lag, every process serves what the database has.
pub fn converge(world: &mut World) {
    let lag_ms = if world.catalog.was_lost { CACHE_LAG_AFTER_LOSS_MS } else { CACHE_LAG_MS };
    world.run_until(world.now_us + lag_ms * 1000);
    let products = world.catalog.products.clone();
    for _ in 0..FINAL_TRIES {
        let processes = world.catalog.processes.clone();
        let mut asked = false;
        for (host, process) in processes {
            for product in products.iter().copied() {
                if world.violation.is_none() && !world.catalog.finals.contains_key(&(process.instance, product)) {
                    asked = true;
                    let at = At { host, life: process.life };
                    ask(world, at, process.cell, product, Reader::Final);
                }
            }
        }
        if !asked || world.violation.is_some() {
            break;
        }
        world.run_until(world.now_us + 1_000_000);
    }
    let known = world.catalog.finals.len();
    let wanted = world.catalog.processes.len() * products.len();
    if known < wanted {
        return world.violate("L8", format!("{known} of {wanted} products are served at the end"));
    }
    let rows = world.database.rows().products.iter().map(|(product, row)| (*product, row.version)).collect();
    let finals = world.catalog.finals.iter().map(|((instance, product), version)| (*instance, *product, *version));
    if let Ok(Judgement::Red { findings, count }) = CacheWatch::converges(finals, &rows) {
        let first = findings.first().map_or(String::new(), |finding| format!("{}: {}", finding.place, finding.what));
        world.violate("L8", format!("{count} times, first {first}"));
    }
}
