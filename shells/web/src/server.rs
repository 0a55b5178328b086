//! Connections: accepted up to a bound, served by hyper, drained at the end.

use crate::api::Shared;
use crate::connections::{Activity, Connections, Ending};
use crate::problem::Slug;
use crate::reply::{Infallibly, Reply, ReplyBody};
use crate::{reserve, routes};
use axum::Router;
use axum::serve::Listener;
use doorbuster_runtime::drive::{Stop, spawn, spawn_on};
use doorbuster_runtime::telemetry::Metric;
use http::{Method, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Sleep;
use tower::Service;

/// Connections at once: each holds some 20 KiB of buffers while it works, and a file descriptor. Above it, the kernel's
/// backlog waits, which costs this process nothing.
pub const CONNECTIONS_MAX: u32 = 10_000;
/// Bytes of one request's head, which has at most hyper's own hundred headers: a token and a few cookies fit. Also the
/// reading buffer of one connection.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// A request is answered within this, or told that it took too long.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// An import carries megabytes over whatever line the operator has.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(60);
/// Requests in flight at the stop may take this long: as long as a request may take at all.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Where connections are served.
#[derive(Clone)]
pub(crate) struct Station {
    /// Where the router's answers are made.
    pub shared: Handle,
    /// Connections at once.
    pub connections_max: u32,
}

/// Serves any listener on the runtime of the caller until told to stop: the simulator brings its own. Returns when the
/// requests in flight are answered, or after ten seconds.
pub async fn serve_on<L: Listener>(listener: L, api: Shared, stop: Stop) {
    let station = Station { shared: Handle::current(), connections_max: CONNECTIONS_MAX };
    serve_in(station, listener, api, stop).await;
}

pub(crate) async fn serve_in<L: Listener>(station: Station, mut listener: L, api: Shared, mut stop: Stop) {
    let router = routes::router(api.clone());
    let slots = Arc::new(Semaphore::new(station.connections_max as usize));
    let connections = Arc::<Connections>::default();
    let mut silence = pin!(connections.watch());
    loop {
        let accepted = async {
            let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
            (slot, listener.accept().await.0)
        };
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            () = silence.as_mut() => unreachable!("the watch never ends"),
            (slot, io) = accepted => {
                let (place, activity, ending) = connections.enter();
                let (router, shared) = (router.clone(), station.shared.clone());
                let edge = Arc::new(Edge { api: api.clone(), router, shared, activity });
                spawn(async move {
                    connection(io, edge, ending).await;
                    drop((place, slot));
                });
            }
        }
    }
    drop(listener);
    connections.stop();
    api.closing.send_replace(true);
    // Every slot back means every connection ended. Those that remain are cut when their tasks' runtime ends.
    if tokio::time::timeout(DRAIN_TIMEOUT, slots.acquire_many(station.connections_max)).await.is_err() {
        tracing::warn!("some requests were not finished in time");
    }
}

/// What the requests of one connection share: one count of owners per connection, so that no two cores change the same.
struct Edge {
    api: Shared,
    router: Router,
    shared: Handle,
    activity: Arc<Activity>,
}

async fn connection<I>(io: I, edge: Arc<Edge>, ending: oneshot::Receiver<Ending>)
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let activity = edge.activity.clone();
    let service = service_fn(move |request| answer(edge.clone(), request));
    let mut builder = http1::Builder::new();
    builder
        .max_buf_size(HEAD_BYTES_MAX)
        // A date is required of origin servers that have a clock (RFC 9110 section 6.6.1); the simulated world has its own.
        .auto_date_header(false)
        .pipeline_flush(true);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let mut ending = pin!(ending);
    let mut listening = false;
    let raced = poll_fn(|context| {
        // Once it listens, it is woken when it is told: asking at every turn would cost every request. It begins to listen
        // before its first read: one that has used up the task's budget would keep it from listening for ever.
        let told = if listening && !activity.is_told() { Poll::Pending } else { ending.as_mut().poll(context) };
        listening = true;
        match connection.as_mut().poll(context) {
            Poll::Ready(ended) => Poll::Ready(Ok(ended)),
            Poll::Pending => told.map(Err),
        }
    });
    let ended = match raced.await {
        Ok(ended) => ended,
        // A server that is gone stops its connections too.
        Err(Ok(Ending::Stop) | Err(_)) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        Err(Ok(Ending::Silence)) => Ok(()),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// A stop whose sender is gone is a stop too.
pub(crate) async fn stopped(stop: &mut Stop) {
    drop(stop.wait_for(|stopped| *stopped).await);
}

/// The future is moved as a whole before it is polled, so it is kept small: what it owns is lent to what it awaits, and
/// everything that few requests need is boxed.
#[allow(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice: as it got them and as it uses them")]
fn answer(edge: Arc<Edge>, mut request: Request<Incoming>) -> impl Future<Output = Infallibly<Reply>> {
    async move {
        let busy = edge.activity.begin();
        edge.api.ports.telemetry.add(Metric::Requests, 1);
        if request.method() == Method::POST
            && let Some(sale) = reserve::sale_of(request.uri().path())
        {
            let reply = pin!(reserve::answer(&edge.api, Some(sale), &mut request));
            // A reservation that was cut off may have been taken.
            return Ok(guard(reply, REQUEST_TIMEOUT, Slug::OutcomeUnknown).await);
        }
        let reply = Elsewhere(spawn_on(&edge.shared, routed(edge.router.clone(), request))).await;
        // A stream is in flight until its last piece.
        Ok(reply.map(|body| body.while_busy(busy)))
    }
}

/// An answer that another runtime makes; it is not made for a caller who has gone.
struct Elsewhere(JoinHandle<Reply>);

impl Future for Elsewhere {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Reply> {
        // It fails only where that runtime has ended, in the middle of what was asked: whether it was done is not known.
        Pin::new(&mut self.0).poll(context).map(|made| made.unwrap_or_else(|_| Slug::TimedOut.reply()))
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn routed(mut router: Router, request: Request<Incoming>) -> Reply {
    let limit = if request.uri().path().ends_with("/import") { IMPORT_TIMEOUT } else { REQUEST_TIMEOUT };
    let reply = pin!(async move {
        let Ok(response) = router.call(request).await;
        response.map(ReplyBody::routed)
    });
    guard(reply, limit, Slug::TimedOut).await
}

/// Bounds the time of an answer, and turns a panic of ours into an answer: one buyer's request ends, no other.
/// The timer is made when there is something to wait for.
async fn guard(mut reply: Pin<&mut impl Future<Output = Reply>>, limit: Duration, late: Slug) -> Reply {
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| reply.as_mut().poll(context))) {
        Ok(Poll::Ready(reply)) => Poll::Ready(reply),
        Ok(Poll::Pending) => {
            let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
            timer.as_mut().poll(context).map(|()| late.reply())
        }
        Err(_) => {
            tracing::error!("a handler panicked");
            Poll::Ready(Slug::Internal.reply())
        }
    })
    .await
}
