//! Many seeds of one world, and the plans that are kept.

use doorbuster_sim::plan::{Plan, World};
use doorbuster_sim::report::Report;
use doorbuster_sim::runner::Runner;
use doorbuster_sim::worlds::fast::Keep;
use std::path::PathBuf;

fn broken(world: World, seeds: impl Iterator<Item = u64>) -> Vec<String> {
    let runner = Runner::of(world).expect("this build has the world");
    let broken = |seed: u64| {
        let found = runner.run(&runner.draw(seed), Keep::Hash).violation?;
        Some(format!("seed {seed}: {} at {} us: {}", found.id, found.at_us, found.what))
    };
    seeds.filter_map(broken).collect()
}

/// The seeds below this number hold.
#[allow(
    clippy::disallowed_methods,
    reason = "two threads with whole seeds of their own: no run sees another, and the order does not matter"
)]
pub fn hold(world: World, seeds: u64) {
    let broken: Vec<String> = std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2).map(|half| scope.spawn(move || broken(world, (half..seeds).step_by(2)))).collect();
        halves.into_iter().flat_map(|half| half.join().expect("a panic of a seed is its violation")).collect()
    });
    // The runner keeps the words of panics for itself.
    broken.iter().for_each(|seed| println!("{seed}"));
    assert!(broken.is_empty(), "{} seeds are broken", broken.len());
}

/// What two runs of one plan have in common.
pub fn told(report: &Report) -> (u64, u64, &[u64], u64) {
    (report.trace.hash(), report.trace.events(), &report.trace.checkpoints, report.ended_at_us)
}

/// The kept plans of a world, by their names.
pub fn kept(world: World) -> Vec<(String, Plan)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let files = std::fs::read_dir(directory).expect("the kept plans are there").map(|file| file.unwrap().path());
    let toml = files.filter(|file| file.extension().is_some_and(|kind| kind == "toml"));
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        let plan: Plan = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        (file.file_stem().unwrap().to_string_lossy().into_owned(), plan)
    };
    toml.map(read).filter(|(_, plan)| plan.world == world).collect()
}

/// Every kept plan of a world holds.
pub fn kept_plans_hold(world: World) {
    let runner = Runner::of(world).expect("this build has the world");
    let kept = kept(world);
    assert!(!kept.is_empty(), "no plan of the {world:?} world is kept");
    for (name, plan) in kept {
        let violation = runner.run(&plan, Keep::Hash).violation;
        println!("{name}: {violation:?}");
        assert!(violation.is_none(), "{name} is broken");
    }
}
