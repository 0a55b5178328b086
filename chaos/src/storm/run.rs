//! One run: servers, deployment, buyers, strikes, healing, verdict.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::plan::{Planned, draw};
use super::strike::{Begun, Struck, Target};
use super::timeline;
use crate::fleet::{Fleet, Programs, Tool};
use crate::servers::{Cache, Lab, Layout, Server};
use crate::stop;

/// Clicks a second: what an emulator that lets one transaction at a time write can turn into orders, payments and
/// cancellations while processes are missing.
const CLICKS_PER_SECOND: u64 = 12;
/// Each buyer clicks so often on average, double clicks and second clicks included.
const CLICKS_PER_BUYER: f64 = 1.1;
/// Pay window: several of them end during the strikes.
const HOLD_SECONDS: u64 = 20;
/// What the load tool may take after the strikes: late payments, ends of pay windows, probes, audits.
const AFTERMATH_MAX: Duration = Duration::from_secs(12 * 60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The first seed; the others follow it.
    pub seed: u64,
    pub seeds: u64,
    /// How long each seed strikes.
    pub seconds: u64,
    /// How Redis is laid out; else the seed says.
    pub layout: Option<Layout>,
    /// Where reports, histories and timelines are put, a directory for each seed.
    pub output: PathBuf,
}

/// What came of one seed.
#[derive(Debug)]
pub struct Outcome {
    pub seed: u64,
    pub layout: Layout,
    pub struck: Vec<Struck>,
    /// How the load tool ended: 0 is a green verdict.
    pub verdict: Option<i32>,
    /// What should not have happened besides.
    pub wrong: Vec<String>,
}

impl Outcome {
    pub fn holds(&self) -> bool {
        self.verdict == Some(0) && self.wrong.is_empty()
    }

    /// Strikes of this kind that were felt.
    pub fn felt(&self, kind: &str) -> usize {
        self.struck.iter().filter(|struck| struck.felt && struck.planned.strike.kind() == kind).count()
    }
}

/// Runs every seed; `false` if a promise was broken in one.
pub fn run(options: &Options) -> Result<bool, String> {
    let programs = Programs::build()?;
    let mut outcomes = Vec::new();
    for seed in options.seed..options.seed + options.seeds {
        let outcome = one(options, seed, &programs)?;
        println!(
            "seed {seed}, redis {}: {}",
            name(outcome.layout),
            if outcome.holds() { "holds" } else { "DOES NOT HOLD" }
        );
        outcome.wrong.iter().for_each(|wrong| println!("  {wrong}"));
        outcomes.push(outcome);
        if let Some(signal) = stop::asked() {
            return Err(format!("this program got signal {signal}"));
        }
    }
    print!("{}", table(&outcomes));
    Ok(outcomes.iter().all(Outcome::holds))
}

/// The three layouts in turn.
fn layout_of(seed: u64) -> Layout {
    [Layout::Single, Layout::Sentinel, Layout::Cluster][(seed % 3) as usize]
}

pub fn name(layout: Layout) -> &'static str {
    match layout {
        Layout::Single => "single",
        Layout::Sentinel => "behind a Sentinel",
        Layout::Cluster => "a cluster",
    }
}

fn one(options: &Options, seed: u64, programs: &Programs) -> Result<Outcome, String> {
    let layout = options.layout.unwrap_or_else(|| layout_of(seed));
    let output = options.output.join(seed.to_string());
    let place = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut lab = Lab::start(&Cache::of_user()?, &Server::all(layout))?;
    let mut fleet = Fleet::start(&programs.doorbuster, &lab, place.path())?;
    let load = start_load(options, seed, &fleet, &programs.load, &output)?;
    let began = Instant::now();
    let plan = draw(seed, layout, options.seconds * 1_000);
    let mut target = Target { fleet: &mut fleet, lab: &mut lab };
    let struck = strike(plan, &mut target, began)?;
    let mut wrong: Vec<String> = struck.iter().filter_map(|struck| struck.wrong.clone()).collect();
    fleet.heal()?;
    let status = load.wait(Duration::from_secs(options.seconds) + AFTERMATH_MAX)?;
    wrong.extend(fleet.stop());
    let outcome = Outcome { seed, layout, struck, verdict: status.code(), wrong };
    timeline::write(&outcome, &output)?;
    if !outcome.holds() {
        let logs = place.keep();
        println!("seed {seed}: logs of the processes are in {}", logs.display());
    }
    Ok(outcome)
}

