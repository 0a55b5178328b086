//! Some processes, one shared cache, the rows: every call is carried out and answered when the test says so, or never.

use doorbuster_core::cache::Value;
use doorbuster_core::cache::local::Cache;
use doorbuster_core::cache::shared::{FillRefusal, Found, SharedCache};
use doorbuster_core::cache::talk::{Absent, Answer, Effect, Event};
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::limits::CACHE_LOAD_MS;
use doorbuster_core::machine::{Machine, Ticket};
use doorbuster_core::oracle::cache_watch::{CacheWatch, Instance, Seen};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::{Mono, Now, Wall};
use std::collections::{BTreeMap, BTreeSet};

/// The server's clock at the world's start.
const DAWN: u64 = 1_800_000_000_000;

pub fn key(number: usize) -> ProductId {
    ProductId::parse(&format!("product-{number}")).unwrap()
}

pub fn value(key: ProductId, version: Version) -> Value {
    Value::from(format!("{key} at {}", version.0).into_bytes())
}

/// A question to the outside.
#[derive(Clone, Debug)]
pub enum Call {
    Read { ticket: Ticket, key: ProductId, found: Option<Found> },
    Load { ticket: Ticket, key: ProductId, began: Mono, row: Option<Option<Version>>, ended: bool },
    Fill { load: Ticket, key: ProductId, version: Version, asked_at: Wall, result: Option<Result<(), FillRefusal>> },
}

/// A change on its way: committed, then with its floor written, then told.
#[derive(Clone, Debug)]
pub struct Change {
    pub key: ProductId,
    pub version: Version,
    pub floored: bool,
    /// Processes that neither took in the message nor purged since the floor was written.
    pub untold: BTreeSet<Instance>,
    acknowledged: bool,
}

#[derive(Clone, Debug)]
pub struct Process {
    pub instance: Instance,
    pub cache: Cache,
    pub calls: Vec<Call>,
    /// Loads whose answers never come; the adapter gives them up in time.
    lost: Vec<Call>,
    /// Messages that have been published to it.
    pub mail: Vec<(ProductId, Version)>,
    pub connected: bool,
    /// Callers without an answer.
    pub waiting: BTreeMap<u64, ProductId>,
}

pub struct World {
    pub now_ms: u64,
    /// The server's clock is off by so much.
    pub skew_ms: i64,
    pub rows: BTreeMap<ProductId, Version>,
    pub shared: SharedCache,
    /// What a replica of the shared cache holds, which may be promoted.
    pub replica: SharedCache,
    pub lossy: bool,
    pub processes: Vec<Process>,
    pub changes: Vec<Change>,
    pub watch: CacheWatch,
    pub loads: usize,
    instances: u32,
    tokens: u64,
}

impl World {
    pub fn new(processes: usize) -> World {
        let mut world = World {
            now_ms: 0,
            skew_ms: 0,
            rows: BTreeMap::new(),
            shared: SharedCache::default(),
            replica: SharedCache::default(),
            lossy: false,
            processes: Vec::new(),
            changes: Vec::new(),
            watch: CacheWatch::default(),
            loads: 0,
            instances: 0,
            tokens: 0,
        };
        for _ in 0..processes {
            let process = world.start();
            world.processes.push(process);
        }
        world
    }

    fn start(&mut self) -> Process {
        self.instances += 1;
        let cache = Cache::new(u64::from(self.instances));
        let (calls, lost, mail, waiting) = (Vec::new(), Vec::new(), Vec::new(), BTreeMap::new());
        Process { instance: Instance(self.instances), cache, calls, lost, mail, connected: true, waiting }
    }

    pub fn mono(&self) -> Mono {
        Mono(0).after_ms(self.now_ms)
    }

    pub fn server(&self) -> Wall {
        Wall((DAWN + self.now_ms).saturating_add_signed(self.skew_ms))
    }

    fn see(&mut self, seen: Seen) {
        let at = self.mono();
        let violation = self.watch.see(at, seen);
        assert!(violation.is_none(), "at {} ms: {}", self.now_ms, violation.unwrap());
    }

    pub fn step(&mut self, index: usize, event: Event) -> Vec<(u64, Answer)> {
        let now = Now { mono: self.mono(), wall: Wall(DAWN + self.now_ms) };
        let load = match &event {
            Event::Loaded { ticket, .. } => Some(*ticket),
            _ => None,
        };
        let mut effects = Vec::new();
        self.processes[index].cache.step(now, event, &mut effects);
        self.processes[index].cache.check();
        let mut answers = Vec::new();
        for effect in effects {
            answers.extend(self.start_effect(index, load, effect));
        }
        answers
    }

