//! A client's connection: dialled when somebody asks, and again when it breaks.

use super::frame::{Frame, HEADER_BYTES, Way, text_of};
use super::mount::Endpoint;
use super::pending::Pending;
use super::service::{Service, weight_of};
use doorbuster_core::rng::Rng;
use doorbuster_redis::dial::{ByteStream, Dial};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

/// Longest wait for a connection: a lost greeting is never answered.
const DIAL_MAX: Duration = Duration::from_secs(1);
/// First pause after a dial that came to nothing, in milliseconds.
const PAUSE_MS_MIN: u64 = 20;
/// Longest pause: a service that is back is found again while callers still wait.
const PAUSE_MS_MAX: u64 = 1_000;
/// One frame in so many leaves in two segments, cut at a drawn place, so that connections break in the middle of frames.
const CUT_OF: u64 = 8;

/// A request that waits to leave.
pub(super) struct Queued<S: Service> {
    pub number: u64,
    pub request: S::Request,
}

/// What keeps a client connected.
pub(super) struct Link<S: Service> {
    pub endpoint: Endpoint<S>,
    pub dial: Arc<dyn Dial>,
    pub pending: Arc<Pending<S::Reply>>,
    pub rng: Rng,
    /// The last connection that a caller took for dead.
    pub stalls: watch::Receiver<u64>,
}

impl<S: Service> Link<S> {
    /// Connects whenever somebody asks, until the client is gone.
    pub async fn run(mut self, mut queue: mpsc::Receiver<Queued<S>>) {
        let mut failures = 0;
        while let Some(first) = queue.recv().await {
            let dialled = tokio::time::timeout(DIAL_MAX, self.dial.dial(&self.endpoint.address)).await;
            match dialled {
                Ok(Ok(stream)) => {
                    let heard = self.converse(stream, first, &mut queue).await;
                    self.pending.broken();
                    failures = if heard { 0 } else { failures + 1 };
                }
                Ok(Err(_)) | Err(_) => {
                    self.pending.refused();
                    failures += 1;
                }
            }
            self.pause(failures).await;
        }
    }

    /// A pause that doubles with each failure in a row; half of it is drawn, so that many do not come at once.
    async fn pause(&mut self, failures: u32) {
        if failures > 0 {
            let longest_ms = (PAUSE_MS_MIN << (failures - 1).min(16)).min(PAUSE_MS_MAX);
            let pause_ms = longest_ms / 2 + self.rng.below(longest_ms / 2 + 1);
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
    }

    /// Uses one connection until it breaks; whether anything was heard on it.
    async fn converse(
        &mut self,
        stream: Box<dyn ByteStream>,
        first: Queued<S>,
        queue: &mut mpsc::Receiver<Queued<S>>,
    ) -> bool {
        let connection = self.pending.connected();
        let (mut answers, mut asks) = tokio::io::split(stream);
        let (endpoint, pending, rng) = (&self.endpoint, &self.pending, &mut self.rng);
        let mut heard = false;
        tokio::select! {
            // A connection that is given up takes no further request: one that waits goes out on the next.
            biased;
            _ = self.stalls.wait_for(|stalled| *stalled >= connection) => {}
            () = hear(endpoint, pending, &mut answers, &mut heard) => {}
            _ = tell(endpoint, pending, rng, &mut asks, first, queue) => {}
        }
        heard
    }
}

async fn hear<S: Service>(
    endpoint: &Endpoint<S>,
    pending: &Pending<S::Reply>,
    stream: &mut (impl AsyncRead + Unpin),
    heard: &mut bool,
) {
    while let Ok(Frame { way: Way::Answer, call, value, .. }) = Frame::read(stream).await {
        let Some(reply) = endpoint.values.told.take(value) else { return };
        *heard = true;
        pending.answered(call, reply);
    }
}

async fn tell<S: Service>(
    endpoint: &Endpoint<S>,
    pending: &Pending<S::Reply>,
    rng: &mut Rng,
    stream: &mut (impl AsyncWrite + Unpin),
    first: Queued<S>,
    queue: &mut mpsc::Receiver<Queued<S>>,
) -> io::Result<()> {
    let mut next = Some(first);
    while let Some(Queued { number, request }) = next {
        // Whose caller has gone need not leave.
        if pending.send(number) {
            let text = text_of(&request);
            let weight = weight_of(S::items_asked(&request), &text);
            let value = endpoint.values.asked.put(request);
            let cut = (rng.below(CUT_OF) == 0).then(|| rng.below(HEADER_BYTES as u64) as usize);
            Frame { way: Way::Ask, call: number, value, weight }.write(stream, &text, cut).await?;
        }
        next = queue.recv().await;
    }
    Ok(())
}
