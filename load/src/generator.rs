//! The open loop: clicks arrive by their schedule, any idle connection sends the next one, and a click that was told to
//! wait or was told nothing is sent again under its own key.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::{Notify, Semaphore, mpsc};

use crate::connection::{Link, Reply};
use crate::error::LoadError;
use crate::history::{Answer, Attempt, Line};
use crate::progress::{self, Tally};
use crate::recorder::{Class, Recorder, microseconds};
use crate::request::Requests;
use crate::schedule::Schedule;

/// A click that was told 429 or 503 this often is given up: a buyer would have, too.
pub(crate) const WAITS_MAX: u8 = 8;

/// A server that says "later" without a time is asked again after this long.
pub(crate) const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);

/// No server may park a click for longer, whatever it asks for: the run is bounded.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// Pauses before an Unknown is sent again: doubled from the first to the second.
pub(crate) const UNKNOWN_PAUSE_MIN: Duration = Duration::from_millis(50);
pub(crate) const UNKNOWN_PAUSE_MAX: Duration = Duration::from_secs(1);

/// One intended reservation.
#[derive(Clone, Debug)]
pub struct Click {
    /// The sale.
    pub sale: Arc<str>,
    /// Number of the user.
    pub user: u32,
    /// Number of the idempotency key; the key is `k-<number>`.
    pub key: u32,
    /// The basket.
    pub lines: Arc<[Line]>,
}

impl Click {
    /// The idempotency key.
    #[must_use]
    pub fn key(&self) -> String {
        format!("k-{}", self.key)
    }
}

/// An accepted click, told to whoever follows it up while the burst still runs.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// Index of the click.
    pub click: usize,
    /// Id of its order.
    pub id: String,
    /// Proof for the platform that it promised.
    pub receipt: String,
}

/// A burst to be generated.
pub struct Plan {
    /// Who builds the request bytes.
    pub requests: Arc<Requests>,
    /// What is clicked, in the order of arrival.
    pub clicks: Vec<Click>,
    /// Arrivals per second.
    pub rate_per_second: f64,
    /// Connections.
    pub connections: u16,
    /// A request is Unknown after this long.
    pub timeout: Duration,
    /// Unknowns are sent again until this long after the last arrival.
    pub bound: Duration,
    /// Nothing is sent after this.
    pub deadline: Instant,
    /// Zero of the history's times.
    pub origin: Instant,
    /// Gets every acceptance at once.
    pub accepted: Option<mpsc::Sender<Acceptance>>,
}

/// What a burst left behind.
pub struct Generated {
    /// Counts and latencies.
    pub recorder: Recorder,
    /// Every request.
    pub attempts: Vec<Attempt>,
    /// Every accepted click; a double click is here twice with the same id.
    pub accepted: Vec<Acceptance>,
    /// Clicks whose truth only the platform knows: Unknown at the bound, or refused after an Unknown (the earlier request
    /// may still have been carried out after the refusal).
    pub doubtful: Vec<usize>,
    /// Clicks that were never sent because the platform could not be reached in time.
    pub unsent: usize,
    /// First intended arrival to the last answer.
    pub elapsed: Duration,
}

#[derive(Clone, Copy)]
struct Job {
    click: usize,
    intended: Instant,
    waits: u8,
    unknowns: u8,
}

/// Progress of one click, kept beside the jobs so that nothing is forgotten when the bound cuts them off.
const UNSENT: u8 = 0;
const SENT: u8 = 1;
const ENDED: u8 = 2;

struct Shared {
    plan: Plan,
    schedule: Schedule,
    deadline: Instant,
    permits: Semaphore,
    next: AtomicUsize,
    again: Mutex<VecDeque<Job>>,
    states: Vec<AtomicU8>,
    doubtful: Vec<AtomicBool>,
    open: AtomicUsize,
    finished: Notify,
    recorder: Mutex<Recorder>,
    attempts: Mutex<Vec<Attempt>>,
    accepted: Mutex<Vec<Acceptance>>,
    tally: Arc<Tally>,
}

