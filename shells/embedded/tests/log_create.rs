//! Creation may be killed at any step, and a directory that is not ours is left alone.

mod log_support;

use doorbuster_embedded::disk::ModelDisk;
use doorbuster_embedded::log::{Log, OpenError, Options, Partition, Position};
use log_support::{Draws, End, open, written};
use std::sync::Arc;

#[test]
fn a_kill_at_any_step_of_the_creation_is_completed_by_the_next_opening() {
    let whole = ModelDisk::new();
    let steps = {
        let disk = Arc::new(whole);
        drop(open(&disk).unwrap());
        disk.operations()
    };
    assert!(steps > 10);
    for step in 0..steps {
        for seed in 0..200 {
            let disk = Arc::new(ModelDisk::new());
            disk.stop_at(step);
            assert!(open(&disk).is_err());
            let mut draws = Draws(seed);
            if seed == 0 {
                disk.restart()
            } else {
                disk.lose_power(&mut |bound| draws.below(bound))
            }
            let mut log = open(&disk).unwrap();
            log.append(Partition(1), 1, 1, b"first").unwrap();
            log.sync().unwrap();
            disk.lose_power(&mut |bound| draws.below(bound));
            assert_eq!(open(&disk).unwrap().last(Partition(1)), Position(1));
        }
    }
}

#[test]
fn a_foreign_directory_is_refused_and_nothing_is_left_in_it() {
    for name in ["notes.txt", "segment-1.log", "CURRENT"] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(name), b"mine").unwrap();
        let refused = Log::open(directory.path(), Options::default());
        assert!(matches!(refused, Err(OpenError::Foreign { file }) if file == name));
        let names: Vec<_> =
            std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [name]);
    }
}

#[test]
fn a_directory_of_another_format_is_refused() {
    let disk = written(End::Closed);
    disk.rot("format", |bytes| *bytes = b"doorbuster log, format 2\n".to_vec());
    let before = disk.snapshot();
    assert!(matches!(open(&disk), Err(OpenError::Format { .. })));
    assert_eq!(disk.snapshot(), before);
}

#[test]
fn a_second_opener_is_kept_out_until_the_first_has_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep").join("log");
    let first = Log::open(&path, Options::default()).unwrap();
    let second = Log::open(&path, Options::default());
    assert!(matches!(&second, Err(OpenError::Locked { file }) if file.ends_with("log.lock")));
    drop(first);
    Log::open(&path, Options::default()).unwrap().close().unwrap();
}
