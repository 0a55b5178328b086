//! `explore`: all interleavings of small worlds of the ledger.

use doorbuster_sim::explore::engine::{self, Outcome};
use doorbuster_sim::explore::model::Model;
use doorbuster_sim::explore::plant::Plants;
use doorbuster_sim::explore::scope::{SCOPES, Scope};
use doorbuster_sim::explore::story;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Explore {
    /// One scope by name, or all.
    #[arg(long, default_value = "all")]
    scope: String,
    /// Cut a scope after so many states: 12 million need about 4 GiB.
    #[arg(long, default_value_t = 12_000_000)]
    states_max: usize,
    /// Cut a scope after so many minutes.
    #[arg(long, default_value_t = 10.0)]
    minutes_max: f64,
}

impl Explore {
    pub fn run(&self) -> Result<ExitCode, String> {
        run(self)
    }
}

fn run(arguments: &Explore) -> Result<ExitCode, String> {
    let wanted = |scope: &&Scope| arguments.scope == "all" || arguments.scope == scope.name;
    let scopes: Vec<&Scope> = SCOPES.iter().filter(wanted).collect();
    if scopes.is_empty() {
        let names: Vec<&str> = SCOPES.iter().map(|scope| scope.name).collect();
        return Err(format!("no scope `{}`: there are all, {}", arguments.scope, names.join(", ")));
    }
    // An assertion that fails is told with its trace; the hook's line would only disturb.
    std::panic::set_hook(Box::new(|_| {}));
    let mut sound = true;
    println!(
        "{:14} {:>10} {:>12} {:>6} {:>10} {:>8} {:>9}  how far",
        "scope", "states", "steps", "depth", "at rest", "seconds", "states/s"
    );
    for scope in scopes {
        let model = Model::new(scope, Plants::default());
        let (outcome, seconds) = timed(&model, arguments);
        println!("{}", line(scope, &outcome, seconds));
        if let Some(found) = &outcome.found {
            sound = false;
            println!("{}", story::tell(&model, found));
        }
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[allow(clippy::disallowed_methods, reason = "bounds and reports the search's own cost; no explored state sees it")]
fn timed(model: &Model, arguments: &Explore) -> (Outcome, f64) {
    let began = Instant::now();
    let limit = Duration::from_secs_f64(arguments.minutes_max * 60.0);
    let outcome = engine::explore(model, arguments.states_max, &mut |_| began.elapsed() < limit);
    (outcome, began.elapsed().as_secs_f64())
}

fn line(scope: &Scope, outcome: &Outcome, seconds: f64) -> String {
    let far = match outcome.cut {
        None => "all".to_owned(),
        Some(reason) => format!("cut: {reason}"),
    };
    let rest = match scope.quiet_every {
        1 => String::new(),
        every => format!(", at rest 1 of {every}"),
    };
    format!(
        "{:14} {:>10} {:>12} {:>6} {:>10} {:>8.1} {:>9.0}  {far}{rest}",
        scope.name,
        outcome.states,
        outcome.transitions,
        outcome.depth,
        outcome.quiet_checks,
        seconds,
        outcome.states as f64 / seconds.max(0.001)
    )
}