/// Generates the whole burst and waits for its end: every click answered, or the bound.
///
/// # Errors
/// `Generator` when a task panicked.
pub async fn generate(plan: Plan) -> Result<Generated, LoadError> {
    let count = plan.clicks.len();
    let connections = plan.connections;
    // The connections are made before the first arrival, so that the first latencies are not those of a handshake.
    let start = Instant::now() + Duration::from_millis(200);
    let schedule = Schedule::new(start, plan.rate_per_second, count);
    let shared = Arc::new(Shared::new(plan, schedule));
    let bar = progress::bar(count as u64, "burst");
    let drawing = tokio::spawn(progress::draw(bar.clone(), shared.tally.clone()));
    let pacer = std::thread::Builder::new().name("pacer".to_owned()).spawn({
        let shared = shared.clone();
        move || shared.schedule.pace(|arrivals| shared.release(arrivals))
    });
    let pacer = pacer.map_err(|error| LoadError::Generator(error.to_string()))?;
    let workers: Vec<_> = (0..connections).map(|_| tokio::spawn(work(shared.clone()))).collect();
    if count > 0 {
        let _ = tokio::time::timeout_at(shared.deadline.into(), shared.finished.notified()).await;
    }
    shared.permits.close();
    for worker in workers {
        worker.await.map_err(|error| LoadError::Generator(error.to_string()))?;
    }
    let elapsed = start.elapsed();
    drawing.abort();
    bar.finish_and_clear();
    pacer.join().map_err(|_| LoadError::Generator("the pacer panicked".to_owned()))?;
    Ok(shared.harvest(elapsed))
}

async fn work(shared: Arc<Shared>) {
    let mut link = Link::new(shared.plan.requests.address());
    let mut request = Vec::with_capacity(1024);
    while link.ready(shared.deadline).await {
        let Some(job) = shared.take().await else { return };
        let click = &shared.plan.clicks[job.click];
        let user = shared.plan.requests.user(click.user);
        let key = click.key();
        shared.plan.requests.reserve(&mut request, &click.sale, &user, &key, &click.lines);
        let sent_at = Instant::now();
        shared.states[job.click].store(SENT, Ordering::Relaxed);
        let answer = match link.exchange(&request, (sent_at + shared.plan.timeout).min(shared.deadline)).await {
            Ok(reply) => read_answer(&reply),
            Err(broken) => Answer::Unknown { reason: broken.to_string() },
        };
        let answered_at = Instant::now();
        shared.answered(job, sent_at, answered_at, &answer);
        lock(&shared.attempts).push(Attempt {
            sale: click.sale.clone(),
            user,
            key,
            lines: click.lines.clone(),
            sent_at_us: shared.since_origin(sent_at),
            answered_at_us: shared.since_origin(answered_at),
            answer,
        });
        shared.count_down_if_ended(job);
    }
}

impl Shared {
    fn new(plan: Plan, schedule: Schedule) -> Self {
        let count = plan.clicks.len();
        Self {
            deadline: (schedule.end() + plan.bound).min(plan.deadline),
            schedule,
            permits: Semaphore::new(0),
            next: AtomicUsize::new(0),
            again: Mutex::new(VecDeque::new()),
            states: (0..count).map(|_| AtomicU8::new(UNSENT)).collect(),
            doubtful: (0..count).map(|_| AtomicBool::new(false)).collect(),
            open: AtomicUsize::new(count),
            finished: Notify::new(),
            recorder: Mutex::new(Recorder::default()),
            attempts: Mutex::new(Vec::with_capacity(count)),
            accepted: Mutex::default(),
            tally: Arc::default(),
            plan,
        }
    }

    fn release(&self, arrivals: usize) -> bool {
        if self.permits.is_closed() {
            return false;
        }
        self.permits.add_permits(arrivals);
        true
    }

    /// One permit is one job: a retry if one is due, else the next arrival.
    async fn take(&self) -> Option<Job> {
        let waited_from = Instant::now();
        self.permits.acquire().await.ok()?.forget();
        if let Some(job) = lock(&self.again).pop_front() {
            return Some(job);
        }
        let click = self.next.fetch_add(1, Ordering::Relaxed);
        assert!(click < self.plan.clicks.len(), "a permit without a job");
        let intended = self.schedule.intended(click);
        if waited_from < intended {
            lock(&self.recorder).generator_was_late(intended.elapsed());
        }
        Some(Job { click, intended, waits: 0, unknowns: 0 })
    }

