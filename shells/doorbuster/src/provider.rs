//! The built-in simulated payment provider: takes every payment, and calls back over HTTP with a signature,
//! like a real one would.

use async_trait::async_trait;
use bytes::Bytes;
use doorbuster_core::database::rows::{Currency, PaymentRow};
use doorbuster_core::ids::PaymentId;
use doorbuster_core::outcome::Outcome;
use doorbuster_runtime::drive::spawn;
use doorbuster_runtime::env::SharedEnv;
use doorbuster_runtime::ports::Unavailable;
use doorbuster_runtime::ports::provider::Provider;
use doorbuster_web::payments::{SIGNATURE, sign};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// A buyer at a card form takes about so long in a demonstration.
const THINKS: Duration = Duration::from_secs(1);
/// Longer than the pay window of the demo sale, so that the money comes late.
const THINKS_LATE: Duration = Duration::from_secs(40);
/// A platform that does not answer is called again, as providers do, with doubling pauses.
const CALLS_MAX: u32 = 6;

/// The simulated provider of one process. It forgets what it was asked when the process ends; a payment that is never
/// settled leaves its order to the pay window.
pub struct SimulatedProvider {
    env: SharedEnv,
    webhooks: SocketAddr,
    secret: Vec<u8>,
}

impl SimulatedProvider {
    /// Calls back to this address, signed with this secret.
    pub fn new(env: SharedEnv, webhooks: SocketAddr, secret: Vec<u8>) -> SimulatedProvider {
        SimulatedProvider { env, webhooks, secret }
    }

    fn call_back(&self, after: Duration, payment: PaymentId, verdict: &'static str, secret: Vec<u8>) {
        let (env, address) = (self.env.clone(), self.webhooks);
        let body = serde_json::json!({ "payment_id": payment.as_str(), "verdict": verdict }).to_string();
        spawn(async move {
            tokio::time::sleep(after).await;
            for attempt in 0..CALLS_MAX {
                let signature = sign(&secret, env.now().wall, body.as_bytes());
                match post(address, &signature, Bytes::from(body.clone())).await {
                    Ok(status) if status < 500 => return,
                    Ok(_) | Err(_) => tokio::time::sleep(THINKS * 2u32.pow(attempt)).await,
                }
            }
            tracing::warn!(%payment, "the simulated provider gave up calling back");
        });
    }
}

#[async_trait]
impl Provider for SimulatedProvider {
    async fn charge(
        &self,
        payment: &PaymentRow,
        _currency: Currency,
        instruction: Option<String>,
    ) -> Outcome<(), Unavailable> {
        let own = || self.secret.clone();
        match instruction.as_deref().unwrap_or("succeed") {
            "decline" => self.call_back(THINKS, payment.id, "declined", own()),
            "late" => self.call_back(THINKS_LATE, payment.id, "succeeded", own()),
            "duplicate" => {
                self.call_back(THINKS, payment.id, "succeeded", own());
                self.call_back(THINKS * 2, payment.id, "succeeded", own());
            }
            "forged" => self.call_back(THINKS, payment.id, "succeeded", b"not the secret".to_vec()),
            _ => self.call_back(THINKS, payment.id, "succeeded", own()),
        }
        Outcome::Done(())
    }

    async fn refund(&self, _payment: PaymentId) -> Outcome<(), Unavailable> {
        Outcome::Done(())
    }
}

async fn post(
    address: SocketAddr,
    signature: &str,
    body: Bytes,
) -> Result<u16, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    spawn(connection);
    let request = Request::builder()
        .method(Method::POST)
        .uri("/v1/webhooks/payments/simulated")
        .header("host", address.to_string())
        .header("content-type", "application/json")
        .header(SIGNATURE, signature)
        .body(Full::new(body))?;
    Ok(sender.send_request(request).await?.status().as_u16())
}
