//! The console's feed.

use crate::api::{Api, LiveVerdict, Shared};
use crate::orders::{event, event_stream};
use crate::problem::{Answer, Problem, Slug};
use crate::reply::{Pieces, stream};
use crate::reserve::authenticate;
use crate::shop::{sale_json, sku_json};
use crate::stamp;
use crate::token::Role;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use doorbuster_core::database::rows::SaleState;
use doorbuster_core::time::Mono;
use doorbuster_runtime::drive::spawn;
use doorbuster_runtime::telemetry::{Kind, Metric};
use http::HeaderMap;
use http::header::ACCEPT;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// One picture a second: people do not read faster.
const PERIOD: Duration = Duration::from_secs(1);
/// Pictures of one feed, an hour; then the browser connects again by itself.
const PICTURES_MAX: u32 = 3600;
/// Sales of one picture, the newest states first: a console shows what runs.
const SALES_MAX: usize = 20;
/// SKUs of one sale in a picture; the sale's own page has the others.
const SKUS_MAX: usize = 200;

/// Counters whose rates per second are shown.
const RATES: [(&str, &[Metric]); 4] = [
    ("accepted", &[Metric::Accepted]),
    ("refused", &[Metric::Refused, Metric::Latched]),
    ("persisted", &[Metric::Persisted]),
    ("requests", &[Metric::Requests]),
];

/// `GET /v1/live`
pub async fn feed(State(api): State<Shared>, headers: HeaderMap) -> Answer {
    if !api.settings.dev && authenticate(&api, &headers, api.now().wall)?.role != Role::Admin {
        return Err(Slug::Forbidden.into());
    }
    let wants_document = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"application/json"));
    let mut rates = Rates::default();
    let first = picture(&api, &mut rates).await?;
    if wants_document {
        return Ok(Json(first).into_response());
    }
    let (pieces, body) = stream();
    spawn(paint(api, rates, first, pieces));
    Ok(event_stream(Body::new(body)))
}

async fn paint(api: Shared, mut rates: Rates, first: Value, pieces: Pieces) {
    let mut closing = api.closing.subscribe();
    let mut next = Ok(first);
    for _ in 0..PICTURES_MAX {
        // A store that does not answer now leaves a picture out; the feed goes on.
        let piece = next.as_ref().map_or(bytes::Bytes::from_static(b": unavailable\n\n"), |json| event("live", json));
        if pieces.send(Some(piece)).await.is_err() {
            return;
        }
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
        next = picture(&api, &mut rates).await;
    }
}

/// Counters at the last picture of this feed.
#[derive(Default)]
struct Rates {
    last: Option<(Mono, BTreeMap<&'static str, u64>)>,
}

impl Rates {
    /// Increase per second since the last picture; zero in the first one.
    fn advance(&mut self, api: &Api) -> Map<String, Value> {
        let now = api.now().mono;
        let sum = |metrics: &[Metric]| metrics.iter().map(|metric| api.ports.telemetry.read(*metric)).sum();
        let counts: BTreeMap<&'static str, u64> = RATES.iter().map(|(name, metrics)| (*name, sum(metrics))).collect();
        let last = self.last.replace((now, counts.clone()));
        let per_second = |name: &str, count: u64| {
            let (then, before) = last.as_ref()?;
            let micros = now.0.saturating_sub(then.0).max(1);
            // To the nearest: a feed that is a millisecond late would else show a single click as none.
            Some((count.saturating_sub(before[name]).saturating_mul(1_000_000) + micros / 2) / micros)
        };
        counts.iter().map(|(name, count)| ((*name).to_owned(), per_second(name, *count).unwrap_or(0).into())).collect()
    }
}

async fn picture(api: &Api, rates: &mut Rates) -> Result<Value, Problem> {
    let per_second = rates.advance(api);
    let (mut totals, mut gauges) = (Map::new(), Map::new());
    for metric in Metric::ALL {
        let short = metric.name().trim_start_matches("doorbuster_").to_owned();
        let into = match metric.kind() {
            Kind::Counter => &mut totals,
            Kind::Gauge => &mut gauges,
        };
        into.insert(short, api.ports.telemetry.read(*metric).into());
    }
    let (sales, orders) = sales(api).await?;
    Ok(json!({
        "at": stamp::text(api.now().wall),
        "sales": sales,
        "orders": orders,
        "per_second": per_second,
        "totals": totals,
        "gauges": gauges,
        "invariants": invariants(api),
    }))
}

async fn sales(api: &Api) -> Result<(Vec<Value>, BTreeMap<&'static str, u64>), Problem> {
    let mut rows = api.snapshot().await?.sales().await?;
    rows.sort_by_key(|row| (row.state == SaleState::Closed, std::cmp::Reverse(row.window.starts_at)));
    let mut orders: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut sales = Vec::new();
    for row in rows.iter().take(SALES_MAX) {
        let known = api.learn(row.id).await?;
        let shown = &known.skus()[..known.skus().len().min(SKUS_MAX)];
        let panorama = api.panorama(row, shown).await?;
        let skus: Vec<Value> = panorama.shelves().map(|(sku, shelf)| sku_json(row, sku, &shelf)).collect();
        for (status, count) in &panorama.tally.orders {
            *orders.entry(status).or_default() += count;
        }
        let phases: Vec<_> = panorama.rows.shards.values().map(|shard| shard.phase).collect();
        let mut json = sale_json(row);
        json["phases"] = json!(phases);
        json["sku_count"] = known.skus().len().into();
        json["skus"] = skus.into();
        sales.push(json);
    }
    Ok((sales, orders))
}

fn invariants(api: &Api) -> Vec<Value> {
    let now = api.now().mono;
    let Some(verdicts) = &api.ports.verdicts else { return Vec::new() };
    let json = |verdict: &LiveVerdict| {
        let age_ms = now.0.saturating_sub(verdict.checked_at.0) / 1000;
        json!({"id": verdict.id, "state": verdict.state, "detail": verdict.detail, "age_ms": age_ms})
    };
    verdicts.borrow().iter().map(json).collect()
}