    fn answered(self: &Arc<Self>, job: Job, sent_at: Instant, answered_at: Instant, answer: &Answer) {
        let mut recorder = lock(&self.recorder);
        recorder.request_ended(if matches!(answer, Answer::Unknown { .. }) {
            None
        } else {
            Some(answered_at - sent_at)
        });
        let class = match answer {
            Answer::Accepted { id, receipt, .. } => {
                self.remember(Acceptance { click: job.click, id: id.clone(), receipt: receipt.clone() });
                Class::Accepted
            }
            Answer::Refused { slug, .. } => {
                recorder.refused(slug);
                self.doubtful[job.click].store(job.unknowns > 0, Ordering::Relaxed);
                Class::Refused
            }
            Answer::Unavailable { retry_after_seconds, .. } => {
                recorder.unavailable_answered();
                if job.waits < WAITS_MAX {
                    let pause =
                        retry_after_seconds.map_or(RETRY_AFTER_DEFAULT, Duration::from_secs).min(RETRY_AFTER_MAX);
                    return self.send_again(Job { waits: job.waits + 1, ..job }, pause);
                }
                if job.unknowns > 0 { Class::Unknown } else { Class::Unavailable }
            }
            Answer::Unknown { .. } => {
                recorder.attempt_unknown();
                let pause = (UNKNOWN_PAUSE_MIN * (1 << job.unknowns.min(5))).min(UNKNOWN_PAUSE_MAX);
                return self.send_again(Job { unknowns: job.unknowns.saturating_add(1), ..job }, pause);
            }
        };
        self.doubtful[job.click].fetch_or(class == Class::Unknown, Ordering::Relaxed);
        recorder.click_ended(
            class,
            answered_at - job.intended,
            answered_at.saturating_duration_since(self.schedule.start()),
        );
        self.tally.add(class);
        self.states[job.click].store(ENDED, Ordering::Relaxed);
    }

    /// Queues are bounded by the number of clicks: each has at most one job.
    fn send_again(self: &Arc<Self>, job: Job, pause: Duration) {
        let due = Instant::now() + pause;
        if due >= self.deadline {
            return;
        }
        let shared = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep_until(due.into()).await;
            lock(&shared.again).push_back(job);
            shared.release(1);
        });
    }

    fn remember(&self, acceptance: Acceptance) {
        lock(&self.accepted).push(acceptance.clone());
        if let Some(accepted) = &self.plan.accepted {
            // The channel holds as many as there are clicks, so it is never full; a follower that ended needs nothing more.
            let _ = accepted.try_send(acceptance);
        }
    }

    fn count_down_if_ended(&self, job: Job) {
        if self.states[job.click].load(Ordering::Relaxed) == ENDED && self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.finished.notify_one();
        }
    }

    fn since_origin(&self, at: Instant) -> u64 {
        microseconds(at.saturating_duration_since(self.plan.origin))
    }

    /// Counts what the bound cut off, and takes the results.
    fn harvest(&self, elapsed: Duration) -> Generated {
        let mut recorder = lock(&self.recorder).clone();
        let mut doubtful = Vec::new();
        let mut unsent = 0;
        for (click, state) in self.states.iter().enumerate() {
            match state.load(Ordering::Relaxed) {
                UNSENT => unsent += 1,
                SENT => {
                    let latency = self.schedule.intended(click).elapsed();
                    recorder.click_ended(Class::Unknown, latency, elapsed);
                    doubtful.push(click);
                }
                _ => {
                    if self.doubtful[click].load(Ordering::Relaxed) {
                        doubtful.push(click);
                    }
                }
            }
        }
        let attempts = std::mem::take(&mut *lock(&self.attempts));
        let accepted = std::mem::take(&mut *lock(&self.accepted));
        Generated { recorder, attempts, accepted, doubtful, unsent, elapsed }
    }
}

#[derive(Deserialize)]
struct AcceptedBody {
    id: String,
    #[serde(default)]
    receipt: String,
    #[serde(default)]
    expires_at: String,
}

#[derive(Deserialize)]
struct ProblemBody<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
}

/// What a reply to a reservation means.
#[must_use]
pub fn read_answer(reply: &Reply<'_>) -> Answer {
    match reply.status {
        202 => match serde_json::from_slice::<AcceptedBody>(reply.body) {
            Ok(body) => Answer::Accepted { id: body.id, receipt: body.receipt, expires_at: body.expires_at },
            Err(_) => Answer::Unknown { reason: "a 202 without an id".to_owned() },
        },
        status @ (429 | 503) => {
            Answer::Unavailable { status, slug: slug(reply.body), retry_after_seconds: reply.retry_after_seconds }
        }
        status @ 400..=499 => Answer::Refused { status, slug: slug(reply.body) },
        // Any other status promises nothing and denies nothing.
        status => Answer::Unknown { reason: format!("status {status}") },
    }
}

/// The last part of a problem's type (RFC 9457), or a word for its absence.
#[must_use]
pub fn slug(body: &[u8]) -> String {
    let problem = serde_json::from_slice::<ProblemBody<'_>>(body);
    problem.map_or_else(
        |_| "no-problem-type".to_owned(),
        |problem| problem.kind.rsplit('/').next().unwrap_or_default().to_owned(),
    )
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock panics")
}
