//! `load mixed`: several sales at once, baskets, limits, payments, cancellations, double clicks, reused keys, and an
//! operator in the middle of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use fastrand::Rng;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::aftermath::{Order, Scene, settle};
use crate::burst::{judge_sale, new_sale, parse_rate, run_name, scene, sku_name};
use crate::errand::{Errand, Kind};
use crate::error::LoadError;
use crate::generator::{Acceptance, Click, Plan, generate};
use crate::history::{History, Line};
use crate::operator::{self, Shift};
use crate::probe::probe;
use crate::report::{Report, cpu_time};
use crate::settings::Settings;
use crate::verdict::Verdict;

/// Errands in flight beside the burst: fewer than its connections, so that they follow it and do not crowd it out.
const ERRAND_CONNECTIONS: u16 = 16;

/// A mixed load.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Mixed {
    /// Sales.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=32))]
    pub sales: u32,
    /// SKUs of each sale.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub skus: u32,
    /// Shards of each sale.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub shards: u16,
    /// Units of each SKU.
    #[arg(long, default_value_t = 50)]
    pub stock: u64,
    /// Buyers; each clicks once or a few times.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    pub buyers: u32,
    /// Arrivals per second.
    #[arg(long, default_value_t = 2_000.0, value_parser = parse_rate)]
    pub rate: f64,
    /// Live units that one user may have in one sale.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub limit: u32,
    /// Pay window in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub hold: u64,
    /// Tops up, stops, resumes and closes during the burst.
    #[arg(long)]
    pub operator: bool,
    /// Seed of the buyers' choices.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Target and bounds.
    #[command(flatten)]
    #[serde(skip)]
    pub settings: Settings,
}

/// Makes the sales, generates the load, waits for its end and judges every sale.
///
/// # Errors
/// Whatever stops the run before it can be judged.
pub async fn run(mixed: &Mixed) -> Result<Report, LoadError> {
    let run = run_name();
    let scene = scene(&mixed.settings, &run, Duration::from_secs(mixed.hold))?;
    let sales: Vec<Arc<str>> = (0..mixed.sales).map(|number| format!("load-{run}-{number}").into()).collect();
    for sale in &sales {
        let new = new_sale(sale, mixed.skus, mixed.stock, mixed.shards, mixed.limit, mixed.hold, &mixed.settings);
        scene.platform.create(&new).await?;
        scene.platform.command(sale, "open").await?;
    }
    for sale in &sales {
        scene.platform.wait_until_open(sale).await?;
    }
    let clicks = clicks(mixed, &sales);
    eprintln!("{} sales are open: {} clicks at {}/s", sales.len(), clicks.len(), mixed.rate);
    let length = Duration::from_secs_f64(clicks.len() as f64 / mixed.rate);
    let operator =
        mixed.operator.then(|| tokio::spawn(operator::work(scene.platform.clone(), sales.clone(), mixed.skus, length)));
    let cpu_before = cpu_time();
    let (mut generated, mut history) = generate_with_errands(&scene, mixed, &clicks).await?;
    let cpu = cpu_time().saturating_sub(cpu_before);
    let shift = match operator {
        Some(operator) => operator.await.map_err(|error| LoadError::Generator(error.to_string()))?,
        None => Shift::default(),
    };
    eprintln!("{} accepted; waiting until every order is final", generated.accepted.len());
    history.attempts = std::mem::take(&mut generated.attempts);
    let mut settled = settle(&scene, &clicks, &generated, 0.2, &mut history).await;
    let mut first_user = u32::try_from(clicks.len()).unwrap_or(u32::MAX / 2).max(mixed.buyers);
    for sale in sales.iter().filter(|sale| shift.closed.as_ref() != Some(*sale)) {
        probe(&scene, sale, first_user, &mut settled, &mut history).await?;
        first_user += mixed.skus.max(1_000);
    }
    let history = Arc::new(history);
    let mut checks = std::mem::take(&mut settled.checks);
    checks.extend(mixed.operator.then(|| shift.check()));
    for sale in &sales {
        let judged = judge_sale(&scene, sale, totals(mixed, sale, &shift), mixed.limit, &history, &settled).await;
        checks.extend(judged.into_iter().map(|mut check| {
            check.detail = format!("{sale}: {}", check.detail);
            check
        }));
    }
    Ok(Report::new("mixed", &run, mixed, &generated, cpu, settled, Verdict { checks }, history))
}

