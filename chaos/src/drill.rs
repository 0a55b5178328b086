//! `cargo lab drill redis-loss`: Redis loses everything in the middle of a sale; how the sale closes, is rebuilt from the
//! rows and opens again, and what became of what was acknowledged.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use doorbuster_load::platform::{Platform, ShardState};
use doorbuster_load::token::{Role, Signer};
use tokio::runtime::Runtime;

use crate::fleet::{Fleet, Programs, Tool};
use crate::servers::{Cache, Lab, Layout, Process, Server, Signal};
use crate::stop;

const SALE: &str = "drill";
const SHARDS: u32 = 2;
const HOLD_SECONDS: u64 = 30;
/// From a wipe until every shard sells again. Longer is a failure.
const OPEN_MAX: Duration = Duration::from_secs(120);
/// How often the operator's view is read meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What the load tool may take after the burst.
const AFTERMATH_MAX: Duration = Duration::from_secs(10 * 60);
const PHASE_OPEN: &str = "OPEN";

/// When a reservation is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Ack {
    Log,
    Replica,
    Redis,
}

impl Ack {
    pub const ALL: [Ack; 3] = [Ack::Log, Ack::Replica, Ack::Redis];

    fn name(self) -> &'static str {
        match self {
            Ack::Log => "log",
            Ack::Replica => "replica",
            Ack::Redis => "redis",
        }
    }

    /// Waiting for a replica needs one.
    fn layout(self) -> Layout {
        match self {
            Ack::Log | Ack::Redis => Layout::Single,
            Ack::Replica => Layout::Sentinel,
        }
    }
}

/// What is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The levels, one after the other.
    pub acks: Vec<Ack>,
    /// Units for sale; twice as many buyers come.
    pub units: u64,
    /// Clicks a second.
    pub rate: u64,
    /// For reports, a directory for each level.
    pub output: PathBuf,
}

/// When a shard was first seen in a phase, since the wipe.
type Phases = BTreeMap<u16, Vec<(Duration, String, u64)>>;

/// Runs the drill at every level; `false` if a promise was broken at one.
pub fn redis_loss(options: &Options) -> Result<bool, String> {
    let programs = Programs::build()?;
    let mut good = true;
    for ack in &options.acks {
        println!("acknowledged by {}:", ack.name());
        good &= one(options, *ack, &programs)?;
    }
    Ok(good)
}

fn one(options: &Options, ack: Ack, programs: &Programs) -> Result<bool, String> {
    let place = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut lab = Lab::start(&Cache::of_user()?, &Server::all(ack.layout()))?;
    let fleet = Fleet::start(&programs.doorbuster, &lab, place.path())?;
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let operator = operator(&fleet)?;
    let load = start_load(options, ack, &fleet, programs)?;
    wait_until(&runtime, &operator, "selling", |shards, cursor| is_open(shards) && cursor * 4 >= options.units)?;
    let before = shards(&runtime, &operator).unwrap_or_default();
    let wiped = Instant::now();
    wipe(&mut lab, ack.layout())?;
    println!("  {:>7.2} s  Redis is there again, and empty", wiped.elapsed().as_secs_f64());
    let phases = watch(&runtime, &operator, &before, wiped)?;
    tell(&phases);
    let status = load.wait(AFTERMATH_MAX)?;
    let wrong = fleet.stop();
    wrong.iter().for_each(|wrong| println!("  {wrong}"));
    Ok(status.success() && wrong.is_empty())
}

fn operator(fleet: &Fleet) -> Result<Platform, String> {
    let lifetime = Duration::from_secs(3_600);
    let signer = Signer::open(fleet.directory(), lifetime).map_err(|error| error.to_string())?;
    let token = signer.token("drill", Role::Admin);
    Ok(Platform::new(fleet.address(), &token, Instant::now() + lifetime))
}

