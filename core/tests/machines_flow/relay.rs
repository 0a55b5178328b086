//! The relay over streams that split, merge and move: S19, order per subject, and nothing is left behind.

use super::world::{Fate, Outside, World};
use doorbuster_core::database::event::Event as Told;
use doorbuster_core::ids::{SaleId, Version};
use doorbuster_core::limits::CHANGES_MAX;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::relay::partitions::{
    Child, CommitTime, PartitionChange, PartitionRefusal, PartitionRow, PartitionState, Partitions, StreamToken,
};
use doorbuster_core::relay::{ChangePage, Effect, Event, Place, Relay, TopicAway};
use doorbuster_core::rng::Rng;
use doorbuster_core::time::{Now, Wall};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const SUBJECTS: u64 = 8;

/// A partition of the stream itself: which subjects it carries, and what follows it.
#[derive(Clone, Debug)]
struct Source {
    subjects: BTreeSet<u64>,
    records: Vec<(CommitTime, Told)>,
    end: Option<Vec<Child>>,
}

struct Stream {
    sources: BTreeMap<StreamToken, Source>,
    partitions: Partitions,
    /// Published records by subject: versions in the order of their publication.
    published: BTreeMap<u64, Vec<u64>>,
    versions: BTreeMap<u64, u64>,
    clock: u64,
    tokens: u64,
}

impl Stream {
    fn new() -> Stream {
        let root = Child { token: StreamToken(0), parents: BTreeSet::new(), start: CommitTime(1) };
        let mut partitions = Partitions::default();
        partitions.announce(&root);
        let source = Source { subjects: (0..SUBJECTS).collect(), records: Vec::new(), end: None };
        Stream {
            sources: [(root.token, source)].into(),
            partitions,
            published: BTreeMap::new(),
            versions: BTreeMap::new(),
            clock: 10,
            tokens: 0,
        }
    }

    fn told(subject: u64, version: u64) -> Told {
        let sale = SaleId::parse(&format!("s{subject}")).unwrap();
        Told::SaleChanged { sale, version: Version(version) }
    }

    fn heard(told: &Told) -> (u64, u64) {
        let Told::SaleChanged { sale, version } = told else { panic!("only sales change here") };
        (sale.as_str()[1..].parse().unwrap(), version.0)
    }

    fn write(&mut self, rng: &mut Rng) {
        // Several transactions may have one commit time.
        self.clock += rng.below(2);
        let subject = rng.below(SUBJECTS);
        let version = self.versions.entry(subject).or_default();
        *version += 1;
        let live = self.sources.values_mut().find(|source| source.end.is_none() && source.subjects.contains(&subject));
        let record = (CommitTime(self.clock), Stream::told(subject, *version));
        live.expect("every subject has a live partition").records.push(record);
    }

    fn live(&self) -> Vec<StreamToken> {
        self.sources.iter().filter(|(_, source)| source.end.is_none()).map(|(token, _)| *token).collect()
    }

    /// Splits a partition, merges two, or moves one.
    fn reshape(&mut self, rng: &mut Rng) {
        self.clock += 1;
        let live = self.live();
        let first = live[rng.below(live.len() as u64) as usize];
        let second = live[rng.below(live.len() as u64) as usize];
        let parents: BTreeSet<StreamToken> = if rng.below(2) == 0 { [first].into() } else { [first, second].into() };
        let subjects: BTreeSet<u64> =
            parents.iter().flat_map(|token| self.sources[token].subjects.iter().copied()).collect();
        let split = parents.len() == 1 && subjects.len() > 1 && rng.below(3) > 0;
        let parts = if split {
            let middle = *subjects.iter().nth(subjects.len() / 2).unwrap();
            vec![subjects.range(..middle).copied().collect(), subjects.range(middle..).copied().collect()]
        } else {
            vec![subjects]
        };
        let mut children = Vec::new();
        for subjects in parts {
            self.tokens += 1;
            let token = StreamToken(self.tokens);
            children.push(Child { token, parents: parents.clone(), start: CommitTime(self.clock) });
            self.sources.insert(token, Source { subjects, records: Vec::new(), end: None });
        }
        for parent in parents {
            self.sources.get_mut(&parent).unwrap().end = Some(children.clone());
        }
    }

    fn read(&self, token: StreamToken, from: Place, limit: usize, few: usize) -> ChangePage {
        let row = self.partitions.row(token).unwrap();
        assert!(row.state != PartitionState::Created, "S19: read before it was begun");
        let source = &self.sources[&token];
        let skipped = match from {
            Place::From(at) => source.records.partition_point(|(time, _)| *time < at),
            Place::Behind(at, count) => source.records.partition_point(|(time, _)| *time < at) + count as usize,
        };
        let records: Vec<(CommitTime, Told)> = source.records[skipped..].iter().take(limit.min(few)).cloned().collect();
        let read = skipped + records.len();
        let all = read == source.records.len();
        let next = match records.last() {
            None => from,
            Some((last, _)) => {
                let first = source.records.partition_point(|(time, _)| time < last);
                Place::Behind(*last, (read - first) as u32)
            }
        };
        // A later transaction may still get the present commit time.
        let through = (all && source.end.is_none()).then_some(CommitTime(self.clock - 1));
        let end = if all { source.end.clone() } else { None };
        ChangePage { records, through, next, end }
    }

