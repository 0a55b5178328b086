//! Products and their caches as this world sees them: who reads what, and the watch over every cache.
//!
//! Hosts run one after the other within a tick, so that their clocks are not one. Whoever watches has a clock of its own,
//! which never goes back and shows no time twice: it is the order in which things happened.

use super::scene::Scene;
use crate::hosts::redis::{Ran, Reply};
use doorbuster_core::cache::talk::Answer;
use doorbuster_core::database::rows::ProductRow;
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::limits::CACHE_LOAD_MS;
use doorbuster_core::machine::Ticket;
use doorbuster_core::oracle::cache_watch::{CacheWatch, Instance, Seen};
use doorbuster_core::oracle::verdict::Judgement;
use doorbuster_core::time::{Mono, Wall};
use doorbuster_lua::keys::cache_key;
use doorbuster_lua::script;
use doorbuster_runtime::roles::cache::decode;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::mpsc;

/// Some readers of one product, at once, at one edge.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// Of what.
    pub product: ProductId,
    /// How many.
    pub readers: u64,
    /// What they are told is what the edge shows at the end.
    pub is_final: bool,
}

/// See the module.
pub struct Catalog {
    scene: Arc<Scene>,
    /// Whether edges have caches at all.
    pub is_on: bool,
    /// Everything that is ever written.
    pub products: Vec<ProductId>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    watch: CacheWatch,
    last_at: Mono,
    rows: BTreeMap<(ProductId, Version), ProductRow>,
    instances: u32,
    loads: u64,
    /// By the number of the host: its present life, and the way of visits to it.
    processes: BTreeMap<u64, (Instance, mpsc::UnboundedSender<Visit>)>,
    /// Loads under way: when each began, by its process's clock.
    open: BTreeMap<(Instance, ProductId), (Ticket, Mono)>,
    /// The load that brought a version, of each process.
    loaded: BTreeMap<(Instance, ProductId, Version), Ticket>,
    /// Which load a fill stems from, by all that a server is told of it.
    fills: BTreeMap<(ProductId, Version, Wall), (Instance, Ticket)>,
    /// Changes whose floors stand, and who has not heard of them.
    untold: Vec<(ProductId, Version, BTreeSet<Instance>)>,
    /// The highest change whose floor was written, or found there.
    floored: BTreeMap<ProductId, Version>,
    finals: BTreeMap<(Instance, ProductId), Version>,
    /// Messages that do not arrive, of a thousand.
    lost_permille: u64,
    /// Until when a server lost what it had shared.
    lost_until: Option<Mono>,
}

impl State {
    /// The time of what happens next.
    fn next_at(&mut self, now_us: u64) -> Mono {
        self.last_at = Mono(now_us.max(self.last_at.0 + 1));
        self.last_at
    }

    /// This process has heard of a change, or of all; whatever everybody has heard of is acknowledged.
    fn heard(&mut self, instance: Instance, change: Option<(ProductId, Version)>) -> Vec<(ProductId, Version)> {
        let mut everywhere = Vec::new();
        self.untold.retain_mut(|(product, version, untold)| {
            if change.is_none_or(|(of, told)| of == *product && *version <= told) {
                untold.remove(&instance);
            }
            let waits = !untold.is_empty();
            if !waits {
                everywhere.push((*product, *version));
            }
            waits
        });
        everywhere
    }
}

