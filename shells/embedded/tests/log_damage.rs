//! Damage is refused by name and leaves the disk as it was; a synced record is never lost in silence.

mod log_support;

use doorbuster_embedded::disk::{Disk, ModelDisk};
use doorbuster_embedded::log::OpenError;
use doorbuster_embedded::log::{Partition, Position};
use log_support::{ENDS, End, GROUP_BYTES, MARKED, copy, intact, open, written};
use std::sync::Arc;

const RECORDS: usize = 12;

/// Opens a damaged disk: all records, or a refusal that names the file and changes nothing.
fn refused_or_intact(disk: &Arc<ModelDisk>, file: &str) -> bool {
    let before = disk.snapshot();
    match open(disk) {
        Ok(log) => {
            assert_eq!(intact(&log), RECORDS, "a record was lost in silence after damage to {file}");
            false
        }
        Err(error) => {
            assert_eq!(disk.snapshot(), before, "a refusal has changed the disk");
            assert!(error.to_string().contains(file), "{error} does not name {file}");
            true
        }
    }
}

#[test]
fn a_flipped_byte_anywhere_is_refused_or_harmless() {
    for end in ENDS {
        let files = written(end).snapshot();
        assert!(files.contains_key("segment-0000000002.log"), "the log spans two segments");
        let mut refusals = 0;
        for (name, bytes) in &files {
            for offset in 0..bytes.len() {
                let disk = copy(&files);
                let bit = 1 << (offset % 8);
                disk.rot(name, |bytes| bytes[offset] ^= bit);
                refusals += usize::from(refused_or_intact(&disk, name));
            }
        }
        assert!(refusals > 12 * 900, "only {refusals} flips were noticed");
    }
}

#[test]
fn a_tail_torn_at_any_byte_costs_only_what_was_never_acknowledged() {
    let disk = written(End::Killed);
    let mut log = open(&disk).unwrap();
    log.append(Partition(1), 1, 7, &[9; 900]).unwrap();
    disk.fail_sync(1);
    assert!(log.sync().is_err());
    let files = disk.snapshot();
    let (name, bytes) = files.iter().next_back().unwrap();
    for length in bytes.len() - GROUP_BYTES..bytes.len() {
        let disk = copy(&files);
        disk.rot(name, |bytes| bytes.truncate(length));
        let mut log = open(&disk).unwrap();
        assert_eq!(intact(&log), RECORDS);
        assert_eq!(log.append(Partition(1), 2, 1, b"next").unwrap(), Position(7));
        log.sync().unwrap();
        assert_eq!(open(&disk).unwrap().last(Partition(1)), Position(7));
    }
}

#[test]
fn a_synced_tail_cut_at_any_byte_is_refused() {
    for end in [End::Closed, End::Killed] {
        let files = written(end).snapshot();
        let (name, bytes) = files.iter().next_back().unwrap();
        for length in 0..bytes.len() {
            let disk = copy(&files);
            disk.rot(name, |bytes| bytes.truncate(length));
            assert!(refused_or_intact(&disk, name));
        }
    }
}

#[test]
fn a_tail_cut_after_a_loss_of_power_costs_nothing_that_the_mark_knows() {
    let files = written(End::PowerLost).snapshot();
    let (name, bytes) = files.iter().next_back().unwrap();
    for length in 512..bytes.len() {
        let disk = copy(&files);
        disk.rot(name, |bytes| bytes.truncate(length));
        assert_eq!(intact(&open(&disk).unwrap()), MARKED + (length - 512) / GROUP_BYTES);
    }
}

#[test]
fn a_cut_in_front_of_a_group_that_is_there_is_refused() {
    let files = written(End::PowerLost).snapshot();
    let first = "segment-0000000001.log";
    for length in (0..files[first].len()).step_by(7) {
        let disk = copy(&files);
        disk.rot(first, |bytes| bytes.truncate(length));
        assert!(refused_or_intact(&disk, first));
    }
}

