//! The database: core's decisions in serialisable transactions, an outbox, and the outbox's change stream.
//!
//! At its weakest: a transaction is aborted and decided again, a commit's outcome is not told, or it is applied later;
//! commit times tie; the stream splits, merges, is cut, and is silent.

mod report;
mod showing;
pub mod snapshot;
mod stream;
#[cfg(test)]
mod turns;

use super::conditions::Conditions;
use super::{ServiceEffect, ServiceEvent, WAIT_MS};
use crate::fault::FaultKind;
use doorbuster_core::database::command::{self, Command, Refusal};
use doorbuster_core::database::decide::{self, Decision};
use doorbuster_core::database::rows::{Lease, ShardRow};
use doorbuster_core::database::tables::{Reads, Rows, View};
use doorbuster_core::ids::{OrderId, ProductId, ShardId, SkuId};
use doorbuster_core::inbox::Partition;
use doorbuster_core::limits::LEASE_MS;
use doorbuster_core::machine::Machine;
use doorbuster_core::oracle::probe::Probe;
use doorbuster_core::order::status::Status;
use doorbuster_core::relay::partitions::{PartitionChange, PartitionRefusal, PartitionRow, StreamToken};
use doorbuster_core::relay::{ChangePage, Place};
use doorbuster_core::rng::Rng;
use doorbuster_core::search::document::Document;
use doorbuster_core::time::{Mono, Now, Wall};
use report::{report, report_appended, report_change, touched};
use snapshot::{Scan, SnapshotAt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use stream::Stream;

/// What is asked of the database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// One transaction.
    Apply(Command),
    /// These rows, strongly.
    Read(Reads),
    /// One snapshot of everything about a shard: its sale, range, stock and orders.
    ReadShard(ShardId),
    /// A page of the index of unpaid orders that are due now, behind a place.
    Due {
        /// Which shard.
        shard: ShardId,
        /// The last place of the page before.
        after: Option<(Wall, OrderId)>,
        /// Most orders.
        limit: usize,
    },
    /// The same of orders that are due before a time of the asker's.
    DueBefore {
        /// Which shard.
        shard: ShardId,
        /// The asker's time.
        before: Wall,
        /// The last place of the page before.
        after: Option<(Wall, OrderId)>,
        /// Most orders.
        limit: usize,
    },
    /// A state of now, to be read in several requests.
    TakeSnapshot,
    /// Reads of such a state.
    ReadSnapshot(SnapshotAt, Scan),
    /// Takes or keeps a forwarder's lease of a partition of `intents`.
    KeepLease {
        /// Which partition.
        partition: Partition,
        /// Who asks.
        owner: u64,
    },
    /// The partitions of the stream that this owner may relay.
    ListReady {
        /// Who asks.
        owner: u64,
        /// Most partitions.
        limit: usize,
    },
    /// A transaction on a partition's row.
    Change {
        /// Who asks.
        owner: u64,
        /// Which partition.
        token: StreamToken,
        /// What to change.
        change: PartitionChange,
    },
    /// Reads on in a partition of the stream.
    ReadStream {
        /// Which partition.
        token: StreamToken,
        /// From where.
        from: Place,
        /// Most records.
        limit: usize,
    },
    /// SKUs of a partition of sales that have a ring, behind one of them.
    ListRings {
        /// Which partition.
        partition: Partition,
        /// The last SKU of the page before.
        after: Option<SkuId>,
        /// Most SKUs.
        limit: usize,
    },
    /// What search shows of these products, in one snapshot.
    ReadDocuments(Vec<ProductId>),
}

/// What the database tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Of a transaction.
    Applied(Result<command::Reply, Refusal>),
    /// Of a read, with the database's clock in it.
    Rows(Wall, Rows),
    /// Of a page of due orders.
    Due(Wall, Vec<doorbuster_core::delay::queue::Task>),
    /// A state.
    Snapshot(SnapshotAt),
    /// Whether the lease is the asker's.
    Lease(bool),
    /// Of a list.
    Ready(Vec<PartitionRow>),
    /// Of a change.
    Changed(Result<PartitionRow, PartitionRefusal>),
    /// Of a read of the stream.
    Page(ChangePage),
    /// Of a list of rings.
    Rings(Vec<SkuId>),
    /// Of a snapshot of documents.
    Documents(Vec<Document>),
    /// Done or not done: the outcome is not told.
    Unknown,
}

/// A committed transaction, for whoever checks it.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// The database's clock in it.
    pub at: Wall,
    /// The rows that it replaced.
    pub before: Rows,
    /// What it wrote and told.
    pub decision: Decision,
}

