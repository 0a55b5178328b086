//! The wire world, held to its promises: the way of one order, seeds of fixed numbers, and the same run twice.
#![cfg(feature = "wire")]

use doorbuster_sim::nemesis::wire::draw;
use doorbuster_sim::plan::{Acknowledge, Plan, Setup, World};
use doorbuster_sim::report::Report;
use doorbuster_sim::runner::Runner;
use doorbuster_sim::worlds::fast::Keep;
use std::path::PathBuf;

/// Seeds of the ensemble.
const SEEDS: u64 = 100;

fn run(plan: &Plan, keep: Keep) -> Report {
    Runner::of(World::Wire).expect("this build has the wire world").run(plan, keep)
}

/// A plan in which nothing goes wrong.
fn quiet(acknowledge: Acknowledge) -> Plan {
    let setup = Setup {
        embedded: false,
        acknowledge,
        shards: 1,
        stock: vec![3],
        limit: 1,
        hold_ms: 3_000,
        sale_ms: 24 * 3_600_000,
        buyers: (0..6).collect(),
        arrivals_ms: 2_000,
        instances: Default::default(),
        latency_us: (1_000, 3_000),
        horizon_ms: 60_000,
    };
    Plan { story: String::new(), seed: 1, world: World::Wire, setup, strikes: Vec::new() }
}

#[test]
fn an_order_goes_its_whole_way_at_every_level() {
    for acknowledge in [Acknowledge::Redis, Acknowledge::Replica, Acknowledge::Log] {
        let report = run(&quiet(acknowledge), Keep::Hash);
        assert!(report.violation.is_none(), "{acknowledge:?}: {:?}", report.violation);
        let count = |what| report.counts.get(what).copied().unwrap_or(0);
        assert!(count("accepted") >= 3, "{acknowledge:?}: {:?}", report.counts);
        assert!(count("PAID") >= 1, "{acknowledge:?}: {:?}", report.counts);
        assert_eq!(count("unknown"), 0, "{acknowledge:?}: {:?}", report.counts);
    }
}

fn broken(first: u64, step: usize) -> Vec<String> {
    let broken = |seed: u64| {
        let found = run(&draw(seed), Keep::Hash).violation?;
        Some(format!("seed {seed}: {} at {} us: {}", found.id, found.at_us, found.what))
    };
    (first..SEEDS).step_by(step).filter_map(broken).collect()
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "two threads with whole seeds of their own: no run sees another, and the order does not matter"
)]
fn a_hundred_seeds_hold() {
    let broken: Vec<String> = std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2).map(|half| scope.spawn(move || broken(half, 2))).collect();
        halves.into_iter().flat_map(|half| half.join().expect("a panic of a seed is its violation")).collect()
    });
    assert!(broken.is_empty(), "{} seeds are broken:\n{}", broken.len(), broken.join("\n"));
}

fn told(report: &Report) -> (u64, u64, &[u64], u64) {
    (report.trace.hash(), report.trace.events(), &report.trace.checkpoints, report.ended_at_us)
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..4 {
        let plan = draw(seed);
        assert_eq!(plan, draw(seed));
        let (once, kept) = (run(&plan, Keep::Hash), run(&plan, Keep::Lines));
        assert_eq!(told(&once), told(&kept), "keeping lines changes the run of seed {seed}");
    }
}

#[test]
fn kept_plans_hold() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let files = std::fs::read_dir(directory).expect("the kept plans are there").map(|file| file.unwrap().path());
    for file in files.filter(|file| file.extension().is_some_and(|kind| kind == "toml")) {
        let plan: Plan = toml::from_str(&std::fs::read_to_string(&file).unwrap()).expect("a kept plan is a plan");
        if plan.world == World::Wire {
            let report = run(&plan, Keep::Hash);
            assert!(report.violation.is_none(), "{}: {:?}", file.display(), report.violation);
        }
    }
}