    fn start_effect(&mut self, index: usize, load: Option<Ticket>, effect: Effect) -> Option<(u64, Answer)> {
        let (began, process) = (self.mono(), &mut self.processes[index]);
        let instance = process.instance;
        match effect {
            Effect::ReadShared { ticket, key } => process.calls.push(Call::Read { ticket, key, found: None }),
            Effect::Load { ticket, key } => {
                process.calls.push(Call::Load { ticket, key, began, row: None, ended: false });
                self.loads += 1;
                self.see(Seen::LoadStarted { instance, key, load: ticket });
            }
            Effect::FillShared { key, version, value: bytes, asked_at } => {
                assert_eq!(bytes, value(key, version));
                let load = load.expect("only what was just loaded is filled");
                process.calls.push(Call::Fill { load, key, version, asked_at, result: None });
            }
            Effect::Reply { token, answer } => {
                let key = process.waiting.remove(&token).expect("a caller is answered once");
                self.see_answer(instance, key, &answer);
                return Some((token, answer));
            }
        }
        None
    }

    fn see_answer(&mut self, instance: Instance, key: ProductId, answer: &Answer) {
        let version = match answer {
            Answer::Found { version, value: bytes } => {
                assert_eq!(*bytes, value(key, *version), "the bytes of this product at this version");
                *version
            }
            Answer::Absent => Version(0),
            Answer::Overloaded | Answer::NotReady => return,
        };
        assert!(version <= self.rows.get(&key).copied().unwrap_or_default(), "nobody wrote that version yet");
        let asked_at = self.mono();
        self.see(Seen::Served { instance, key, version, asked_at });
    }

    /// A caller asks; its answer if it came at once.
    pub fn ask(&mut self, index: usize, key: ProductId) -> Option<Answer> {
        self.tokens += 1;
        let token = self.tokens;
        self.processes[index].waiting.insert(token, key);
        let answers = self.step(index, Event::Asked { token, key });
        answers.into_iter().find(|(answered, _)| *answered == token).map(|(_, answer)| answer)
    }

    /// A product is written.
    pub fn change(&mut self, key: ProductId) -> Version {
        let row = self.rows.entry(key).or_default();
        *row = row.next();
        let version = *row;
        self.changes.push(Change { key, version, floored: false, untold: BTreeSet::new(), acknowledged: false });
        version
    }

    /// The change's floor is written, and its message published; whoever is cut off gets none.
    pub fn floor(&mut self, index: usize) {
        let server = self.server();
        let change = &mut self.changes[index];
        let (key, version) = (change.key, change.version);
        self.shared.floor(key, version, server);
        if !change.floored {
            change.floored = true;
            change.untold = self.processes.iter().map(|process| process.instance).collect();
            self.see(Seen::Floored { key, version });
        }
        for process in self.processes.iter_mut().filter(|process| process.connected) {
            process.mail.push((key, version));
        }
    }

    /// A process takes in one of its messages.
    pub fn tell(&mut self, index: usize, mail: usize) {
        let (key, version) = self.processes[index].mail.remove(mail);
        let instance = self.processes[index].instance;
        self.see(Seen::Told { instance, key, version });
        self.step(index, Event::Invalidated { key, version });
        for change in self.changes.iter_mut().filter(|change| change.key == key && change.version <= version) {
            change.untold.remove(&instance);
        }
        self.acknowledge();
    }

    /// The subscription breaks; what is published until it stands again is lost, and so is what was on its way.
    pub fn disconnect(&mut self, index: usize) {
        self.processes[index].connected = false;
        self.processes[index].mail.clear();
    }

    pub fn reconnect(&mut self, index: usize) {
        self.processes[index].connected = true;
        self.step(index, Event::Reconnected);
        self.forget(self.processes[index].instance);
    }

    /// The process dies, and another life of it begins. What it asked for may still be carried out.
    pub fn restart(&mut self, index: usize) {
        let fresh = self.start();
        let dead = std::mem::replace(&mut self.processes[index], fresh);
        self.see(Seen::Gone(dead.instance));
        self.forget(dead.instance);
    }

    fn forget(&mut self, instance: Instance) {
        for change in self.changes.iter_mut().filter(|change| change.floored) {
            change.untold.remove(&instance);
        }
        self.acknowledge();
    }

    fn acknowledge(&mut self) {
        let complete = |change: &Change| change.floored && change.untold.is_empty() && !change.acknowledged;
        let complete: Vec<_> = self
            .changes
            .iter_mut()
            .filter(|change| complete(change))
            .map(|change| {
                change.acknowledged = true;
                (change.key, change.version)
            })
            .collect();
        for (key, version) in complete {
            self.see(Seen::Acknowledged { key, version });
        }
    }

    /// The replica is promoted; by its clock it may be another time.
    pub fn fail_over(&mut self, skew_ms: i64) {
        self.shared = self.replica.clone();
        self.skew_ms = skew_ms;
        self.lossy = true;
        self.see(Seen::SharedLost);
    }