async fn generate_with_errands(
    scene: &Scene,
    mixed: &Mixed,
    clicks: &[Click],
) -> Result<(crate::generator::Generated, History), LoadError> {
    // Every click is accepted at most once, so neither channel is ever full.
    let (accepted, acceptances) = mpsc::channel(clicks.len().max(1));
    let (errands, queue) = mpsc::channel(clicks.len().max(1));
    let routing = tokio::spawn(route(acceptances, errands, clicks.to_vec(), Rng::with_seed(mixed.seed ^ 0x5EED)));
    let runner = scene.runner(ERRAND_CONNECTIONS);
    let serving = tokio::spawn(async move { runner.serve(queue).await });
    let generated = generate(Plan { accepted: Some(accepted), ..scene.plan(clicks.to_vec(), mixed.rate) }).await?;
    let failed = |error: tokio::task::JoinError| LoadError::Generator(error.to_string());
    routing.await.map_err(failed)?;
    let done = serving.await.map_err(failed)?;
    Ok((
        generated,
        History {
            origin_unix_ms: scene.origin_unix_ms,
            attempts: Vec::new(),
            commands: done.into_iter().flat_map(|done| done.commands).collect(),
        },
    ))
}

/// Decides what the buyer of each accepted click does next.
async fn route(
    mut acceptances: mpsc::Receiver<Acceptance>,
    errands: mpsc::Sender<Errand>,
    clicks: Vec<Click>,
    mut random: Rng,
) {
    while let Some(Acceptance { click, id, receipt }) = acceptances.recv().await {
        let order = Order::new(id, receipt, clicks[click].clone());
        let errand = match random.u32(0..100) {
            0..35 => order.errand(Kind::Pay),
            35..55 => order.errand(Kind::Cancel),
            55..65 => order.errand(Kind::Click),
            65..75 => Errand { lines: another_basket(&order.click.lines), ..order.errand(Kind::ReuseKey) },
            _ => continue,
        };
        if errands.send(errand).await.is_err() {
            return;
        }
    }
}

fn another_basket(lines: &[Line]) -> Arc<[Line]> {
    let mut lines = lines.to_vec();
    lines[0].quantity += 1;
    lines.into()
}

/// All clicks in order of arrival: first clicks, double clicks under the same key, and second clicks under a new one.
fn clicks(mixed: &Mixed, sales: &[Arc<str>]) -> Vec<Click> {
    let mut random = Rng::with_seed(mixed.seed);
    let mut clicks: Vec<Click> = Vec::new();
    let mut key = 0;
    for buyer in 0..mixed.buyers {
        let sale = &sales[random.usize(0..sales.len())];
        for _ in 0..(if random.u32(0..100) < 5 { 2 } else { 1 }) {
            key += 1;
            let click = Click { sale: sale.clone(), user: buyer, key, lines: basket(mixed, &mut random) };
            let doubled = random.u32(0..100) < 5;
            clicks.extend(std::iter::repeat_n(click, if doubled { 2 } else { 1 }));
        }
    }
    clicks
}

fn basket(mixed: &Mixed, random: &mut Rng) -> Arc<[Line]> {
    let size = random.u32(1..=4).min(mixed.skus);
    let mut skus = BTreeSet::new();
    while skus.len() < size as usize {
        // A square bends the choice towards the first SKUs: some sell out early, others never.
        let place = random.f64() * random.f64() * f64::from(mixed.skus);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place in a list of at most a thousand"
        )]
        skus.insert((place as u32).min(mixed.skus - 1) + 1);
    }
    skus.into_iter()
        .map(|sku| Line { sku: sku_name(sku), quantity: if random.u32(0..10) == 0 { 2 } else { 1 } })
        .collect()
}

fn totals(mixed: &Mixed, sale: &Arc<str>, shift: &Shift) -> BTreeMap<String, (u64, u64)> {
    let total = |number: u32| {
        let sku = sku_name(number);
        let (least, most) = shift.added.get(&(sale.clone(), sku.clone())).copied().unwrap_or_default();
        (sku, (mixed.stock + least, mixed.stock + most))
    };
    (1..=mixed.skus).map(total).collect()
}
