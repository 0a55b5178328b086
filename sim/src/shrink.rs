//! A failing plan made small: what is left out was not needed to break the same invariant.
//!
//! Delta debugging (Zeller, Hildebrandt: "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28/2, 2002) over
//! strikes and buyers, then fewer SKUs, shards and instances and shorter times, again and again until nothing more goes.

use crate::plan::{Plan, Setup, Strike};
use std::collections::BTreeSet;

/// Runs after which the plan is taken as it is: some minutes of the fast world.
pub const RUNS_MAX: u64 = 5_000;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// The smallest plan that was found.
    pub plan: Plan,
    /// Runs that it took.
    pub runs: u64,
    /// Whether no single change makes it smaller; false when the runs ran out.
    pub minimal: bool,
}

/// Makes `plan` smaller while `fails` says that it breaks what it broke. The same arguments give the same plan.
pub fn shrink(plan: &Plan, runs_max: u64, fails: &mut dyn FnMut(&Plan) -> bool) -> Shrunk {
    let mut search = Search { plan: plan.clone(), runs: 0, runs_max, fails };
    loop {
        let before = search.plan.clone();
        search.drop_strikes();
        search.drop_buyers();
        search.drop_stock();
        search.drop_instances();
        search.shorten();
        search.soften_strikes();
        let spent = search.runs >= runs_max;
        if search.plan == before || spent {
            return Shrunk { minimal: !spent, runs: search.runs, plan: search.plan };
        }
    }
}

struct Search<'a> {
    plan: Plan,
    runs: u64,
    runs_max: u64,
    fails: &'a mut dyn FnMut(&Plan) -> bool,
}

impl Search<'_> {
    /// Takes the changed plan when it still fails.
    fn attempt(&mut self, change: impl FnOnce(&mut Plan)) -> bool {
        let mut smaller = self.plan.clone();
        change(&mut smaller);
        if smaller == self.plan || self.runs >= self.runs_max {
            return false;
        }
        self.runs += 1;
        let still = (self.fails)(&smaller);
        if still {
            self.plan = smaller;
        }
        still
    }

    fn drop_strikes(&mut self) {
        let strikes = self.plan.strikes.clone();
        self.reduce(strikes, |plan, kept: &[Strike]| plan.strikes = kept.to_vec());
    }

    fn drop_buyers(&mut self) {
        let buyers: Vec<u32> = self.plan.setup.buyers.iter().copied().collect();
        self.reduce(buyers, |plan, kept| plan.setup.buyers = kept.iter().copied().collect::<BTreeSet<u32>>());
    }

    /// ddmin by complements: leaves out ever smaller pieces until none can go.
    fn reduce<T: Clone>(&mut self, mut kept: Vec<T>, put: impl Fn(&mut Plan, &[T])) {
        if self.attempt(|plan| put(plan, &[])) {
            return;
        }
        let mut pieces = 2;
        while kept.len() >= 2 {
            let size = kept.len().div_ceil(pieces);
            let smaller = (0..kept.len()).step_by(size).find_map(|from| {
                let rest = [&kept[..from], &kept[(from + size).min(kept.len())..]].concat();
                self.attempt(|plan| put(plan, &rest)).then_some(rest)
            });
            match smaller {
                Some(rest) => {
                    kept = rest;
                    pieces = (pieces - 1).max(2);
                }
                None if size == 1 => return,
                None => pieces = (pieces * 2).min(kept.len()),
            }
        }
    }

    fn drop_stock(&mut self) {
        // The last first: the others keep their numbers.
        while self.plan.setup.stock.len() > 1
            && self.attempt(|plan| plan.setup.stock.truncate(plan.setup.stock.len() - 1))
        {}
        for sku in 0..self.plan.setup.stock.len() {
            self.lower(move |plan| &mut plan.setup.stock[sku], 1);
        }
    }

    fn drop_instances(&mut self) {
        let roles: Vec<String> = self.plan.setup.instances.keys().cloned().collect();
        for role in roles {
            self.lower_u32(move |setup| setup.instances.get_mut(&role).expect("no role is removed"), 1);
        }
        while self.plan.setup.shards > 1 && self.attempt(|plan| plan.setup.shards /= 2) {}
        while self.plan.setup.shards > 1 && self.attempt(|plan| plan.setup.shards -= 1) {}
        self.lower_u32(|setup| &mut setup.limit, 1);
    }

    fn shorten(&mut self) {
        self.lower(|plan| &mut plan.setup.horizon_ms, 1);
        self.lower(|plan| &mut plan.setup.arrivals_ms, 1);
        self.lower(|plan| &mut plan.setup.hold_ms, 1);
        self.lower(|plan| &mut plan.setup.sale_ms, 1);
        // One latency for all links reads best.
        self.attempt(|plan| plan.setup.latency_us.1 = plan.setup.latency_us.0);
    }

    fn soften_strikes(&mut self) {
        for index in 0..self.plan.strikes.len() {
            self.lower(move |plan| &mut plan.strikes[index].for_ms, 0);
            self.lower(move |plan| &mut plan.strikes[index].amount, 0);
        }
    }

    fn lower_u32(&mut self, field: impl Fn(&mut Setup) -> &mut u32, least: u32) {
        let wide = |plan: &mut Plan| u64::from(*field(&mut plan.setup));
        self.lower_by(wide, |plan, value| *field(&mut plan.setup) = value as u32, u64::from(least));
    }

    fn lower(&mut self, field: impl Fn(&mut Plan) -> &mut u64, least: u64) {
        self.lower_by(|plan| *field(plan), |plan, value| *field(plan) = value, least);
    }

    /// Halves the way down to `least` while it fails: a failure need not be monotone in a number, so no exact bound is sought.
    fn lower_by(&mut self, read: impl Fn(&mut Plan) -> u64, put: impl Fn(&mut Plan, u64), least: u64) {
        if self.attempt(|plan| put(plan, least)) {
            return;
        }
        let mut step = read(&mut self.plan.clone()).saturating_sub(least) / 2;
        while step > 0 {
            let value = read(&mut self.plan.clone());
            if value.saturating_sub(step) <= least || !self.attempt(|plan| put(plan, value - step)) {
                step /= 2;
            }
        }
    }
}
