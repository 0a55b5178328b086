//! The fast world, held to its promises: seeds of fixed numbers, kept plans, and planted bugs.

use doorbuster_sim::nemesis;
use doorbuster_sim::plan::Plan;
use doorbuster_sim::report::Report;
use doorbuster_sim::worlds::fast::{Keep, Plants, run, run_with};
use std::path::PathBuf;

/// Seeds of the ensemble.
const SEEDS: u64 = 2_000;
/// Seeds within which a planted bug must be found.
const BUDGET: u64 = 500;

fn seeds(first: u64, step: usize) -> Vec<String> {
    let broken = |seed: u64| {
        let found = run(&nemesis::draw(seed), Keep::Hash).violation?;
        Some(format!("seed {seed}: {} at {} us: {}", found.id, found.at_us, found.what))
    };
    (first..SEEDS).step_by(step).filter_map(broken).collect()
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "two threads with whole seeds of their own: no run sees another, and the order does not matter"
)]
fn two_thousand_seeds_hold() {
    let broken: Vec<String> = std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2).map(|half| scope.spawn(move || seeds(half, 2))).collect();
        halves.into_iter().flat_map(|half| half.join().expect("a panic of a seed is its violation")).collect()
    });
    assert!(broken.is_empty(), "{} seeds are broken:\n{}", broken.len(), broken.join("\n"));
}

fn told(report: &Report) -> (u64, u64, &[u64], u64) {
    (report.trace.hash(), report.trace.events(), &report.trace.checkpoints, report.ended_at_us)
}

#[test]
fn the_same_seed_is_the_same_run() {
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let plan = nemesis::draw(seed);
        assert_eq!(plan, nemesis::draw(seed));
        let (once, again, kept) = (run(&plan, Keep::Hash), run(&plan, Keep::Hash), run(&plan, Keep::Lines));
        assert_eq!(told(&once), told(&again), "seed {seed}");
        assert_eq!(told(&once), told(&kept), "keeping lines changes the run of seed {seed}");
        assert!(hashes.insert(once.trace.hash()), "seed {seed} is the run of another seed");
    }
}

#[test]
fn kept_plans_hold() {
    for (name, plan) in kept() {
        let report = run(&plan, Keep::Hash);
        assert!(report.violation.is_none(), "{name}: {:?}", report.violation);
    }
}

fn kept() -> Vec<(String, Plan)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let files = std::fs::read_dir(directory).expect("the kept plans are there").map(|file| file.unwrap().path());
    let toml = files.filter(|file| file.extension().is_some_and(|kind| kind == "toml"));
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        let plan: Plan = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        (file.file_stem().unwrap().to_string_lossy().into_owned(), plan)
    };
    let fast = |(_, plan): &(String, Plan)| plan.world == doorbuster_sim::plan::World::Fast;
    toml.map(read).filter(fast).collect()
}

/// The first seed that finds a planted bug, and what it says of it.
fn found(plants: Plants) -> (u64, String, String) {
    let killed = (0..BUDGET).find_map(|seed| {
        let violation = run_with(&nemesis::draw(seed), Keep::Hash, plants).violation?;
        Some((seed, violation.id, violation.what))
    });
    killed.unwrap_or_else(|| panic!("{plants:?} survives {BUDGET} seeds"))
}

fn is_found_as(plants: Plants, ids: &[&str]) {
    let (seed, id, what) = found(plants);
    println!("seed {seed}: {id}: {what}");
    assert!(ids.contains(&id.as_str()), "seed {seed} says {id}, expected one of {ids:?}: {what}");
}

#[test]
fn an_acknowledgement_before_publishing_is_found() {
    is_found_as(Plants { acknowledge_before_publishing: true, ..Plants::default() }, &["S10", "S5"]);
}

#[test]
fn an_unknown_publication_taken_for_done_is_found() {
    is_found_as(Plants { unknown_publish_is_done: true, ..Plants::default() }, &["S10", "S5", "L1", "alarm"]);
}

#[test]
fn an_offset_before_its_effects_is_found() {
    is_found_as(Plants { commit_before_deciding: true, ..Plants::default() }, &["S10", "S5"]);
}

#[test]
fn a_watermark_before_publishing_is_found() {
    is_found_as(
        Plants { watermark_before_publishing: true, ..Plants::default() },
        &["S9", "L7", "S11", "L11", "I5", "L8", "L9"],
    );
}

#[test]
fn a_sweep_that_finds_nothing_is_found() {
    is_found_as(Plants { no_sweep: true, ..Plants::default() }, &["L3", "L4"]);
}

#[test]
fn a_change_that_nobody_hears_of_is_found() {
    is_found_as(Plants { no_invalidation: true, ..Plants::default() }, &["L8", "S16"]);
}

#[test]
fn a_message_without_a_floor_is_found() {
    is_found_as(Plants { no_floor: true, ..Plants::default() }, &["S16", "S17", "L8"]);
}

#[test]
fn an_index_that_takes_any_version_is_found() {
    is_found_as(Plants { any_version: true, ..Plants::default() }, &["S18", "L8", "L9"]);
}

fn is_found_in(name: &str, plants: Plants, id: &str) {
    let plan = kept().into_iter().find(|(kept, _)| kept == name).expect("the plan is kept").1;
    let violation = run_with(&plan, Keep::Hash, plants).violation.expect("the planted bug is found");
    assert_eq!(violation.id, id, "{}", violation.what);
}

#[test]
fn a_look_up_of_what_is_not_durable_is_found() {
    let plants = Plants { tell_what_is_not_durable: true, ..Plants::default() };
    is_found_in("look-up-before-durable", plants, "S25");
}

#[test]
fn a_unit_for_money_that_went_back_is_found() {
    let plants = Plants { reserve_for_settled_money: true, ..Plants::default() };
    is_found_in("late-money-again", plants, "S14");
}
