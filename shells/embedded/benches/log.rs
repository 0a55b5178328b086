//! How near the log comes to a bare append and `fdatasync`, in one run. A measurement, not a check:
//! `cargo bench -p doorbuster-embedded --bench log`

use doorbuster_embedded::log::{Log, Options, Partition};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// A group commit of 256 reservations.
const RECORD_BYTES: usize = 10_000;
const ROUNDS: u64 = 12;
const SYNCS_PER_ROUND: u64 = 500;

#[expect(clippy::disallowed_methods, reason = "it measures the machine's own time and decides nothing by it")]
fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn raw(path: &Path, payload: &[u8]) -> Duration {
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    timed(|| {
        for _ in 0..SYNCS_PER_ROUND {
            file.write_all(payload).unwrap();
            file.sync_data().unwrap();
        }
    })
}

fn main() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut log = Log::open(&directory.path().join("log"), Options::default()).unwrap();
    let payload: Vec<u8> = (0..RECORD_BYTES).map(|index| (index % 251) as u8).collect();
    let (mut log_time, mut raw_time) = (Duration::ZERO, Duration::ZERO);
    // The two take turns, so that a disk which slows down slows both.
    for round in 0..ROUNDS {
        raw_time += raw(&directory.path().join("raw"), &payload);
        log_time += timed(|| {
            for seq in 1..=SYNCS_PER_ROUND {
                log.append(Partition(1), 1, round * SYNCS_PER_ROUND + seq, &payload).unwrap();
                log.sync().unwrap();
            }
        });
    }
    let syncs = (ROUNDS * SYNCS_PER_ROUND) as f64;
    let (log_rate, raw_rate) = (syncs / log_time.as_secs_f64(), syncs / raw_time.as_secs_f64());
    println!("log {log_rate:.0}/s, bare file {raw_rate:.0}/s, ratio {:.2}", log_rate / raw_rate);
    let reopened = timed(|| {
        log.append(Partition(1), 1, 0, &payload).unwrap();
        log.sync().unwrap();
        drop(log);
        drop(Log::open(&directory.path().join("log"), Options::default()).unwrap());
    });
    println!("reopening of {:.0} MB: {:.3} s", syncs * RECORD_BYTES as f64 / 1e6, reopened.as_secs_f64());
}
