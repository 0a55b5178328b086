//! The administrator's calls: sales are made, opened, watched and exported through them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::generator::slug;

/// An export of a million orders is some 300 MB; a longer answer is an error and not a reason to fill the memory.
const ANSWER_BYTES_MAX: usize = 1 << 30;

/// Pause between two questions about a state that is awaited, or after a call without an answer.
const PAUSE: Duration = Duration::from_millis(200);

/// One call may take this long; the audit of a large sale is the slowest.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Why an administrative call has no result.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// No connection or no whole answer: it is unknown whether the call took effect.
    #[error("{call}: no answer from {address}: {reason} (is the platform running?)")]
    Unknown {
        /// Method and path.
        call: String,
        /// The platform's address.
        address: SocketAddr,
        /// What happened.
        reason: String,
    },
    /// The platform refused the call.
    #[error("{call}: refused with {status} {slug}: {detail}")]
    Refused {
        /// Method and path.
        call: String,
        /// HTTP status.
        status: u16,
        /// Last part of the problem's type.
        slug: String,
        /// The body's text.
        detail: String,
    },
    /// The answer is not what the contract says.
    #[error("{call}: the answer is not understood: {reason}")]
    Malformed {
        /// Method and path.
        call: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A state did not come in time.
    #[error("{0}")]
    Late(String),
}

/// A sale to be made.
#[derive(Clone, Debug, Serialize)]
pub struct NewSale {
    /// Its id.
    pub sale: String,
    /// RFC 3339.
    pub starts_at: String,
    /// RFC 3339.
    pub ends_at: String,
    /// Live units per user over all SKUs.
    pub limit_per_user: u32,
    /// Pay window in seconds.
    pub hold_seconds: u64,
    /// Slices of users.
    pub shards: u16,
    /// Acknowledgement level.
    pub ack: String,
    /// What is sold.
    pub skus: Vec<NewSku>,
}

/// One SKU of a new sale.
#[derive(Clone, Debug, Serialize)]
pub struct NewSku {
    /// Its id.
    pub sku: String,
    /// Its product.
    pub product: String,
    /// For people.
    pub name: String,
    /// Minor units.
    pub price_minor: u64,
    /// ISO 4217.
    pub currency: &'static str,
    /// Units.
    pub stock: u64,
}

/// A sale as the administrator sees it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct SaleState {
    /// draft, open, stopped or closed.
    #[serde(default)]
    pub state: String,
    /// Its shards.
    #[serde(default)]
    pub shards: Vec<ShardState>,
    /// Its stock.
    #[serde(default)]
    pub skus: Vec<SkuState>,
}

/// One shard.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct ShardState {
    /// Its number.
    #[serde(default)]
    pub k: u16,
    /// OPEN, or a phase of the way there.
    #[serde(default)]
    pub phase: String,
    /// Its epoch.
    #[serde(default)]
    pub epoch: u64,
    /// The last entry that is decided.
    #[serde(default)]
    pub cursor: u64,
}

/// Units of one SKU that one shard sells now.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// The shard: only its users can buy them.
    pub k: u16,
    /// Of what.
    pub sku: String,
    /// How many.
    pub available: u64,
}

#[derive(Deserialize)]
struct LedgerView {
    shards: Vec<ShardView>,
}

#[derive(Deserialize)]
struct ShardView {
    k: u16,
    stock: Vec<StockView>,
}

#[derive(Deserialize)]
struct StockView {
    sku: String,
    memory: Option<MemoryView>,
}

#[derive(Deserialize)]
struct MemoryView {
    available: u64,
}

/// One SKU's stock.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct SkuState {
    /// Its id.
    #[serde(default)]
    pub sku: String,
    /// Units that the sale has.
    #[serde(default)]
    pub total: u64,
    /// Units not granted to any shard.
    #[serde(default)]
    pub pool: u64,
    /// Units that can be reserved.
    #[serde(default)]
    pub available: u64,
    /// Units of unpaid orders.
    #[serde(default)]
    pub held: u64,
    /// Units of paid orders.
    #[serde(default)]
    pub sold: u64,
}

/// The platform as its administrator reaches it.
#[derive(Clone)]
pub struct Platform {
    address: SocketAddr,
    authorization: String,
    deadline: Instant,
}

/// One question, as often as it is asked.
struct Asked<'a> {
    method: Method,
    path: &'a str,
    key: Option<&'a str>,
    body: Vec<u8>,
}

impl<'a> Asked<'a> {
    /// Without a key and a body.
    fn of(method: Method, path: &'a str) -> Self {
        Self { method, path, key: None, body: Vec::new() }
    }
}

impl Platform {
    /// Calls go to `address` under an administrator's token, and none begins after `deadline`.
    #[must_use]
    pub fn new(address: SocketAddr, token: &str, deadline: Instant) -> Self {
        Self { address, authorization: format!("Bearer {token}"), deadline }
    }

    /// Makes a sale.
    ///
    /// # Errors
    /// Any `PlatformError`; after `Unknown` the sale may exist.
    pub async fn create(&self, sale: &NewSale) -> Result<(), PlatformError> {
        let body = serde_json::to_vec(sale).expect("a sale is plain data");
        self.call(&Asked { body, ..Asked::of(Method::POST, "/admin/v1/sales") }).await.map(drop)
    }

