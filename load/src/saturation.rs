//! The closed loop: every connection always has one request in flight. It finds the throughput of a server, never its
//! latency under a given load; that is what the open loop is for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::connection::Link;
use crate::error::LoadError;
use crate::generator::{Acceptance, Click, read_answer, slug};
use crate::history::{Answer, Line};
use crate::recorder::{Distribution, histogram, microseconds};
use crate::request::Requests;

/// The first part of a slice is not counted: connections are made and caches fill.
const WARM_UP: Duration = Duration::from_millis(300);

/// One slice of a comparison.
#[derive(Clone)]
pub struct Slice {
    /// Where the requests go, and whose.
    pub requests: Arc<Requests>,
    /// The sale.
    pub sale: Arc<str>,
    /// The basket.
    pub lines: Arc<[Line]>,
    /// The next user that has not clicked yet; every request has its own.
    pub users: Arc<AtomicU32>,
    /// Connections.
    pub connections: u16,
    /// Counted time.
    pub duration: Duration,
    /// The status that is counted.
    pub status: u16,
}

/// What a slice measured.
pub struct Saturated {
    /// Answers of the expected status within the counted time.
    pub answers: u64,
    /// Expected answers per second.
    pub per_second: f64,
    /// Every other answer, by status and slug.
    pub others: BTreeMap<String, u64>,
    /// Service times.
    pub service: Distribution,
    /// The last answer of each connection, if it was an acceptance.
    pub last: Vec<(Click, Acceptance)>,
    /// The slugs of the last refusals of each connection.
    pub refusals: BTreeMap<String, u64>,
}

struct Worker {
    histogram: Histogram<u64>,
    others: BTreeMap<String, u64>,
    last: Option<(u32, Answer)>,
}

/// Runs one slice.
///
/// # Errors
/// `Generator` when a task panicked.
pub async fn saturate(slice: &Slice) -> Result<Saturated, LoadError> {
    let counted_from = Instant::now() + WARM_UP;
    let end = counted_from + slice.duration;
    let tasks: Vec<_> = (0..slice.connections).map(|_| tokio::spawn(work(slice.clone(), counted_from, end))).collect();
    let mut all = histogram();
    let mut saturated = Saturated {
        answers: 0,
        per_second: 0.0,
        others: BTreeMap::new(),
        service: Distribution::of(&all),
        last: Vec::new(),
        refusals: BTreeMap::new(),
    };
    for task in tasks {
        let worker = task.await.map_err(|error| LoadError::Generator(error.to_string()))?;
        all.add(&worker.histogram).map_err(|error| LoadError::Generator(error.to_string()))?;
        for (name, count) in worker.others {
            *saturated.others.entry(name).or_default() += count;
        }
        match worker.last {
            Some((user, Answer::Accepted { id, receipt, .. })) => {
                let click = Click { sale: slice.sale.clone(), user, key: user, lines: slice.lines.clone() };
                saturated.last.push((click, Acceptance { click: 0, id, receipt }));
            }
            Some((_, Answer::Refused { slug, .. })) => *saturated.refusals.entry(slug).or_default() += 1,
            Some((_, Answer::Unavailable { .. } | Answer::Unknown { .. })) | None => {}
        }
    }
    saturated.answers = all.len();
    #[expect(clippy::cast_precision_loss, reason = "counts of answers are far below 2^52")]
    let answers = all.len() as f64;
    saturated.per_second = answers / slice.duration.as_secs_f64();
    saturated.service = Distribution::of(&all);
    Ok(saturated)
}

async fn work(slice: Slice, counted_from: Instant, end: Instant) -> Worker {
    // Service times of a slice stay below ten seconds; a narrow histogram keeps hundreds of workers small.
    let narrow = Histogram::new_with_bounds(1, 10_000_000, 2).expect("the bounds are valid");
    let mut worker = Worker { histogram: narrow, others: BTreeMap::new(), last: None };
    let mut link = Link::new(slice.requests.address());
    let mut request = Vec::with_capacity(1024);
    while link.ready(end).await {
        let user = slice.users.fetch_add(1, Ordering::Relaxed);
        slice.requests.reserve(
            &mut request,
            &slice.sale,
            &slice.requests.user(user),
            &format!("k-{user}"),
            &slice.lines,
        );
        let sent_at = Instant::now();
        if sent_at >= end {
            break;
        }
        // The last request of a slice is waited for, so that the next slice begins on an idle server.
        let result = link.exchange(&request, end + Duration::from_secs(5)).await;
        let answered_at = Instant::now();
        let counted = answered_at >= counted_from && answered_at < end;
        match result {
            Ok(reply) if reply.status == slice.status => {
                if counted {
                    worker.histogram.saturating_record(microseconds(answered_at - sent_at));
                }
                if answered_at >= end {
                    worker.last = Some((user, read_answer(&reply)));
                }
            }
            Ok(reply) => {
                let name = format!("{} {}", reply.status, slug(reply.body));
                *worker.others.entry(name).or_default() += 1;
                let overloaded = matches!(reply.status, 429 | 503);
                if overloaded {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            Err(broken) => *worker.others.entry(broken.to_string()).or_default() += 1,
        }
    }
    worker
}
