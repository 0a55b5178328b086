//! What draws and runs plans: a world by its name, behind a guard that turns a panic into that plan's violation.

use crate::plan::{Plan, World};
use crate::report::{Report, Violation};
use crate::trace::{Kind, Trace};
use crate::worlds::fast::{self, Keep};
use crate::{nemesis, toy};
use doorbuster_core::oracle::headline;
use doorbuster_core::oracle::verdict::Check;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Once};

/// The place and the words of a panic.
type Panicked = (String, Option<String>);

thread_local! {
    static PANICKED_AT: RefCell<Option<Panicked>> = const { RefCell::new(None) };
}

/// A world by its name.
#[derive(Clone, Copy)]
pub struct Runner {
    draw: fn(u64) -> Plan,
    run: fn(&Plan, Keep) -> Report,
    leaks: bool,
}

impl Runner {
    /// The world of a plan.
    ///
    /// # Errors
    /// When this build has no such world.
    pub fn of(world: World) -> Result<Runner, String> {
        match world {
            World::Fast => Ok(Runner { draw: nemesis::draw, run: fast::run, leaks: false }),
            #[cfg(feature = "wire")]
            World::Wire => Ok(Runner { draw: nemesis::wire::draw, run: crate::worlds::wire::run, leaks: false }),
            #[cfg(not(feature = "wire"))]
            World::Wire => Err("the wire world is not in this build".to_owned()),
        }
    }

    /// The toy: a world of a page with one planted bug, on which the tools themselves are tried.
    pub fn toy() -> Runner {
        Runner { draw: toy::draw, run: toy::run, leaks: false }
    }

    /// The same world, with the process's id in its hash: what `meta` must notice.
    pub fn leaking(self) -> Runner {
        Runner { leaks: true, ..self }
    }

    /// The plan of a seed.
    pub fn draw(&self, seed: u64) -> Plan {
        (self.draw)(seed)
    }

    /// Runs a plan. A panic inside is the plan's violation, under the id `panic`; its lines are lost with it.
    pub fn run(&self, plan: &Plan, keep: Keep) -> Report {
        quiet_panics();
        PANICKED_AT.set(None);
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| (self.run)(plan, keep)));
        let mut report = outcome.unwrap_or_else(|payload| panicked(plan, payload.as_ref()));
        if self.leaks {
            leak(&mut report);
        }
        report
    }
}

fn leak(report: &mut Report) {
    let process = u64::from(std::process::id());
    let host: Arc<str> = Arc::from("leak");
    let at_us = report.ended_at_us;
    report.trace.tell(at_us, &host, Kind::Step, None, || format!("process {process} tells its id"));
    report.trace.feed(at_us, 0, process);
}

fn panicked(plan: &Plan, payload: &(dyn std::any::Any + Send)) -> Report {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let said = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without words");
    // A panic in a task ends its runtime, which panics in turn: the first one is what happened.
    let (place, said) = match PANICKED_AT.take() {
        Some((place, first)) => (place, first.unwrap_or_else(|| said.to_owned())),
        None => (String::new(), said.to_owned()),
    };
    let id = headline::named_in(&said).map_or("panic", Check::id);
    Report {
        plan: plan.clone(),
        trace: Trace::default(),
        ended_at_us: 0,
        violation: Some(Violation { id: id.to_owned(), at_us: 0, what: format!("{place}: {said}") }),
        faults: Default::default(),
        counts: Default::default(),
    }
}

/// A panic of a plan is told with the plan; the hook's own line would only disturb. It keeps the place, which the
/// payload lacks.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|info| {
            let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
            let said = info.payload_as_str().map(str::to_owned);
            PANICKED_AT.with_borrow_mut(|first| {
                first.get_or_insert((place, said));
            });
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_violation_of_its_plan() {
        let runner = Runner { draw: toy::draw, run: |_, _| panic!("the product's assertion"), leaks: false };
        let report = runner.run(&runner.draw(1), Keep::Hash);
        let violation = report.violation.expect("a panic is a failure");
        assert_eq!(violation.id, "panic");
        assert!(violation.what.contains("the product's assertion") && violation.what.contains("runner.rs"));
    }
}
