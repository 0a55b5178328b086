//! One server process: its connections, its data set, its disk and its history.

mod blocked;
mod connection;
mod execute;
mod pubsub;

use std::collections::BTreeMap;
use std::rc::Rc;

use doorbuster_core::time::{Mono, Now};

use super::Bytes;
use super::context::Context;
use super::facts::{Facts, Identity};
use super::persistence::{Crash, Disk, Record, SyncPolicy};
use super::replica::Backlog;
use super::reply::Reply;
use super::script::Scripts;
use super::store::{Store, Write};
use super::trouble::Trouble;
use connection::Connection;
pub use connection::ConnectionId;

/// Bytes for one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Whose.
    pub connection: ConnectionId,
    /// To be sent in order.
    pub bytes: Bytes,
    /// Whether the server closes the connection behind them.
    pub close: bool,
}

/// A Redis server. Everything that it learns comes in by a call, and every call returns at once.
#[derive(Debug)]
pub struct RedisHost {
    context: Context,
    scripts: Scripts,
    connections: BTreeMap<ConnectionId, Connection>,
    connections_ever: u64,
    disk: Disk,
    backlog: Backlog,
    /// Orders blocked clients: the one that has waited longest is served first.
    blocks_ever: u64,
    /// Clients that were just answered and may have sent more meanwhile.
    unblocked: Vec<ConnectionId>,
    /// Scripts that ran since somebody asked, if somebody asks.
    ran: Option<Vec<Ran>>,
    /// Errors that were answered while the server was in trouble.
    refused: u64,
}

/// One run of a script, for whoever watches the server.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its SHA-1 as it was called.
    pub sha: String,
    /// Its keys.
    pub keys: Vec<Bytes>,
    /// Its arguments.
    pub arguments: Vec<Bytes>,
    /// What it answered.
    pub reply: Reply,
    /// What it changed, in order.
    pub writes: Vec<Write>,
}

impl RedisHost {
    /// A primary with nothing in it.
    pub fn new(identity: Identity, policy: SyncPolicy) -> RedisHost {
        let facts = Facts { identity, ..Facts::default() };
        RedisHost {
            context: Context { facts, ..Context::default() },
            scripts: Scripts::new(),
            connections: BTreeMap::new(),
            connections_ever: 0,
            disk: Disk::new(policy),
            backlog: Backlog::default(),
            blocks_ever: 0,
            unblocked: Vec::new(),
            ran: None,
            refused: 0,
        }
    }

    /// The scripts that ran since the last time; from the first time on they are kept.
    pub fn take_ran(&mut self) -> Vec<Ran> {
        self.ran.replace(Vec::new()).unwrap_or_default()
    }

    /// A client has connected.
    pub fn connect(&mut self) -> ConnectionId {
        self.connections_ever += 1;
        let id = ConnectionId(self.connections_ever);
        self.connections.insert(id, Connection::default());
        id
    }

    /// A client has gone: what it waited for is forgotten, what it wrote stays.
    pub fn disconnect(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
        self.count_subscribers();
    }

