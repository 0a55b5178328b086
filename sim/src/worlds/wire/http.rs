//! One request over one connection, as any client of the platform makes it.

use super::process::Process;
use bytes::Bytes;
use doorbuster_runtime::drive::spawn;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Where edges listen.
pub const PORT: u16 = 8080;
/// A client gives up after this: a little earlier than an edge does.
const PATIENCE: Duration = Duration::from_secs(8);

/// What is asked.
pub struct Question {
    /// How.
    pub method: Method,
    /// What.
    pub path: String,
    /// With which headers beside the usual ones.
    pub headers: Vec<(HeaderName, String)>,
    /// With which body; JSON when there is one.
    pub body: Option<String>,
}

/// What is answered.
#[derive(Debug)]
pub struct Told {
    /// The status.
    pub status: u16,
    /// The body, if it is JSON.
    pub body: serde_json::Value,
}

/// Asks an edge; nothing when no whole answer came in time, whatever became of the request.
pub async fn ask(process: &Arc<Process>, edge: &str, question: Question) -> Option<Told> {
    let asked = tokio::time::timeout(PATIENCE, exchange(process, edge, question)).await;
    asked.ok()?.ok()
}

async fn exchange(
    process: &Arc<Process>,
    edge: &str,
    question: Question,
) -> Result<Told, Box<dyn Error + Send + Sync>> {
    let stream = process.connect(edge, PORT).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends when its sender is dropped.
    let driver = Ended(spawn(async move { drop(connection.await) }));
    let mut request = Request::builder().method(question.method).uri(question.path).header("host", edge);
    let headers = request.headers_mut().ok_or("a request that is built so far has headers")?;
    add(headers, &question.headers)?;
    if question.body.is_some() {
        headers.insert("content-type", HeaderValue::from_static("application/json"));
    }
    let request = request.body(Full::new(Bytes::from(question.body.unwrap_or_default())))?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    drop(driver);
    Ok(Told { status, body: serde_json::from_slice(&body).unwrap_or_default() })
}

fn add(headers: &mut HeaderMap, more: &[(HeaderName, String)]) -> Result<(), http::header::InvalidHeaderValue> {
    for (name, value) in more {
        headers.insert(name, HeaderValue::try_from(value)?);
    }
    Ok(())
}

/// A task that ends with whoever holds this: a client that gives up hangs up.
struct Ended(tokio::task::JoinHandle<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}
