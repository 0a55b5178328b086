//! The embedded platform over a simulated disk: whatever the disk does, nobody loses what was answered with a 202.

#![cfg(feature = "disk")]

use doorbuster_sim::fault::FaultKind;
use doorbuster_sim::nemesis;
use doorbuster_sim::report::FaultLedger;
use doorbuster_sim::worlds::fast::{Keep, Plants, run, run_with};
use std::collections::BTreeMap;

/// Seeds of the ensemble.
const SEEDS: u64 = 400;

/// Seeds within which a planted bug must be found.
const BUDGET: u64 = 100;

/// What a part of the seeds came to.
#[derive(Default)]
struct Tally {
    faults: FaultLedger,
    counts: BTreeMap<&'static str, u64>,
    broken: Vec<String>,
}

fn seeds(first: u64, step: usize) -> Tally {
    let mut tally = Tally::default();
    for seed in (first..SEEDS).step_by(step) {
        let report = run(&nemesis::draw_embedded(seed), Keep::Hash);
        tally.faults.add(&report.faults);
        for (what, count) in report.counts {
            *tally.counts.entry(what).or_default() += count;
        }
        if let Some(found) = report.violation {
            tally.broken.push(format!("seed {seed}: {} at {} us: {}", found.id, found.at_us, found.what));
        }
    }
    tally
}

#[allow(
    clippy::disallowed_methods,
    reason = "two threads with whole seeds of their own: no run sees another, and the order does not matter"
)]
fn all() -> Tally {
    std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| scope.spawn(move || seeds(half, 2)));
        let mut all = Tally::default();
        for half in halves.map(|half| half.join().expect("a panic of a seed is its violation")) {
            all.faults.add(&half.faults);
            all.broken.extend(half.broken);
            for (what, count) in half.counts {
                *all.counts.entry(what).or_default() += count;
            }
        }
        all
    })
}

#[test]
fn no_acceptance_is_lost_whatever_the_disk_does() {
    let tally = all();
    println!("{:?}\n{:?}", tally.counts, tally.faults.stages);
    assert!(tally.broken.is_empty(), "{} seeds are broken:\n{}", tally.broken.len(), tally.broken.join("\n"));
    for kind in [FaultKind::Q1, FaultKind::Q2, FaultKind::Q3, FaultKind::Q4, FaultKind::Q5] {
        let struck = tally.faults.kinds.get(&kind).copied().unwrap_or_default();
        println!("{kind}: injected {}, effective {}", struck.injected, struck.effective);
        assert!(struck.effective > 0, "{kind} never changed anything");
    }
    for (kind, stage) in [(FaultKind::Q1, "appended, not synced"), (FaultKind::Q2, "appended, not synced")] {
        assert!(tally.faults.stages.contains_key(&(kind, stage)), "{kind} never met: {stage}");
    }
    assert!(!tally.counts.contains_key("acceptances lost"), "{:?}", tally.counts);
    // Q5: at every moment of the ladder.
    for stage in [
        "an epoch is to end",
        "a seal is written",
        "a seal stands, not told",
        "between two epochs",
        "a memory is to be filled",
        "a memory is being filled",
        "a memory is open, not told",
        "a shard sells again",
        "a log is opened",
    ] {
        assert!(tally.faults.stages.contains_key(&(FaultKind::Q5, stage)), "never killed while {stage}");
    }
}

#[test]
fn the_same_plan_is_the_same_run() {
    for seed in 0..20 {
        let plan = nemesis::draw_embedded(seed);
        let (once, again, kept) = (run(&plan, Keep::Hash), run(&plan, Keep::Hash), run(&plan, Keep::Lines));
        let told = |report: &doorbuster_sim::report::Report| (report.trace.hash(), report.trace.events());
        assert_eq!(told(&once), told(&again), "seed {seed}");
        assert_eq!(told(&once), told(&kept), "keeping lines changes the run of seed {seed}");
    }
}

/// A log that does not look whether a sync failed (zoo 57): a 202 leaves, and the power goes.
#[test]
fn a_failed_sync_that_nobody_looks_at_is_found() {
    let plants = Plants { ignore_failed_sync: true, ..Plants::default() };
    let mut broken = BTreeMap::<String, Vec<u64>>::new();
    for seed in 0..BUDGET {
        let found = run_with(&nemesis::draw_embedded(seed), Keep::Hash, plants).violation;
        broken.entry(found.map_or("nothing".to_owned(), |found| found.id)).or_default().push(seed);
    }
    println!("{broken:?}");
    let first = broken.iter().filter(|(id, _)| *id != "nothing").min_by_key(|(_, seeds)| seeds[0]);
    assert_eq!(first.map(|(id, _)| id.as_str()), Some("S5"), "{broken:?}");
}
