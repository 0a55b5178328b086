//! The product's server and log over a disk in memory.

use super::convert::{self, Heard};
use super::{DiskFailure, DurableReply, DurableRequest, DurableServer, Loss, OpenRefusal, Rung};
use crate::seed::Seed;
use crate::services::broker::report_reservations;
use crate::services::node::{Reply, Request};
use crate::services::{ServiceEffect, ServiceEvent, WAIT_MS};
use doorbuster_core::ids::{Epoch, Nonce, ReservationId, ServerId, ShardId, UserId};
use doorbuster_core::inbox::{Offset, Record};
use doorbuster_core::ledger::entry::Intent;
use doorbuster_core::ledger::page::RecordState;
use doorbuster_core::ledger::shard::{Shard, ShardState};
use doorbuster_core::oracle::probe::Probe;
use doorbuster_core::rng::Rng;
use doorbuster_core::settler::ShardChange;
use doorbuster_core::time::{Mono, Now};
use doorbuster_embedded::disk::{ModelDisk, Trouble};
use doorbuster_embedded::log::{Log, LogReader, OpenError, Options};
use doorbuster_embedded::server::{Call, GROUP_CALLS_MAX, PARTITION, Shards, read_intents};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Shortest and longest time of a sync in microseconds: a fast disk, and one that others use too.
const SYNC_US: (u64, u64) = (50, 4_000);
/// One sync in so many takes `SLOW` times as long.
const SLOW_OF: u64 = 50;
const SLOW: u64 = 20;

/// Decided records are given up in portions of this many; the product's are larger, because each costs it a sync of rows.
const PURGE_RECORDS: u64 = 24;

/// A fetch that found nothing yet.
struct Fetch {
    from: Offset,
    limit: usize,
    until: Mono,
}

/// See the module.
pub struct Server {
    disk: Arc<ModelDisk>,
    options: Options,
    rng: Rng,
    /// Nothing while the process is down.
    shards: Option<Shards>,
    /// What waits for the thread, and when it takes it.
    waiting: VecDeque<(u64, Request)>,
    runs_at: Option<Mono>,
    fetches: BTreeMap<u64, Fetch>,
    /// The last record that intake has done, as the rows keep it.
    decided: u64,
    /// The last record that is given up: the rows that it became are durable.
    purged: u64,
    purges: bool,
    /// What readers were shown, by position from 1: none of it may ever be missing.
    intents: Vec<Intent>,
    ended: Option<DiskFailure>,
    rungs: Vec<Rung>,
}

type Effects = Vec<ServiceEffect<Reply>>;

impl Server {
    /// Over an empty disk; segments and marks are small, so that every run has several.
    pub fn new(seed: Seed) -> Server {
        let mut rng = seed.stream("disk");
        let options = Options {
            segment_bytes: [2 << 10, 8 << 10, 64 << 20][rng.below(3) as usize],
            mark_every_groups: 1 + rng.below(16),
            ..Options::default()
        };
        Server {
            disk: Arc::new(ModelDisk::new()),
            options,
            shards: None,
            waiting: VecDeque::new(),
            runs_at: None,
            fetches: BTreeMap::new(),
            decided: 0,
            purged: 0,
            purges: rng.below(2) == 0,
            intents: Vec::new(),
            ended: None,
            rungs: Vec::new(),
            rng,
        }
    }

    fn asked(&mut self, now: Now, call: u64, request: Request, out: &mut Effects) {
        if self.shards.is_none() {
            return out.push(ServiceEffect::Dropped { call });
        }
        let reply = match request {
            Request::Durable(DurableRequest::Attend) => DurableReply::Place(Offset(self.decided + 1)),
            Request::Durable(DurableRequest::Fetch { from, limit }) => {
                let until = now.mono.after_ms(WAIT_MS);
                self.fetches.insert(call, Fetch { from, limit, until });
                return self.answer_fetches(now, out);
            }
            Request::Durable(DurableRequest::Commit { next }) => {
                self.commit(next, out);
                DurableReply::Kept
            }
            Request::Durable(DurableRequest::SetAside { .. }) => DurableReply::Kept,
            request => {
                self.waiting.push_back((call, request));
                return self.plan_group(now);
            }
        };
        out.push(ServiceEffect::Answered { call, reply: Reply::Durable(reply) });
    }