    /// Writes a product; repeated while the outcome is Unknown, which leaves the same product.
    ///
    /// # Errors
    /// `Refused`, or `Unknown` at the deadline.
    pub async fn put_product(&self, product: &str, name: &str) -> Result<(), PlatformError> {
        let body = json!({ "name": name, "category": "load", "image_url": "" }).to_string().into_bytes();
        let path = format!("/admin/v1/products/{product}");
        self.repeat(Asked { method: Method::PUT, path: &path, key: None, body }).await.map(drop)
    }

    /// `open`, `stop`, `resume` or `close`; repeated while the outcome is Unknown, which these allow.
    ///
    /// # Errors
    /// `Refused`, or `Unknown` at the deadline.
    pub async fn command(&self, sale: &str, command: &str) -> Result<(), PlatformError> {
        self.repeat(Asked::of(Method::POST, &format!("/admin/v1/sales/{sale}/{command}"))).await.map(drop)
    }

    /// Adds units, once under this key; repeated while the outcome is Unknown, which the key allows.
    ///
    /// # Errors
    /// `Refused`, or `Unknown` at the deadline: then the units may have been added.
    pub async fn top_up(&self, sale: &str, sku: &str, quantity: u64, key: &str) -> Result<(), PlatformError> {
        let body = json!({ "quantity": quantity }).to_string().into_bytes();
        let path = format!("/admin/v1/sales/{sale}/skus/{sku}/top-up");
        self.repeat(Asked { method: Method::POST, path: &path, key: Some(key), body }).await.map(drop)
    }

    /// The sale's state and stock.
    ///
    /// # Errors
    /// Any `PlatformError`.
    pub async fn sale(&self, sale: &str) -> Result<SaleState, PlatformError> {
        let path = format!("/admin/v1/sales/{sale}");
        let body = self.repeat(Asked::of(Method::GET, &path)).await?;
        serde_json::from_slice(&body)
            .map_err(|error| PlatformError::Malformed { call: path, reason: error.to_string() })
    }

    /// Units that can be bought, by shard and SKU.
    ///
    /// # Errors
    /// Any `PlatformError`.
    pub async fn shelves(&self, sale: &str) -> Result<Vec<Shelf>, PlatformError> {
        let path = format!("/admin/v1/sales/{sale}/ledger");
        let body = self.repeat(Asked::of(Method::GET, &path)).await?;
        let ledger: LedgerView = serde_json::from_slice(&body)
            .map_err(|error| PlatformError::Malformed { call: path, reason: error.to_string() })?;
        let shelves = ledger.shards.into_iter().flat_map(|shard| {
            shard.stock.into_iter().map(move |stock| Shelf {
                k: shard.k,
                available: stock.memory.map_or(0, |memory| memory.available),
                sku: stock.sku,
            })
        });
        Ok(shelves.collect())
    }

    /// The rows of the sale from one snapshot, as JSON lines.
    ///
    /// # Errors
    /// Any `PlatformError`.
    pub async fn audit(&self, sale: &str) -> Result<Bytes, PlatformError> {
        self.repeat(Asked::of(Method::GET, &format!("/admin/v1/sales/{sale}/audit"))).await
    }

    /// Waits until every shard sells.
    ///
    /// # Errors
    /// `Late` after a minute or at the deadline, and whatever a question was answered with.
    pub async fn wait_until_open(&self, sale: &str) -> Result<(), PlatformError> {
        let deadline = (Instant::now() + Duration::from_secs(60)).min(self.deadline);
        loop {
            let state = self.sale(sale).await?;
            if !state.shards.is_empty() && state.shards.iter().all(|shard| shard.phase == "OPEN") {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let phases: Vec<_> = state.shards.iter().map(|shard| shard.phase.as_str()).collect();
                return Err(PlatformError::Late(format!(
                    "sale {sale} did not open in time: {} {phases:?}",
                    state.state
                )));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn repeat(&self, asked: Asked<'_>) -> Result<Bytes, PlatformError> {
        loop {
            let result = self.call(&asked).await;
            let again = match &result {
                Err(PlatformError::Unknown { .. }) => true,
                Err(PlatformError::Refused { status, .. }) => matches!(status, 429 | 503),
                Ok(_) | Err(PlatformError::Malformed { .. } | PlatformError::Late(_)) => false,
            };
            if !again || Instant::now() + PAUSE >= self.deadline {
                return result;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn call(&self, asked: &Asked<'_>) -> Result<Bytes, PlatformError> {
        let call = format!("{} {}", asked.method, asked.path);
        let unknown = |reason: String| PlatformError::Unknown { call: call.clone(), address: self.address, reason };
        let limit = CALL_TIMEOUT.min(self.deadline.saturating_duration_since(Instant::now()));
        let answer = tokio::time::timeout(limit, self.exchange(asked)).await;
        let (status, body) =
            answer.map_err(|_| unknown("timeout".to_owned()))?.map_err(|error| unknown(error.to_string()))?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let detail = String::from_utf8_lossy(&body).chars().take(300).collect();
        Err(PlatformError::Refused { call, status, slug: slug(&body), detail })
    }

    async fn exchange(&self, asked: &Asked<'_>) -> Result<(u16, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = tokio::net::TcpStream::connect(self.address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(asked.method.clone())
            .uri(asked.path)
            .header(HOST, self.address.to_string())
            .header(AUTHORIZATION, &self.authorization)
            .header(CONTENT_TYPE, "application/json");
        if let Some(key) = asked.key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Full::new(Bytes::from(asked.body.clone())))?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await?.to_bytes();
        driver.abort();
        Ok((status, body))
    }
}
