//! Reading, purging, limits, and the file system itself.

mod log_support;

use doorbuster_embedded::disk::ModelDisk;
use doorbuster_embedded::log::{Log, LogError, Options, Partition, Position};
use log_support::{all, open, payload, small};
use std::sync::Arc;

#[test]
fn only_synced_records_are_read() {
    let disk = Arc::new(ModelDisk::new());
    let mut log = open(&disk).unwrap();
    let reader = log.reader();
    assert_eq!(log.append(Partition(7), 1, 1, b"a").unwrap(), Position(1));
    assert_eq!((reader.first(Partition(7)), reader.last(Partition(7))), (Position(1), Position(0)));
    assert!(reader.read(Partition(7), Position(1), 100).unwrap().is_empty());
    log.sync().unwrap();
    assert_eq!(reader.read(Partition(7), Position(1), 100).unwrap()[0].payload, b"a");
    assert!(reader.read(Partition(7), Position(2), 100).unwrap().is_empty());
    assert!(reader.read(Partition(8), Position(1), 100).unwrap().is_empty());
}

#[test]
fn a_read_stops_at_its_limit_but_gives_at_least_one_record() {
    let mut log = open(&Arc::new(ModelDisk::new())).unwrap();
    for seq in 1..=5 {
        log.append(Partition(1), 1, seq, &[7; 100]).unwrap();
    }
    log.sync().unwrap();
    assert_eq!(log.read(Partition(1), Position(1), 0).unwrap().len(), 1);
    assert_eq!(log.read(Partition(1), Position(1), 250).unwrap().len(), 2);
    assert_eq!(log.read(Partition(1), Position(4), 1000).unwrap().len(), 2);
}

#[test]
fn positions_go_on_over_epochs_and_openings() {
    let disk = Arc::new(ModelDisk::new());
    for epoch in 1..=4 {
        let mut log = open(&disk).unwrap();
        assert_eq!(log.append(Partition(1), epoch, 1, b"x").unwrap(), Position(epoch));
        log.sync().unwrap();
        let epochs: Vec<u64> = all(&log, 1).iter().map(|record| record.epoch).collect();
        assert_eq!(epochs, (1..=epoch).collect::<Vec<_>>());
    }
}

#[test]
fn a_rare_record_is_found_among_many_of_another_partition() {
    let mut log = open(&Arc::new(ModelDisk::new())).unwrap();
    for position in 1..=400 {
        log.append(Partition(1), 1, position, &payload(1, position, 1500)).unwrap();
        if position % 100 == 0 {
            log.append(Partition(2), 1, position / 100, &payload(2, position, 50)).unwrap();
        }
        log.sync().unwrap();
    }
    assert_eq!(all(&log, 2).len(), 4);
    assert_eq!(all(&log, 1).len(), 400);
}

#[test]
fn purged_records_answer_purged_and_their_segments_go() {
    let disk = Arc::new(ModelDisk::new());
    let mut log = open(&disk).unwrap();
    for position in 1..=40 {
        for partition in 1..=2 {
            log.append(Partition(partition), 1, position, &payload(partition, position, 900)).unwrap();
        }
        log.sync().unwrap();
    }
    let segments = disk.snapshot().len();
    log.purge(Partition(1), Position(31)).unwrap();
    assert_eq!(disk.snapshot().len(), segments, "the other partition still needs them");
    assert!(matches!(log.read(Partition(1), Position(30), 1), Err(LogError::Purged { first: Position(31) })));
    log.purge(Partition(2), Position(25)).unwrap();
    assert!(disk.snapshot().len() < segments);
    for log in [log, open(&disk).unwrap()] {
        assert_eq!((log.first(Partition(1)), log.first(Partition(2))), (Position(31), Position(25)));
        assert_eq!((all(&log, 1).len(), all(&log, 2).len()), (10, 16));
    }
}

#[test]
fn a_purge_killed_at_any_step_leaves_a_log_that_opens() {
    for step in 0..12 {
        let disk = Arc::new(ModelDisk::new());
        let mut log = open(&disk).unwrap();
        for position in 1..=40 {
            log.append(Partition(1), 1, position, &payload(1, position, 900)).unwrap();
            log.sync().unwrap();
        }
        disk.stop_at(step);
        drop(log.purge(Partition(1), Position(36)));
        disk.restart();
        let mut log = open(&disk).unwrap();
        assert_eq!(log.last(Partition(1)), Position(40));
        assert_eq!(log.append(Partition(1), 1, 41, b"x").unwrap(), Position(41));
        log.sync().unwrap();
        assert_eq!(all(&log, 1).last().unwrap().payload, b"x");
    }
}

#[test]
fn a_full_group_and_a_record_too_large_leave_the_log_usable() {
    let mut log = open(&Arc::new(ModelDisk::new())).unwrap();
    let limit = small().group_bytes_max;
    assert!(matches!(log.append(Partition(1), 1, 1, &vec![1; limit]), Err(LogError::TooLarge { .. })));
    log.append(Partition(1), 1, 1, &vec![1; limit - 100]).unwrap();
    assert!(matches!(log.append(Partition(1), 1, 2, &[1; 100]), Err(LogError::GroupFull)));
    log.sync().unwrap();
    assert_eq!(log.append(Partition(1), 1, 2, &[1; 100]).unwrap(), Position(2));
    log.sync().unwrap();
    assert_eq!(all(&log, 1).len(), 2);
}

#[test]
fn a_failed_sync_ends_the_log() {
    let disk = Arc::new(ModelDisk::new());
    let mut log = open(&disk).unwrap();
    log.append(Partition(1), 1, 1, b"x").unwrap();
    disk.fail_sync(1);
    assert!(matches!(log.sync(), Err(LogError::Ended { .. })));
    assert!(matches!(log.append(Partition(1), 1, 2, b"y"), Err(LogError::Ended { .. })));
    assert!(matches!(log.sync(), Err(LogError::Ended { .. })));
    assert_eq!(log.last(Partition(1)), Position(0));
}

#[test]
fn no_space_left_ends_the_log_and_loses_nothing() {
    let disk = Arc::new(ModelDisk::new());
    let mut log = open(&disk).unwrap();
    disk.limit_capacity(20_000);
    let mut synced = 0;
    while log.append(Partition(1), 1, synced + 1, &payload(1, synced + 1, 900)).is_ok() && log.sync().is_ok() {
        synced += 1;
    }
    assert!(synced > 5);
    drop(log);
    assert!(open(&disk).is_err(), "the torn tail cannot be skipped without space");
    disk.restart();
    let log = open(&disk).unwrap();
    assert_eq!(log.last(Partition(1)), Position(synced));
}

#[test]
fn the_file_system_keeps_what_the_model_keeps() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..4_u64 {
        let mut log = Log::open(directory.path(), small()).unwrap();
        for position in round * 20 + 1..=round * 20 + 20 {
            log.append(Partition(3), 1, position, &payload(3, position, 900)).unwrap();
            log.sync().unwrap();
        }
        for (record, position) in all(&log, 3).iter().zip(1..) {
            assert_eq!((record.position, &record.payload), (Position(position), &payload(3, position, 900)));
        }
        assert_eq!(log.last(Partition(3)), Position(round * 20 + 20));
        if round % 2 == 0 {
            log.close().unwrap();
        }
    }
    assert!(Log::open(directory.path(), Options::default()).is_ok());
}
