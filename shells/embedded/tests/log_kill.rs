//! Real processes on the real file system, killed with SIGKILL.

use doorbuster_embedded::log::{Log, Options, Partition, Position};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const DIRECTORY: &str = "DOORBUSTER_LOG_KILL_DIRECTORY";
const KILLS: u64 = 60;

fn payload(position: u64) -> Vec<u8> {
    (0..200 + position % 5000).map(|index| (index.wrapping_mul(31).wrapping_add(position) % 251) as u8).collect()
}

fn options() -> Options {
    Options { segment_bytes: 1 << 20, mark_every_groups: 50, ..Options::default() }
}

/// Not a test: the process that is killed. It prints each position after its sync.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let mut log = Log::open(Path::new(&directory), options()).unwrap();
    let mut output = std::io::stdout();
    writeln!(output, "synced {}", log.last(Partition(1)).0).unwrap();
    loop {
        let next = log.last(Partition(1)).0 + 1;
        log.append(Partition(1), 1, next, &payload(next)).unwrap();
        log.sync().unwrap();
        writeln!(output, "synced {next}").unwrap();
    }
}

fn start(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills the child after so many lines and returns the last position that it had printed.
fn kill_after(directory: &Path, lines: u64) -> u64 {
    let mut child = start(directory);
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut synced = 0;
    let mut seen = 0;
    while let Some(Ok(line)) = output.next() {
        if let Some((_, number)) = line.split_once("synced ") {
            synced = number.parse().unwrap();
            seen += 1;
        }
        if seen == lines {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(seen >= lines, "the child ended by itself");
    synced
}

#[test]
fn what_a_killed_process_had_printed_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let mut unprinted = 0;
    for kill in 0..KILLS {
        let synced = kill_after(directory.path(), 1 + kill * 7 % 90);
        let log = Log::open(directory.path(), options()).unwrap();
        let last = log.last(Partition(1)).0;
        assert!(synced <= last, "{synced} was printed, {last} is the last");
        assert!(last <= synced + 1, "at most one sync can have returned unprinted");
        unprinted += last - synced;
        check(&log, last);
    }
    println!("{KILLS} kills, {unprinted} records synced but not printed");
}

fn check(log: &Log, last: u64) {
    let mut next = 1;
    while next <= last {
        for record in log.read(Partition(1), Position(next), 1 << 20).unwrap() {
            assert_eq!((record.position.0, record.seq), (next, next));
            assert_eq!(record.payload, payload(next));
            next += 1;
        }
    }
}
