//! A server of shards that loses acknowledged writes, at every level of acknowledgement, while whoever climbs the ladder
//! of epochs dies at one moment after the other.

use doorbuster_sim::fault::FaultKind;
use doorbuster_sim::plan::{Acknowledge, Plan, Setup, Strike, World};
use doorbuster_sim::report::Report;
use doorbuster_sim::worlds::fast::{Keep, run};
use std::collections::{BTreeMap, BTreeSet};

/// The server fails in the middle of the burst.
const FAILS_AT_MS: u64 = 4_000;
/// The ladder is climbed within this time after the failure, over links as slow as these plans have.
const LADDER_MS: u64 = 7_000;
/// From one moment of death to the next: less than one message of the ladder takes.
const STEP_MS: usize = 25;
/// Who takes part in the end of an epoch and in the next one's beginning.
const CLIMBERS: [&str; 3] = ["keeper-0", "forwarder-0", "intake-0"];

fn plan(acknowledge: Acknowledge, seed: u64, strikes: Vec<Strike>) -> Plan {
    let roles = ["edge", "keeper", "forwarder", "intake", "relay", "reaper", "settler", "payment"];
    let setup = Setup {
        embedded: false,
        acknowledge,
        shards: 1,
        stock: vec![10],
        limit: 2,
        hold_ms: 5_000,
        sale_ms: 24 * 3_600_000,
        buyers: (0..16).collect(),
        arrivals_ms: 4_000,
        instances: roles.map(|role| (role.to_owned(), 1)).into(),
        latency_us: (5_000, 40_000),
        horizon_ms: 60_000,
    };
    Plan { story: String::new(), seed, world: World::Fast, setup, strikes }
}

/// What a level's runs came to.
#[derive(Default)]
struct Tally {
    runs: u64,
    /// Acceptances that are no order, each with a place in the log that says so.
    lost: u64,
    /// Of them, told to a buyer who asked with the receipt while the run went on.
    told_in_time: u64,
    /// Told to the buyers of all of them, who look them up after everything was healed.
    told: u64,
    /// Of them, whose key was accepted once more at a later place: the look-up answers with that order.
    accepted_again: u64,
    moments: BTreeSet<&'static str>,
    broken: Vec<String>,
}

impl Tally {
    fn add(&mut self, report: &Report) {
        self.runs += 1;
        let count = |what| report.counts.get(what).copied().unwrap_or(0);
        self.lost += count("acceptances lost");
        self.told_in_time += count("lost");
        self.told += count("losses told");
        self.accepted_again += count("losses accepted again");
        self.moments.extend(&report.faults.sometimes);
        if let Some(found) = &report.violation {
            self.broken.push(format!("{:?}: {}: {}", report.plan.strikes, found.id, found.what));
        }
    }
}

/// A failover that forgets so many commands, and then a death at each moment of the ladder: of whoever climbs it,
/// and of the new server.
fn at_every_moment(acknowledge: Acknowledge) -> Tally {
    let mut tally = Tally::default();
    for (number, after_ms) in (0..LADDER_MS).step_by(STEP_MS).enumerate() {
        let amount = [4, 30, 200][number % 3];
        let failover = Strike::new(FAILS_AT_MS, FaultKind::R3, "", 0, amount);
        // What was accepted since then stands in the server's memory alone.
        let idle = Strike::new(FAILS_AT_MS - 1_500, FaultKind::P4, "forwarder-0", 1_800, 0);
        let at_ms = FAILS_AT_MS + after_ms;
        for climber in CLIMBERS {
            let death = Strike::new(at_ms, FaultKind::P1, climber, 300, 0);
            tally.add(&run(&plan(acknowledge, number as u64, vec![idle.clone(), failover.clone(), death]), Keep::Hash));
        }
        let death = Strike::new(at_ms, FaultKind::R1, "", 300, amount);
        tally.add(&run(&plan(acknowledge, number as u64, vec![idle, failover, death]), Keep::Hash));
    }
    tally
}

#[allow(
    clippy::disallowed_methods,
    reason = "a thread for each level: no run sees another, and the order does not matter"
)]
fn all_levels() -> Vec<(Acknowledge, Tally)> {
    let levels = [Acknowledge::Redis, Acknowledge::Replica, Acknowledge::Log];
    std::thread::scope(|scope| {
        let tallies = levels.map(|level| (level, scope.spawn(move || at_every_moment(level))));
        let joined =
            |tally: std::thread::ScopedJoinHandle<'_, Tally>| tally.join().expect("a run's panic is its violation");
        tallies.into_iter().map(|(level, tally)| (level, joined(tally))).collect()
    })
}

/// S1, S23 and S26 among all others; the run is not at rest before a probe has bought, so the sale has opened again.
#[test]
fn no_promise_breaks_at_any_level_whenever_a_climber_dies() {
    let mut lost_at = BTreeMap::new();
    for (acknowledge, tally) in all_levels() {
        assert!(tally.broken.is_empty(), "{acknowledge:?}:\n{}", tally.broken.join("\n"));
        for moment in [
            "a keeper died while an epoch drained",
            "a keeper died between two epochs",
            "a keeper died while a memory was filled",
            "a keeper died while a shard sold",
            "an epoch ended",
        ] {
            assert!(tally.moments.contains(moment), "{acknowledge:?}: never {moment}");
        }
        let Tally { runs, lost, told_in_time, told, accepted_again, .. } = tally;
        println!(
            "{acknowledge:?}: {runs} runs, {lost} acceptances lost: {told} told to their buyers, {accepted_again} \
             accepted again under the same key; {told_in_time} buyers had asked before"
        );
        // A buyer who asked before may have been accepted again since; nobody who lost hears anything else.
        assert_eq!(told + accepted_again, lost, "{acknowledge:?}: each buyer is told what became of each loss");
        lost_at.insert(acknowledge, (lost, told));
    }
    let (lost, told) = lost_at[&Acknowledge::Redis];
    assert!(lost > 0 && told > 0, "the server loses acceptances, and says so to those who ask");
    assert_eq!(lost_at[&Acknowledge::Log], (0, 0), "a 202 that waits for the log is never lost");
}