fn start_load(options: &Options, ack: Ack, fleet: &Fleet, programs: &Programs) -> Result<Tool, String> {
    let mut command = Command::new(&programs.load);
    command.args(["burst", "--sale", SALE, "--ack", ack.name(), "--hold", &HOLD_SECONDS.to_string()]);
    command.args(["--stock", &options.units.to_string(), "--buyers", &(2 * options.units).to_string()]);
    command.args(["--rate", &options.rate.to_string(), "--shards", &SHARDS.to_string(), "--url", &fleet.url()]);
    command.args(["--max-minutes", "15", "--connections", "64", "--timeout-ms", "8000"]);
    if ack != Ack::Log {
        command.arg("--may-lose");
    }
    command.arg("--data").arg(fleet.directory()).arg("--output").arg(options.output.join(ack.name()));
    Tool::start(&mut command)
}

/// The shards as the operator sees them; nothing while nobody answers, which is a part of what is drilled.
fn shards(runtime: &Runtime, operator: &Platform) -> Option<Vec<ShardState>> {
    runtime.block_on(operator.sale(SALE)).ok().map(|sale| sale.shards)
}

fn is_open(shards: &[ShardState]) -> bool {
    shards.len() as u32 == SHARDS && shards.iter().all(|shard| shard.phase == PHASE_OPEN)
}

fn wait_until(
    runtime: &Runtime,
    operator: &Platform,
    what: &str,
    enough: impl Fn(&[ShardState], u64) -> bool,
) -> Result<(), String> {
    let began = Instant::now();
    while began.elapsed() < OPEN_MAX {
        let seen = shards(runtime, operator).unwrap_or_default();
        if enough(&seen, seen.iter().map(|shard| shard.cursor).sum()) {
            return Ok(());
        }
        if let Some(signal) = stop::asked() {
            return Err(format!("this program got signal {signal}"));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err(format!("the sale was not {what} in time"))
}

/// Every process of Redis that holds data is killed and started again with nothing.
fn wipe(lab: &mut Lab, layout: Layout) -> Result<(), String> {
    let server = Server::Redis(layout);
    let holders: &[&str] = match layout {
        Layout::Single => &["redis"],
        Layout::Sentinel => &["master", "replica"],
        Layout::Cluster => &["master-0", "master-1", "master-2"],
    };
    let running = lab.server(server).ok_or("there is no Redis")?;
    let processes: Vec<Process> = holders.iter().filter_map(|name| running.process(name).cloned()).collect();
    for process in &processes {
        process.send(Signal::KILL);
    }
    while processes.iter().any(Process::is_running) {
        std::thread::sleep(LOOK_EVERY);
    }
    lab.restart(server, holders)
}

/// Follows each shard until it sells in a later epoch than before.
fn watch(runtime: &Runtime, operator: &Platform, before: &[ShardState], wiped: Instant) -> Result<Phases, String> {
    let mut phases = Phases::new();
    while wiped.elapsed() < OPEN_MAX {
        for shard in shards(runtime, operator).unwrap_or_default() {
            let seen = phases.entry(shard.k).or_default();
            let is_news = seen.last().is_none_or(|(_, phase, epoch)| (phase, *epoch) != (&shard.phase, shard.epoch));
            if is_news {
                seen.push((wiped.elapsed(), shard.phase.clone(), shard.epoch));
            }
        }
        let opened = |shard: &ShardState| {
            let last = phases.get(&shard.k).and_then(|seen| seen.last());
            last.is_some_and(|(_, phase, epoch)| phase == PHASE_OPEN && *epoch > shard.epoch)
        };
        if !before.is_empty() && before.iter().all(opened) {
            return Ok(phases);
        }
        if let Some(signal) = stop::asked() {
            return Err(format!("this program got signal {signal}"));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err(format!("the sale did not open again in {} s: {phases:?}", OPEN_MAX.as_secs()))
}

fn tell(phases: &Phases) {
    for (k, seen) in phases {
        for (at, phase, epoch) in seen {
            println!("  {:>7.2} s  shard {k}: {phase}, epoch {epoch}", at.as_secs_f64());
        }
    }
}
