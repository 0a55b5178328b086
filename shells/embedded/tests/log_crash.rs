//! After any crash every synced record is there, in order, and nothing appears that was not appended.

mod log_support;

use doorbuster_embedded::disk::ModelDisk;
use doorbuster_embedded::log::{Log, LogError, Partition, Position};
use log_support::{Draws, all, open, payload};
use proptest::prelude::*;
use std::sync::Arc;

const PARTITIONS: u32 = 3;

#[derive(Debug, Clone)]
enum Step {
    Append {
        partition: u32,
        bytes: usize,
    },
    Sync,
    Mark,
    Close,
    Purge {
        partition: u32,
        back: u64,
    },
    /// The next sync of a file fails.
    FailSync,
    /// The process is killed so many operations later.
    StopAt(u64),
    Kill,
    LosePower(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..PARTITIONS, prop_oneof![0..100_usize, 0..5000_usize]).prop_map(|(partition, bytes)| Step::Append { partition, bytes }),
        8 => Just(Step::Sync),
        1 => Just(Step::Mark),
        1 => Just(Step::Close),
        1 => (0..PARTITIONS, 0..6_u64).prop_map(|(partition, back)| Step::Purge { partition, back }),
        1 => (1..4_u64).prop_map(|_| Step::FailSync),
        2 => (0..14_u64).prop_map(Step::StopAt),
        2 => Just(Step::Kill),
        3 => any::<u64>().prop_map(Step::LosePower),
    ]
}

/// One partition as the caller knows it.
#[derive(Default, Clone)]
struct Lane {
    /// The size of each record's payload.
    appended: Vec<usize>,
    synced: usize,
    purged_below: u64,
}

struct World {
    disk: Arc<ModelDisk>,
    log: Option<Log>,
    lanes: Vec<Lane>,
}

impl World {
    fn new() -> World {
        World { disk: Arc::new(ModelDisk::new()), log: None, lanes: vec![Lane::default(); PARTITIONS as usize] }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::FailSync => self.disk.fail_sync(1),
            Step::StopAt(nth) => self.disk.stop_at(*nth),
            Step::Kill => self.crash(None),
            Step::LosePower(seed) => self.crash(Some(*seed)),
            // An ended log is an ended process: before the next write one starts again, unless the power goes first.
            Step::Append { .. } | Step::Sync | Step::Mark | Step::Close | Step::Purge { .. } => self.write(step),
        }
    }

    fn write(&mut self, step: &Step) {
        if self.log.is_none() {
            self.crash(None);
        }
        let mut log = self.log.take().expect("a crash is followed by an opening");
        match step {
            Step::Append { partition, bytes } => match self.append(&mut log, *partition, *bytes) {
                Ok(()) => self.log = Some(log),
                Err(error) => assert!(matches!(error, LogError::Ended { .. } | LogError::GroupFull), "{error}"),
            },
            Step::Sync => self.keep(log, |log| log.sync().is_ok()),
            Step::Mark => self.keep_marked(log),
            Step::Close => {
                if log.close().is_ok() {
                    self.note_synced();
                }
            }
            Step::Purge { partition, back } => self.purge(log, *partition, *back),
            Step::FailSync | Step::StopAt(_) | Step::Kill | Step::LosePower(_) => unreachable!("not a write"),
        }
    }

    fn append(&mut self, log: &mut Log, partition: u32, bytes: usize) -> Result<(), LogError> {
        let lane = &mut self.lanes[partition as usize];
        let position = lane.appended.len() as u64 + 1;
        assert_eq!(
            log.append(Partition(partition), 1, position, &payload(partition, position, bytes))?,
            Position(position)
        );
        lane.appended.push(bytes);
        Ok(())
    }

    fn keep(&mut self, mut log: Log, sync: impl FnOnce(&mut Log) -> bool) {
        if sync(&mut log) {
            self.note_synced();
            self.log = Some(log);
        }
    }

    fn keep_marked(&mut self, mut log: Log) {
        if log.mark().is_ok() {
            self.log = Some(log);
        }
    }

    fn purge(&mut self, mut log: Log, partition: u32, back: u64) {
        let lane = &mut self.lanes[partition as usize];
        let before = (lane.synced as u64 + 1).saturating_sub(back);
        lane.purged_below = lane.purged_below.max(before);
        if log.purge(Partition(partition), Position(before)).is_ok() {
            self.log = Some(log);
        }
    }

    fn note_synced(&mut self) {
        for lane in &mut self.lanes {
            lane.synced = lane.appended.len();
        }
    }

    fn crash(&mut self, power: Option<u64>) {
        self.log = None;
        match power {
            None => self.disk.restart(),
            Some(seed) => {
                let mut draws = Draws(seed);
                self.disk.lose_power(&mut |bound| draws.below(bound));
            }
        }
        self.check();
    }

    /// What an opening shows is durable from then on, even if the sync that wrote it failed.
    fn check(&mut self) {
        let log = open(&self.disk).expect("no crash is damage");
        for (partition, lane) in (0..).zip(&mut self.lanes) {
            let last = log.last(Partition(partition)).0 as usize;
            assert!(lane.synced <= last, "synced up to {}, but {last} is the last of {partition}", lane.synced);
            assert!(
                last <= lane.appended.len(),
                "{last} is the last of {partition}, but only {} were appended",
                lane.appended.len()
            );
            let first = log.first(Partition(partition)).0;
            assert!(first <= lane.purged_below.max(1), "{first} is the first of {partition}");
            let records = all(&log, partition);
            assert_eq!(records.len() as u64, last as u64 + 1 - first);
            for (record, position) in records.iter().zip(first..) {
                assert_eq!((record.position.0, record.seq), (position, position));
                assert_eq!(record.payload, payload(partition, position, lane.appended[position as usize - 1]));
            }
            lane.appended.truncate(last);
            lane.synced = last;
        }
        self.log = Some(log);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_synced_record_survives_any_crash(steps in prop::collection::vec(step(), 1..60), seed: u64) {
        let mut world = World::new();
        for step in &steps {
            world.apply(step);
        }
        world.crash(None);
        world.crash(Some(seed));
    }
}