#[test]
fn zeroed_sectors_and_pages_are_refused_unless_they_reach_the_unmarked_end() {
    for (end, zeroed) in ENDS.into_iter().flat_map(|end| [(end, 512), (end, 4096)]) {
        let files = written(end).snapshot();
        let mut refusals = 0;
        for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with("segment")) {
            for offset in (0..bytes.len()).step_by(512) {
                let disk = copy(&files);
                let zeroed_end = bytes.len().min(offset + zeroed);
                disk.rot(name, |bytes| bytes[offset..zeroed_end].fill(0));
                let unmarked = end == End::PowerLost && name.ends_with("2.log") && offset >= 512;
                let last_group_hit = zeroed_end > bytes.len() - GROUP_BYTES;
                if unmarked
                    && last_group_hit
                    && let Ok(log) = open(&disk)
                {
                    assert!(intact(&log) >= MARKED + (offset - 512) / GROUP_BYTES);
                } else if !(unmarked && last_group_hit) {
                    // A sector that holds only zeros and padding is harmless.
                    refusals += usize::from(refused_or_intact(&disk, name));
                }
            }
        }
        assert!(refusals > 15, "only {refusals} were noticed after {end:?}");
    }
}

#[test]
fn a_missing_file_is_refused_by_its_name() {
    for end in ENDS {
        let files = written(end).snapshot();
        for name in files.keys() {
            let disk = copy(&files);
            disk.remove(name).unwrap();
            disk.sync_names().unwrap();
            assert!(refused_or_intact(&disk, name));
            assert!(matches!(open(&disk), Err(OpenError::Missing { file }) if file == *name));
        }
    }
}

#[test]
fn a_file_in_the_place_of_another_is_refused() {
    let files = written(End::Closed).snapshot();
    let (first, second) = ("segment-0000000001.log", "segment-0000000002.log");
    let mut swapped = files.clone();
    swapped.insert(first.to_owned(), files[second].clone());
    swapped.insert(second.to_owned(), files[first].clone());
    assert!(refused_or_intact(&copy(&swapped), "segment"));
}

#[test]
fn a_flipped_bit_in_a_nearly_empty_last_record_is_not_taken_for_an_unwritten_sector() {
    let disk = Arc::new(ModelDisk::new());
    let mut log = open(&disk).unwrap();
    let mut payload = vec![0; 3000];
    payload[1000] = 1;
    log.append(Partition(1), 1, 1, &payload).unwrap();
    log.sync().unwrap();
    disk.rot("mark", |bytes| bytes.truncate(bytes.len() - 12));
    let files = disk.snapshot();
    let name = "segment-0000000001.log";
    for bit in 512 * 8..files[name].len() * 8 {
        let disk = copy(&files);
        disk.rot(name, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        if let Ok(log) = open(&disk) {
            assert_eq!(log.read(Partition(1), Position(1), 1).unwrap()[0].payload, payload);
        }
    }
}

#[test]
fn the_mark_of_another_log_is_refused() {
    let other = Arc::new(ModelDisk::new());
    let mut log = open(&other).unwrap();
    log.append(Partition(9), 1, 1, b"elsewhere").unwrap();
    log.sync().unwrap();
    log.close().unwrap();
    let mut files = written(End::Closed).snapshot();
    files.insert("mark".to_owned(), other.snapshot()["mark"].clone());
    assert!(refused_or_intact(&copy(&files), "segment-0000000002.log"));
}

#[test]
fn a_group_that_is_cut_out_or_stands_in_another_place_is_refused() {
    for end in ENDS {
        let files = written(end).snapshot();
        let name = "segment-0000000002.log";
        for group in 0..3 {
            let start = 512 + group * GROUP_BYTES;
            let (disk, swapped) = (copy(&files), copy(&files));
            disk.rot(name, |bytes| drop(bytes.drain(start..start + GROUP_BYTES)));
            assert!(refused_or_intact(&disk, name));
            swapped.rot(name, |bytes| bytes[start..start + 2 * GROUP_BYTES].rotate_left(GROUP_BYTES));
            assert!(refused_or_intact(&swapped, name));
        }
    }
}

#[test]
fn damage_after_the_opening_is_reported_by_the_read() {
    let disk = written(End::Closed);
    let log = open(&disk).unwrap();
    disk.rot("segment-0000000001.log", |bytes| bytes[512 + 100] ^= 1);
    let read = log.read(doorbuster_embedded::log::Partition(1), doorbuster_embedded::log::Position(1), 1 << 20);
    assert!(read.unwrap_err().to_string().contains("segment-0000000001.log"));
}
