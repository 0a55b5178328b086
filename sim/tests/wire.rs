//! The wire world, held to its promises: the way of one order, seeds of fixed numbers, and the same run twice.
#![cfg(feature = "wire")]

mod ensemble;

use doorbuster_sim::fault::FaultKind;
use doorbuster_sim::nemesis::wire::draw;
use doorbuster_sim::plan::{Acknowledge, Plan, Setup, Strike, World};
use doorbuster_sim::report::Report;
use doorbuster_sim::runner::Runner;
use doorbuster_sim::worlds::fast::Keep;
use ensemble::told;

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

fn struck(at_ms: u64, fault: FaultKind, target: &str, for_ms: u64, amount: u64) -> Strike {
    Strike { at_ms, fault, target: target.to_owned(), for_ms, amount, meets: None }
}

/// A plan with two edges and two invalidators, and a product that is edited twice a second.
fn with_caches() -> Plan {
    let mut plan = quiet(Acknowledge::Redis);
    plan.setup.instances.extend([("edge".to_owned(), 2), ("invalidator".to_owned(), 2)]);
    plan.strikes = vec![struck(3_000, FaultKind::O6, "product-0", 8_000, 500)];
    plan
}

#[test]
fn a_change_of_a_product_reaches_every_reader() {
    let report = run(&with_caches(), Keep::Hash);
    assert!(report.violation.is_none(), "{:?}", report.violation);
    let read = report.counts.get("products read").copied().unwrap_or(0);
    assert!(read > 50, "{:?}", report.counts);
}

#[test]
fn a_change_reaches_whoever_hears_of_nothing() {
    let mut plan = with_caches();
    plan.strikes.push(struck(1, FaultKind::R8, "", 20_000, 1_000));
    plan.strikes.push(struck(5_000, FaultKind::R8, "", 20_000, 999));
    plan.strikes.sort();
    let report = run(&plan, Keep::Hash);
    assert!(report.violation.is_none(), "{:?}", report.violation);
    for stage in ["a floor, not told", "a subscription"] {
        assert!(report.faults.stages.contains_key(&(FaultKind::R8, stage)), "no message was lost at {stage}");
    }
}

#[test]
fn a_hundred_seeds_hold() {
    ensemble::hold(World::Wire, SEEDS);
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
    ensemble::kept_plans_hold(World::Wire);
}
