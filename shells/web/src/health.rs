//! Whether the process lives, is ready, and what it has counted.

use crate::api::{Api, Shared};
use crate::problem::{Answer, Slug};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorbuster_core::database::rows::{Phase, SaleRow, SaleState, ShardRow};
use doorbuster_core::database::tables::Reads;
use doorbuster_core::ids::ShardId;
use doorbuster_core::limits::PRELOAD_MS;
use doorbuster_core::outcome::Outcome;
use doorbuster_core::time::Wall;
use doorbuster_runtime::telemetry::{Kind, Metric, Telemetry};
use http::header::CONTENT_TYPE;
use serde_json::json;
use std::fmt::Write;

/// `GET /healthz`
pub async fn alive() -> &'static str {
    "alive\n"
}

/// `GET /readyz`
pub async fn ready(State(api): State<Shared>) -> Answer {
    let snapshot = api.snapshot().await?;
    let wall = api.now().wall;
    let sales = snapshot.sales().await?;
    let due = sales.iter().filter(|sale| is_due(sale, wall));
    let shards = due.flat_map(|sale| (0..sale.shards).map(|k| ShardId { sale: sale.id, k })).collect();
    let rows = snapshot.read(Reads { shards, ..Reads::default() }).await?;
    let mut waiting = Vec::new();
    for row in rows.shards.values() {
        if row.phase != Phase::Open || !is_served(&api, row).await {
            waiting.push(row.id.to_string());
        }
    }
    if waiting.is_empty() {
        return Ok(Json(json!({"ready": true, "shards_open": rows.shards.len()})).into_response());
    }
    Err(Slug::NotReady.because("Some shards of open sales do not sell now.").with("shards", waiting))
}

/// Whether the memory that the row names is there: after a restart the row is OPEN until its keeper has looked.
async fn is_served(api: &Api, row: &ShardRow) -> bool {
    match api.ports.ledger.inspect(row.id).await {
        Outcome::Done(view) => view
            .meta
            .is_some_and(|meta| view.server == row.server && meta.epoch == row.epoch && meta.nonce == row.nonce),
        // Nobody answers, or not in time: a buyer would not be answered either.
        Outcome::Refused(_) | Outcome::Unknown => false,
    }
}

/// Whether the sale's shards should be open: they are loaded some time before its start.
fn is_due(sale: &SaleRow, wall: Wall) -> bool {
    let began = wall.after_ms(PRELOAD_MS) >= sale.window.starts_at && wall < sale.window.ends_at;
    matches!(sale.state, SaleState::Open | SaleState::Stopped) && began
}

/// `GET /metrics`
pub async fn metrics(State(api): State<Shared>) -> Response {
    page(&api.ports.telemetry)
}

/// What a telemetry has counted, as Prometheus asks for it.
pub fn page(telemetry: &Telemetry) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], exposition(telemetry)).into_response()
}

/// The Prometheus text format, version 0.0.4.
fn exposition(telemetry: &Telemetry) -> String {
    let mut text = String::with_capacity(4096);
    for metric in Metric::ALL {
        let kind = match metric.kind() {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let (name, help, value) = (metric.name(), metric.help(), telemetry.read(*metric));
        write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n")
            .expect("a String takes every write");
    }
    text
}
