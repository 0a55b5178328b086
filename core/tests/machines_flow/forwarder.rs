//! The forwarder between shards that end, a rival that takes over and dies, and an intake that only follows the log.

use super::intake::{entry, shard_row};
use super::world::{DAWN, Fate, Outside, World, shard};
use doorbuster_core::database::command::{Command, Refusal, Reply};
use doorbuster_core::database::rows::{Phase, SealReason, ShardRow};
use doorbuster_core::forwarder::tail::LogPage;
use doorbuster_core::forwarder::{Effect, Event, Forwarder, LeaseHeld, Producer, ProducerFenced};
use doorbuster_core::ids::{Nonce, Seq, ShardId};
use doorbuster_core::inbox::Partition;
use doorbuster_core::ledger::entry::{Entry, Intent};
use doorbuster_core::ledger::epoch::LadderStep;
use doorbuster_core::ledger::shard::{Fence, Fenced};
use doorbuster_core::limits::{LEASE_MS, LOG_PAGE_MAX, PUBLISH_ENTRIES_MAX};
use doorbuster_core::machine::{Machine, Ticket};
use doorbuster_core::outcome::Outcome;
use doorbuster_core::rng::Rng;
use doorbuster_core::time::{Mono, Now, Wall};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const SHARDS: u16 = 3;

/// One server's memory, as far as its log goes.
#[derive(Clone, Debug)]
struct Memory {
    fence: Fence,
    log: BTreeMap<u64, Entry>,
    last: u64,
    acked: u64,
    sealed: bool,
    lost: bool,
}

struct Logs {
    rows: BTreeMap<ShardId, ShardRow>,
    memories: BTreeMap<ShardId, Memory>,
    /// The partition; `None` is a record that it has lost.
    partition: Vec<Option<Intent>>,
    decided: usize,
    producer: u64,
    transactions: BTreeSet<(Producer, Ticket)>,
    /// Until when a rival holds the lease.
    rival_until: Wall,
    /// Until when intake is away.
    intake_away_until: Wall,
    /// Whether the partition may lose acknowledged records.
    loses_records: bool,
    /// Whether a row may be read as it was a while ago.
    reads_stale: bool,
    /// The rows as a stale read shows them: one rung back.
    replaced: BTreeMap<ShardId, ShardRow>,
    nonces: u64,
    gaps: usize,
}

impl Logs {
    fn new(loses_records: bool) -> Logs {
        let rows: BTreeMap<ShardId, ShardRow> = (0..SHARDS).map(|k| (shard(k), shard_row(k))).collect();
        let memories = rows.iter().map(|(shard, row)| (*shard, Memory::new(row.fence()))).collect();
        Logs {
            replaced: rows.clone(),
            rows,
            memories,
            partition: Vec::new(),
            decided: 0,
            producer: 0,
            transactions: BTreeSet::new(),
            rival_until: Wall(0),
            intake_away_until: Wall(0),
            loses_records,
            reads_stale: false,
            nonces: 100,
            gaps: 0,
        }
    }

    fn sell(&mut self, rng: &mut Rng) {
        let k = rng.below(u64::from(SHARDS)) as u16;
        let memory = self.memories.get_mut(&shard(k)).unwrap();
        if memory.sealed || memory.lost || self.rows[&shard(k)].phase == Phase::Opening {
            return;
        }
        for _ in 0..rng.below(40) {
            memory.last += 1;
            let number = memory.fence.epoch.0 * 1_000_000 + memory.last;
            memory.log.insert(memory.last, entry(k, memory.fence.epoch.0, memory.last, number..number + 1));
        }
    }

    /// What intake does with the cursor, without the rows of orders.
    fn decide(&mut self) {
        while self.decided < self.partition.len() {
            let intent = self.partition[self.decided].clone();
            self.decided += 1;
            match intent {
                None => {}
                Some(Intent::Seal(shard, epoch)) => {
                    let row = self.rows.get_mut(&shard).unwrap();
                    if row.epoch == epoch && row.phase == Phase::Sealing {
                        (row.epoch, row.cursor, row.phase) = (epoch.next(), Seq(0), Phase::Sealed);
                        row.replay_from = None;
                    }
                }
                Some(Intent::Entry(shard, entry)) => {
                    let row = self.rows.get_mut(&shard).unwrap();
                    assert!(entry.epoch <= row.epoch, "an epoch from nowhere");
                    if entry.epoch < row.epoch || entry.seq <= row.cursor {
                        continue;
                    }
                    if entry.seq == row.cursor.next() {
                        (row.cursor, row.replay_from) = (entry.seq, None);
                    } else {
                        self.gaps += 1;
                        row.replay_from = Some(row.cursor.next());
                    }
                }
            }
        }
    }

