//! A platform in miniature: one lock, no durability, and faults on demand. It keeps the HTTP contract and nothing else,
//! so that the load tool is tested against the contract and not against the platform's own idea of it.

pub mod shop;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use shop::{Answer, Shop};

/// What the stub does wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The first reservation is answered this much later; with one connection everything behind it waits.
    pub first_answer_stalls: Option<Duration>,
    /// The connection of this reservation (counted from 1) is closed after it was carried out and before it was answered.
    pub breaks_after: Option<usize>,
    /// At this reservation (counted from 1) every connection is cut and the port closed, and opened again a moment later.
    pub restarts_after: Option<usize>,
    /// So many reservations are answered 503 first.
    pub unavailable: usize,
    /// Stock is not looked at.
    pub oversells: bool,
}

/// A running stub with its data directory.
pub struct Stub {
    pub address: SocketAddr,
    pub data: tempfile::TempDir,
    pub shop: Arc<Mutex<Shop>>,
}

impl Stub {
    pub async fn start(faults: Faults) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        std::fs::write(data.path().join("dev.key"), b"a key for tests only").expect("a key");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shop = Arc::new(Mutex::new(Shop::new(faults.oversells)));
        let state = Arc::new(State { faults, shop: shop.clone(), reservations: Mutex::new(0), restart: Notify::new() });
        tokio::spawn(async move {
            serve(&state, listener).await;
            // Long enough that connections are refused for a while, short enough that nobody waits for it.
            tokio::time::sleep(Duration::from_millis(300)).await;
            serve(&state, TcpListener::bind(address).await.expect("the same port")).await;
        });
        Self { address, data, shop }
    }

    pub fn data(&self) -> PathBuf {
        self.data.path().to_owned()
    }
}

/// Serves until a restart is due; leaving drops the listener and every connection, answered or not.
async fn serve(state: &Arc<State>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = state.restart.notified() => return,
        };
        let (stream, _) = accepted.expect("a connection");
        let state = state.clone();
        let service = service_fn(move |request| state.clone().answer(request));
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

struct State {
    faults: Faults,
    shop: Arc<Mutex<Shop>>,
    reservations: Mutex<usize>,
    restart: Notify,
}

/// An error of the service: hyper drops the connection without an answer.
#[derive(Debug)]
pub struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

impl State {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Dropped> {
        let user = subject(&request);
        let header = |name: &str| {
            request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let key = header("idempotency-key");
        let method = request.method().to_string();
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.map_err(|_| Dropped)?.to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        if let ("POST", ["v1", "sales", sale, "reservations"]) = (method.as_str(), parts.as_slice()) {
            return self.reserve(sale, &user, &key, &body).await;
        }
        Ok(respond(self.shop.lock().expect("no panic").answer(&method, &parts, &user, &body)))
    }

    async fn reserve(&self, sale: &str, user: &str, key: &str, body: &Value) -> Result<Response<Full<Bytes>>, Dropped> {
        let number = {
            let mut reservations = self.reservations.lock().expect("no panic");
            *reservations += 1;
            *reservations
        };
        if self.faults.restarts_after == Some(number) {
            self.restart.notify_one();
        }
        if number <= self.faults.unavailable {
            return Ok(respond(Answer::problem(503, "overloaded")));
        }
        let answer = self.shop.lock().expect("no panic").reserve(sale, user, key, body);
        if self.faults.breaks_after == Some(number) {
            return Err(Dropped);
        }
        if let Some(stall) = self.faults.first_answer_stalls.filter(|_| number == 1) {
            tokio::time::sleep(stall).await;
        }
        Ok(respond(answer))
    }
}

fn respond(answer: Answer) -> Response<Full<Bytes>> {
    let builder = Response::builder().status(answer.status).header("content-type", "application/json");
    let builder = if answer.status == 503 { builder.header("retry-after", "0") } else { builder };
    builder.body(Full::new(Bytes::from(answer.body))).expect("a response")
}

fn subject(request: &Request<Incoming>) -> String {
    let token = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let claims = token.split('.').nth(1).unwrap_or_default();
    let claims = data_encoding::BASE64URL_NOPAD.decode(claims.as_bytes()).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&claims).unwrap_or(Value::Null);
    claims["sub"].as_str().unwrap_or_default().to_owned()
}
