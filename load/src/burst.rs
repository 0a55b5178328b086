//! `load burst`: one sale, many buyers, one click each, at a constant rate of arrival.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;

use crate::aftermath::{Scene, Settled, settle, wait_for_release};
use crate::error::LoadError;
use crate::generator::{Click, generate};
use crate::history::{History, Line};
use crate::platform::{NewSale, NewSku, Platform};
use crate::probe::probe;
use crate::report::{Report, cpu_time};
use crate::request::Requests;
use crate::settings::Settings;
use crate::token::{Role, Signer};
use crate::verdict::{Check, Evidence, Verdict, judge};

/// What one buyer may hold in a sale of the burst.
const LIMIT_PER_USER: u32 = 2;

/// A burst on one sale.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Burst {
    /// Units of each SKU.
    #[arg(long, default_value_t = 1000)]
    pub stock: u64,
    /// Buyers; each clicks once. A million keeps history and audit in memory.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub buyers: u32,
    /// Arrivals per second.
    #[arg(long, default_value_t = 5_000.0, value_parser = parse_rate)]
    pub rate: f64,
    /// SKUs; each buyer wants one of them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub skus: u32,
    /// Slices of users.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub shards: u16,
    /// Pay window in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub hold: u64,
    /// The sale's id, which no other sale has; else the run's own name.
    #[arg(long)]
    pub sale: Option<String>,
    /// When a reservation is acknowledged: log, replica or redis.
    #[arg(long, default_value = "log", value_parser = ["log", "replica", "redis"])]
    pub ack: String,
    /// Share of the accepted that pays, 0 to 1.
    #[arg(long, default_value_t = 0.5, value_parser = parse_share)]
    pub pay_share: f64,
    /// Target and bounds.
    #[command(flatten)]
    #[serde(skip)]
    pub settings: Settings,
}

/// Reads a rate in arrivals per second; above 200,000 one machine cannot keep the schedule.
///
/// # Errors
/// A sentence for the user.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "a rate is a number of arrivals per second".to_owned())?;
    if (0.1..=200_000.0).contains(&rate) {
        Ok(rate)
    } else {
        Err("a rate is between 0.1 and 200000 arrivals per second".to_owned())
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "a share is a number from 0 to 1".to_owned())?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("a share is a number from 0 to 1".to_owned()) }
}

/// Makes the sale, generates the burst, waits for its end and judges it.
///
/// # Errors
/// Whatever stops the run before it can be judged.
pub async fn run(burst: &Burst) -> Result<Report, LoadError> {
    let run = run_name();
    let scene = scene(&burst.settings, &run, Duration::from_secs(burst.hold))?;
    let sale: Arc<str> = burst.sale.clone().unwrap_or_else(|| format!("load-{run}")).into();
    let new = new_sale(&sale, burst.skus, burst.stock, burst.shards, LIMIT_PER_USER, burst.hold, &burst.settings);
    let new = NewSale { ack: burst.ack.clone(), ..new };
    scene.platform.create(&new).await?;
    scene.platform.command(&sale, "open").await?;
    scene.platform.wait_until_open(&sale).await?;
    eprintln!(
        "sale {sale} is open: {} buyers at {}/s for {} units",
        burst.buyers,
        burst.rate,
        burst.stock * u64::from(burst.skus)
    );

    let clicks = clicks(&sale, burst);
    let cpu_before = cpu_time();
    let mut generated = generate(scene.plan(clicks.clone(), burst.rate)).await?;
    let cpu = cpu_time().saturating_sub(cpu_before);
    eprintln!("{} accepted; waiting until every order is final", generated.accepted.len());

    let mut history = History {
        origin_unix_ms: scene.origin_unix_ms,
        attempts: std::mem::take(&mut generated.attempts),
        commands: Vec::new(),
    };
    let mut settled = settle(&scene, &clicks, &generated, burst.pay_share, &mut history).await;
    probe(&scene, &sale, burst.buyers, &mut settled, &mut history).await?;
    let history = Arc::new(history);
    let totals = new.skus.iter().map(|sku| (sku.sku.clone(), (sku.stock, sku.stock))).collect();
    let mut checks = judge_sale(&scene, &sale, totals, LIMIT_PER_USER, &history, &settled).await;
    checks.append(&mut settled.checks);
    Ok(Report::new("burst", &run, burst, &generated, cpu, settled, Verdict { checks }, history))
}