    /// The thread is at work, or goes to work: what waits at the end of a sync is the next group.
    fn plan_group(&mut self, now: Now) {
        if self.runs_at.is_some() || self.waiting.is_empty() {
            return;
        }
        let (least, most) = SYNC_US;
        let slow = if self.rng.below(SLOW_OF) == 0 { SLOW } else { 1 };
        let sync_us = (least + self.rng.below(most - least)) * slow;
        self.runs_at = Some(Mono(now.mono.0 + sync_us));
    }

    fn commit(&mut self, next: Offset, out: &mut Effects) {
        let done = next.0.saturating_sub(1).min(self.intents.len() as u64);
        for intent in self.intents.iter().take(done as usize).skip(self.decided as usize) {
            if let Intent::Entry(shard, entry) = intent {
                let probe = Probe::OffsetCommitted { shard: *shard, epoch: entry.epoch, seq: entry.seq };
                out.push(ServiceEffect::Probed(probe));
            }
        }
        self.decided = self.decided.max(done);
        if self.purges && self.decided - self.purged >= PURGE_RECORDS {
            self.purged = self.decided;
        }
    }

    fn answer_fetches(&mut self, now: Now, out: &mut Effects) {
        let Some(shards) = &self.shards else { return };
        let reader = shards.reader();
        let last = reader.last(PARTITION).0;
        let ready = |fetch: &Fetch| fetch.from.0 <= last || fetch.until <= now.mono;
        let calls: Vec<u64> = self.fetches.iter().filter(|(_, fetch)| ready(fetch)).map(|(call, _)| *call).collect();
        for call in calls {
            let Fetch { from, limit, .. } = self.fetches.remove(&call).expect("it was just seen");
            let records = if from.0 <= last { read_intents(&reader, from, limit) } else { Ok(Vec::new()) };
            let reply = records.map_or(Reply::Unknown, |records| Reply::Durable(DurableReply::Records(records)));
            out.push(ServiceEffect::Answered { call, reply });
        }
    }

    /// One turn of the thread: everything that waits, one sync, and the answers.
    fn run_group(&mut self, now: Now, out: &mut Effects) {
        let Some(shards) = &mut self.shards else { return };
        let requests: Vec<(u64, Request)> = self.waiting.drain(..self.waiting.len().min(GROUP_CALLS_MAX)).collect();
        let watched = Watched::before(shards, requests.iter().map(|(_, request)| request));
        let (mut group, mut heard): (Vec<Call>, Vec<(u64, Heard)>) = (Vec::new(), Vec::new());
        for (number, request) in requests {
            match convert::call(request) {
                Some((call, way)) => {
                    group.push(call);
                    heard.push((number, way));
                }
                None => out.push(ServiceEffect::Answered { call: number, reply: Reply::Error }),
            }
        }
        if shards.reader().first(PARTITION).0 <= self.purged {
            group.push(Call::Purge(self.purged + 1));
        }
        match shards.run(now.wall, &mut group) {
            Ok(ran) => {
                if ran.synced.is_some() {
                    show(&shards.reader(), &mut self.intents, out);
                }
                ran.release();
                watched.after(shards, &mut self.rungs, out);
            }
            // The answers are gone with the group: whoever asked learns nothing.
            Err(_) => self.ended = self.failure(),
        }
        for (call, way) in heard {
            out.push(match way() {
                Some(reply) => ServiceEffect::Answered { call, reply },
                None => ServiceEffect::Dropped { call },
            });
        }
    }

    fn failure(&self) -> Option<DiskFailure> {
        self.disk.trouble().map(|trouble| match trouble {
            Trouble::Killed => DiskFailure::Killed,
            Trouble::SyncFailed => DiskFailure::SyncFailed,
            Trouble::Full => DiskFailure::Full,
        })
    }

    /// The files with records in them.
    fn segments(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = self.disk.snapshot();
        files.retain(|name, _| name.starts_with("segment-"));
        files
    }

    /// Whether everything that was ever synced is there.
    fn look_through(&self, reader: &LogReader) -> Result<(), String> {
        let last = reader.last(PARTITION).0;
        if self.decided > last {
            return Err(format!("the log ends at record {last}, but the rows have decided up to {}", self.decided));
        }
        let found = read_intents(reader, Offset(self.purged + 1), usize::MAX).map_err(|error| error.to_string())?;
        for (intent, place) in self.intents.iter().skip(self.purged as usize).zip(0..) {
            if delivered(found.get(place)) != Some(intent) {
                let position = self.purged + 1 + place as u64;
                return Err(format!("record {position} was synced and is gone: {intent:?}"));
            }
        }
        Ok(())
    }
}

