//! Many seeds on all cores: what they injected, what it changed, and which of them failed.

use crate::report::{FaultLedger, Violation};
use crate::runner::Runner;
use crate::worlds::fast::Keep;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Failing seeds after which a swarm stops: more of them tell the same story.
pub const FAILURES_MAX: usize = 10;

/// Which seeds.
#[derive(Clone, Copy)]
pub struct Swarm {
    /// The world that draws and runs them.
    pub runner: Runner,
    /// The first seed.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// Stop after so many failing seeds.
    pub failures_max: usize,
    /// Threads.
    pub threads: usize,
}

/// What all seeds together did.
#[derive(Clone, Debug, Default)]
pub struct Ensemble {
    /// Seeds that were run. When it was cut, some above the last failure are among them.
    pub seeds: u64,
    /// Simulated time, in microseconds.
    pub simulated_us: u64,
    /// Events.
    pub events: u64,
    /// Faults.
    pub faults: FaultLedger,
    /// What buyers got.
    pub counts: BTreeMap<&'static str, u64>,
    /// The lowest failing seeds, at most `failures_max`: the same ones whatever the threads did.
    pub failures: BTreeMap<u64, Violation>,
}

impl Ensemble {
    fn add(&mut self, other: Ensemble) {
        self.seeds += other.seeds;
        self.simulated_us += other.simulated_us;
        self.events += other.events;
        self.faults.add(&other.faults);
        for (name, count) in other.counts {
            *self.counts.entry(name).or_default() += count;
        }
        self.failures.extend(other.failures);
    }
}

/// Runs them. `progress` hears after each seed how many are done.
#[allow(
    clippy::disallowed_methods,
    reason = "one thread per core, each with whole seeds of its own: no run sees another, and sums do not depend on order"
)]
pub fn run(swarm: &Swarm, progress: &(dyn Fn(u64) + Sync)) -> Ensemble {
    let shared = Shared {
        next: AtomicU64::new(swarm.first),
        done: AtomicU64::new(0),
        bar: AtomicU64::new(u64::MAX),
        failing: Mutex::new(Vec::new()),
    };
    let mut all = Ensemble::default();
    std::thread::scope(|scope| {
        let work = || shared.work(swarm, progress);
        let workers: Vec<_> = (0..swarm.threads.max(1)).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            all.add(worker.join().expect("a panic of a seed is caught as its violation"));
        }
    });
    while all.failures.len() > swarm.failures_max {
        all.failures.pop_last();
    }
    all
}

struct Shared {
    next: AtomicU64,
    done: AtomicU64,
    /// No seed above it is begun: enough below it failed.
    bar: AtomicU64,
    failing: Mutex<Vec<u64>>,
}

impl Shared {
    /// Seeds are handed out in order and each that was begun is finished: below the bar nothing is left out.
    fn work(&self, swarm: &Swarm, progress: &(dyn Fn(u64) + Sync)) -> Ensemble {
        let mut sum = Ensemble::default();
        loop {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed >= swarm.first.saturating_add(swarm.seeds) || seed > self.bar.load(Ordering::Relaxed) {
                return sum;
            }
            let report = swarm.runner.run(&swarm.runner.draw(seed), Keep::Hash);
            let failures = report.violation.into_iter().map(|found| (seed, found)).collect();
            sum.add(Ensemble {
                seeds: 1,
                simulated_us: report.ended_at_us,
                events: report.trace.events(),
                faults: report.faults,
                counts: report.counts,
                failures,
            });
            if sum.failures.contains_key(&seed) {
                self.fail(seed, swarm.failures_max);
            }
            progress(self.done.fetch_add(1, Ordering::Relaxed) + 1);
        }
    }

    fn fail(&self, seed: u64, failures_max: usize) {
        let mut failing = self.failing.lock().expect("no thread dies with it");
        failing.push(seed);
        failing.sort_unstable();
        if let Some(last) = failing.get(failures_max.max(1) - 1) {
            self.bar.store(*last, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toy(threads: usize, failures_max: usize) -> Ensemble {
        run(&Swarm { runner: Runner::toy(), first: 0, seeds: 200, failures_max, threads }, &|_| ())
    }

    #[test]
    fn threads_change_nothing() {
        let (one, four) = (toy(1, usize::MAX), toy(4, usize::MAX));
        assert_eq!((one.seeds, one.events, &one.faults), (four.seeds, four.events, &four.faults));
        assert_eq!(one.failures, four.failures);
        assert!(!one.failures.is_empty(), "the toy's bug was not found");
    }

    #[test]
    fn the_lowest_failing_seeds_are_told() {
        let all = toy(1, usize::MAX);
        let cut = toy(3, 2);
        assert_eq!(cut.failures, all.failures.into_iter().take(2).collect());
        assert!(cut.seeds < 200, "it did not stop");
    }
}