    /// The other side carries out a call, which changes nothing the second time.
    pub fn carry_out(&mut self, index: usize, call: usize) {
        let (server, rows) = (self.server(), &self.rows);
        let process = &mut self.processes[index];
        match &mut process.calls[call] {
            Call::Read { key, found, .. } => {
                found.get_or_insert_with(|| self.shared.read(*key, server));
            }
            Call::Load { key, row, .. } => {
                row.get_or_insert_with(|| rows.get(key).copied());
            }
            Call::Fill { load, key, version, asked_at, result } if result.is_none() => {
                let filled = self.shared.fill(*key, *version, value(*key, *version), *asked_at, server);
                *result = Some(filled);
                let (instance, key, load, version) = (process.instance, *key, *load, *version);
                if filled.is_ok() {
                    self.see(Seen::Filled { instance, key, load, version });
                }
            }
            Call::Fill { .. } => {}
        }
    }

    /// The answer arrives: what was carried out, else `Unknown`.
    pub fn answer(&mut self, index: usize, call: usize) -> Vec<(u64, Answer)> {
        let instance = self.processes[index].instance;
        let event = match self.processes[index].calls.remove(call) {
            Call::Read { ticket, key, found } => {
                Event::SharedRead { ticket, key, outcome: found.map_or(Outcome::Unknown, Outcome::Done) }
            }
            Call::Load { ticket, key, row, ended, .. } => {
                if !ended {
                    self.see(Seen::LoadEnded { instance, key, load: ticket });
                }
                let outcome = match row {
                    Some(Some(version)) => Outcome::Done((version, value(key, version))),
                    Some(None) => Outcome::Refused(Absent),
                    None => Outcome::Unknown,
                };
                Event::Loaded { ticket, key, outcome }
            }
            Call::Fill { key, result, .. } => {
                let outcome = match result {
                    Some(Ok(())) => Outcome::Done(()),
                    Some(Err(refusal)) => Outcome::Refused(refusal),
                    None => Outcome::Unknown,
                };
                Event::Filled { key, outcome }
            }
        };
        self.step(index, event)
    }

    /// The answer never comes.
    pub fn lose(&mut self, index: usize, call: usize) {
        let process = &mut self.processes[index];
        let call = process.calls.remove(call);
        process.lost.push(call);
    }

    /// Time passes; nobody is woken. A load whose adapter has given up has ended, whatever still arrives of it.
    pub fn wait(&mut self, millis: u64) {
        self.now_ms += millis;
        let (now, mut ended) = (self.mono(), Vec::new());
        for process in &mut self.processes {
            for call in process.calls.iter_mut().chain(&mut process.lost) {
                if let Call::Load { ticket, key, began, ended: over, .. } = call
                    && !*over
                    && began.after_ms(CACHE_LOAD_MS) <= now
                {
                    *over = true;
                    ended.push(Seen::LoadEnded { instance: process.instance, key: *key, load: *ticket });
                }
            }
        }
        ended.into_iter().for_each(|seen| self.see(seen));
    }

    pub fn wake(&mut self, index: usize) -> Vec<(u64, Answer)> {
        self.step(index, Event::Woken)
    }

    /// Everything on its way arrives, at once, until every machine is at rest.
    pub fn come_to_rest(&mut self) {
        for _ in 0..1_000 {
            for index in 0..self.processes.len() {
                while !self.processes[index].calls.is_empty() {
                    self.carry_out(index, 0);
                    self.answer(index, 0);
                }
                while !self.processes[index].mail.is_empty() {
                    self.tell(index, 0);
                }
                self.wake(index);
            }
            let wake_at = self.processes.iter().filter_map(|process| process.cache.wake_at()).min();
            let Some((at, _)) = wake_at else { return };
            self.wait(at.0.div_ceil(1000).saturating_sub(self.now_ms));
        }
        panic!("the caches do not come to rest");
    }

    /// What every process serves of every product, asked until it says so.
    pub fn finals(&mut self, keys: usize) -> Vec<(Instance, ProductId, Version)> {
        let mut finals = Vec::new();
        for index in 0..self.processes.len() {
            for number in 0..keys {
                finals.push((self.processes[index].instance, key(number), self.fetch(index, key(number))));
            }
        }
        finals
    }

    fn fetch(&mut self, index: usize, key: ProductId) -> Version {
        for _ in 0..100 {
            let mut answer = self.ask(index, key);
            while answer.is_none() {
                self.carry_out(index, 0);
                answer = self.answer(index, 0).pop().map(|(_, answer)| answer);
            }
            match answer.unwrap() {
                Answer::Found { version, .. } => return version,
                Answer::Absent => return Version(0),
                Answer::Overloaded | Answer::NotReady => self.wait(100),
            }
        }
        panic!("{key} is never served");
    }
}
