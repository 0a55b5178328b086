//! `load compare`: the platform against a bare hyper answer, by the same generator in the same run.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::aftermath::{Order, Scene, follow};
use crate::burst::{new_sale, run_name, scene, sku_name};
use crate::errand::{Errand, Kind};
use crate::error::LoadError;
use crate::history::{History, Line};
use crate::platform::PlatformError;
use crate::report::cpu_time;
use crate::saturation::{Saturated, Slice, saturate};
use crate::settings::Settings;

/// More than any run can sell.
const STOCK_UNLIMITED: u64 = 10_000_000;

/// Orders of a comparison do not run out while it lasts.
const HOLD_SECONDS: u64 = 3_600;

/// After each accepted slice the platform persists what it promised, so that this work is not charged to the next slice.
const DRAIN_BOUND: Duration = Duration::from_secs(120);

/// A benchmark, not a test: its numbers are for docs, its exit code only says whether it could be run.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Compare {
    /// Counted seconds for each of the three targets.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub seconds: u64,
    /// Slices into which they are cut; the targets alternate.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Shards of the sales.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub shards: u16,
    /// Target and bounds.
    #[command(flatten)]
    #[serde(skip)]
    pub settings: Settings,
}

/// The three targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// hyper alone.
    Bare,
    /// The platform, with stock for everybody.
    Accepted,
    /// The platform, sold out.
    Refused,
}

impl Target {
    const ALL: [Self; 3] = [Self::Bare, Self::Accepted, Self::Refused];
}

/// One slice in the report.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Round, from 0.
    pub round: u32,
    /// Target.
    pub target: Target,
    /// Expected answers per second.
    pub per_second: f64,
    /// Median service time in microseconds.
    pub p50_us: u64,
    /// 99th percentile of the service time in microseconds.
    pub p99_us: u64,
    /// Processor time of the generator per answer, in microseconds.
    pub generator_cpu_us: f64,
    /// Time until the slice's acceptances had rows, in milliseconds; accepted slices only.
    pub drain_ms: Option<u64>,
    /// Answers that do not count, by status and slug.
    pub others: BTreeMap<String, u64>,
}

/// The comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The run's name.
    pub run: String,
    /// The parameters.
    pub parameters: Compare,
    /// Connections of the generator.
    pub connections: u16,
    /// Every slice.
    pub slices: Vec<Measured>,
    /// Median of each target's slices, per second.
    pub per_second: BTreeMap<Target, f64>,
    /// Median, least and greatest ratio to the bare slice of the same round.
    pub ratios: BTreeMap<Target, [f64; 3]>,
    /// Whatever makes the numbers doubtful.
    pub doubts: Vec<String>,
}

struct Arena {
    scene: Scene,
    bare: SocketAddr,
    sales: BTreeMap<Target, Arc<str>>,
    users: Arc<AtomicU32>,
}

/// Runs the comparison.
///
/// # Errors
/// Whatever stops it before all slices are measured.
pub async fn run(compare: &Compare) -> Result<Comparison, LoadError> {
    let run = run_name();
    let scene = scene(&compare.settings, &run, Duration::from_secs(HOLD_SECONDS))?;
    let sales: BTreeMap<Target, Arc<str>> = [(Target::Bare, "b"), (Target::Accepted, "a"), (Target::Refused, "r")]
        .map(|(target, name)| (target, format!("load-{run}-{name}").into()))
        .into();
    open_sale(&scene, compare, &sales[&Target::Accepted], STOCK_UNLIMITED).await?;
    open_sale(&scene, compare, &sales[&Target::Refused], u64::from(compare.shards)).await?;
    let body_bytes = first_click(&scene, &sales[&Target::Accepted]).await?;
    sell_out(&scene, &sales[&Target::Refused]).await?;
    let (_child, bare) = start_bare(body_bytes).await?;
    let arena = Arena { scene, bare, sales, users: Arc::new(AtomicU32::new(1_000)) };
    let slices = measure(compare, &arena).await?;
    Ok(summarize(compare, run, slices))
}

async fn measure(compare: &Compare, arena: &Arena) -> Result<Vec<Measured>, LoadError> {
    let mut slices = Vec::new();
    let duration = Duration::from_secs(compare.seconds) / compare.rounds;
    for round in 0..compare.rounds {
        for place in 0..3 {
            // Each target is first, second and last in turn, so that a drift of the machine favours none.
            let target = Target::ALL[(place + round as usize) % 3];
            if Instant::now() + duration >= arena.scene.deadline {
                return Err(LoadError::Generator(
                    "the run's bound came before its last slice (--max-minutes)".to_owned(),
                ));
            }
            let measured = slice(compare, arena, round, target, duration).await?;
            eprintln!(
                "round {round} {target:?}: {:.0}/s, generator {:.1} us",
                measured.per_second, measured.generator_cpu_us
            );
            slices.push(measured);
        }
    }
    Ok(slices)
}