fn delivered(record: Option<&Record<Intent>>) -> Option<&Intent> {
    match record {
        Some(Record::Delivered(_, intent)) => Some(intent),
        Some(Record::Undecodable(_)) | None => None,
    }
}

/// Takes in what readers see now.
fn show(reader: &LogReader, intents: &mut Vec<Intent>, out: &mut Effects) {
    let from = Offset(intents.len() as u64 + 1);
    let records = read_intents(reader, from, usize::MAX).unwrap_or_default();
    for intent in records.iter().filter_map(|record| delivered(Some(record))) {
        if let Intent::Entry(shard, entry) = intent {
            out.push(ServiceEffect::Probed(Probe::Published { shard: *shard, epoch: entry.epoch, seq: entry.seq }));
            report_reservations(*shard, entry, out);
        }
        intents.push(intent.clone());
    }
}

/// What the oracle hears of a group: read from the memories before and after it.
struct Watched {
    live: BTreeSet<(ShardId, Epoch, UserId, ReservationId)>,
    closed: BTreeSet<(ShardId, Epoch, Nonce)>,
    acked: BTreeMap<ShardId, (Epoch, u64)>,
    rungs: BTreeSet<Rung>,
}

impl Watched {
    fn before<'of>(shards: &Shards, requests: impl Iterator<Item = &'of Request>) -> Watched {
        let mut watched =
            Watched { live: BTreeSet::new(), closed: BTreeSet::new(), acked: BTreeMap::new(), rungs: BTreeSet::new() };
        for request in requests {
            if let Some(shard) = request.shard() {
                let meta = shards.shard(shard).and_then(Shard::meta);
                watched.acked.extend(meta.map(|meta| (shard, (meta.epoch, meta.acked.0))));
            }
            match request {
                Request::Settle { shard, changes } => {
                    for change in changes {
                        if let ShardChange::GiveBack { epoch, user, id } = change
                            && shards.shard(*shard).is_some_and(|memory| is_live(memory, user, *id))
                        {
                            watched.live.insert((*shard, *epoch, user.clone(), *id));
                        }
                    }
                }
                Request::Open { shard, fence, .. } if !sells(shards, *shard, fence.epoch, fence.nonce) => {
                    watched.closed.insert((*shard, fence.epoch, fence.nonce));
                }
                Request::Load { .. } => drop(watched.rungs.insert(Rung::Loaded)),
                Request::Durable(DurableRequest::AppendSeal { .. }) => drop(watched.rungs.insert(Rung::Sealed)),
                _ => {}
            }
        }
        watched
    }

    fn after(mut self, shards: &Shards, rungs: &mut Vec<Rung>, out: &mut Effects) {
        let mut probe = |probe| out.push(ServiceEffect::Probed(probe));
        for (shard, epoch, nonce) in self.closed {
            if sells(shards, shard, epoch, nonce) {
                self.rungs.insert(Rung::Opened);
                probe(Probe::EpochOpened { shard, epoch, nonce });
            }
        }
        for (shard, epoch, user, id) in self.live {
            if let Some(memory) = shards.shard(shard).filter(|memory| !is_live(memory, &user, id)) {
                probe(Probe::UnitsReleased { shard, server: memory.server, epoch, id });
            }
        }
        for (shard, (epoch, acked)) in self.acked {
            let meta = shards.shard(shard).and_then(Shard::meta).filter(|meta| meta.epoch == epoch);
            for seq in acked + 1..=meta.map_or(0, |meta| meta.acked.0) {
                probe(Probe::EntryAcked { shard, epoch, seq: doorbuster_core::ids::Seq(seq) });
            }
        }
        rungs.extend(self.rungs);
    }
}

fn is_live(memory: &Shard, user: &UserId, id: ReservationId) -> bool {
    memory.look_up(user, id).is_some_and(|record| record.state == RecordState::Live)
}