fn clicks(sale: &Arc<str>, burst: &Burst) -> Vec<Click> {
    let baskets: Vec<Arc<[Line]>> =
        (1..=burst.skus).map(|sku| Arc::from([Line { sku: sku_name(sku), quantity: 1 }])).collect();
    let one = |buyer: u32| Click {
        sale: sale.clone(),
        user: buyer,
        key: buyer,
        lines: baskets[(buyer % burst.skus) as usize].clone(),
    };
    (0..burst.buyers).map(one).collect()
}

/// Fetches state and audit of one sale, once its stock has come to rest, and judges it.
pub async fn judge_sale(
    scene: &Scene,
    sale: &Arc<str>,
    totals: BTreeMap<String, (u64, u64)>,
    limit_per_user: u32,
    history: &Arc<History>,
    settled: &Settled,
) -> Vec<Check> {
    let state = wait_for_release(scene, sale).await;
    let evidence = Evidence {
        sale: sale.clone(),
        totals,
        limit_per_user,
        history: history.clone(),
        unresolved: settled.unresolved.clone(),
        closed: state.as_ref().is_some_and(|state| state.state == "closed"),
        counts_only: scene.settings.counts_only,
        may_lose: scene.settings.may_lose,
        state,
        audit: scene.platform.audit(sale).await.map(|audit| audit.to_vec()).ok(),
    };
    judge(&evidence)
}

/// Everything that a run needs before its first request.
///
/// # Errors
/// `SigningKey` when the platform's key cannot be read.
pub fn scene(settings: &Settings, run: &str, hold: Duration) -> Result<Scene, LoadError> {
    // Tokens outlive the run: an expired one would look like a refusal.
    let lifetime = Duration::from_secs((settings.max_minutes + 10) * 60);
    let signer = Signer::open(&settings.data, lifetime)?;
    let deadline = settings.deadline();
    let admin = signer.token(&format!("load-admin-{run}"), Role::Admin);
    Ok(Scene {
        settings: settings.clone(),
        requests: Arc::new(Requests::new(settings.url, signer, run)),
        platform: Platform::new(settings.url, &admin, deadline),
        deadline,
        origin: Instant::now(),
        origin_unix_ms: unix_ms(),
        hold,
    })
}

/// A sale that began a second ago and outlasts the run.
#[must_use]
pub fn new_sale(
    sale: &str,
    skus: u32,
    stock: u64,
    shards: u16,
    limit_per_user: u32,
    hold_seconds: u64,
    settings: &Settings,
) -> NewSale {
    let now = SystemTime::now();
    let time = |at: SystemTime| humantime::format_rfc3339_millis(at).to_string();
    NewSale {
        sale: sale.to_owned(),
        starts_at: time(now - Duration::from_secs(1)),
        ends_at: time(now + Duration::from_secs((settings.max_minutes + 5) * 60)),
        limit_per_user,
        hold_seconds,
        shards,
        ack: "log".to_owned(),
        skus: (1..=skus)
            .map(|number| NewSku {
                sku: sku_name(number),
                product: format!("p-{number}"),
                name: format!("Load article {number}"),
                price_minor: 100,
                currency: "EUR",
                stock,
            })
            .collect(),
    }
}

/// The name of a numbered SKU.
#[must_use]
pub fn sku_name(number: u32) -> String {
    format!("s-{number}")
}

/// A name that no other run on this machine has: milliseconds since 1970 and the process's number, in base 36.
#[must_use]
pub fn run_name() -> String {
    let mut rest = unix_ms() * 4096 + u64::from(std::process::id() % 4096);
    let mut name = Vec::new();
    while rest > 0 {
        name.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize]);
        rest /= 36;
    }
    name.reverse();
    String::from_utf8(name).expect("digits are ASCII")
}

fn unix_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or_default()
}
