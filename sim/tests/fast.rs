//! The fast world, held to its promises: seeds of fixed numbers, kept plans, and planted bugs.

mod ensemble;

use doorbuster_sim::nemesis;
use doorbuster_sim::plan::World;
use doorbuster_sim::worlds::fast::{Keep, Plants, run, run_with};
use ensemble::{kept, told};

/// Seeds of the ensemble.
const SEEDS: u64 = 2_000;
/// Seeds within which a planted bug must be found.
const BUDGET: u64 = 500;

#[test]
fn two_thousand_seeds_hold() {
    ensemble::hold(World::Fast, SEEDS);
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
    ensemble::kept_plans_hold(World::Fast);
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
        &["S19", "S9", "L7", "S11", "L11", "I5", "L8", "L9"],
    );
}

#[test]
fn a_sweep_that_finds_nothing_is_found() {
    is_found_as(Plants { no_sweep: true, ..Plants::default() }, &["L3", "L4", "S13"]);
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
    let plan = kept(World::Fast).into_iter().find(|(kept, _)| kept == name).expect("the plan is kept").1;
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