    /// The connections that are open.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.connections.keys().copied()
    }

    /// Bytes came from a client, in whatever pieces. Gives what is to be sent, to it and to others.
    ///
    /// # Panics
    /// On a command that the simulated server does not know.
    pub fn receive(&mut self, connection: ConnectionId, bytes: &[u8], now: Now) -> Vec<Output> {
        self.context.now = now;
        if let Some(known) = self.connections.get_mut(&connection) {
            known.decoder.push(bytes);
            self.process(connection);
        }
        self.take_outputs()
    }

    /// Time has passed: keys expire, waiting clients give up, the log reaches the disk.
    pub fn tick(&mut self, now: Now) -> Vec<Output> {
        self.context.now = now;
        if !self.context.facts.is_replica() {
            for key in self.context.store.due(now.wall) {
                self.context.write(Write::Delete { key });
            }
            self.finish_command();
        }
        self.answer_timed_out();
        if self.disk.policy() == SyncPolicy::EverySecond {
            self.disk.tick(now.mono);
        }
        self.take_outputs()
    }

    /// When [`RedisHost::tick`] is needed at the latest. Expiry needs no tick: a key whose time has come is hidden.
    pub fn wake_at(&self) -> Option<Mono> {
        let waiting = self.connections.values().filter_map(Connection::deadline).min();
        let sync = if self.disk.policy() == SyncPolicy::EverySecond { self.disk.sync_at() } else { None };
        [waiting, sync].into_iter().flatten().min()
    }

    /// The process dies and starts again with what the disk has. Every connection is gone, and so are the scripts.
    /// Gives the number of records that are lost.
    pub fn restart(&mut self, identity: Identity, crash: Crash) -> usize {
        let recovered = self.disk.crash(crash);
        let facts = Facts {
            identity,
            role: self.context.facts.role.clone(),
            maxmemory_policy: self.context.facts.maxmemory_policy,
            ..Facts::default()
        };
        self.connections.clear();
        self.scripts = Scripts::new();
        self.backlog = Backlog::default();
        self.context = Context { facts, store: recovered.store, now: self.context.now, ..Context::default() };
        self.primary_lost();
        recovered.lost
    }

    /// The operator empties the data set.
    pub fn flush_all(&mut self) -> Vec<Output> {
        self.context.write(Write::Flush);
        self.finish_command();
        self.take_outputs()
    }

    /// The scripts are forgotten while the process lives.
    pub fn forget_scripts(&mut self) {
        self.scripts.flush();
    }

    /// What the server refuses from now on. Returns how many errors it has answered in the trouble before.
    pub fn set_trouble(&mut self, trouble: Trouble) -> u64 {
        self.context.facts.trouble = trouble;
        std::mem::take(&mut self.refused)
    }

    /// What the server says of itself.
    pub fn facts(&self) -> &Facts {
        &self.context.facts
    }

    /// The same, for settings.
    pub fn facts_mut(&mut self) -> &mut Facts {
        &mut self.context.facts
    }

    /// The data set.
    pub fn store(&self) -> &Store {
        &self.context.store
    }

    /// Every live key and its value as text in one fixed order, at the time of the last call.
    pub fn dump(&self) -> String {
        self.context.store.dump(self.context.now.wall)
    }

    /// How many records a crash may lose now.
    pub fn unsynced(&self) -> usize {
        self.disk.unsynced()
    }

    pub(super) fn set_time(&mut self, now: Now) {
        self.context.now = now;
    }

    pub(super) fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// Does what the primary did.
    pub(super) fn apply_from_primary(&mut self, record: Rc<Record>) {
        record.writes.iter().for_each(|write| self.context.store.apply(write));
        for (channel, message) in &record.messages {
            self.deliver(channel, message);
        }
        self.keep(record);
    }

    /// Has another server's data set from now on.
    pub(super) fn replace_store(&mut self, store: Store, offset: u64) {
        self.disk.replace(&store);
        self.context.store = store;
        self.context.facts.offset = offset;
        self.backlog = Backlog::starting_at(offset);
    }

    fn keep(&mut self, record: Rc<Record>) {
        self.disk.append(&record);
        self.backlog.push(record);
        self.context.facts.offset += 1;
    }

    /// What a command leaves behind: a record for disk and replicas, messages, and readers that need wait no longer.
    fn finish_command(&mut self) {
        // Serving a reader is a change too, so there may be more to keep after each round; every round serves readers,
        // each reader is served once, and so the rounds end.
        loop {
            let writes = std::mem::take(&mut self.context.writes);
            let messages = std::mem::take(&mut self.context.published);
            for (channel, message) in &messages {
                self.deliver(channel, message);
            }
            if !writes.is_empty() || !messages.is_empty() {
                self.keep(Rc::new(Record { writes, messages }));
            }
            let touched = std::mem::take(&mut self.context.touched);
            if touched.is_empty() {
                return;
            }
            touched.iter().for_each(|key| self.serve_readers(key));
        }
    }

    /// Goes on with the commands of clients that were unblocked, and gives all that is to be sent.
    pub(super) fn take_outputs(&mut self) -> Vec<Output> {
        self.process_unblocked();
        let outputs: Vec<Output> = self
            .connections
            .iter_mut()
            .filter(|(_, connection)| !connection.out.is_empty() || connection.closing)
            .map(|(id, connection)| Output {
                connection: *id,
                bytes: std::mem::take(&mut connection.out),
                close: connection.closing,
            })
            .collect();
        for output in outputs.iter().filter(|output| output.close) {
            self.disconnect(output.connection);
        }
        outputs
    }
}