/// Begins and ends strikes at their times, until all have ended.
fn strike(plan: Vec<Planned>, target: &mut Target<'_>, began: Instant) -> Result<Vec<Struck>, String> {
    let now_ms = || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut waiting = plan.into_iter().peekable();
    let (mut begun, mut struck): (Vec<(u64, Begun)>, Vec<Struck>) = (Vec::new(), Vec::new());
    while waiting.peek().is_some() || !begun.is_empty() {
        if let Some(place) = begun.iter().position(|(ends_ms, _)| *ends_ms <= now_ms()) {
            let (_, ends) = begun.remove(place);
            struck.push(target.end(ends, now_ms())?);
        } else if let Some(mut planned) =
            waiting.next_if(|planned| planned.at_ms <= now_ms() && !is_struck(&begun, planned))
        {
            // One that is late, because a server took long to come up, lasts as long as it would have.
            let lasts_ms = planned.ends_ms - planned.at_ms;
            planned.at_ms = now_ms();
            planned.ends_ms = planned.at_ms + lasts_ms;
            println!("{:>8.1} s  {}", planned.at_ms as f64 / 1000.0, planned.strike);
            begun.push((planned.ends_ms, target.begin(planned)));
        } else {
            std::thread::sleep(LOOK_EVERY);
        }
        if let Some(signal) = stop::asked() {
            return Err(format!("this program got signal {signal}"));
        }
    }
    Ok(struck)
}

fn start_load(options: &Options, seed: u64, fleet: &Fleet, program: &Path, output: &Path) -> Result<Tool, String> {
    let buyers = (options.seconds * CLICKS_PER_SECOND) as f64 / CLICKS_PER_BUYER;
    let minutes = (Duration::from_secs(options.seconds) + AFTERMATH_MAX).as_secs() / 60;
    let mut command = Command::new(program);
    command
        .args(["mixed", "--operator", "--sales", "2", "--skus", "20", "--shards", "3", "--stock", "60"])
        .args(["--buyers", &format!("{buyers:.0}"), "--rate", &CLICKS_PER_SECOND.to_string()])
        .args(["--hold", &HOLD_SECONDS.to_string(), "--seed", &seed.to_string(), "--url", &fleet.url()])
        .args(["--max-minutes", &minutes.to_string(), "--timeout-ms", "8000", "--connections", "64"])
        .arg("--data")
        .arg(fleet.directory())
        .arg("--output")
        .arg(output);
    Tool::start(&mut command)
}

/// Where strikes are late, two that were planned one after the other could meet: the later one waits.
fn is_struck(begun: &[(u64, Begun)], planned: &Planned) -> bool {
    begun.iter().any(|(_, begun)| begun.lane() == planned.strike.lane())
}

/// Strikes of each kind, made and felt, over all seeds.
fn table(outcomes: &[Outcome]) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for struck in outcomes.iter().flat_map(|outcome| &outcome.struck) {
        if !kinds.contains(&struck.planned.strike.kind()) {
            kinds.push(struck.planned.strike.kind());
        }
    }
    kinds.sort_unstable();
    let count = |kind: &str| {
        let made = outcomes.iter().flat_map(|outcome| &outcome.struck);
        made.filter(|struck| struck.planned.strike.kind() == kind).count()
    };
    let felt = |kind: &str| outcomes.iter().map(|outcome| outcome.felt(kind)).sum::<usize>();
    let lines = kinds.iter().map(|kind| format!("{kind:<28}{:>6}{:>6} felt\n", count(kind), felt(kind)));
    let held = outcomes.iter().filter(|outcome| outcome.holds()).count();
    lines.chain([format!("{held} of {} seeds hold\n", outcomes.len())]).collect()
}