fn sells(shards: &Shards, shard: ShardId, epoch: Epoch, nonce: Nonce) -> bool {
    shards.shard(shard).and_then(Shard::meta).is_some_and(|meta| {
        (meta.epoch, meta.nonce) == (epoch, nonce) && matches!(meta.state, ShardState::Open | ShardState::Stopped)
    })
}

impl DurableServer for Server {
    fn step(&mut self, now: Now, event: ServiceEvent<Request>, out: &mut Effects) {
        match event {
            ServiceEvent::Asked { call, request } => self.asked(now, call, request, out),
            ServiceEvent::Woken => {
                if self.runs_at.is_some_and(|at| at <= now.mono) {
                    self.runs_at = None;
                    self.run_group(now, out);
                    self.plan_group(now);
                }
                self.answer_fetches(now, out);
            }
        }
    }

    fn wake_at(&self) -> Option<(Mono, &'static str)> {
        let group = self.runs_at.map(|at| (at, "a group is synced"));
        let fetches = self.fetches.values().map(|fetch| (fetch.until, "a reader of the log waits"));
        fetches.chain(group).min()
    }

    fn open(&mut self, identity: ServerId) -> Result<Vec<Probe>, OpenRefusal> {
        let opened = Log::open_on(self.disk.clone(), self.options.clone());
        let log = opened.map_err(|error| match (&error, self.failure()) {
            (OpenError::Io { .. }, Some(failure)) => OpenRefusal::Disk(failure),
            _ => OpenRefusal::Lost(error.to_string()),
        })?;
        self.look_through(&log.reader()).map_err(OpenRefusal::Lost)?;
        let mut shown = Vec::new();
        show(&log.reader(), &mut self.intents, &mut shown);
        self.shards = Some(Shards::new(log, identity));
        let probe = |effect| if let ServiceEffect::Probed(probe) = effect { Some(probe) } else { None };
        Ok(shown.into_iter().filter_map(probe).collect())
    }

    fn is_up(&self) -> bool {
        self.shards.is_some()
    }

    fn go_down(&mut self, loss: Loss) -> (Vec<u64>, bool) {
        // Some processes are stopped rather than killed: their log is closed, which may fail like everything else.
        if let Some(shards) = self.shards.take()
            && loss == Loss::Nothing
            && self.rng.below(3) == 0
        {
            let _ = shards.close();
        }
        self.runs_at = None;
        self.ended = None;
        self.rungs.clear();
        let waiting = self.waiting.drain(..).map(|(call, _)| call);
        let calls = waiting.chain(std::mem::take(&mut self.fetches).into_keys()).collect();
        let before = self.segments();
        match loss {
            Loss::Nothing => self.disk.restart(),
            Loss::Unsynced => self.disk.lose_power(&mut |_| 0),
            Loss::Torn => self.disk.lose_power(&mut |bound| self.rng.below(bound)),
        }
        // An older place only makes intake pass over what it has decided.
        if loss != Loss::Nothing && self.rng.below(4) == 0 {
            self.decided = self.purged + self.rng.below(self.decided - self.purged + 1);
        }
        (calls, self.segments() != before)
    }

    fn ended(&mut self) -> Option<DiskFailure> {
        self.ended.take()
    }

    fn rungs(&mut self) -> Vec<Rung> {
        std::mem::take(&mut self.rungs)
    }

    fn shard(&self, shard: ShardId) -> Option<&Shard> {
        self.shards.as_ref().and_then(|shards| shards.shard(shard))
    }

    fn intents(&self) -> &[Intent] {
        &self.intents
    }

    fn lag(&self) -> u64 {
        (self.intents.len() as u64).saturating_sub(self.decided)
    }

    fn rewind(&mut self, records: u64) -> bool {
        let before = self.decided;
        self.decided = before.saturating_sub(records).max(self.purged);
        self.decided < before
    }

    fn stop_at(&mut self, operation: u64) {
        self.disk.stop_at(operation);
    }

    fn fail_sync(&mut self, nth: u64) {
        self.disk.fail_sync(nth);
    }

    fn sync_failed(&self) -> bool {
        self.disk.syncs_failed() > 0
    }

    fn hide_failures(&mut self) {
        self.disk.hide_failures();
    }

    fn fill(&mut self, bytes_left: usize) {
        let used: usize = self.disk.snapshot().values().map(Vec::len).sum();
        self.disk.limit_capacity(used + bytes_left);
    }

    fn calm(&mut self) {
        self.disk.restart();
    }
}