    /// The keeper's part of the ladder, in steps of its own.
    fn keep(&mut self, shard: ShardId, rng: &mut Rng, peace: bool) {
        // Where records are lost, epochs last longer: their end would hide a hole that nobody mends. So do those whose
        // begin is shown by a stale read.
        let calm = if self.loses_records || self.reads_stale { 20 } else { 1 };
        let row = self.rows.get_mut(&shard).unwrap();
        let memory = self.memories.get_mut(&shard).unwrap();
        match row.phase {
            Phase::Open | Phase::Opening if memory.lost => row.begin_sealing(SealReason::ServerLost),
            Phase::Open if !peace && rng.below(60 * calm) == 0 => row.begin_sealing(SealReason::Operator),
            Phase::Open if !peace && rng.below(150 * calm) == 0 => memory.lost = true,
            Phase::Open | Phase::Closed => {}
            Phase::Sealing => memory.sealed |= rng.below(3) == 0,
            Phase::Sealed => {
                self.nonces += 1;
                (row.phase, row.nonce) = (Phase::Opening, Nonce(self.nonces));
                *memory = Memory::new(row.fence());
            }
            Phase::Opening => row.phase = Phase::Open,
        }
    }

    /// Takes over as a sound forwarder would, up to a random step, and dies there.
    fn compete(&mut self, now: Now, rng: &mut Rng) {
        self.rival_until = Wall(now.wall.0 + rng.below(LEASE_MS));
        self.producer += 1;
        for (shard, memory) in &mut self.memories {
            let readable = !memory.lost && self.rows[shard].phase != Phase::Opening;
            let fresh = memory.log.range(memory.acked + 1..).map(|(_, entry)| entry.clone());
            let mut fresh: Vec<Entry> = if readable { fresh.collect() } else { Vec::new() };
            if self.rows[shard].fence() != memory.fence {
                continue;
            }
            if rng.below(2) == 0 {
                fresh.truncate(rng.below(fresh.len() as u64 + 1) as usize);
            }
            self.partition.extend(fresh.into_iter().map(|entry| Some(Intent::Entry(*shard, entry))));
            let seals = self.rows[shard].phase == Phase::Sealing && rng.below(2) == 0;
            if seals {
                self.partition.push(Some(Intent::Seal(*shard, memory.fence.epoch)));
            }
        }
    }

    fn lose_record(&mut self, rng: &mut Rng) {
        let behind = (self.partition.len() - self.decided) as u64;
        if behind > 0 {
            let place = self.decided + rng.below(behind) as usize;
            self.partition[place] = None;
        }
    }

    fn row(&self, now: Now, shard: ShardId) -> ShardRow {
        let stale = self.reads_stale && now.mono.0.is_multiple_of(2);
        if stale { self.replaced[&shard].clone() } else { self.rows[&shard].clone() }
    }

    fn memory(&self, shard: ShardId, fence: Fence) -> Option<&Memory> {
        self.memories.get(&shard).filter(|memory| memory.fence == fence && !memory.lost)
    }

    fn read(&self, shard: ShardId, fence: Fence, after: Option<Seq>, limit: usize) -> Outcome<LogPage, Fenced> {
        assert!(limit <= LOG_PAGE_MAX);
        let Some(memory) = self.memory(shard, fence) else { return Outcome::Refused(Fenced) };
        let after = after.map_or(memory.acked, |seq| seq.0);
        let entries = memory.log.range(after + 1..).take(limit).map(|(_, entry)| entry.clone()).collect();
        let (last, acked) = (Seq(memory.last), Seq(memory.acked));
        Outcome::Done(LogPage { entries, last, acked, sealed: memory.sealed })
    }

    fn publish(&mut self, producer: Producer, ticket: Ticket, intents: &[Intent]) -> Outcome<(), ProducerFenced> {
        assert!(intents.len() <= PUBLISH_ENTRIES_MAX);
        if producer.0 != self.producer {
            return Outcome::Refused(ProducerFenced);
        }
        if self.transactions.insert((producer, ticket)) {
            self.partition.extend(intents.iter().cloned().map(Some));
        }
        Outcome::Done(())
    }

    fn ack(&mut self, shard: ShardId, fence: Fence, seq: Seq) -> Outcome<(), Fenced> {
        if !self.loses_records {
            self.assert_promise(shard, fence, seq);
        }
        match self.memories.get_mut(&shard).filter(|memory| memory.fence == fence && !memory.lost) {
            None => Outcome::Refused(Fenced),
            Some(memory) => {
                memory.acked = memory.acked.max(seq.0);
                Outcome::Done(())
            }
        }
    }

