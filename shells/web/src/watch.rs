//! The listener of a process without an edge: whether it lives, is ready, and what it has counted.

use crate::health;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use doorbuster_runtime::drive::Stop;
use doorbuster_runtime::ports::store::Store;
use doorbuster_runtime::telemetry::Telemetry;
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// A process whose database does not answer within this can do none of its work: well below what a probe waits.
const READY: Duration = Duration::from_secs(2);

/// What a process without an edge can say of itself; cheap to clone.
#[derive(Clone)]
pub struct Watched {
    /// What every role reads and writes.
    pub store: Arc<dyn Store>,
    /// What the roles have counted.
    pub telemetry: Arc<Telemetry>,
}

/// Serves `/healthz`, `/readyz` and `/metrics` until told to stop.
///
/// # Errors
/// The listener is gone.
pub async fn attend(listener: TcpListener, watched: Watched, mut stop: Stop) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(async |State(watched): State<Watched>| health::page(&watched.telemetry)))
        .with_state(watched);
    let stopped = async move {
        // A sender that is gone has stopped too.
        let _ = stop.wait_for(|stopped| *stopped).await;
    };
    axum::serve(listener, router).with_graceful_shutdown(stopped).await
}

async fn ready(State(watched): State<Watched>) -> Response {
    match tokio::time::timeout(READY, watched.store.snapshot()).await {
        Ok(Ok(_)) => "ready\n".into_response(),
        Ok(Err(unavailable)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{unavailable}\n")).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response(),
    }
}