    fn publish(&mut self, token: StreamToken, events: &[Told]) -> Outcome<(), TopicAway> {
        assert!(events.len() <= CHANGES_MAX);
        let row = self.partitions.row(token).unwrap();
        for parent in &row.parents {
            let finished = self.partitions.row(*parent).is_some_and(|row| row.state == PartitionState::Finished);
            assert!(finished, "S19: {token:?} is relayed before {parent:?} is finished");
        }
        for (subject, version) in events.iter().map(Stream::heard) {
            let versions = self.published.entry(subject).or_default();
            let highest = versions.iter().max().copied().unwrap_or(0);
            assert!(version <= highest + 1, "S11: subject {subject} jumps from version {highest} to {version}");
            versions.push(version);
        }
        Outcome::Done(())
    }

    fn change(
        &mut self,
        now: Wall,
        owner: u64,
        token: StreamToken,
        change: &PartitionChange,
    ) -> Outcome<PartitionRow, PartitionRefusal> {
        match self.partitions.apply(owner, now, token, change) {
            Err(refusal) => Outcome::Refused(refusal),
            Ok(row) => {
                self.assert_published(&row);
                self.partitions.scan().unwrap();
                Outcome::Done(row)
            }
        }
    }

    /// S19: nothing up to the watermark is unsent.
    fn assert_published(&self, row: &PartitionRow) {
        let finished = row.state == PartitionState::Finished;
        for (at, told) in &self.sources[&row.token].records {
            let (subject, version) = Stream::heard(told);
            let sent = self.published.get(&subject).is_some_and(|versions| versions.contains(&version));
            let passed = finished || *at < row.watermark;
            assert!(sent || !passed, "S19: the watermark of {:?} passed an unsent record", row.token);
        }
    }
}

impl Outside for Stream {
    type Machine = Relay;

    fn start(&mut self, now: Now, seed: u64) -> (Relay, Vec<Event>) {
        (Relay::new(now.mono, seed), Vec::new())
    }

    fn woken() -> Event {
        Event::Woken
    }

    fn perform(&mut self, now: Now, effect: &Effect, fate: Fate) -> Option<Event> {
        Some(match effect {
            Effect::ListReady { ticket, owner, limit } => {
                let list = || Outcome::Done(self.partitions.ready(*owner, now.wall, *limit));
                Event::Listed(*ticket, fate.of(None, list)?)
            }
            Effect::Change { ticket, owner, token, change } => {
                let outcome = fate.of(None, || self.change(now.wall, *owner, *token, change))?;
                Event::Changed(*ticket, *token, outcome)
            }
            Effect::Read { ticket, token, from, limit } => {
                let few = 1 + (self.clock % 7) as usize;
                let read = || Outcome::Done(self.read(*token, *from, *limit, few));
                Event::Read(*ticket, *token, fate.of(None, read)?)
            }
            Effect::Publish { ticket, token, events } => {
                let publish = || self.publish(*token, events);
                Event::Published(*ticket, *token, fate.of(Some(TopicAway), publish)?)
            }
        })
    }

    fn nudge(&mut self, _: Now, rng: &mut Rng, peace: bool) -> Vec<Event> {
        if peace {
            self.clock += 1;
            return Vec::new();
        }
        for _ in 0..rng.below(4) {
            self.write(rng);
        }
        if rng.below(25) == 0 {
            self.reshape(rng);
        }
        Vec::new()
    }

    fn missing(&self, _: &Relay) -> Option<String> {
        for (subject, last) in &self.versions {
            let sent: BTreeSet<u64> = self.published.get(subject).into_iter().flatten().copied().collect();
            if sent.len() as u64 != *last {
                return Some(format!("subject {subject}: {} of {last} versions are published", sent.len()));
            }
        }
        let live: BTreeSet<StreamToken> = self.live().into_iter().collect();
        let open = self.partitions.rows().find(|row| {
            let done = row.state == PartitionState::Finished;
            done == live.contains(&row.token)
        });
        open.map(|row| format!("L7: {row:?}"))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_stream_that_splits_and_merges_is_relayed_whole_and_in_order(seed: u64) {
        let world = World::run(Stream::new(), seed, 60_000);
        prop_assert!(world.partitions.rows().count() as u64 == world.tokens + 1, "every partition was announced");
    }
}
