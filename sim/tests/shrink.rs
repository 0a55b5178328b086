//! Failing plans made small, on the toy world and its planted bug.

use doorbuster_sim::fault::FaultKind;
use doorbuster_sim::plan::Plan;
use doorbuster_sim::runner::Runner;
use doorbuster_sim::shrink::{RUNS_MAX, Shrunk, shrink};
use doorbuster_sim::worlds::fast::Keep;

fn oversells(plan: &Plan) -> bool {
    Runner::toy().run(plan, Keep::Hash).violation.is_some_and(|found| found.id == "S1")
}

fn failing() -> Plan {
    let runner = Runner::toy();
    (0..500).map(|seed| runner.draw(seed)).find(oversells).expect("the toy's bug is found")
}

fn shrunk(plan: &Plan, runs_max: u64) -> Shrunk {
    shrink(plan, runs_max, &mut |smaller| oversells(smaller))
}

#[test]
fn what_is_not_needed_is_left_out() {
    let plan = failing();
    let shrunk = shrunk(&plan, RUNS_MAX);
    assert!(shrunk.minimal && oversells(&shrunk.plan));
    let kinds: Vec<FaultKind> = shrunk.plan.strikes.iter().map(|strike| strike.fault).collect();
    assert_eq!(kinds, [FaultKind::R3], "only the failover is needed");
    assert_eq!(shrunk.plan.strikes[0].amount, 1);
    assert!(shrunk.plan.setup.buyers.len() < plan.setup.buyers.len());
    assert_eq!(shrunk.plan.setup.stock.iter().filter(|units| **units > 1).count(), 0, "one unit of each is enough");
}

#[test]
fn no_single_buyer_or_strike_can_go_any_more() {
    let smallest = shrunk(&failing(), RUNS_MAX).plan;
    for buyer in &smallest.setup.buyers {
        let mut without = smallest.clone();
        without.setup.buyers.remove(buyer);
        assert!(!oversells(&without), "buyer {buyer} was not needed");
    }
}

#[test]
fn the_same_plan_shrinks_to_the_same_plan() {
    let plan = failing();
    assert_eq!(shrunk(&plan, RUNS_MAX), shrunk(&plan, RUNS_MAX));
}

#[test]
fn a_search_that_was_cut_says_so_and_still_fails() {
    let shrunk = shrunk(&failing(), 10);
    assert!(!shrunk.minimal && shrunk.runs == 10 && oversells(&shrunk.plan));
}

/// The wire world is shrunk as the others are: what is left is a plan of that world that fails as before.
#[cfg(feature = "wire")]
#[test]
fn a_plan_of_the_wire_world_becomes_smaller() {
    use doorbuster_sim::plan::World;
    use doorbuster_sim::replay;
    doorbuster_sim::zoo::plant_in_scripts("4").expect("this bug is in a script alone");
    let runner = Runner::of(World::Wire).expect("this build has the wire world");
    let oversells = |plan: &Plan| runner.run(plan, Keep::Hash).violation.is_some_and(|found| found.id == "S2");
    let plan = (0..20).map(|seed| runner.draw(seed)).find(oversells).expect("the planted bug is found");
    let shrunk = shrink(&plan, 60, &mut |smaller| oversells(smaller)).plan;
    assert!(shrunk.strikes.is_empty(), "the script needs no trouble to err: {:?}", shrunk.strikes);
    assert!(shrunk.setup.buyers.len() < plan.setup.buyers.len());
    let kept: Plan = toml::from_str(&replay::write(&shrunk)).expect("it was written as TOML");
    assert!(kept == shrunk && oversells(&kept), "what is kept is what failed");
}