    /// A mark promises a buyer that the entry counts: it is in the partition, and before the seal of its epoch. A stale
    /// row hides that the epoch is ending, so with such rows only the first half can be held.
    fn assert_promise(&self, shard: ShardId, fence: Fence, seq: Seq) {
        let mut reached = 0;
        for intent in self.partition.iter().flatten() {
            match intent {
                Intent::Entry(of, entry) if *of == shard && entry.epoch == fence.epoch => {
                    reached = reached.max(entry.seq.0);
                }
                Intent::Seal(of, epoch) if *of == shard && *epoch == fence.epoch && !self.reads_stale => break,
                Intent::Entry(..) | Intent::Seal(..) => {}
            }
        }
        assert!(seq.0 <= reached, "S10: {shard} {seq:?} was acknowledged, but only {reached} entries will count");
    }

    fn end_epoch(&mut self, command: &Command) -> Outcome<Reply, Refusal> {
        let Command::Ladder(ladder) = command else { panic!("a forwarder only asks for a seal") };
        let LadderStep::BeginSealing(rung, reason) = ladder.step else { panic!("a forwarder only asks for a seal") };
        let row = self.rows.get_mut(&ladder.shard).unwrap();
        if row.rung() != rung {
            return Outcome::Refused(Refusal::StaleRung);
        }
        row.begin_sealing(reason);
        Outcome::Done(Reply::Shard(row.clone()))
    }
}

impl Memory {
    fn new(fence: Fence) -> Memory {
        Memory { fence, log: BTreeMap::new(), last: 0, acked: 0, sealed: false, lost: false }
    }
}

impl Outside for Logs {
    type Machine = Forwarder;

    fn start(&mut self, now: Now, seed: u64) -> (Forwarder, Vec<Event>) {
        let found = (0..SHARDS).map(|k| Event::ShardFound(shard(k)));
        (Forwarder::new(now.mono, Partition(0), seed), found.collect())
    }

    fn woken() -> Event {
        Event::Woken
    }

    fn perform(&mut self, now: Now, effect: &Effect, fate: Fate) -> Option<Event> {
        Some(match effect {
            Effect::KeepLease(ticket, _) => {
                let held = self.rival_until > now.wall;
                let keep = || if held { Outcome::Refused(LeaseHeld) } else { Outcome::Done(()) };
                Event::LeaseKept(*ticket, fate.of(None, keep)?)
            }
            Effect::TakeProducer(ticket, _) => {
                let take = || {
                    self.producer += 1;
                    Outcome::Done(Producer(self.producer))
                };
                Event::ProducerTaken(*ticket, fate.of(None, take)?)
            }
            Effect::ReadRow(ticket, shard) => {
                let read = || Outcome::Done(self.row(now, *shard));
                Event::RowRead(*ticket, *shard, fate.of(None, read)?)
            }
            Effect::ReadLog { ticket, shard, fence, after, limit } => {
                let read = || self.read(*shard, *fence, *after, *limit);
                Event::LogRead(*ticket, *shard, fate.of(None, read)?)
            }
            Effect::Publish { ticket, producer, intents, .. } => {
                Event::Published(*ticket, fate.of(None, || self.publish(*producer, *ticket, intents))?)
            }
            Effect::Ack { ticket, shard, fence, seq } => {
                Event::Acked(*ticket, *shard, fate.of(None, || self.ack(*shard, *fence, *seq))?)
            }
            Effect::Apply(ticket, shard, command) => {
                Event::Applied(*ticket, *shard, fate.of(None, || self.end_epoch(command))?)
            }
            Effect::Trim { shard, fence, decided, .. } => {
                if fate != Fate::LostDropped {
                    let memory = self.memories.get_mut(shard).filter(|memory| memory.fence == *fence)?;
                    memory.log = memory.log.split_off(&(decided.0 + 1));
                }
                return None;
            }
        })
    }

    fn nudge(&mut self, now: Now, rng: &mut Rng, peace: bool) -> Vec<Event> {
        if !peace {
            self.sell(rng);
            let ending = self.rows.values().any(|row| row.phase == Phase::Sealing);
            if self.kills() && rng.below(if ending { 12 } else { 80 }) == 0 {
                self.compete(now, rng);
            }
            if rng.below(40) == 0 {
                self.intake_away_until = Wall(now.wall.0 + rng.below(20_000));
            }
            if self.loses_records && rng.below(20) == 0 {
                self.lose_record(rng);
            }
        }
        if peace || (self.intake_away_until <= now.wall && rng.below(3) > 0) {
            self.decide();
        }
        for k in 0..SHARDS {
            let (shard, before) = (shard(k), self.rows[&shard(k)].clone());
            self.keep(shard, rng, peace);
            let row = &self.rows[&shard];
            if peace || row.rung() != before.rung() {
                self.replaced.insert(shard, if peace { row.clone() } else { before });
            }
        }
        Vec::new()
    }