/// A transaction that waits for its turn: behind an abort, a lock, or a late commit nobody waits for.
#[derive(Clone, Debug)]
struct Waiting {
    call: Option<u64>,
    command: Command,
    aborts: u64,
}

/// The database.
#[derive(Clone, Debug)]
pub struct Database {
    /// Shared with those who read a state of it; a commit copies them only while somebody does.
    rows: Arc<Rows>,
    due: BTreeSet<(ShardId, Wall, OrderId)>,
    leases: BTreeMap<Partition, Lease>,
    /// The stream and how far it is relayed.
    pub stream: Stream,
    waiting: BTreeMap<(Mono, u64), Waiting>,
    turns: u64,
    /// Rows of shards as they were before their last change, and when that was.
    replaced: BTreeMap<ShardId, (Mono, ShardRow)>,
    readers: BTreeMap<u64, Reader>,
    /// What befalls it.
    pub conditions: Conditions,
}

#[derive(Clone, Debug)]
struct Reader {
    token: StreamToken,
    from: Place,
    limit: usize,
    until: Mono,
}

type Effects = Vec<ServiceEffect<Reply>>;

impl Database {
    /// An empty one.
    pub fn new(rng: Rng) -> Database {
        Database {
            rows: Arc::default(),
            due: BTreeSet::new(),
            leases: BTreeMap::new(),
            stream: Stream::default(),
            waiting: BTreeMap::new(),
            turns: 0,
            replaced: BTreeMap::new(),
            readers: BTreeMap::new(),
            conditions: Conditions::new(rng),
        }
    }