async fn slice(
    compare: &Compare,
    arena: &Arena,
    round: u32,
    target: Target,
    duration: Duration,
) -> Result<Measured, LoadError> {
    let scene = &arena.scene;
    let requests =
        if target == Target::Bare { Arc::new(scene.requests.to(arena.bare)) } else { scene.requests.clone() };
    let slice = Slice {
        requests,
        sale: arena.sales[&target].clone(),
        lines: one_line(),
        users: arena.users.clone(),
        connections: compare.settings.connections,
        duration,
        status: if target == Target::Refused { 409 } else { 202 },
    };
    let cpu_before = cpu_time();
    let began = Instant::now();
    let Saturated { per_second, mut others, service, last, refusals, .. } = saturate(&slice).await?;
    let cpu = cpu_time().saturating_sub(cpu_before);
    let share = duration.as_secs_f64() / began.elapsed().as_secs_f64();
    for (slug, count) in refusals.into_iter().filter(|(slug, _)| slug != "sold-out") {
        *others.entry(format!("409 {slug}")).or_default() += count;
    }
    let drain_ms = if target == Target::Accepted { Some(drain(scene, last).await) } else { None };
    Ok(Measured {
        round,
        target,
        per_second,
        p50_us: service.at(50.0),
        p99_us: service.at(99.0),
        // The warm-up is in the processor time but not in the count.
        generator_cpu_us: cpu.as_secs_f64() * share * 1e6 / (per_second * duration.as_secs_f64()).max(1.0),
        drain_ms,
        others,
    })
}

/// The shards decide in order, so the last promises of all connections stand for the rest.
async fn drain(scene: &Scene, last: Vec<(crate::generator::Click, crate::generator::Acceptance)>) -> u64 {
    let began = Instant::now();
    let mut orders: Vec<Order> =
        last.into_iter().map(|(click, acceptance)| Order::new(acceptance.id, acceptance.receipt, click)).collect();
    let bound = (began + DRAIN_BOUND).min(scene.deadline);
    let has_row = |order: &Order| !matches!(order.status.as_str(), "" | "on-its-way");
    follow(scene, &mut orders, has_row, bound, &mut History::default()).await;
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

async fn open_sale(scene: &Scene, compare: &Compare, sale: &str, stock: u64) -> Result<(), LoadError> {
    let new = new_sale(sale, 1, stock, compare.shards, 2, HOLD_SECONDS, &compare.settings);
    scene.platform.create(&new).await?;
    scene.platform.command(sale, "open").await?;
    scene.platform.wait_until_open(sale).await?;
    Ok(())
}

fn one_line() -> Arc<[Line]> {
    Arc::from([Line { sku: sku_name(1), quantity: 1 }])
}

fn click(sale: &Arc<str>, user: u32) -> Errand {
    Errand {
        kind: Kind::Click,
        sale: sale.clone(),
        user,
        key: format!("k-{user}"),
        order: String::new(),
        receipt: String::new(),
        lines: one_line(),
    }
}

/// Reserves once and returns the length of the answer's body.
async fn first_click(scene: &Scene, sale: &Arc<str>) -> Result<usize, LoadError> {
    let done = scene.runner(1).run(vec![click(sale, 0)]).await;
    match done.first() {
        Some(done) if done.status == Some(202) => Ok(done.body.to_string().len()),
        other => Err(unexpected(sale, "the first click was not accepted", other.and_then(|done| done.status))),
    }
}

/// Clicks until every shard of the sale refuses: some buyers for each unit, because users decide on the shard.
async fn sell_out(scene: &Scene, sale: &Arc<str>) -> Result<(), LoadError> {
    for round in 0..50 {
        let done = scene.runner(16).run((0..64).map(|user| click(sale, round * 64 + user)).collect()).await;
        if done.iter().all(|done| done.slug == "sold-out") {
            return Ok(());
        }
    }
    Err(unexpected(sale, "the sale does not sell out", None))
}

fn unexpected(sale: &str, reason: &str, status: Option<u16>) -> LoadError {
    PlatformError::Malformed { call: format!("reservations of {sale}"), reason: format!("{reason}: {status:?}") }.into()
}

async fn start_bare(body_bytes: usize) -> Result<(Child, SocketAddr), LoadError> {
    let failed = |error: std::io::Error| LoadError::Bare(error.to_string());
    let program = std::env::current_exe().map_err(failed)?;
    let mut child = Command::new(program)
        .args([
            "bare",
            "--listen",
            "127.0.0.1:0",
            "--until-input-ends",
            "--body-bytes",
            &body_bytes.max(64).to_string(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let output = child.stdout.take().ok_or_else(|| LoadError::Bare("it has no output".to_owned()))?;
    let line = BufReader::new(output).lines().next_line().await.map_err(failed)?.unwrap_or_default();
    let address = line.strip_prefix("listening ").and_then(|address| address.parse().ok());
    address.map(|address| (child, address)).ok_or(LoadError::Bare(line))
}

fn summarize(compare: &Compare, run: String, slices: Vec<Measured>) -> Comparison {
    let mut per_second = BTreeMap::new();
    let mut ratios = BTreeMap::new();
    let mut doubts = Vec::new();
    for target in Target::ALL {
        let own: Vec<&Measured> = slices.iter().filter(|slice| slice.target == target).collect();
        per_second.insert(target, median(own.iter().map(|slice| slice.per_second).collect()));
        let of_round = own.iter().filter_map(|slice| {
            let bare = slices.iter().find(|bare| bare.target == Target::Bare && bare.round == slice.round)?;
            Some(slice.per_second / bare.per_second.max(1.0))
        });
        let of_round: Vec<f64> = of_round.collect();
        let least = of_round.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = of_round.iter().copied().fold(0.0, f64::max);
        ratios.insert(target, [median(of_round), least, greatest]);
        for slice in own.iter().filter(|slice| !slice.others.is_empty()) {
            doubts.push(format!("round {} {target:?}: {:?}", slice.round, slice.others));
        }
    }
    Comparison {
        run,
        parameters: compare.clone(),
        connections: compare.settings.connections,
        slices,
        per_second,
        ratios,
        doubts,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