    /// A forwarder that begins anew, after its death or a rival, mends what a stale row has spoiled.
    fn kills(&self) -> bool {
        !self.reads_stale
    }

    fn missing(&self, _: &Forwarder) -> Option<String> {
        for (shard, row) in &self.rows {
            let memory = &self.memories[shard];
            if row.phase != Phase::Open {
                return Some(format!("{shard} stands in {:?}", row.phase));
            }
            if memory.fence == row.fence() && memory.acked < memory.last {
                return Some(format!("{shard}: {} of {} entries are acknowledged", memory.acked, memory.last));
            }
            // A record that was lost at the very end shows no gap: only the next entry would tell.
            if !self.loses_records && memory.fence == row.fence() && row.cursor.0 < memory.last {
                return Some(format!("{shard}: {:?} of {} entries are decided", row.cursor, memory.last));
            }
            if row.replay_from.is_some() {
                return Some(format!("{shard}: {row:?} waits for a replay of {} to {}", memory.acked, memory.last));
            }
        }
        None
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_log_reaches_its_partition_in_order_and_only_what_counts_is_acknowledged(seed: u64) {
        let world = World::run(Logs::new(false), seed, 60_000);
        prop_assert_eq!(world.gaps, 0, "no entry is passed over while the partition keeps its records");
    }

    #[test]
    fn a_row_that_was_read_stale_leaves_no_entry_out(seed: u64) {
        let mut logs = Logs { reads_stale: true, ..Logs::new(false) };
        logs.replaced.values_mut().for_each(|row| row.phase = Phase::Opening);
        let world = World::run(logs, seed, 60_000);
        prop_assert_eq!(world.gaps, 0, "no entry is passed over while the partition keeps its records");
    }

    #[test]
    fn what_the_partition_lost_is_sent_again_or_its_epoch_ends(seed: u64) {
        World::run(Logs::new(true), seed, 60_000);
    }
}

/// One second later each time.
fn tell(forwarder: &mut Forwarder, second: u64, event: Event) -> Vec<Effect> {
    let (mut out, mono) = (Vec::new(), Mono(second * 1_000_000));
    forwarder.step(Now { mono, wall: Wall(DAWN) }, event, &mut out);
    out
}

#[test]
fn a_new_producer_reads_the_row_again_before_it_touches_a_log() {
    let mut forwarder = Forwarder::new(Mono(0), Partition(0), 1);
    let effects = tell(&mut forwarder, 0, Event::ShardFound(shard(0)));
    let [Effect::KeepLease(ticket, _)] = effects[..] else { panic!("{effects:?}") };
    tell(&mut forwarder, 0, Event::LeaseKept(ticket, Outcome::Done(())));
    let effects = tell(&mut forwarder, 1, Event::Woken);
    let [Effect::TakeProducer(ticket, _)] = effects[..] else { panic!("{effects:?}") };
    let effects = tell(&mut forwarder, 1, Event::ProducerTaken(ticket, Outcome::Done(Producer(1))));
    let [Effect::ReadRow(ticket, _)] = effects[..] else { panic!("{effects:?}") };
    let effects = tell(&mut forwarder, 1, Event::RowRead(ticket, shard(0), Outcome::Done(shard_row(0))));
    let read = effects.iter().find_map(|effect| match effect {
        Effect::ReadLog { ticket, .. } => Some(*ticket),
        _ => None,
    });
    let page = LogPage { entries: vec![entry(0, 1, 1, 1..2)], last: Seq(1), acked: Seq(0), sealed: false };
    let effects = tell(&mut forwarder, 1, Event::LogRead(read.unwrap(), shard(0), Outcome::Done(page)));
    let publish = effects.iter().find_map(|effect| match effect {
        Effect::Publish { ticket, .. } => Some(*ticket),
        _ => None,
    });
    tell(&mut forwarder, 1, Event::Published(publish.unwrap(), Outcome::Unknown));
    let effects = tell(&mut forwarder, 2, Event::Woken);
    let [Effect::TakeProducer(ticket, _)] = effects[..] else { panic!("nothing is done in between: {effects:?}") };
    let effects = tell(&mut forwarder, 2, Event::ProducerTaken(ticket, Outcome::Done(Producer(2))));
    assert!(matches!(effects[..], [Effect::ReadRow(..)]), "{effects:?}");
}