    /// All rows.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Transactions that are not decided yet.
    pub fn is_busy(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn asked(&mut self, now: Now, call: u64, request: Request, out: &mut Effects) {
        if self.conditions.is_on(FaultKind::D11) {
            out.push(ServiceEffect::Bitten(FaultKind::D11, stage_of(&request)));
            return out.push(ServiceEffect::Dropped { call });
        }
        if self.conditions.bites(FaultKind::D3) {
            out.push(ServiceEffect::Bitten(FaultKind::D3, stage_of(&request)));
            return out.push(ServiceEffect::Answered { call, reply: Reply::Unknown });
        }
        let reply = match request {
            Request::Apply(command) => return self.begin(now, call, command, out),
            Request::ReadStream { token, from, limit } => {
                return self.read_stream(now, call, (token, from, limit), out);
            }
            Request::Read(reads) => Reply::Rows(now.wall, self.read(now, &reads, out)),
            Request::ReadShard(shard) => Reply::Rows(now.wall, self.snapshot(shard)),
            Request::Due { shard, after, limit } => Reply::Due(now.wall, self.due(now.wall, shard, after, limit)),
            Request::DueBefore { shard, before, after, limit } => {
                let last = Wall(before.0.saturating_sub(1));
                Reply::Due(now.wall, self.due(last, shard, after, limit))
            }
            Request::TakeSnapshot => Reply::Snapshot(SnapshotAt::new(now.wall, self.rows.clone())),
            Request::ReadSnapshot(snapshot, scan) => Reply::Rows(snapshot.at, snapshot.read(scan)),
            Request::KeepLease { partition, owner } => Reply::Lease(self.keep_lease(now.wall, partition, owner)),
            Request::ListReady { owner, limit } => Reply::Ready(self.stream.relayed.ready(owner, now.wall, limit)),
            Request::Change { owner, token, change } => {
                let changed = self.stream.relayed.apply(owner, now.wall, token, &change);
                report_change(token, &change, &changed, out);
                Reply::Changed(changed)
            }
            Request::ListRings { partition, after, limit } => Reply::Rings(self.rings(partition, after, limit)),
            Request::ReadDocuments(products) => Reply::Documents(self.documents(now.wall, &products)),
        };
        out.push(ServiceEffect::Answered { call, reply });
    }

    /// A transaction begins: it may have to wait for a lock, or be aborted and decided again.
    fn begin(&mut self, now: Now, call: u64, command: Command, out: &mut Effects) {
        let mut pause_ms = 0;
        let mut aborts = 0;
        if self.conditions.bites(FaultKind::D4) {
            out.push(ServiceEffect::Bitten(FaultKind::D4, stage_of_command(&command)));
            pause_ms = 50 + self.conditions.below(2_000);
        }
        if self.conditions.bites(FaultKind::D1) {
            out.push(ServiceEffect::Bitten(FaultKind::D1, stage_of_command(&command)));
            aborts = 1 + self.conditions.below(3);
        }
        let waiting = Waiting { call: Some(call), command, aborts };
        match (pause_ms, aborts) {
            (0, 0) => self.finish(now, waiting, out),
            (_, _) => self.wait(now.mono.after_ms(pause_ms), waiting),
        }
    }

    fn wait(&mut self, until: Mono, waiting: Waiting) {
        self.turns += 1;
        self.waiting.insert((until, self.turns), waiting);
    }

    /// The end of a transaction, or one more abort.
    fn finish(&mut self, now: Now, mut waiting: Waiting, out: &mut Effects) {
        if waiting.aborts > 0 {
            waiting.aborts -= 1;
            // Decided and thrown away, as a closure that is run again is.
            let _ = self.decide(&waiting.command, now.wall);
            let pause_ms = 5 + self.conditions.below(100);
            return self.wait(now.mono.after_ms(pause_ms), waiting);
        }
        let Some(call) = waiting.call else {
            // A commit whose caller was told nothing: it takes effect now.
            let _ = self.commit(now, &waiting.command, out);
            return;
        };
        if !self.conditions.bites(FaultKind::D2) {
            let reply = self.commit(now, &waiting.command, out);
            return out.push(ServiceEffect::Answered { call, reply: Reply::Applied(reply) });
        }
        out.push(ServiceEffect::Bitten(FaultKind::D2, stage_of_command(&waiting.command)));
        match self.conditions.below(3) {
            0 => drop(self.commit(now, &waiting.command, out)),
            1 => {}
            _ => {
                let pause_ms = 1 + self.conditions.below(2_000);
                self.wait(now.mono.after_ms(pause_ms), Waiting { call: None, ..waiting });
            }
        }
        out.push(ServiceEffect::Answered { call, reply: Reply::Unknown });
    }

    fn decide(&self, command: &Command, at: Wall) -> Result<Decision, Refusal> {
        let mut view = View::default();
        loop {
            let wanted = decide::reads(command, &view);
            if wanted.is_empty() {
                return decide::decide(&view, command, at);
            }
            let found = self.rows.select(&wanted);
            view.absorb(wanted, found);
        }
    }

    /// Decides and writes: rows and outbox together. Public for what an operator does before anything runs.
    pub fn commit(&mut self, now: Now, command: &Command, out: &mut Effects) -> Result<command::Reply, Refusal> {
        let decision = self.decide(command, now.wall)?;
        let reply = decision.reply.clone();
        let before = self.rows.select(&touched(&decision));
        report(now.wall, command, &self.rows, &decision, out);
        self.index(&before, &decision);
        for (shard, row) in &before.shards {
            self.replaced.insert(*shard, (now.mono, row.clone()));
        }
        decision.change.clone().write_to(Arc::make_mut(&mut self.rows));
        let tie = self.conditions.bites(FaultKind::D6);
        if tie && !decision.change.events.is_empty() {
            out.push(ServiceEffect::Bitten(FaultKind::D6, "a commit with events"));
        }
        let places = self.stream.append(now.wall, tie, &decision.change.events);
        report_appended(&places, &decision.change.events, out);
        out.push(ServiceEffect::Committed(Box::new(Commit { at: now.wall, before, decision })));
        self.answer_readers(now, out);
        Ok(reply)
    }

    fn index(&mut self, before: &Rows, decision: &Decision) {
        for order in before.orders.values().filter(|order| order.status == Status::PendingPayment) {
            self.due.remove(&(order.id.shard, order.expires_at, order.id));
        }
        for order in decision.change.rows.orders.values().filter(|order| order.status == Status::PendingPayment) {
            self.due.insert((order.id.shard, order.expires_at, order.id));
        }
    }

    fn due(
        &self,
        at: Wall,
        shard: ShardId,
        after: Option<(Wall, OrderId)>,
        limit: usize,
    ) -> Vec<doorbuster_core::delay::queue::Task> {
        let places = self
            .due
            .iter()
            .filter(|(of, due, order)| *of == shard && *due <= at && after.is_none_or(|after| (*due, *order) > after));
        let task = |(_, due, order): &(ShardId, Wall, OrderId)| doorbuster_core::delay::queue::Task {
            order: *order,
            version: self.rows.orders[order].version,
            due: *due,
        };
        places.take(limit).map(task).collect()
    }

    fn snapshot(&self, shard: ShardId) -> Rows {
        let mut reads = Reads::default();
        reads.sales.insert(shard.sale);
        reads.ranges.insert(shard.sale);
        reads.shards.insert(shard);
        reads.stock.extend(self.rows.stock.keys().filter(|(of, _)| *of == shard));
        reads.orders.extend(self.rows.orders.keys().filter(|order| order.shard == shard));
        self.rows.select(&reads)
    }

    fn keep_lease(&mut self, at: Wall, partition: Partition, owner: u64) -> bool {
        let held = self.leases.get(&partition).is_some_and(|lease| lease.owner != owner && lease.until > at);
        if !held {
            self.leases.insert(partition, Lease { owner, until: at.after_ms(LEASE_MS) });
        }
        !held
    }

    fn read_stream(
        &mut self,
        now: Now,
        call: u64,
        (token, from, limit): (StreamToken, Place, usize),
        out: &mut Effects,
    ) {
        if self.conditions.bites(FaultKind::D8) {
            out.push(ServiceEffect::Bitten(FaultKind::D8, "records not relayed"));
            return out.push(ServiceEffect::Answered { call, reply: Reply::Unknown });
        }
        if let Some(parents) = self.stream.first_read(token) {
            out.push(ServiceEffect::Probed(Probe::PartitionRead { partition: token, parents }));
        }
        let reader = Reader { token, from, limit, until: now.mono.after_ms(WAIT_MS) };
        match self.page(now, &reader, false, out) {
            Some(page) => out.push(ServiceEffect::Answered { call, reply: Reply::Page(page) }),
            None => drop(self.readers.insert(call, reader)),
        }
    }

    fn page(&mut self, now: Now, reader: &Reader, overdue: bool, out: &mut Effects) -> Option<ChangePage> {
        let silent = self.conditions.is_on(FaultKind::D9);
        let page = self.stream.read(now.wall, reader.token, reader.from, reader.limit, silent);
        if silent && overdue && self.stream.has_more(reader.token, reader.from) {
            out.push(ServiceEffect::Bitten(FaultKind::D9, "records not relayed"));
        }
        (overdue || !page.records.is_empty() || page.end.is_some()).then_some(page)
    }

    /// Answers those who wait and have news, or have waited enough.
    pub fn answer_readers(&mut self, now: Now, out: &mut Effects) {
        let calls: Vec<u64> = self.readers.keys().copied().collect();
        for call in calls {
            let reader = self.readers[&call].clone();
            if let Some(page) = self.page(now, &reader, reader.until <= now.mono, out) {
                self.readers.remove(&call);
                out.push(ServiceEffect::Answered { call, reply: Reply::Page(page) });
            }
        }
    }
}

impl Machine for Database {
    type Event = ServiceEvent<Request>;
    type Effect = ServiceEffect<Reply>;