impl Catalog {
    /// A catalogue of these products.
    pub fn new(scene: &Arc<Scene>, is_on: bool, products: Vec<ProductId>) -> Arc<Catalog> {
        Arc::new(Catalog { scene: scene.clone(), is_on, products, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    fn see(&self, seen: Seen) {
        let now_us = self.scene.now_us();
        let broken = {
            let mut state = self.state();
            let at = state.next_at(now_us);
            state.watch.see(at, seen)
        };
        if let Some(broken) = broken {
            self.scene.violate(broken.id, format!("{}: {}", broken.finding.place, broken.finding.what));
        }
    }

    fn hear(&self, instance: Instance, change: Option<(ProductId, Version)>) {
        let everywhere = self.state().heard(instance, change);
        everywhere.into_iter().for_each(|(key, version)| self.see(Seen::Acknowledged { key, version }));
    }

    /// A cache begins on this host: its watch, and the visits that come to it.
    pub fn join(self: &Arc<Catalog>, host: u64) -> (Arc<Reader>, mpsc::UnboundedReceiver<Visit>) {
        let mut state = self.state();
        state.instances += 1;
        let (instance, visits) = (Instance(state.instances), mpsc::unbounded_channel());
        state.processes.insert(host, (instance, visits.0));
        (Arc::new(Reader { catalog: self.clone(), instance }), visits.1)
    }

    /// A process is gone, perhaps with a cache.
    pub fn gone(&self, host: u64) {
        let Some((instance, _)) = self.state().processes.remove(&host) else { return };
        self.see(Seen::Gone(instance));
        self.hear(instance, None);
    }

    /// Sends readers to an edge, the `pick`th of those that are there.
    pub fn visit(&self, pick: u64, visit: Visit) {
        let state = self.state();
        let count = state.processes.len().max(1) as u64;
        if let Some((_, visits)) = state.processes.values().nth((pick % count) as usize) {
            // An edge that has just died takes its readers with it.
            let _ = visits.send(visit);
        }
    }

    /// A product was written.
    pub fn written(&self, row: &ProductRow) {
        self.state().rows.insert((row.id, row.version), row.clone());
    }

    /// So many messages of a thousand are lost from now on.
    pub fn lose_messages(&self, permille: u64) {
        self.state().lost_permille = permille;
    }

    /// The shared cache loses writes now, or until then.
    pub fn lost(&self, until_us: u64) {
        let mut state = self.state();
        // What the server did before is known by now.
        let until = state.next_at(self.scene.now_us()).max(Mono(until_us));
        state.lost_until = state.lost_until.max(Some(until));
        state.watch.see(until, Seen::SharedLost);
    }

    /// Until when a server lost what it had shared, if one did.
    pub fn lost_until(&self) -> Option<Mono> {
        self.state().lost_until
    }

    /// What scripts did on a server.
    pub fn follow(&self, runs: &[Ran]) {
        for ran in runs {
            let (is_fill, is_floor) = (*script::CACHE_FILL.sha1 == ran.sha, *script::CACHE_FLOOR.sha1 == ran.sha);
            if !is_fill && !is_floor {
                continue;
            }
            let (Some(key), Some(version)) = (self.product(ran), number(ran, 0).map(Version)) else { continue };
            let Reply::Bulk(answer) = &ran.reply else { continue };
            match (is_floor, answer.get(8)) {
                (true, _) => self.floored(key, version),
                (false, Some(b'D')) => self.filled(key, version, number(ran, 1).map(Wall).unwrap_or_default()),
                (false, Some(b'N')) => self.scene.count("fills after something newer"),
                (false, _) => self.scene.count("fills too late"),
            }
        }
    }

    /// From now on everybody who has a cache is to hear of it.
    fn floored(&self, key: ProductId, version: Version) {
        self.see(Seen::Floored { key, version });
        let mut state = self.state();
        let highest = state.floored.entry(key).or_default();
        *highest = version.max(*highest);
        let untold = state.processes.values().map(|(instance, _)| *instance).collect();
        state.untold.push((key, version, untold));
        drop(state);
        self.hear(Instance(0), None);
    }

    fn filled(&self, key: ProductId, version: Version, asked_at: Wall) {
        let load = self.state().fills.get(&(key, version, asked_at)).copied();
        if let Some((instance, load)) = load {
            self.see(Seen::Filled { instance, key, load, version });
        }
    }

    fn product(&self, ran: &Ran) -> Option<ProductId> {
        let key = ran.keys.first()?;
        self.products.iter().copied().find(|product| cache_key(*product).as_bytes() == &key[..])
    }

    /// Whom to ask what they show at the end: every edge, every product that it has not shown yet.
    pub fn unshown(&self) -> Vec<(u64, ProductId)> {
        let state = self.state();
        let all = state.processes.values().enumerate();
        let wanted = all.flat_map(|(turn, (instance, _))| {
            self.products.iter().map(move |product| (turn as u64, *instance, *product))
        });
        wanted
            .filter(|(_, instance, product)| !state.finals.contains_key(&(*instance, *product)))
            .map(|(turn, _, product)| (turn, product))
            .collect()
    }

    /// L8 of what was shown at the end, and of the floors without which it was luck; the rows are the database's.
    pub fn judge(&self, rows: &BTreeMap<ProductId, Version>) {
        let floored = self.state().floored.clone();
        let unfloored = rows.iter().find(|(product, version)| floored.get(product).is_none_or(|own| own < version));
        if let Some((product, version)) = unfloored {
            self.scene.violate("L8", format!("no floor of {product} at version {} was ever written", version.0));
        }
        let finals: Vec<_> =
            self.state().finals.iter().map(|((instance, key), version)| (*instance, *key, *version)).collect();
        if let Ok(Judgement::Red { findings, count }) = CacheWatch::converges(finals, rows) {
            let first =
                findings.first().map_or(String::new(), |finding| format!("{}: {}", finding.place, finding.what));
            self.scene.violate("L8", format!("{count} times, first {first}"));
        }
    }
}

fn number(ran: &Ran, place: usize) -> Option<u64> {
    std::str::from_utf8(ran.arguments.get(place)?).ok()?.parse().ok()
}

/// The watch over one life of one edge's cache.
pub struct Reader {
    catalog: Arc<Catalog>,
    instance: Instance,
}

impl Reader {
    /// A reader comes now.
    pub fn asked(&self) -> Mono {
        self.catalog.state().next_at(self.catalog.scene.now_us())
    }

    /// A reader who came then goes with this.
    pub fn served(&self, visit: Visit, asked_at: Mono, answer: &Answer) {
        let (instance, key) = (self.instance, visit.product);
        let version = match answer {
            Answer::Found { version, value } => {
                let same = decode(value) == self.catalog.state().rows.get(&(key, *version)).cloned();
                if !same {
                    let what = format!("{key} at version {} is served as something else", version.0);
                    self.catalog.scene.violate("S16", what);
                }
                *version
            }
            Answer::Absent => Version(0),
            Answer::Overloaded | Answer::NotReady => return self.catalog.scene.count("products not ready"),
        };
        self.catalog.scene.count("products read");
        self.catalog.see(Seen::Served { instance, key, version, asked_at });
        if visit.is_final {
            self.catalog.state().finals.insert((instance, key), version);
        }
    }

    /// A load leaves, by its process's clock then. One that its process gave up in time has ended.
    pub fn load_starts(&self, key: ProductId, now: Mono) -> Ticket {
        let (instance, catalog) = (self.instance, &self.catalog);
        let (load, before) = {
            let mut state = catalog.state();
            state.loads += 1;
            let load = Ticket(state.loads);
            (load, state.open.insert((instance, key), (load, now)))
        };
        if let Some((before, _)) = before.filter(|(_, began)| began.after_ms(CACHE_LOAD_MS) <= now) {
            catalog.see(Seen::LoadEnded { instance, key, load: before });
        }
        catalog.see(Seen::LoadStarted { instance, key, load });
        load
    }

    /// A load is back, with a version if there is one.
    pub fn load_ends(&self, key: ProductId, load: Ticket, version: Option<Version>) {
        let instance = self.instance;
        {
            let mut state = self.catalog.state();
            if state.open.get(&(instance, key)).is_some_and(|(open, _)| *open == load) {
                state.open.remove(&(instance, key));
            }
            version.map(|version| state.loaded.insert((instance, key, version), load));
        }
        self.catalog.see(Seen::LoadEnded { instance, key, load });
    }

    /// A fill leaves. Of two that a server cannot tell apart the one that was loaded last counts.
    pub fn fill_leaves(&self, key: ProductId, version: Version, asked_at: Wall) {
        let mut state = self.catalog.state();
        let Some(load) = state.loaded.get(&(self.instance, key, version)).copied() else { return };
        let fill = state.fills.entry((key, version, asked_at)).or_insert((self.instance, load));
        if fill.1 < load {
            *fill = (self.instance, load);
        }
    }

    /// Whether the message that has just come is lost, as the dice say.
    pub fn is_lost(&self) -> bool {
        let permille = self.catalog.state().lost_permille;
        permille > 0 && self.catalog.scene.state().happens(permille)
    }

    /// The scene of the run.
    pub fn scene(&self) -> &Scene {
        &self.catalog.scene
    }

    /// A message is about to be taken in.
    pub fn told(&self, key: ProductId, version: Version) {
        let instance = self.instance;
        self.catalog.see(Seen::Told { instance, key, version });
        self.catalog.hear(instance, Some((key, version)));
    }

    /// The subscription stands again, and everything that is kept is about to go.
    pub fn purged(&self) {
        self.catalog.scene.count("caches purged");
        self.catalog.hear(self.instance, None);
    }
}