    fn step(&mut self, now: Now, event: Self::Event, out: &mut Effects) {
        match event {
            ServiceEvent::Asked { call, request } => self.asked(now, call, request, out),
            ServiceEvent::Woken => {
                // One in a step: whoever hears of a commit finds the rows of that commit, and the next one is not in them.
                if let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= now.mono) {
                    let waiting = entry.remove();
                    self.finish(now, waiting, out);
                }
                if self.readers.values().any(|reader| reader.until <= now.mono) {
                    self.answer_readers(now, out);
                }
            }
        }
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        let waiting = self.waiting.first_key_value().map(|((at, _), _)| (*at, "a transaction waits"));
        let reader = self.readers.values().map(|reader| (reader.until, "a reader of the stream waits")).min();
        waiting.into_iter().chain(reader).min()
    }
}

/// What is in flight while a request of this kind is.
pub fn stage_of(request: &Request) -> &'static str {
    match request {
        Request::Apply(command) => stage_of_command(command),
        Request::ListRings { .. } => "windows not told",
        Request::ReadDocuments(_) => "a product not indexed",
        Request::Read(_)
        | Request::ReadShard(_)
        | Request::Due { .. }
        | Request::DueBefore { .. }
        | Request::TakeSnapshot
        | Request::ReadSnapshot(..) => "a read of rows",
        Request::KeepLease { .. } => "a lease",
        Request::ListReady { .. } | Request::Change { .. } => "relayed, not watermarked",
        Request::ReadStream { .. } => "records not relayed",
    }
}

fn stage_of_command(command: &Command) -> &'static str {
    match command {
        Command::Intake(_) => "published, not decided",
        Command::Order(doorbuster_core::order::command::OrderCommand::Expire { .. }) => "claimed, not cancelled",
        Command::Order(_) => "an order of a buyer",
        Command::Payment(_) => "a payment",
        Command::Sale(_) => "an act of an operator",
        Command::Ladder(_) => "a step of the ladder",
        Command::Sales(_) => "sales not counted",
    }
}

impl Database {
    /// Leases of forwarders are forgotten: two of them work at once, if there are two. Whether anybody held one.
    pub fn forget_leases(&mut self) -> bool {
        !std::mem::take(&mut self.leases).is_empty()
    }
}
